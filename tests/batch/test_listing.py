"""Where the pictures of a batch are: folders with links in them, patterns, lists, ZIP files."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradcam_core import read_image
from gradcam_core.batch.listing import archive
from gradcam_core.batch.listing.content import looks_like_picture
from gradcam_core.batch.listing.source import Pictures
from gradcam_core.batch.pictures import find_pictures
from gradcam_core.errors import ImageError, PicturesError
from tests.support.bad_pictures import encodings
from tests.support.photos import PHOTOS as SCIENCE

JPEG = b"\xff\xd8\xff\xe0 as a JPEG begins"


def found(where: object, out: Path = Path("/no/results")) -> Pictures:
    pictures = find_pictures(str(where), out)
    assert len(keys(pictures)) == pictures.count
    return pictures


def keys(pictures: Pictures) -> list[str]:
    read, unread = [[one.key for one in walk()] for walk in (pictures.walk, pictures.walk_unread)]
    assert read == unread
    assert len(set(read)) == len(read)
    return read


def reasons(pictures: Pictures) -> dict[str, str]:
    return {one.path: one.reason for one in pictures.skipped()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures, one of them in a folder."""
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (photos / "a.jpg").write_bytes(JPEG)
    (photos / "sub" / "b.jpg").write_bytes(JPEG)
    return photos


PLAIN = ["a.jpg", "sub/b.jpg"]


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.jpg", "/**/**/*"])
@pytest.mark.parametrize("target", [".", "..", "../photos/sub", "sub/../sub"])
def test_links_do_not_lead_in_circles(photos: Path, target: str, pattern: str):
    (photos / "sub" / "again").symlink_to(photos)
    (photos / "z").symlink_to(target)
    (photos / "sub" / "z").symlink_to(photos / "z")
    pictures = found(f"{photos}{pattern}")
    assert keys(pictures) == PLAIN
    assert reasons(pictures).keys() >= {"sub/again", "z", "sub/z"}


def test_a_link_out_of_the_folder_is_followed_and_each_real_file_is_there_once(
    photos: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "inner").mkdir(parents=True)
    for name in ("c.jpg", "inner/d.jpg"):
        (elsewhere / name).write_bytes(JPEG)
    (tmp_path / "alone").write_bytes(JPEG)
    (elsewhere / "back").symlink_to(photos)
    links: dict[str, Path | str] = {
        "a link.jpg": "a.jpg",
        "first": elsewhere,
        "inner": elsewhere / "inner",
        "one.jpg": elsewhere / "c.jpg",
        "alone.jpg": tmp_path / "alone",
        "again.jpg": tmp_path / "alone",
        "nowhere.jpg": "nowhere",
        "self.jpg": "self.jpg",
    }
    for name, target in links.items():
        (photos / name).symlink_to(target)
    pictures = found(photos)
    assert keys(pictures) == [*PLAIN, "first/c.jpg", "first/inner/d.jpg", "again.jpg"]
    real = {os.path.realpath(str(one.path)) for one in pictures.walk()}
    assert len(real) == pictures.count
    assert reasons(pictures) == {
        "a link.jpg": "a link to a picture that is already included",
        "one.jpg": "a link to a picture that is already included",
        "alone.jpg": "a link to a picture that is already included",
        "first/back": "a link in a circle",
        "inner": "a folder that is already included",
        "nowhere.jpg": "a broken link",
        "self.jpg": "a link in a circle",
    }


def test_links_that_disappear_meanwhile_are_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "other").mkdir()
    (photos / "folder").symlink_to(tmp_path / "other")
    (photos / "link.jpg").symlink_to("sub/b.jpg")

    def gone(path: str) -> str:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    monkeypatch.setattr(os, "readlink", gone)
    pictures = found(photos)
    assert keys(pictures) == PLAIN
    assert reasons(pictures) == {"folder": "a broken link", "link.jpg": "a broken link"}


def test_two_names_of_one_file_are_two_pictures(photos: Path):
    os.link(photos / "a.jpg", photos / "sub" / "a.jpg")
    assert keys(found(photos)) == ["a.jpg", "sub/a.jpg", "sub/b.jpg"]


def test_a_link_to_a_picture_that_a_pattern_leaves_out_is_taken(photos: Path):
    (photos / "link.jpg").symlink_to("sub/b.jpg")
    assert keys(found(f"{photos}/*.jpg")) == ["a.jpg", "link.jpg"]
    assert keys(found(f"{photos}/**/*.jpg")) == PLAIN


def test_a_folder_that_cannot_be_read_is_left_out_and_all_else_taken(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    scan = os.scandir

    def refusing(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may read every folder
    for where in (photos, f"{photos}/**"):
        pictures = found(where)
        assert keys(pictures) == ["a.jpg"]
        assert reasons(pictures) == {"sub": "cannot be read: Permission denied"}
    with pytest.raises(PicturesError, match="sub cannot be read: Permission denied"):
        found(photos / "sub")


@pytest.mark.parametrize("name", ["photos.zip", "photos.parquet"])
def test_a_file_that_may_not_be_read_is_called_so(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    def refusing(*_: object, **__: object) -> None:  # root may read every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archive, "ZipFile", refusing)
    monkeypatch.setattr(pq, "ParquetFile", refusing)
    (tmp_path / name).touch()
    with pytest.raises(PicturesError, match=rf"{name} cannot be read: Permission denied$"):
        found(tmp_path / name)


def test_what_is_no_picture_is_left_out_with_its_reason_and_nothing_is_waited_for(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(photos)  # paths of sockets are short
        listening.bind("socket.jpg")
    (photos / ".hidden.jpg").write_bytes(JPEG)
    (photos / "film.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    (photos / "README").write_text("no picture")
    (photos / "layers.psd").write_bytes(b"8BPS, layers with a preview in them")
    pictures = found(photos)
    assert keys(pictures) == PLAIN
    assert reasons(pictures) == {
        **dict.fromkeys(("pipe.jpg", "zero", "socket.jpg"), "not a file, but a pipe or a device"),
        ".hidden.jpg": "hidden",
        "film.mov": "not a picture by its name",
        "layers.psd": "not a picture by its name",
        "README": "not a picture by its content",
    }


@pytest.mark.parametrize("name", ["IMG_1234", "x.jpg_large", "x.jpg.1", "1.2.840.113619", "x.bak"])
def test_a_file_without_a_suffix_that_says_its_kind_is_looked_into(photos: Path, name: str):
    (photos / name).write_bytes(JPEG)
    assert name in keys(found(photos))
    (photos / name).write_bytes(b"%PDF-1.7")
    assert reasons(found(photos)) == {name: "not a picture by its content"}


def test_names_as_they_are(photos: Path):
    names = ["photo[1].jpg", "A.JPG", "n" * 250 + ".jpg", "line\nbreak.jpg", "日本.jpg"]
    for name in names:
        (photos / name).write_bytes(JPEG)
    (photos / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(JPEG)
    wanted = {*PLAIN, *names, "\\xff\\xfe.jpg"}
    assert set(keys(found(photos))) == set(keys(found(f"{photos}/**/*"))) == wanted
    for where in ("photo[1].jpg", "photo[1]*", "photo[[]1].jpg", "p?oto*"):
        assert keys(found(photos / where)) == ["photo[1].jpg"]
    brackets = photos.rename(photos.with_name("photos [1]"))
    assert "a.jpg" in keys(found(f"{brackets}/*.jpg"))


def test_results_are_not_taken_for_photos(photos: Path):
    def results(out: Path) -> None:
        for name in ("data", "overlays"):
            (out / name).mkdir(parents=True)
        (out / "overlays" / "a.jpg").write_bytes(JPEG)
        for name in ("run.json", ".lock", "report.html", "skipped.parquet"):
            (out / name).touch()

    results(photos / "out")
    (photos / "link").symlink_to("out")
    for where in (photos, f"{photos}/**", f"{photos}/**/*.jpg"):
        pictures = found(where, photos / "out")
        assert keys(pictures) == PLAIN
        assert reasons(pictures).keys() <= {"link"}
    other = found(photos, photos / "other")
    assert keys(other) == PLAIN
    assert reasons(other)["out"] == "the results of a batch"
    results(photos)
    assert keys(found(photos, photos)) == PLAIN
    beside = found(photos, photos.parent)
    assert keys(beside) == PLAIN
    assert reasons(beside)["overlays"] == "the results of a batch"


def test_a_folder_without_pictures_says_what_is_in_it(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PicturesError, match=r"left out: 1 × not a picture by its name: notes\.txt"):
        found(tmp_path)
    with pytest.raises(PicturesError, match=r"braces, such as {jpg,png}$"):
        found(f"{tmp_path}/*.{{jpg,png}}")
    (tmp_path / "a.parquet").touch()
    with pytest.raises(PicturesError, match=r"\. Give Parquet files themselves"):
        found(tmp_path)


@pytest.mark.parametrize("name", encodings.ENCODINGS)
def test_the_formats_that_are_read_are_known_by_their_content(name: str):
    assert looks_like_picture(encodings.as_file(name)[:132])


@pytest.mark.parametrize(
    "head", [b"P7\nWIDTH 4\nHEIGHT 4\n", b"P7\n# by hand\n", b"Pf\n4 4\n-1.0\n", b"PF\n4 4\n1\n"]
)
def test_rarer_formats_are_known_by_their_content(head: bytes):
    assert looks_like_picture(head)


@pytest.mark.parametrize("suffix", ["crw", "pef", "srw", "iiq", "mrw", "x3f", "mpo", "apng", "lsm"])
def test_the_formats_that_are_read_are_known_by_their_name(photos: Path, suffix: str):
    (photos / f"c.{suffix.upper()}").write_bytes(b"")
    assert keys(found(photos)) == ["a.jpg", f"c.{suffix.upper()}", "sub/b.jpg"]


LISTS = {
    "as Windows writes it": (
        "l.txt",
        '\ufeffphotos\\a.jpg\r\n# a remark\r\n\r\n"photos\\sub\\b.jpg"\r\n'.encode(),
    ),
    "from another folder": ("deep/l.txt", b"../photos/a.jpg\n../photos/sub/b.jpg"),
    "as seen from here": ("deep/l.list", b"photos/a.jpg\nphotos/sub/b.jpg"),
    "UTF-16": ("l.txt", "photos/a.jpg\nphotos/sub/b.jpg\n".encode("utf-16")),
    "UTF-32": ("l.txt", "photos/a.jpg\nphotos/sub/b.jpg\n".encode("utf-32")),
    "UTF-16 without a mark": ("l.txt", "photos/a.jpg\nphotos/sub/b.jpg\n".encode("utf-16-be")),
    "find -print0": ("l.txt", b"photos/a.jpg\0photos/sub/b.jpg\0"),
    "with twins": ("l.txt", b"photos/a.jpg\n./photos/a.jpg\nphotos/sub/../sub/b.jpg\n"),
    "labels behind tabs": ("l.txt", b"path\tlabel\nphotos/a.jpg\t1\nphotos/sub/b.jpg\t2\n"),
    "labels behind commas": ("l.txt", b"path, label\nphotos/a.jpg, 1\nphotos/sub/b.jpg, 2\n"),
    "labels behind spaces": ("l.txt", b"photos/a.jpg 1\nphotos/sub/b.jpg 22\n"),
    "a header of several words": (
        "l.txt",
        b"image class name\nphotos/a.jpg tabby\nphotos/sub/b.jpg tabby\n",
    ),
    "labels of several words": (
        "l.txt",
        b"photos/a.jpg golden retriever\nphotos/sub/b.jpg a cat, black\n",
    ),
    "all in one line": ("l.txt", b'"photos/a.jpg"; photos/sub/b.jpg;'),
    "other breaks of lines": ("l.txt", "photos/a.jpg\u2028\x85photos/sub/b.jpg\x0c".encode()),
    "the end as DOS has it": ("l.txt", b"photos/a.jpg\r\nphotos/sub/b.jpg\r\n\x1a\x1a"),
    "a table's end as DOS has it": ("l.csv", b"path\r\nphotos/a.jpg\r\nphotos/sub/b.jpg\r\n\x1a"),
    "marks that nobody sees": ("l.txt", "\u202aphotos/a.jpg\n\ufeffphotos/sub/b.jpg".encode()),
    "escaped for the web": ("l.txt", b"photos%2Fa.jpg\n<photos/%73ub/b.jpg>\n"),
    "a column": ("l.csv", b"id;Path;n\n1;photos/a.jpg;2\n2; 'photos/sub/b.jpg';3\n;;\n"),
    "Excel": ("l.csv", b"sep=;\r\nlabel;filename\r\nx;photos/a.jpg\r\ny;photos/sub/b.jpg\r\n"),
    "without a header": ("l.csv", b"1,photos/a.jpg\n2,photos/sub/b.jpg\n"),
    "another header": ("l.csv", b"Bilder\nphotos/a.jpg\nphotos/sub/b.jpg\n"),
    "a column by a name of one's own": (
        "l.csv",
        b"id,Datei\n1,photos/a.jpg\n2,photos/sub/b.jpg\n",
    ),
    "columns with bars": ("l.csv", b"path|label\nphotos/a.jpg|a, b\nphotos/sub/b.jpg|c\n"),
    "long texts": (
        "l.csv",
        b"path,text\nphotos/a.jpg," + b"x" * 200_000 + b"\nphotos/sub/b.jpg,y\n",
    ),
    "old Macs": ("l.tsv", b"path\tn\rphotos/a.jpg\t1\rphotos/sub/b.jpg\t2\r"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_as_people_and_programs_write_it(
    photos: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(photos.parent)
    file, content = LISTS[name]
    path = photos.parent / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    pictures = found(path)
    assert [os.path.realpath(str(one.path)) for one in pictures.walk()] == [
        os.path.realpath(photos / one) for one in PLAIN
    ]
    assert list(reasons(pictures).values()) == ["named twice"] * (name == "with twins")


def test_names_in_a_list_are_found_whatever_they_are(photos: Path):
    names = ["größe.jpg", " spaces .jpg", "#1.jpg", '"quoted".jpg', "a,b.jpg", "x\ty.jpg"]
    names += ["u\u2028v.jpg", "1%20.jpg", "c d.jpg"]
    for name in names:
        (photos / name).write_bytes(JPEG)
    strange = os.fsdecode(b"\xff\xfe.jpg")
    (photos / strange).write_bytes(JPEG)
    (photos / "l.txt").write_bytes(os.fsencode("\n".join([*names, strange])))
    assert keys(found(photos / "l.txt")) == [*names, "\\xff\\xfe.jpg"]
    (photos / "l.txt").write_text('"""quoted"".jpg"\nc d.jpg, gone.jpg\n')
    assert keys(found(photos / "l.txt")) == ['"quoted".jpg', "c d.jpg", "gone.jpg"]
    (photos / "l.txt").write_bytes("größe.jpg\n".encode("cp1252"))
    assert keys(found(photos / "l.txt")) == ["größe.jpg"]
    for address in (photos.as_uri(), f"file://localhost{photos}", f"FILE:{photos}"):
        (photos / "l.txt").write_text(f"{address}/gr%C3%B6%C3%9Fe.jpg\n")
        assert keys(found(photos / "l.txt")) == [str(photos / "größe.jpg")]


def test_what_a_list_names_and_is_not_there_stays_in_it(photos: Path):
    text = "a.jpg\ngone.jpg\nC:\\Bilder\\b.jpg\nhttps://pictures.example/c.jpg\n"
    (photos / "l.txt").write_text(text)
    pictures = found(photos / "l.txt")
    assert keys(pictures) == text.split("\n")[:-1]
    assert [one.address for one in pictures.walk()][3] == "https://pictures.example/c.jpg"
    (photos / "img").mkdir()
    for first in ("image 1.jpg", "img 1.jpg", "img, 1.jpg"):  # as headers and folders are called
        for names in ([first, "a.jpg"], ["a.jpg", first]):
            (photos / "l.txt").write_text("\n".join(names))
            assert keys(found(photos / "l.txt")) == names
    for label in (" cat", ", cat", ";cat", " a cat"):  # none of which makes the line a header
        (photos / "l.txt").write_text(f"image gone.jpg{label}\na.jpg dog\n")
        assert len(keys(found(photos / "l.txt"))) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("l.txt", b"", "lists no pictures"),
        ("l.txt", b"# only remarks\n", "lists no pictures"),
        (
            "l.txt",
            b"x.jpg\ny.jpg\n",
            "none of the 2 paths in .* as 'x.jpg'; paths are relative to",
        ),
        ("l.csv", b"a,b\n1,2\n", "no column of pictures: name one of paths `path`; .* has a, b"),
        ("l.csv", b'path\n"x' + b"y" * 200_000, "leads to no file: 'xyyy"),
        ("l.txt", b"x.jpg\n", "the path in .* leads to no file: 'x.jpg'; paths are relative to"),
        ("l.zip", b"no ZIP", "cannot be read as a ZIP file"),
        ("l.zip", b"PK\7\10PK\3\4", "one part of a split ZIP file: unpack all parts together"),
        ("l.zip", b"PK\1\2PK\5\6\1\0" + bytes(16), "one part of a split ZIP file"),
        ("l.zip", b"PK\5\6" + bytes(16) + b"\n\0as PK\5\6 ...", "cannot be read as a ZIP file"),
        ("l", b"PK\3\4" + bytes(30), "is incomplete: it ends before the list of its files"),
        ("l.zip", b"PK\3\4" + bytes(30), "is incomplete: it ends before the list of its files"),
        ("l.tar.gz", b"", "unsupported kind of archive"),
    ],
)
def test_what_cannot_be_a_list_or_archive_is_refused(
    tmp_path: Path, name: str, content: bytes, words: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PicturesError, match=words):
        found(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.txt", "scan.zip"])
def test_a_picture_with_the_name_of_a_list_or_archive_is_a_picture(tmp_path: Path, name: str):
    shutil.copy(SCIENCE / "coffee.png", tmp_path / name)
    assert keys(found(tmp_path / name)) == [name]


def zipped(path: Path, *entries: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def test_a_link_stored_in_a_zip_file_is_left_out(tmp_path: Path):
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    path = zipped(tmp_path / "z.zip", ("a.jpg", JPEG))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "a.jpg")
    pictures = found(path)
    assert keys(pictures) == ["a.jpg"]
    assert reasons(pictures) == {"link.jpg": "a link stored in the ZIP file"}


def test_a_zip_file_is_as_its_folder_would_be(tmp_path: Path):
    names = ["a.jpg", "sub/b.jpg", "sub\\c.jpg", "../../up.jpg", "/root.jpg", "日本/猫.jpg", "scan"]
    left_out = {
        "__MACOSX/._a.jpg": "a file of macOS, not a picture",
        ".DS_Store": "a file of macOS, not a picture",
        ".hidden/x.jpg": "hidden",
        "notes.txt": "not a picture by its name",
    }
    file = zipped(tmp_path / "z.zip", *((name, JPEG) for name in [*names, *left_out]))
    pictures = found(file)
    wanted = ["a.jpg", "root.jpg", "scan", "sub/b.jpg", "sub/c.jpg", "up.jpg", "日本/猫.jpg"]
    assert keys(pictures) == wanted
    assert {one.data for one in pictures.walk()} == {JPEG}
    assert reasons(pictures) == left_out
    assert list(tmp_path.iterdir()) == [file]


def test_a_zip_file_is_known_by_its_content_unless_its_suffix_says_that_it_is_something_else(
    tmp_path: Path,
):
    for name in ("z", "z.1", "z.bak", "z.jpg"):
        assert keys(found(zipped(tmp_path / name, ("a.jpg", JPEG)))) == ["a.jpg"]
    for name in ("z.docx", "z.npz", "z.pth", "z.epub"):
        assert keys(found(zipped(tmp_path / name, ("a.jpg", JPEG)))) == [name]


def packed_by_others(path: Path, *names: bytes) -> Path:
    """A ZIP file whose names say nothing of how they are encoded."""
    stand_ins = [f"{n:03}".ljust(len(name), "_") for n, name in enumerate(names)]
    data = zipped(path, *((one, JPEG) for one in stand_ins)).read_bytes()
    for one, name in zip(stand_ins, names, strict=True):
        data = data.replace(one.encode(), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", ["照片/猫.jpg", "新建文件夹/图片1.jpg"]),
        ("gbk", ["测试图像.png"]),
        ("gbk", ["微信图片_20200101.jpg", "IMG猫.jpg", "a.jpg"]),
        ("shift_jis", ["写真/猫.jpg"]),
        ("shift_jis", ["表示.jpg", "ネコ.png"]),  # with the byte of a backslash in it
        ("cp932", ["①写真.jpg"]),
        ("big5", ["照片/貓.jpg"]),
        ("euc_kr", ["사진/고양이.jpg"]),
        ("cp866", ["Фото/кошка.jpg", "ДОМ.JPG"]),
        ("cp437", ["Müller/Straße.jpg", "café.jpg"]),
        ("cp437", ["Löwe.jpg"]),
        ("cp437", ["naïve.jpg", "Öl.png"]),
        ("cp850", ["Ølstykke.jpg"]),
        ("cp1252", ["Müller.jpg"]),
        ("utf-8", ["Katze ä.jpg", "猫.jpg"]),
    ],
)
def test_names_in_a_zip_file_are_shown_as_people_wrote_them(encoding, names, tmp_path: Path):
    file = packed_by_others(tmp_path / "z.zip", *(name.encode(encoding) for name in names))
    assert keys(found(file)) == sorted(names)


def test_no_name_in_a_zip_file_is_lost_and_no_two_are_the_same(tmp_path: Path):
    names = [b"a.jpg", b"a.jpg", b"a.jpg#row-1", b"../..", b"..\\", "ä.jpg".encode(), b"\x84.jpg"]
    names += [bytes([0x81 + n, 0x40 + n]) + b".jpg" for n in range(40)]
    pictures = found(packed_by_others(tmp_path / "z.zip", *names))
    assert len({*keys(pictures), *reasons(pictures)}) == len(names)


def test_a_zip_file_cannot_cost_more_than_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive, "MAX_PICTURE_BYTES", 2**20)
    honest = JPEG + bytes(2**21)
    file = zipped(tmp_path / "z.zip", ("bomb.jpg", honest), ("a.jpg", JPEG))
    problems = {one.key: one.problem for one in found(file).walk_unread()}
    assert problems == {one.key: one.problem for one in found(file).walk()}
    assert "Unpack the ZIP file" in str(problems["bomb.jpg"])
    assert problems["a.jpg"] is None
    size = len(honest).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    (bomb,) = (one for one in found(file).walk() if one.key == "bomb.jpg")
    assert bomb.data is None
    assert "damaged" in str(bomb.problem)


def test_what_is_protected_by_a_password_is_said(tmp_path: Path):
    file = zipped(tmp_path / "z.zip", ("a.jpg", JPEG), packed=zipfile.ZIP_STORED)
    data = bytearray(file.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + place] |= 1
    file.write_bytes(data)
    with pytest.raises(PicturesError, match="protected by a password: unpack it"):
        found(file)


def test_a_broken_link_is_called_so(tmp_path: Path):
    link = tmp_path / "link.jpg"
    link.symlink_to("gone.jpg")
    said = f"{link} is a broken link: it leads to gone.jpg, which is not there"
    for path in (link, link / "a.jpg"):
        with pytest.raises(PicturesError, match=said):
            found(path)
        with pytest.raises(ImageError, match=said):
            read_image(path)


def test_a_damaged_entry_does_not_cost_the_others(tmp_path: Path):
    content = (SCIENCE / "coffee.png").read_bytes()
    file = zipped(tmp_path / "z.zip", ("a.png", content), ("b.png", content), packed=0)
    data = bytearray(file.read_bytes())
    data[2000] ^= 255
    file.write_bytes(data)
    first, second = found(file).walk()
    assert "damaged in its ZIP file" in str(first.problem)
    assert second.data == content


def test_a_folder_of_pictures_beside_a_table_is_one_of_pictures(photos: Path):
    pq.write_table(pa.table({"path": ["a.jpg"]}), photos / "z.parquet")
    assert keys(found(f"{photos}/**")) == PLAIN
    assert keys(found(f"{photos}/*.parquet")) == ["a.jpg"]


@pytest.mark.parametrize("kind", [pa.dictionary(pa.int32(), pa.string()), pa.string_view()])
def test_a_column_of_another_type_of_texts_has_paths_and_labels(photos: Path, kind: pa.DataType):
    paths = pa.array([str(photos / one) for one in PLAIN]).cast(kind)
    pq.write_table(pa.table({"path": paths}), photos / "z.parquet")
    assert keys(found(photos / "z.parquet")) == [str(photos / one) for one in PLAIN]
    assert find_pictures(str(photos / "z.parquet"), photos / "out", "path").count == len(PLAIN)


def test_a_column_of_views_of_bytes_has_pictures(tmp_path: Path):
    pq.write_table(pa.table({"bytes": pa.array([b"a"], pa.binary_view())}), tmp_path / "z.parquet")
    assert [one.data for one in found(tmp_path / "z.parquet").walk()] == [b"a"]


def test_a_column_of_another_kind_is_named_with_its_kind(photos: Path):
    pq.write_table(pa.table({"image": [1, 2]}), photos / "z.parquet")
    with pytest.raises(PicturesError, match=r"name one of paths .*; it has image \(int64\)$"):
        found(photos / "z.parquet")


@pytest.mark.parametrize("where", ["", "  "])
def test_nothing_is_not_taken_for_the_folder_one_is_in(where: str):
    with pytest.raises(PicturesError, match="PHOTOS is empty"):
        found(where)


@pytest.mark.parametrize("name", ["pipe.jpg", "photos/*", "x" * 300])
def test_what_is_no_input_is_refused_at_once(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PicturesError):
        found(tmp_path / name)


def test_a_folder_of_100_000_pictures_is_walked_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without looking into a folder before its turn, or at more than the names."""
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.jpg").write_bytes(JPEG)
    looked: list[str] = []
    scan = os.scandir

    def noting(path: Path) -> Iterator[os.DirEntry[str]]:
        looked.append(Path(path).name)
        return scan(path)

    pictures = found(tmp_path)
    monkeypatch.setattr(os, "scandir", noting)
    assert next(pictures.walk()).key == "0/a.jpg"
    assert looked == [tmp_path.name, "0"]
