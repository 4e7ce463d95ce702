"""The overlays that a batch writes, and their paths."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import PurePosixPath

from PIL import Image

from gradcam_core.explanation.result import Explanation
from gradcam_core.images.rendering.jpeg import jpeg

_MAX_FOLDERS = 8  # in an overlay's path
_MAX_NAME_BYTES = 80  # with the hash and most networks' names within eCryptfs' 143
_HARMLESS = "_ .()+,=@-"  # beside letters, marks and digits of any script


def overlay_jpeg(photo: Image.Image, e: Explanation, key: str) -> bytes:
    """A JPEG of the heat over the photo, which may be a shrunk copy. key: the picture's key in the
    data set."""
    return jpeg(e.overlay(photo), e.metadata(file_name_of(key)))


def overlay_path(key: str, stem: str) -> str:
    """The path of a picture's overlay, relative to the results folder. stem: see `file_stems`.

    It repeats the key's folders and name, so that people find it, with unsafe characters replaced.
    A hash of the key makes it unique, also where upper and lower case are the same.
    """
    *folders, name = map(_harmless, _parts(key)[-_MAX_FOLDERS:])
    # The name of a folder must not collide with that of an overlay beside it.
    folders = [folder + "_" if folder.lower().endswith(".jpg") else folder for folder in folders]
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return "/".join(["overlays", *folders, f"{name}.{digest}.{_harmless(stem)}.jpg"])


def file_name_of(key: str) -> str:
    """The last part of the key, by which captions and overlays name the picture."""
    return _parts(key)[-1]


def _parts(key: str) -> tuple[str, ...]:
    return PurePosixPath(key.replace("\\", "/")).parts or ("_",)


def _harmless(part: str) -> str:
    letters = unicodedata.normalize("NFC", part)
    word = "".join(one if _is_harmless(one) else "_" for one in letters)
    word = word.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .")
    return f"_{word[1:]}" if word[:1] in (" ", ".") else word or "_"


def _is_harmless(letter: str) -> bool:
    """Whether a file name may contain the letter, which the system's encoding may lack."""
    try:
        os.fsencode(letter)
    except UnicodeEncodeError:
        return False
    return letter in _HARMLESS or unicodedata.category(letter)[0] in "LMN"
