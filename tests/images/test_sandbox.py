"""A picture costs no more time and memory than it may, and takes no process but its own along."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from gradcam_core import read_image
from gradcam_core.errors import ImageError
from gradcam_core.images import decoder_process, sandbox
from gradcam_core.images import limits as images
from gradcam_core.images.limits import DAMAGED
from gradcam_core.images.sandbox import ENDED, TOO_LONG, Reader, Readers, read_isolated
from tests.support import faulty_decoder, impatient_decoder
from tests.support.app_server import ROOT
from tests.support.handmade_pictures import jpeg, png, tiff

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory")


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def same_reader() -> Iterator[Reader]:
    """For tests that leave its process as it is."""
    made = Reader()
    yield made
    made.stop()


@pytest.mark.parametrize("size", [(1, 1), (451, 300), (20_000, 1)])
def test_a_picture_is_read_as_in_this_process(
    cat: Image.Image, same_reader: Reader, size: tuple[int, int], tmp_path: Path
):
    data = encoded(cat.resize(size, Image.Resampling.NEAREST), "PNG", compress_level=1)
    path = tmp_path / "Köter & \udcff \n.png"
    path.write_bytes(data)
    expected = read_image(data).tobytes()
    for photo in (data, path):
        got = same_reader.read(photo)
        assert (got.mode, got.size) == ("RGB", size)
        assert got.tobytes() == expected


def test_a_relative_path_is_that_of_this_process(
    cat_path: Path, same_reader: Reader, monkeypatch: pytest.MonkeyPatch
):
    same_reader.read(cat_path)
    monkeypatch.chdir(cat_path.parent)
    assert same_reader.read(cat_path.name).size == (451, 300)


@pytest.mark.parametrize(
    "photo", [b"", b"%PDF-1.7", "no/such/file.jpg", ".", "a\0b.jpg", "x" * 300]
)
def test_what_is_no_picture_gets_the_same_sentence_as_in_this_process(photo, same_reader: Reader):
    with pytest.raises(ImageError) as here:
        read_image(photo)
    for _ in range(2):
        with pytest.raises(ImageError) as there:
            same_reader.read(photo)
        assert str(there.value) == str(here.value)


def test_one_child_process_reads_many_pictures(cat: Image.Image, reader: Reader):
    first = reader.start().pid
    for n in range(5):
        assert reader.read(encoded(Image.new("RGB", (9, 9), (n, 0, 0)), "PNG")).size == (9, 9)
        with pytest.raises(ImageError):
            reader.read(b"nothing")
    assert reader.start().pid == first


def test_a_picture_that_takes_too_long_is_given_up(
    reader: Reader, cat_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sandbox, "decoder_process", impatient_decoder)
    # Each scan costs ten bytes here, and there a walk over the whole picture.
    data = jpeg.many_scans(6900, 6900, scans=5000)
    assert len(data) < 2**17
    with pytest.raises(ImageError) as error:
        reader.read(data)
    assert str(error.value) == TOO_LONG
    assert reader.read(cat_path).size == (451, 300)
    # A machine that never gives it a core's time ends it, too.
    monkeypatch.setattr(sandbox, "DECODE_TIMEOUT_S", 0.5)
    os.kill(reader.start().pid, signal.SIGSTOP)
    with pytest.raises(ImageError) as error:
        reader.read(cat_path)
    assert str(error.value) == TOO_LONG
    monkeypatch.undo()
    assert reader.read(cat_path).size == (451, 300)


@linux
def test_a_picture_that_takes_too_much_memory_is_refused(reader: Reader, cat_path: Path):
    # As many pixels as there may be. Of scans of one colour each all coefficients are kept.
    side = int(images.MAX_PIXELS**0.5) // 16 * 16
    scans = (jpeg.sos((colour,)) for colour in (1, 2, 3))
    data = jpeg.file(jpeg.BASELINE, side, side, *scans, sampling=[0x11] * 3)
    with pytest.raises(ImageError, match=r"too much memory|damaged"):
        reader.read(data)
    first = reader.start().pid
    assert reader.read(cat_path).size == (451, 300)
    assert _most_memory(first) < 2 * decoder_process.MEMORY_LIMIT_BYTES


def _most_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def turned_photo(width: int, height: int) -> bytes:
    """Of one colour, on its side, which takes a second picture of the same size. Made by hand: to
    encode so many pixels takes as long as all the rest."""
    rows = png.repeated(b"\xff\0\0" * width, height, 1)
    return tiff.file(
        width, height, rows, compression=8, samples=3, photometric=2, t274=(tiff.SHORT, [6])
    )


@linux
def test_a_plain_photo_of_the_largest_size_is_read(reader: Reader):
    size = 8192, images.MAX_PIXELS // 8192
    pid = reader.start().pid
    got = reader.read(turned_photo(*size))
    assert _most_memory(pid) < decoder_process.MEMORY_LIMIT_BYTES
    assert got.size == size[::-1]
    corner = np.asarray(got.crop((0, 0, 5, 5)))
    np.testing.assert_allclose(corner, np.broadcast_to((255, 0, 0), corner.shape), atol=3)


@pytest.mark.parametrize(
    ("number", "sentence", "logged"),
    [
        (
            signal.SIGSEGV,
            DAMAGED,
            ["A picture has ended the process that decodes it: SIGSEGV."],
        ),
        (signal.SIGKILL, ENDED, []),  # by the kernel, where memory runs out
    ],
)
def test_a_decoder_that_crashes_ends_only_its_own_process_and_is_logged(
    number: int,
    sentence: str,
    logged: list[str],
    reader: Reader,
    cat_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    reader.read(cat_path)
    process = reader.start()
    os.kill(process.pid, signal.SIGSTOP)
    failed: list[ImageError] = []

    def read() -> None:
        with pytest.raises(ImageError) as error:
            reader.read(cat_path)
        failed.append(error.value)

    reading_thread = threading.Thread(target=read)
    reading_thread.start()
    time.sleep(0.2)  # so that the picture is asked for
    os.kill(process.pid, number)
    os.kill(process.pid, signal.SIGCONT)
    reading_thread.join(30)
    assert [str(error) for error in failed] == [sentence]
    assert [record.message for record in caplog.records] == logged
    assert reader.read(cat_path).size == (451, 300)


def test_what_a_decoder_writes_reaches_nobody_and_a_fault_of_ours_the_log(
    reader: Reader,
    cat: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(cat), compression="lzw", rowsperstrip=16)
    data = file.getvalue()
    with pytest.raises(ImageError, match="damaged"):
        read_image(data[: len(data) // 2])
    assert "Read error" in capfd.readouterr().err  # libtiff's
    with pytest.raises(ImageError, match="damaged"):
        reader.read(data[: len(data) // 2])
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")
    reader.stop()
    monkeypatch.setattr(sandbox, "decoder_process", faulty_decoder)
    with pytest.raises(ImageError, match="damaged"):
        reader.read(data)
    (record,) = caplog.records
    assert "because of a fault: KeyError, raised at" in record.message
    assert "raise KeyError" in record.message
    assert faulty_decoder.SECRET not in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
def test_a_lower_limit_of_whoever_started_it_is_kept(reader: Reader, cat_path: Path):
    import resource

    resource.prlimit(reader.start().pid, resource.RLIMIT_CPU, (3, 3))
    assert reader.read(cat_path).size == read_image(cat_path).size


def test_a_process_that_cannot_start_says_nothing_of_the_picture(
    reader: Reader, cat_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as without_it:
        without_it.setattr(decoder_process, "__name__", "gradcam_core.images.no_such_module")
        with pytest.raises(ImageError, match=r"could not be started \(it ended with status 1\)"):
            reader.read(cat_path)
    with monkeypatch.context() as without_python:
        without_python.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(ImageError, match=r"could not be started \(No such file or directory\)"):
            reader.read(cat_path)
    assert reader.read(cat_path).size == (451, 300)


def test_a_process_that_has_gone_meanwhile_is_started_anew(reader: Reader, cat_path: Path):
    process = reader.start()
    process.kill()
    process.wait()
    assert reader.read(cat_path).size == (451, 300)


def test_threads_get_their_own_picture_each():
    colours = [(n, 255 - n, n // 2) for n in range(0, 250, 10)]
    files = [encoded(Image.new("RGB", (300, 200), colour), "PNG") for colour in colours]
    with ThreadPoolExecutor(6) as pool:
        pictures = list(pool.map(read_isolated, files * 2))
    assert [picture.getpixel((7, 7)) for picture in pictures] == colours * 2


READS_AND_ENDS = """
import os, sys
from gradcam_core.images.sandbox import read_isolated
read_isolated(sys.argv[1])
print(open(f"/proc/self/task/{os.getpid()}/children").read())
"""


@linux
def test_no_child_process_outlives_its_parent(cat_path: Path):
    command = [sys.executable, "-c", READS_AND_ENDS, str(cat_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stderr == ""
    pids = [int(pid) for pid in ended.stdout.split()]
    assert pids
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_readers_that_are_stopped_end_and_start_again(cat_path: Path):
    readers = Readers(1)
    readers.start()
    assert readers.read(cat_path).size == (451, 300)
    readers.stop()
    assert readers.read(cat_path).size == (451, 300)
    readers.stop()


def test_a_stream_that_unpacks_to_gigabytes_takes_no_memory(reader: Reader, cat_path: Path):
    # A PNG of 8 x 8 pixels whose data go on for a gigabyte after the last row.
    packer = zlib.compressobj(9)
    first, again = (
        packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    data = png.file(png.ihdr(8, 8), png.chunk(b"IDAT", first + 63 * again + packer.flush()))
    before = _most_memory(reader.start().pid) if sys.platform == "linux" else 0
    assert reader.read(data).size == (8, 8)
    if before:
        assert _most_memory(reader.start().pid) < before + 2**26
    assert reader.read(cat_path).size == (451, 300)
