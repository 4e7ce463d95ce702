"""Pictures that a batch writes: overlays, their places, and thumbnails."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import PurePosixPath

from PIL import Image

from gradcam_core.explanation import Explanation

_JPEG_QUALITY = 88
_MAX_FOLDERS = 8  # of an overlay's path
_MAX_NAME_LETTERS = 80  # of each part of it


def overlay_jpeg(photo: Image.Image, e: Explanation) -> bytes:
    """The heat over the photo, which may be a shrunk copy."""
    return jpeg(e.overlay(photo))


def jpeg(picture: Image.Image) -> bytes:
    """The picture as the content of a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def overlay_path(key: str, model: str) -> str:
    """Where a picture's overlay lies below the folder of results.

    It has the key's folders and name, so that people find it, but only as far as they are harmless
    there; a hash of the key tells it from all others, also where upper and lower case are the same.
    """
    parts = PurePosixPath(key.replace("\\", "/")).parts[-_MAX_FOLDERS:]
    *folders, name = [_harmless(part) for part in parts] or ["_"]
    # A folder cannot have the name of an overlay beside it.
    folders = [folder + "_" if folder.lower().endswith(".jpg") else folder for folder in folders]
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return "/".join(["overlays", *folders, f"{name}.{digest}.{_harmless(model)}.jpg"])


def _harmless(part: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_ .()+,=@-]", "_", part)[:_MAX_NAME_LETTERS].rstrip(" .")
    return re.sub(r"^[ .]", "_", word) or "_"
