"""Metadata of a picture of a map, stored where PNG and JPEG keep such texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

SOFTWARE = "Software"
"""The key of the program and its version, a standard name in both PNG and Exif."""


def lines(metadata: Mapping[str, str]) -> str:
    """Keys and values as text, one pair per line."""
    return "\n".join(f"{key}: {value}" for key, value in metadata.items())


def png_info(metadata: Mapping[str, str]) -> PngInfo:
    """The metadata as PNG text chunks, one per key, for `write_png` or Pillow's PNG writer."""
    info = PngInfo()
    for key, value in metadata.items():
        info.add_text(key, value)
    return info


def jpeg_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Arguments for Pillow's JPEG writer. The whole text is stored both as the comment and as
    Exif's ImageDescription, which more programs show."""
    if not metadata:
        return {}
    text = lines(metadata).encode()
    exif = Image.Exif()
    exif[Base.ImageDescription] = text
    if SOFTWARE in metadata:
        exif[Base.Software] = metadata[SOFTWARE].encode()
    return {"comment": text, "exif": exif}
