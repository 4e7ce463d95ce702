"""What a picture of a map says of itself, in the places that formats have for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

SOFTWARE = "Software"
"""The key of the program and its version. PNG and Exif both have this name for it."""


def lines(metadata: Mapping[str, str]) -> str:
    """Keys and values as a text, one pair a line."""
    return "\n".join(f"{key}: {value}" for key, value in metadata.items())


def png_info(metadata: Mapping[str, str]) -> PngInfo:
    """A text chunk for each key, for `write_png` and for Pillow's writer of PNG."""
    info = PngInfo()
    for key, value in metadata.items():
        info.add_text(key, value)
    return info


def jpeg_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of Pillow's writer of JPEG: all of it as the comment, and as Exif's description of
    the image, which more programs show."""
    if not metadata:
        return {}
    text = lines(metadata).encode()
    exif = Image.Exif()
    exif[Base.ImageDescription] = text
    if SOFTWARE in metadata:
        exif[Base.Software] = metadata[SOFTWARE].encode()
    return {"comment": text, "exif": exif}
