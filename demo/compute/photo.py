"""Visitors' photos: read, decoded once for all requests, and made small for the page."""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import cachetools
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.sandbox import READER_COUNT, read_isolated
from gradcam_core.memory import trim

PREVIEW_MAX_SIDE_PX = 2560
"""Longest side of the photo as the page shows it. A larger one is halved or divided by three and so
on, which is several times as fast as any other size."""

DECODED_BYTES = 256 * 2**20
"""Memory for decoded photos, kept for the next class, view or network of the same photo."""

GONE = "The picture is no longer on the server. Choose it again."

_JPEG_QUALITY = 88

_Result = TypeVar("_Result")


class PhotoStore:
    """Opens photos, and keeps those that were decoded within a bound of bytes."""

    def __init__(self, max_bytes: int = DECODED_BYTES) -> None:
        self._kept: cachetools.LRUCache[str, Image.Image] = cachetools.LRUCache(
            max_bytes, getsizeof=_decoded_bytes
        )
        self._lock = threading.Lock()
        # As many threads as readers: no more whole photos are in memory beside those kept.
        self._pool = ThreadPoolExecutor(READER_COUNT, thread_name_prefix="photo")

    def open(self, path: Path, folder: Path) -> PhotoFile:
        """The photo in a file that must lie in this folder, links followed.

        Raises ImageError if it does not, or cannot be read.
        """
        try:
            path = path.resolve()
            if not path.is_relative_to(folder.resolve()):
                raise ImageError(GONE)
            return PhotoFile(path, self)
        except (OSError, ValueError) as error:  # a path with NUL in it is a ValueError
            raise ImageError(GONE) from error

    def from_bytes(self, content: bytes) -> PhotoFile:
        """The photo in a file's content."""
        return PhotoFile(content, self)

    def decoded(self, photo_id: str, decode: Callable[[], Image.Image]) -> Image.Image:
        """The photo, kept or decoded now."""
        with self._lock:
            picture = self._kept.get(photo_id)
        if picture is None:
            picture = decode()
            with self._lock, suppress(ValueError):  # larger than all that may be kept
                self._kept[photo_id] = picture
            trim()  # of those that had to go for it
        return picture

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Work on a whole photo, in one of the threads for it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Begin no further work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class PhotoFile:
    """A picture's file, by its path or its bytes, decoded only when that is needed. `id` is the
    SHA-256 of its content. Raises OSError if it cannot be read."""

    def __init__(self, file: Path | bytes, store: PhotoStore) -> None:
        self._file = file
        self._store = store
        self.id = _sha256(file)
        self._lock = threading.Lock()

    @property
    def picture(self) -> Image.Image:
        """The photo, RGB and upright; blocks while it is decoded. Raises ImageError."""
        with self._lock:  # networks that start together share one decoding
            return self._store.decoded(self.id, lambda: read_isolated(self._file))

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
        file = io.BytesIO()
        small.save(file, "JPEG", quality=_JPEG_QUALITY)
        return file.getvalue(), small.width, small.height


def _sha256(file: Path | bytes) -> str:
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _decoded_bytes(picture: Image.Image) -> int:
    return 4 * picture.width * picture.height  # as Pillow holds RGB
