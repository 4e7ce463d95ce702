"""BMP that Pillow takes for another one, or does not know."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gradcam_core import ImageError, read_picture
from tests.support.handmade_pictures import bmp


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(read_picture(data).image)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("greys", [(0, 255), tuple(range(16))])
def test_a_bmp_has_the_bits_that_it_says(bits: int, greys: tuple[int, ...]):
    """Its palette may look like that of another one."""
    indices = np.random.default_rng(3).integers(0, len(greys), (6, 16), np.uint8)
    packed = indices if bits == 8 else indices[:, ::2] << 4 | indices[:, 1::2]
    palette = b"".join(bytes([grey] * 3 + [0]) for grey in greys)
    data = bmp.file(16, 6, packed[::-1].tobytes(), bits=bits, palette=palette)
    assert np.array_equal(pixels(data)[:, :, 0], np.array(greys)[indices])


MASKS = {
    "10 bits each": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "red first": (32, (0xFF, 0xFF00, 0xFF0000)),
    "4 bits each": (16, (0xF00, 0xF0, 0xF)),
    "one bit of green": (16, (0xFF00, 0x80, 0x7F)),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("is_downward", [False, True])
def test_colours_may_be_in_any_bits(name: str, is_downward: bool):
    bits, masks = MASKS[name]
    values = np.random.default_rng(4).integers(0, 2**bits, (5, 6)).astype(f"<u{bits // 8}")
    rows = values if is_downward else values[::-1]
    data = bmp.file(
        *(6, -5 if is_downward else 5, rows.tobytes()),
        bits=bits,
        compression=3,
        palette=struct.pack("<3I", *masks),
        colours=0,
    )
    expected = np.empty((5, 6, 3))
    for colour, mask in enumerate(masks):
        low = f"{mask:b}"[::-1].index("1")
        expected[..., colour] = ((values & mask) >> low) / (mask >> low) * 255
    assert np.abs(pixels(data) - expected).max() <= 0.5
    with pytest.raises(ImageError, match="incomplete"):
        read_picture(data[:-1])


@pytest.mark.parametrize("opacity", [0xFF000000, 0x3000000])
def test_a_bmp_whose_opacity_was_left_zero_is_opaque(opacity: int):
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, opacity)
    data = bmp.file(2, 1, bytes([1, 2, 3, 0, 4, 5, 6, 0]), bits=32, compression=3, palette=masks)
    data = data[:14] + b"\x38" + data[15:]
    assert pixels(data).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_a_file_that_begins_with_the_length_of_a_bitmap_is_none():
    for file, what in (
        (struct.pack("<4I", 40, 64, 64, 2) + bytes(500), "This is not a picture in a format that"),
        (struct.pack("<4I", 64, 64, 1, 2) + bytes(192) + b"MAP " + bytes(99), "an MRC volume"),
    ):
        with pytest.raises(ImageError, match=what):
            read_picture(file)


def test_a_bmp_of_a_kind_that_is_not_read_says_which():
    data = bmp.file(8, 1, bytes(4), bits=2, palette=bytes(16))
    with pytest.raises(ImageError, match="a BMP of 2 bits a pixel in the encoding 0, which is not"):
        read_picture(data)
