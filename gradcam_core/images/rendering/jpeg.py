"""Encodes pictures as JPEG."""

from __future__ import annotations

import io
from collections.abc import Mapping

from PIL import Image

from gradcam_core.images.rendering.metadata import jpeg_settings

_QUALITY = 88


def jpeg(picture: Image.Image, metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of a JPEG file. metadata: see `gradcam_core.images.rendering.metadata`."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, **jpeg_settings(metadata or {}))
    return file.getvalue()
