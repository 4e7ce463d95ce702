"""Nothing that a DICOM file says of a patient gets out, and none takes more than it may."""

from __future__ import annotations

import logging
import re
import struct
import traceback
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless

import gradcam_core as gc
from gradcam_core.errors import ImageError
from gradcam_core.images.sandbox import Reader
from tests.support.handmade_pictures import dicom
from tests.support.handmade_pictures.dicom import dataset, encoded, item

SECRET = "DOE^JOHN 1970"
GREYS = np.arange(4096, dtype=np.uint16).reshape(64, 64)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.stop()


def replaced(data: bytes, keyword_value: bytes, other: bytes) -> bytes:
    """Bytes of the same length in place of a value."""
    assert data.count(keyword_value) >= 1
    return data.replace(keyword_value, other.ljust(len(keyword_value))[: len(keyword_value)])


def with_patient() -> bytes:
    made = dataset(GREYS, RescaleSlope=1, RescaleIntercept=0, WindowCenter=40, WindowWidth=400)
    for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription"):
        setattr(made, keyword, SECRET)
    made.WindowCenterWidthExplanation = SECRET
    made.RescaleType = SECRET
    made.ReferencedStudySequence = [item(PatientName=SECRET)]
    made.ImageComments = SECRET * 9
    return encoded(made)


def malformed() -> dict[str, bytes]:
    """The secret where a number or a name of the standard belongs."""
    secret = SECRET.encode()
    files = {"whole": with_patient()}
    for tag, vr in (
        ((0x0028, 0x0004), "CS"),  # photometric interpretation
        ((0x0028, 0x0008), "IS"),  # frames
        ((0x0028, 0x0010), "US"),  # rows
        ((0x0028, 0x0100), "US"),  # bits
        ((0x0028, 0x1050), "DS"),  # window
        ((0x0028, 0x1052), "DS"),  # rescaling
        ((0x0028, 0x1054), "LO"),  # its unit
        ((0x0028, 0x1056), "CS"),  # the window's function
        ((0x0008, 0x0016), "UI"),  # what it is
        ((0x0008, 0x0005), "CS"),  # character set
        ((0x0028, 0x3010), "SQ"),  # tables
    ):
        made = dataset(GREYS, WindowCenter=40, WindowWidth=400)
        data = encoded(made)
        files[f"({tag[0]:04X},{tag[1]:04X})"] = put(data, tag, vr, secret)
    files["transfer syntax"] = replaced(with_patient(), b"1.2.840.10008.1.2.1\0", b"DOE^JOHN 1970")
    files["no pixels"] = encoded(without_pixels())
    files["cut"] = with_patient()[:-100]
    files["cut in its head"] = with_patient()[:700]
    files["compressed"] = encoded(dataset(GREYS), JPEGLosslessSV1, frames=[secret * 9])
    files["run lengths"] = encoded(dataset(GREYS), RLELossless, frames=[secret * 9])
    return files


def put(data: bytes, tag: tuple[int, int], vr: str, value: bytes) -> bytes:
    """An element before all others of its file, in place of what they say."""
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH2s", *tag, vr.encode())
    head += struct.pack("<HL", 0, len(value)) if vr == "SQ" else struct.pack("<H", len(value))
    start = 132 + 12 + struct.unpack_from("<L", data, 140)[0]
    return data[:start] + without(data[start:], tag, head + value)


def without(content: bytes, tag: tuple[int, int], element: bytes) -> bytes:
    """The elements of a file, of which one is exchanged or put in its place."""
    place, found = 0, b""
    is_put = False
    while place < len(content):
        this = struct.unpack_from("<HH", content, place)
        if content[place + 4 : place + 6] in (b"OW", b"OB", b"SQ"):
            (length,) = struct.unpack_from("<L", content, place + 8)
            end = place + 12 + length
        else:
            (length,) = struct.unpack_from("<H", content, place + 6)
            end = place + 8 + length
        if not is_put and this >= tag:
            found += element
            is_put = True
        if this != tag:
            found += content[place:end]
        place = end
    return found


def without_pixels():
    made = dataset(GREYS, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PatientName=SECRET)
    del made.PixelData
    return made


FILES = malformed()


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_a_file_says_gets_out(
    name: str,
    reader: Reader,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
):
    data = FILES[name]
    assert b"DOE^JOHN" in data
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for read in (gc.read_picture, reader.read_picture):
            try:
                said += read(data).notices
            except ImageError as error:
                said += traceback.format_exception(error)
    said += [*capfd.readouterr(), caplog.text, *(str(w.message) for w in recwarn)]
    assert "DOE" not in "".join(said)
    assert "1970" not in "".join(said)


def test_pydicom_logs_again_afterwards(caplog: pytest.LogCaptureFixture):
    gc.read_picture(with_patient())
    logging.getLogger("pydicom").warning("of somebody else")
    assert "of somebody else" in caplog.text


def bomb(rows: int, columns: int, frames: int = 1) -> bytes:
    made = dataset(np.zeros((4, 4), np.uint16), NumberOfFrames=frames)
    made.Rows, made.Columns = rows, columns
    return encoded(made)


def nested(depth: int) -> bytes:
    """Sequences in each other, of undefined length."""
    begin = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 2**32 - 1)
    begin += struct.pack("<HHL", 0xFFFE, 0xE000, 2**32 - 1)
    data = encoded(dataset(GREYS))
    start = 132 + 12 + struct.unpack_from("<L", data, 140)[0]
    return data[:start] + begin * depth + data[start:]


def j2k_of(width: int, height: int) -> bytes:
    """Says another size than the file."""
    import imagecodecs

    frame = bytearray(imagecodecs.jpeg2k_encode(GREYS, codecformat="j2k", level=0))
    place = frame.index(b"\xff\x51") + 6
    struct.pack_into(">LL", frame, place, width, height)
    struct.pack_into(">LL", frame, place + 16, width, height)
    return encoded(dataset(GREYS), JPEG2000Lossless, frames=[bytes(frame)])


def palette_of_lines() -> bytes:
    """Segments that unpack to a billion of colours (PS3.3, C.7.9.2)."""
    made = dataset(np.zeros((9, 9), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        made.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        lines = struct.pack("<HHH", 1, 65535, 9) * 20_000
        made.add_new(f"Segmented{name}PaletteColorLookupTableData", "OW", lines)
    return encoded(made)


HOSTILE = {
    "rows and columns": (lambda: bomb(60_000, 60_000), "too large"),
    "no rows": (lambda: bomb(0, 60_000), "empty"),
    "as many as may be": (lambda: bomb(6986, 6985), "damaged or incomplete, or takes too much"),
    "frames": (lambda: bomb(4, 4, 2**31 - 1), "damaged"),
    "sequences in each other": (lambda: nested(20_000), "damaged"),
    "a huge JPEG 2000": (lambda: j2k_of(60_000, 60_000), "damaged"),
    "a palette of lines": (palette_of_lines, "damaged|too much memory|too long"),
    "nothing after its head": (lambda: bytes(128) + b"DICM", "no picture in it"),
    "noise after its head": (
        lambda: bytes(128) + b"DICM" + np.random.default_rng(0).bytes(9999),
        "no picture in it|damaged",
    ),
    "12 bits a sample": (lambda: encoded_of_12_bits(), "12 bits, which is not supported"),
    "films in four colours": (
        lambda: encoded(dataset(GREYS, PhotometricInterpretation="CMYK")),
        "colours of this DICOM file",
    ),
}


def encoded_of_12_bits() -> bytes:
    return encoded(dataset(GREYS, BitsAllocated=12, BitsStored=12, HighBit=11))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_told(name: str, reader: Reader):
    make, words = HOSTILE[name]
    with pytest.raises(ImageError) as error:
        reader.read_picture(make())
    assert re.search(words, str(error.value)), str(error.value)
    assert reader.read_picture(with_patient()).image.size == (64, 64)


def test_what_is_deflated_unpacks_to_no_more_than_it_may():
    content = encoded(dataset(GREYS), has_meta=False) + bytes(2**28)
    with pytest.raises(ImageError, match="too much memory"):
        gc.read_picture(dicom.deflated(content, 1))


def test_a_syntax_that_says_nothing_is_told_without_its_name():
    data = replaced(encoded(dataset(GREYS), ExplicitVRLittleEndian), b"1.2.840.10008.1.2.1\0", b"2")
    with pytest.raises(ImageError, match=r"with an unsupported method\. Save"):
        gc.read_picture(data)
