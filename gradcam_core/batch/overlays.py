"""Pictures that a batch writes: overlays, their places, and thumbnails."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from PIL import Image

from gradcam_core.explanation.result import Explanation
from gradcam_core.images.rendering.jpeg import jpeg

_MAX_FOLDERS = 8  # of an overlay's path
_MAX_NAME_LETTERS = 80  # of each part of it


def overlay_jpeg(photo: Image.Image, e: Explanation, key: str) -> bytes:
    """The heat over the photo, which may be a shrunk copy. key: the picture's in the data set."""
    return jpeg(e.overlay(photo), e.metadata(file_name_of(key)))


def overlay_path(key: str, stem: str) -> str:
    """Where a picture's overlay lies below the folder of results. stem: see `file_stems`.

    It has the key's folders and name, so that people find it, but only as far as they are harmless
    there; a hash of the key tells it from all others, also where upper and lower case are the same.
    """
    *folders, name = map(_harmless, _parts(key)[-_MAX_FOLDERS:])
    # A folder cannot have the name of an overlay beside it.
    folders = [folder + "_" if folder.lower().endswith(".jpg") else folder for folder in folders]
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return "/".join(["overlays", *folders, f"{name}.{digest}.{_harmless(stem)}.jpg"])


def file_name_of(key: str) -> str:
    """What captions and overlays call the picture with this key: its last part."""
    return _parts(key)[-1]


def _parts(key: str) -> tuple[str, ...]:
    return PurePosixPath(key.replace("\\", "/")).parts or ("_",)


def _harmless(part: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_ .()+,=@-]", "_", part)[:_MAX_NAME_LETTERS].rstrip(" .")
    return re.sub(r"^[ .]", "_", word) or "_"
