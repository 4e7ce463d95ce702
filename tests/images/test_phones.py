"""What phones put into their pictures: parts that are no pictures, files that arrive cut off."""

from __future__ import annotations

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gradcam_core import ImageError, read_picture
from gradcam_core.images.formats import reduced
from tests.support.handmade_pictures import jpeg, png

UNDEFINED, PRIMARY, DISPARITY = 0, 0x030000, 0x020002


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    if format == "HEIC":
        pillow_heif.from_pillow(image).save(file)
    else:
        image.save(file, format, **options)
    return file.getvalue()


def of_several(photo: Image.Image, others: list[tuple[int, bytes]]) -> bytes:
    """A JPEG of several pictures (CIPA DC-007). others: kind and file of each further one."""
    first = encoded(photo, "JPEG", quality=95)

    def index(begins: list[int], sizes: list[int]) -> bytes:
        kinds = [PRIMARY, *(kind for kind, _ in others)]
        entries = b"".join(
            struct.pack("<IIIHH", *entry, 0, 0) for entry in zip(kinds, sizes, begins, strict=True)
        )
        head = struct.pack("<2sHIH", b"II", 42, 8, 3)
        head += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
        head += struct.pack("<HHII", 0xB001, 4, 1, len(kinds))
        head += struct.pack("<HHII", 0xB002, 7, len(entries), 50) + bytes(4)
        return jpeg.segment(0xE2, b"MPF\0" + head + entries)

    count = len(others) + 1
    length = len(first) + len(index([0] * count, [0] * count))
    begins, sizes, end = [0], [length], length
    for _, data in others:
        begins.append(end - 10)  # as seen from the index
        sizes.append(len(data))
        end += len(data)
    return jpeg.after_soi(first, index(begins, sizes)) + b"".join(data for _, data in others)


@pytest.mark.parametrize(
    "part",
    ["a smaller gain map", "a gain map of ISO 21496", "a gain map of Apple", "nothing"],
)
def test_what_only_adds_to_a_photo_is_no_picture_of_its_own(cat: Image.Image, part: str):
    data = encoded(cat.convert("L"), "JPEG")
    if part == "a smaller gain map":
        data = encoded(cat.convert("L").reduce(4), "JPEG")
    elif part == "a gain map of ISO 21496":
        data = jpeg.after_soi(data, jpeg.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0"))
    elif part == "a gain map of Apple":
        words = b"http://ns.adobe.com/xap/1.0/\0urn:com:apple:photo:2020:aux:hdrgainmap"
        data = jpeg.after_soi(data, jpeg.segment(0xE1, words))
    whole = of_several(cat, [(UNDEFINED, data)])
    decoded = read_picture(whole[: -len(data)] if part == "nothing" else whole)
    assert np.abs(np.asarray(decoded.image, int) - np.asarray(cat)).mean() < 4
    assert decoded.notices == ()


@pytest.mark.parametrize("kind", [UNDEFINED, DISPARITY])
def test_another_picture_of_that_size_is_one(cat: Image.Image, kind: int):
    data = encoded(cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG")
    notices = read_picture(of_several(cat, [(kind, data)])).notices
    assert notices == ("The file has 2 pictures; the first one is shown.",)


@pytest.mark.parametrize("is_large", [False, True])
def test_the_main_picture_of_a_heic_is_shown_wherever_it_is(
    cat: Image.Image, is_large: bool, monkeypatch: pytest.MonkeyPatch
):
    if is_large:
        monkeypatch.setattr(reduced, "MAX_PIXELS", cat.width * cat.height // 2)
    several = pillow_heif.from_pillow(Image.new("RGB", cat.size, "blue"))
    several.add_from_pillow(cat)
    file = io.BytesIO()
    several.save(file, primary_index=1, quality=90)
    decoded = read_picture(file.getvalue())
    expected = np.asarray(cat.reduce(2) if is_large else cat, int)
    assert np.abs(np.asarray(decoded.image, int) - expected).mean() < 6
    assert decoded.notices[0] == "The file has 2 pictures; its main one, number 2, is shown."


@pytest.mark.parametrize("format", ["JPEG", "GIF", "PNG", "AVIF", "HEIC"])
def test_a_beginning_of_a_picture_is_called_incomplete(cat: Image.Image, format: str):
    data = encoded(cat, format)
    for kept in (20, 60, 200):
        with pytest.raises(ImageError, match=r"^The picture is (damaged or )?incomplete"):
            read_picture(data[:kept])


@pytest.mark.parametrize("depth", [2, 4])
def test_the_clear_grey_of_a_png_of_few_bits_is_white(depth: int):
    levels = np.tile(np.arange(2**depth), (4, 1))
    bits = 8 // depth
    packed = np.zeros((4, 2**depth // bits), np.uint8)
    for at in range(bits):
        packed |= (levels[:, at::bits] << (depth * (bits - 1 - at))).astype(np.uint8)
    pixels = b"".join(b"\0" + row.tobytes() for row in packed)
    data = png.file(
        png.ihdr(2**depth, 4, depth, 0),
        png.chunk(b"tRNS", struct.pack(">H", 1)),
        png.chunk(b"IDAT", png.deflated([pixels])),
    )
    shown = np.asarray(read_picture(data).image)[0, :, 0]
    expected = np.arange(2**depth) * 255 // (2**depth - 1)
    expected[1] = 255
    assert list(shown) == list(expected)


def test_a_png_out_of_an_app_for_iphones_is_named():
    pixels = png.deflated([b"\0" + bytes(40)] * 10)[2:-4]  # without zlib's head and sum
    data = png.file(
        png.chunk(b"CgBI", b"\x50\0\x20\2"), png.ihdr(10, 10, 8, 6), png.chunk(b"IDAT", pixels)
    )
    with pytest.raises(ImageError, match=r"Xcode packs it into apps for iPhones \(CgBI\)"):
        read_picture(data)
