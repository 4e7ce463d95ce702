"""Suffixes of picture files, in lower case."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff"),
    *(".bmp", ".dib", ".avif", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".btf", ".tf8", ".pam", ".pfm", ".apng", ".mpo", ".lsm", ".stk"),
    *(".dcm", ".dicom", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2"),
    *(".crw", ".pef", ".srw", ".iiq", ".mrw", ".x3f"),
)
"""Suffixes of supported formats."""

NOT_READ = (".jxl", ".jp2")
"""Suffixes of unsupported formats, which are refused by name: see `signatures.py`."""
