"""Raw photos of cameras: recognising them, and the preview inside."""

from gradcam_core.images.formats.raw.reader import decode

__all__ = ["decode"]
