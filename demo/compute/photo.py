"""The visitors' photos: read, decoded once for all who look at them, and drawn for the page."""

from __future__ import annotations

import hashlib
import io
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cachetools
from gradio.utils import get_upload_folder
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.sandbox import READERS, read_isolated
from gradcam_core.memory import trim

SHOWN = 2560
"""Longest side, in pixels, of the photo as the page shows it. A larger one is halved or divided by
three and so on, which is several times as fast as any other size."""

KEPT_BYTES = 256 * 2**20
"""Of decoded photos, for the next class, view or network of the same photo."""

decoding = ThreadPoolExecutor(READERS, thread_name_prefix="photo")
"""Threads for what decodes or encodes a whole photo: as many as there are readers, so that no more
photos than that are in memory beside those that are kept."""

GONE = "The picture is no longer on the server. Choose it again."


class PhotoFile:
    """A picture's file, by its path or its bytes, decoded only when that is needed. `id` is the
    SHA-256 of its content. Raises OSError if it cannot be read."""

    def __init__(self, file: Path | bytes) -> None:
        self._file = file
        self.id = _sha256(file)
        self._lock = threading.Lock()

    @property
    def picture(self) -> Image.Image:
        """Raises ImageError where it cannot be used."""
        with self._lock:  # networks that start together share one decoding
            with _kept_lock:
                picture = _kept.get(self.id)
            if picture is None:
                picture = read_isolated(self._file)
                with _kept_lock, suppress(ValueError):  # larger than all that may be kept
                    _kept[self.id] = picture
                trim()  # of those that had to go for it
            return picture

    def shown(self) -> tuple[bytes, int, int]:
        """A JPEG of at most `SHOWN` pixels a side, its width and its height."""
        picture = self.picture
        small = picture.reduce(math.ceil(max(picture.size) / SHOWN))
        file = io.BytesIO()
        small.save(file, "JPEG", quality=88)
        return file.getvalue(), small.width, small.height


def open_photo(path: Path, folder: Path) -> PhotoFile:
    """The photo in a file that must lie in this folder, links followed.

    Raises ImageError if it does not, or cannot be read.
    """
    try:
        path = path.resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ImageError(GONE)
        return PhotoFile(path)
    except (OSError, ValueError) as error:  # a path with NUL in it is a ValueError
        raise ImageError(GONE) from error


def open_upload(path: str) -> PhotoFile:
    """The photo in an uploaded file, by the path that the server gave it. Raises ImageError."""
    return open_photo(Path(path), Path(get_upload_folder()))


def _sha256(file: Path | bytes) -> str:
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _size(picture: Image.Image) -> int:
    return 4 * picture.width * picture.height  # as Pillow holds RGB


_kept: cachetools.LRUCache[str, Image.Image] = cachetools.LRUCache(KEPT_BYTES, getsizeof=_size)
_kept_lock = threading.Lock()
