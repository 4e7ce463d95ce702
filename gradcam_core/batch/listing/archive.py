"""The pictures in a ZIP file, which is never unpacked to disk: names such as ../a do no harm."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from gradcam_core.batch.listing.content import (
    HEAD_BYTES,
    looks_like_picture,
    tells_kind,
    why_no_picture,
)
from gradcam_core.batch.listing.folder import HIDDEN
from gradcam_core.batch.listing.source import (
    UNREAD,
    Found,
    PictureSource,
    Skipped,
    text_of_name,
)
from gradcam_core.batch.listing.zip_names import decoded
from gradcam_core.errors import PicturesError
from gradcam_core.images.formats.suffixes import SUFFIXES

ARCHIVES = (".zip", ".cbz")
OTHER_ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zst")

MAX_PICTURE_BYTES = 128 * 2**20
"""Size of the largest picture in a ZIP file, unpacked."""

OF_MACOS = "a file of macOS, not a picture"
A_LINK = "a link stored in the ZIP file"
LOCKED = "protected by a password"

_TOO_LARGE = (
    f"The picture has more than {MAX_PICTURE_BYTES // 2**20} MB in its ZIP file. Unpack the ZIP "
    "file and give the folder."
)
_DAMAGED = "The picture is damaged in its ZIP file. Make the ZIP file again, or give the folder."
_UNKNOWN = (
    "The picture is compressed with an unsupported method. Unpack the ZIP file and give the folder."
)

_ENTRY, _SPLIT, _END = b"PK\3\4", b"PK\7\10", b"PK\5\6"
_END_BYTES = 22 + 2**16  # the most that the last record takes, with its comment
_ENCRYPTED = 0x1
_UNIX = 3  # the system whose file modes an entry has
_IS_UTF8 = 0x800
_UNICODE_NAME = b"up"  # an extra field

_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


def in_archive(file: Path, suffixes: Collection[str], is_read: bool = True) -> Iterator[Found]:
    """The pictures in a ZIP file and its folders, as bytes, in order of names.

    suffixes: of pictures; see `why_no_picture`. is_read: whether to read the bytes; otherwise they
    are `UNREAD`. Raises PicturesError if the file cannot be opened.
    """
    with _opened(file) as archive:
        keys = [_key(name) for name in _names(archive.infolist())]
        given = set(keys)
        last = ""
        for key, number in sorted((key, number) for number, key in enumerate(keys)):
            info = archive.infolist()[number]
            if info.is_dir():
                continue
            unique = key
            if key == last:  # a repeated name, or an empty one
                unique = f"{key}#row-{number}"
                while unique in given:
                    unique += "#"
                given.add(unique)
            last = key
            yield _found(archive, info, unique, suffixes, is_read)


def is_archive(file: Path) -> bool:
    """Whether this is a ZIP file by its name, and no picture; or by its content, if its suffix is a
    picture's or tells no kind. Documents and weights, which are ZIP files too, have others."""
    suffix = file.suffix.lower()
    if tells_kind(suffix) and suffix not in (*ARCHIVES, *SUFFIXES):
        return False
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError:  # of which whoever reads it has to say
        head = b""
    return head.startswith(_ENTRY) or (suffix in ARCHIVES and not looks_like_picture(head))


def check_readable(file: Path) -> None:
    """Raises PicturesError if it is not a ZIP file, or if every file in it needs a password."""
    with _opened(file) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        if files and all(info.flag_bits & _ENCRYPTED for info in files):
            raise PicturesError(f"{file} is {LOCKED}: unpack it and give the folder")


def _opened(file: Path) -> ZipFile:
    try:
        if problem := _why_incomplete(file):
            raise PicturesError(f"{file} {problem}")
        return ZipFile(file)
    except PermissionError as error:
        raise PicturesError(f"{file} cannot be read: {error.strerror}") from error
    except PicturesError:
        raise
    except (*_FAILURES, NotImplementedError) as error:
        raise PicturesError(
            f"{file} cannot be read as a ZIP file: {error}. Copy or download it again"
        ) from error


def _why_incomplete(file: Path) -> str:
    """Words for one part of a split ZIP file, or a file that is cut off (APPNOTE, 4.3.16 and 8.5);
    otherwise ""."""
    with file.open("rb") as opened:
        head = opened.read(4)
        opened.seek(max(0, opened.seek(0, 2) - _END_BYTES))
        tail = opened.read()
    end = tail.rfind(_END)
    if end >= 0 and end + 22 + int.from_bytes(tail[end + 20 : end + 22], "little") > len(tail):
        return ""  # it is in a comment
    disk = tail[end + 4 : end + 6] if end >= 0 else b""
    if (head == _SPLIT and not disk) or disk not in (b"", bytes(2), b"\xff\xff"):
        return "is one part of a split ZIP file: unpack all parts together and give the folder"
    if head == _ENTRY and not disk:
        return "is incomplete: it ends before the list of its files. Copy or download it again"
    return ""


def _found(
    archive: ZipFile, info: ZipInfo, key: str, suffixes: Collection[str], is_read: bool
) -> Found:
    parts = key.split("/")
    if "__MACOSX" in parts or parts[-1] == ".DS_Store":
        return Skipped(key, OF_MACOS)
    if any(part.startswith(".") for part in parts):
        return Skipped(key, HIDDEN)
    if info.create_system == _UNIX and stat.S_ISLNK(info.external_attr >> 16):
        return Skipped(key, A_LINK)
    if info.flag_bits & _ENCRYPTED:
        return Skipped(key, LOCKED)
    try:
        reason = why_no_picture(parts[-1], suffixes, lambda: _bytes(archive, info, HEAD_BYTES))
        if reason:
            return Skipped(key, reason)
        if info.file_size > MAX_PICTURE_BYTES:
            return PictureSource(key, problem=_TOO_LARGE)
        data = _bytes(archive, info, MAX_PICTURE_BYTES + 1) if is_read else UNREAD
    except (NotImplementedError, RuntimeError):
        return PictureSource(key, problem=_UNKNOWN)
    except _FAILURES:
        return PictureSource(key, problem=_DAMAGED)
    if len(data) > MAX_PICTURE_BYTES:
        return PictureSource(key, problem=_TOO_LARGE)
    return PictureSource(key, data=data)


def _bytes(archive: ZipFile, info: ZipInfo, most: int) -> bytes:
    with archive.open(info) as packed:
        return packed.read(most)


def _key(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return text_of_name("/".join(part for part in parts if part not in ("", ".", "..")))


def _names(infos: Sequence[ZipInfo]) -> list[str]:
    """Names as people wrote them: in UTF-8 if a name's flag says so or an extra field has it; all
    others in the encoding that fits them best."""
    names = [info.filename for info in infos]
    unsaid: dict[int, bytes] = {}
    for number, info in enumerate(infos):
        if info.flag_bits & _IS_UTF8:
            continue
        try:
            raw = info.orig_filename.encode("cp437")
        except UnicodeEncodeError:
            continue
        if said := _name_in_extra_field(info.extra, zlib.crc32(raw)):
            names[number] = said
        else:
            unsaid[number] = raw
    for number, name in zip(unsaid, decoded(list(unsaid.values())), strict=True):
        names[number] = name
    return names


def _name_in_extra_field(extra: bytes, checksum: int) -> str | None:
    while len(extra) >= 4:
        size = int.from_bytes(extra[2:4], "little")
        field = extra[4 : 4 + size]
        is_of_name = extra[:2] == _UNICODE_NAME and field[1:5] == checksum.to_bytes(4, "little")
        if is_of_name:
            return field[5:].decode("utf-8", "replace")
        extra = extra[4 + size :]
    return None
