"""Which family of formats a file belongs to, by its first bytes; a file's name says nothing."""

from __future__ import annotations

import re
from typing import IO

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.dicom.signature import is_dicom
from gradcam_core.images.formats.raw_signature import is_raw

_HEAD_BYTES = 1024

_FAMILIES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("png", (b"\x89PNG\r\n\x1a\n",)),
    ("netpbm", (b"P2", b"P3", b"P5", b"P6", b"P7", b"Pf", b"PF")),
)
"""Modules of this room, and how their files begin. All else is for Pillow, which knows more."""

_OTHERS: tuple[tuple[str, int, tuple[bytes, ...]], ...] = (
    ("a JPEG 2000 picture", 0, (b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51")),
    ("a JPEG XL picture", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n")),
    ("a JPEG XR picture", 0, (b"II\xbc",)),
    ("an OpenEXR picture", 0, (b"\x76\x2f\x31\x01",)),
    ("a Radiance HDR picture", 0, (b"#?RADIANCE", b"#?RGBE")),
    ("a Photoshop document", 0, (b"8BPS",)),
    ("a GIMP document", 0, (b"gimp xcf",)),
    ("a PDF document", 0, (b"%PDF-",)),
    ("a PostScript document", 0, (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    ("a DjVu document", 0, (b"AT&TFORM",)),
    ("an Apple icon", 0, (b"icns",)),
    ("a DirectDraw texture", 0, (b"DDS ",)),
    ("a QOI picture", 0, (b"qoif",)),
    ("a BPG picture", 0, (b"BPG\xfb",)),
    ("a Windows metafile", 0, (b"\xd7\xcd\xc6\x9a",)),
    ("a Windows metafile", 40, (b" EMF",)),
    ("a JBIG2 picture", 0, (b"\x97JB2\r\n\x1a\n",)),
    ("an NRRD volume", 0, (b"NRRD00",)),
    ("a MetaImage volume", 0, (b"ObjectType = Image",)),
    ("a CZI file of a microscope", 0, (b"ZISRAWFILE",)),
    ("an ND2 file of a microscope", 0, (b"\xda\xce\xbe\x0a",)),
    ("a MATLAB file", 0, (b"MATLAB 5.0 MAT-file",)),
    ("a document of Microsoft Office, or of that kind", 0, (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)),
    ("an RTF document", 0, (b"{\\rtf",)),
    ("a 7z archive", 0, (b"7z\xbc\xaf\x27\x1c",)),
    ("a RAR archive", 0, (b"Rar!\x1a\x07",)),
    ("a FITS file", 0, (b"SIMPLE  =",)),
    ("an HDF5 file", 0, (b"\x89HDF\r\n",)),
    ("a NumPy array", 0, (b"\x93NUMPY",)),
    ("a NIfTI volume", 344, (b"n+1\0", b"ni1\0")),
    ("a ZIP archive", 0, (b"PK\3\4",)),
    ("a gzip archive", 0, (b"\x1f\x8b",)),
    ("a video", 0, (b"\x1aE\xdf\xa3", b"\0\0\1\xba")),
    ("a video", 4, (b"ftypisom", b"ftypmp4", b"ftypqt  ", b"ftypM4V", b"ftypavc1", b"ftyp3gp")),
    ("a video", 8, (b"AVI LIST",)),
    ("a sound", 8, (b"WAVEfmt",)),
)
"""What else people bring by mistake: what it is, and which bytes stand where."""

_ICONS = (b"\0\0\1\0", b"\0\0\2\0")

_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


def family_of(file: IO[bytes]) -> str:
    """The module of this room that reads it; the file is left at its beginning. Raises ImageError,
    with the name of the format, for one that is known and not read."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not head:
        raise ImageError("The file is empty: it has no bytes. Save or copy the picture again.")
    if is_dicom(head):  # before all others, whose first bytes its preamble may have
        return "dicom"
    is_raw_photo = is_raw(head, file)
    file.seek(0)
    if is_raw_photo:  # before TIFF, which most of them are
        return "raw"
    for family, beginnings in _FAMILIES:
        if head.startswith(beginnings):
            return family
    what = _other(head)
    if what:
        raise ImageError(f"This is {what}, which is not read here. Save it as PNG, JPEG or TIFF.")
    return "pillow"


def _other(head: bytes) -> str:
    for what, place, beginnings in _OTHERS:
        if head[place:].startswith(beginnings):
            return what
    if head[:4] in _ICONS and head[4:6] != bytes(2):  # how many; none in a TGA, which begins so
        return "an icon"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode()
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"%PDF-"):
        return "a PDF document"
    if text.startswith(b"<"):
        if _HTML.match(text):
            return "a web page (HTML)"
        if _SVG.search(text):
            return "a drawing (SVG)"
    return ""
