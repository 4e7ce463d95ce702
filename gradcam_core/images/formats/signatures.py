"""Finds the family of formats of a file by its first bytes; its name does not matter."""

from __future__ import annotations

import re
from typing import IO

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.dicom.signature import is_dicom
from gradcam_core.images.formats.raw.signature import is_raw

ZEROS = "The file contains only zeros. Copy or download the picture again."

_HEAD_BYTES = 1024

_FAMILIES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("png", (b"\x89PNG\r\n\x1a\n",)),
    ("netpbm", (b"P2", b"P3", b"P5", b"P6", b"P7", b"Pf", b"PF")),
)
"""Modules of this folder, and how their files begin. Pillow reads all other formats."""

_SAVE = "Save it as PNG, JPEG or TIFF."
_UNPACK = "Unpack it, and give a picture of it."
_OF_IT = "Give a picture of it, as PNG or JPEG."
_ANOTHER = "Give a picture instead."

_OTHERS: tuple[tuple[str, int, tuple[bytes, ...], str], ...] = (
    ("a JPEG 2000 picture", 0, (b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51"), _SAVE),
    ("a JPEG XL picture", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n"), _SAVE),
    ("a JPEG XR picture", 0, (b"II\xbc",), _SAVE),
    ("an OpenEXR picture", 0, (b"\x76\x2f\x31\x01",), _SAVE),
    ("a Radiance HDR picture", 0, (b"#?RADIANCE", b"#?RGBE"), _SAVE),
    ("a Photoshop document", 0, (b"8BPS",), _SAVE),
    ("a GIMP document", 0, (b"gimp xcf",), _SAVE),
    ("a PDF document", 0, (b"%PDF-",), _OF_IT),
    ("a PostScript document", 0, (b"%!PS", b"\xc5\xd0\xd3\xc6"), _OF_IT),
    ("a DjVu document", 0, (b"AT&TFORM",), _OF_IT),
    ("an Apple icon", 0, (b"icns",), _SAVE),
    ("a DirectDraw texture", 0, (b"DDS ",), _SAVE),
    ("a QOI picture", 0, (b"qoif",), _SAVE),
    ("a BPG picture", 0, (b"BPG\xfb",), _SAVE),
    ("a Windows metafile", 0, (b"\xd7\xcd\xc6\x9a",), _SAVE),
    ("a Windows metafile", 40, (b" EMF",), _SAVE),
    ("a JBIG2 picture", 0, (b"\x97JB2\r\n\x1a\n",), _SAVE),
    ("an NRRD volume", 0, (b"NRRD00",), _SAVE),
    ("a MetaImage volume", 0, (b"ObjectType = Image",), _SAVE),
    ("a microscope's CZI file", 0, (b"ZISRAWFILE",), _SAVE),
    ("a microscope's ND2 file", 0, (b"\xda\xce\xbe\x0a",), _SAVE),
    ("an MRC volume", 208, (b"MAP ",), _SAVE),
    ("a MATLAB file", 0, (b"MATLAB 5.0 MAT-file",), _SAVE),
    (
        "a Microsoft Office document or similar",
        0,
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
        _OF_IT,
    ),
    ("an RTF document", 0, (b"{\\rtf",), _OF_IT),
    ("a 7z archive", 0, (b"7z\xbc\xaf\x27\x1c",), _UNPACK),
    ("a RAR archive", 0, (b"Rar!\x1a\x07",), _UNPACK),
    ("a FITS file", 0, (b"SIMPLE  =",), _SAVE),
    ("an HDF5 file", 0, (b"\x89HDF\r\n",), _SAVE),
    ("a file of weights", 8, (b'{"',), _ANOTHER),
    ("a Parquet file", 0, (b"PAR1",), "Give a picture instead, or the file to gradcam batch."),
    ("a NumPy array", 0, (b"\x93NUMPY",), _SAVE),
    ("a NIfTI volume", 344, (b"n+1\0", b"ni1\0"), _SAVE),
    ("a part of a split ZIP archive", 0, (b"PK\7\10",), _UNPACK),
    (
        "a Microsoft Office document or similar",
        30,
        (b"[Content_Types].xml", b"_rels/", b"docProps/", b"mimetypeapplication/"),
        _OF_IT,
    ),
    ("a ZIP archive", 0, (b"PK\3\4", b"PK\5\6", b"PK00PK"), _UNPACK),
    ("a bzip2 archive", 0, (b"BZh",), _UNPACK),
    ("an xz archive", 0, (b"\xfd7zXZ\0",), _UNPACK),
    ("a Zstandard archive", 0, (b"\x28\xb5\x2f\xfd",), _UNPACK),
    ("a tar archive", 257, (b"ustar",), _UNPACK),
    ("a gzip archive", 0, (b"\x1f\x8b",), _UNPACK),
    ("a video", 0, (b"\x1aE\xdf\xa3", b"\0\0\1\xba"), _OF_IT),
    (
        "a video",
        4,
        (b"ftypisom", b"ftypmp4", b"ftypqt  ", b"ftypM4V", b"ftypavc1", b"ftyp3gp"),
        _OF_IT,
    ),
    ("a video", 8, (b"AVI LIST",), _OF_IT),
    (
        "a Git LFS pointer instead of a file",
        0,
        (b"version https://git-lfs.github.com/",),
        "Fetch the file itself with git lfs pull.",
    ),
    (
        "a helper file of macOS",
        0,
        (b"\0\5\x16\7\0\2\0\0",),
        "Give the file of the same name without ._ before it.",
    ),
    ("a sound", 0, (b"ID3", b"OggS", b"fLaC"), _ANOTHER),
    ("a sound", 8, (b"WAVEfmt",), _ANOTHER),
)
"""Unsupported formats that people give: the name, the offset and bytes of the signature, and what
to do."""

_ICONS = (b"\0\0\1\0", b"\0\0\2\0")

_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


def family_of(file: IO[bytes]) -> str:
    """The name of the module in this folder that reads the file, which is left at its beginning.
    Raises ImageError if it is empty, or of a known format that is not supported."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not head:
        raise ImageError("The file is empty: it has no bytes. Save or copy the picture again.")
    if is_dicom(head):  # first, as its preamble may look like any other format
        return "dicom"
    is_raw_photo = is_raw(head, file)
    file.seek(0)
    if is_raw_photo:  # before TIFF, as most raw photos are TIFFs
        return "raw"
    for family, beginnings in _FAMILIES:
        if head.startswith(beginnings):
            return family
    if not head.strip(b"\0") and _has_only_zeros(file):
        raise ImageError(ZEROS)
    what, advice = _other(head)
    if what:
        raise ImageError(f"This is {what}, which is not supported. {advice}")
    return "pillow"


def _has_only_zeros(file: IO[bytes]) -> bool:
    file.seek(0)
    is_zero = not any(part.strip(b"\0") for part in iter(lambda: file.read(2**20), b""))
    file.seek(0)
    return is_zero


def _other(head: bytes) -> tuple[str, str]:
    """What an unsupported file is, and what to do; both "" if unknown."""
    for what, place, beginnings, advice in _OTHERS:
        if head[place:].startswith(beginnings):
            return what, advice
    if head[:4] in _ICONS and head[4:6] != bytes(2):  # the count; 0 in a TGA, which begins alike
        return "an icon", _SAVE
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode()
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"%PDF-"):
        return "a PDF document", _OF_IT
    if text.startswith(b"<"):
        if _HTML.match(text):
            return "a web page (HTML)", "Save the picture itself, not the page that shows it."
        if _SVG.search(text):
            return "a drawing (SVG)", _SAVE
    return "", ""
