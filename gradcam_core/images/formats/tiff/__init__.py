"""TIFF: which page of a file is shown, and reading its samples."""

from gradcam_core.images.formats.tiff.reader import decode

__all__ = ["decode"]
