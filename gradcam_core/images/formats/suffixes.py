"""Suffixes of files that are pictures, in lower case."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff"),
    *(".bmp", ".dib", ".avif", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".btf", ".tf8", ".pam", ".pfm", ".apng", ".mpo", ".lsm", ".stk"),
    *(".dcm", ".dicom", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2"),
    *(".crw", ".pef", ".srw", ".iiq", ".mrw", ".x3f"),
)
"""Of the kinds that are read."""

NOT_READ = (".jxl", ".jp2")
"""Of kinds whose pictures are refused with their name, see `signatures.py`."""
