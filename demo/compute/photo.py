"""Visitors' photos: reads them, decodes each once for all requests, and makes previews."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import io
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cachetools
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.apply_covers import covered
from gradcam_core.images.cover import Cover
from gradcam_core.images.decoded import Brightness, Decoded, Window
from gradcam_core.images.rendering.jpeg import jpeg
from gradcam_core.images.sandbox import READER_COUNT, read_picture_isolated
from gradcam_core.system.memory import trim

PREVIEW_MAX_SIDE_PX = 2560
"""Longest side of the photo as the page shows it. Larger photos are reduced by a whole factor,
which is several times as fast as any other size."""

DECODED_BYTES = 256 * 2**20
"""Memory for decoded photos, kept for the next class, view or network of the same photo."""

NOTES = 10_000
"""Photos whose notes are kept, even after the decoded photo has been dropped."""

FRAME_MAX_SIDE_PX = 1280
"""Longest side of a camera frame: the networks see some 300 pixels of it."""

NO_FRAME = f"A frame is a JPEG of up to {FRAME_MAX_SIDE_PX} pixels a side."

GONE = "The picture is no longer on the server. Choose it again."


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PhotoNotes:
    """The notices shown beside a photo, see `gradcam_core.images.decoded.Decoded`."""

    notices: tuple[str, ...]
    brightness: Brightness | None

    @classmethod
    def of(cls, photo: Decoded) -> PhotoNotes:
        return cls(photo.notices, photo.brightness)


def read_frame(frame: bytes) -> Image.Image:
    """The RGB picture of a camera frame. Raises ImageError if the frame is no JPEG, damaged, or
    too large."""
    if not frame.startswith(b"\xff\xd8\xff"):
        raise ImageError(NO_FRAME)
    picture = read_picture_isolated(frame).image
    if max(picture.size) > FRAME_MAX_SIDE_PX:
        raise ImageError(NO_FRAME)
    return picture


class PhotoStore:
    """Opens photos, and keeps decoded ones up to a total of `max_bytes`."""

    def __init__(self, max_bytes: int = DECODED_BYTES) -> None:
        self._kept: cachetools.LRUCache[str, Decoded] = cachetools.LRUCache(
            # Pillow holds RGB in four bytes.
            max_bytes,
            getsizeof=lambda photo: 4 * photo.image.width * photo.image.height,
        )
        self._notes: cachetools.LRUCache[str, PhotoNotes] = cachetools.LRUCache(NOTES)
        self._lock = threading.Lock()
        # As many threads as readers, to bound the photos in memory in addition to those kept.
        self._pool = ThreadPoolExecutor(READER_COUNT, thread_name_prefix="photo")

    def open(
        self, path: Path, folder: Path, window: Window | None = None, is_example: bool = False
    ) -> PhotoFile:
        """The photo in a file that must lie in this folder, links followed.

        window: the range of its values to show, see `read_picture`. is_example: whether it is one
        of the app's examples. Raises ImageError if the file lies elsewhere or cannot be read.
        """
        try:
            path = path.resolve()
            if not path.is_relative_to(folder.resolve()):
                raise ImageError(GONE)
            return PhotoFile(path, self, window, is_example)
        except (OSError, ValueError) as error:  # a path with NUL in it is a ValueError
            raise ImageError(GONE) from error

    def from_bytes(self, content: bytes, window: Window | None = None) -> PhotoFile:
        """The photo in a file's content. window: as for `open`."""
        return PhotoFile(content, self, window)

    def decoded(self, photo_id: str, decode: Callable[[], Decoded]) -> Decoded:
        """The decoded photo, from memory or from `decode`."""
        with self._lock:
            photo = self._kept.get(photo_id)
        if photo is None:
            photo = decode()
            with self._lock, suppress(ValueError):  # larger than all that may be kept
                self._notes[photo_id] = PhotoNotes.of(photo)
                self._kept[photo_id] = photo
            trim()  # the memory of the photos that had to make room
        return photo

    def notes(self, photo_id: str) -> PhotoNotes | None:
        """The notes of a photo that was decoded; None if they are not kept."""
        with self._lock:
            return self._notes.get(photo_id)

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Runs work on a whole photo in one of the threads reserved for that."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Starts no further work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class PhotoFile:
    """A picture file, given as a path or as bytes, and decoded only when needed. `id` is a SHA-256
    of its content, and of its window and covers if it has any. is_example: whether it is one of the
    app's examples, which everybody may see. Raises OSError if the file cannot be read."""

    def __init__(
        self,
        file: Path | bytes,
        store: PhotoStore,
        window: Window | None = None,
        is_example: bool = False,
    ) -> None:
        self.is_example = is_example
        self._file = file
        self._store = store
        self._window = window
        self.id = _sha256(file)
        if window is not None:
            seen = f"{self.id} {window.low!r} {window.high!r}"
            self.id = hashlib.sha256(seen.encode()).hexdigest()
        self.covers: tuple[Cover, ...] = ()
        self.uncovered: PhotoFile | None = None
        self._lock = threading.Lock()

    def covered(self, covers: Sequence[Cover]) -> PhotoFile:
        """Another photo with these places covered, whose `uncovered` is this photo; this photo
        itself if `covers` is empty."""
        if not covers:
            return self
        other = copy.copy(self)
        other.covers = (*self.covers, *covers)
        other.uncovered = self
        other.is_example = False  # whoever covers it makes it their own
        seen = " ".join([self.id, *(cover.text for cover in covers)])
        other.id = hashlib.sha256(seen.encode()).hexdigest()
        other._lock = threading.Lock()
        return other

    @property
    def picture(self) -> Image.Image:
        """The photo, RGB and upright; blocks while it is decoded. Raises ImageError."""
        return self._decoded().image

    def _decoded(self) -> Decoded:
        with self._lock:  # networks that start together share one decoding
            return self._store.decoded(self.id, self._read)

    def _read(self) -> Decoded:
        if self.uncovered is not None:
            return covered(self.uncovered._decoded(), self.covers)
        return read_picture_isolated(self._file, self._window)

    async def notes(self) -> PhotoNotes:
        """The notices shown beside the photo. Raises ImageError."""
        known = self._store.notes(self.id)
        return known or PhotoNotes.of(await self._store.run(self._decoded))

    async def decode(self) -> Image.Image:
        """`picture`, without blocking."""
        return await self._store.run(lambda: self.picture)

    async def preview(self) -> tuple[bytes, int, int]:
        """A JPEG of at most `PREVIEW_MAX_SIDE_PX` a side, its width and its height. Raises
        ImageError."""
        return await self._store.run(self._preview)

    def _preview(self) -> tuple[bytes, int, int]:
        picture = self.picture
        small = picture.reduce(math.ceil(max(picture.size) / PREVIEW_MAX_SIDE_PX))
        return jpeg(small), small.width, small.height


def _sha256(file: Path | bytes) -> str:
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
