"""A decoding plugin for pydicom that reads the compressed pixels of a DICOM file with imagecodecs.

imagecodecs uses libjpeg-turbo for lossless and 12-bit JPEG, CharLS for JPEG-LS, and OpenJPEG for
JPEG 2000. pydicom's own plugins for these need packages under the GPL, or cannot read lossless
JPEG, which is the most common in radiology.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", *_HTJ2K)
_JPEG = ("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_RLE = "1.2.840.10008.1.2.5"

_SOI = b"\xff\xd8"
_SIZ = b"\xff\x4f\xff\x51"  # the first two markers of a codestream
_SOFS = frozenset({*range(0xFFC0, 0xFFD0), 0xFFF7} - {0xFFC4, 0xFFC8, 0xFFCC})

SYNTAXES = frozenset((*_JPEG_2000, *_JPEG, *_JPEG_LS, _RLE))
"""UIDs of the transfer syntaxes, DICOM PS3.6, table A-1."""

DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether this plugin decodes the transfer syntax `uid`; pydicom calls it."""
    return uid in SYNTAXES


def decode_frame(data: bytes, runner: Any) -> np.ndarray:
    """Decodes one frame, and sets the layout of its samples as options of `runner` (pydicom's).

    Raises ValueError if the frame declares another size than the file's header, and whatever the
    decoder raises.
    """
    syntax = str(runner.transfer_syntax)
    if syntax == _RLE:
        return _rle(data, runner)
    if _declared(data) != (runner.rows, runner.columns, runner.samples_per_pixel):
        raise ValueError("the compressed picture is of another size than the file says")
    samples = np.ascontiguousarray(_decoder(syntax, runner.samples_per_pixel)(data))
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in ("YBR_RCT", "YBR_ICT"):
        runner.set_option("photometric_interpretation", "RGB")  # the decoder converts to RGB
    return samples


def _declared(data: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples per pixel) that the compressed picture's header declares, None if not
    found. Read first, so that no decoder spends memory and time on a wrong size."""
    place = data.find(_SIZ)  # JPEG 2000 (ITU-T T.800, A.5.1)
    if data.startswith(_SIZ[:2]) or (place > 0 and not data.startswith(_SOI)):
        right, below, left, above = struct.unpack_from(">4L", data, place + 8)
        (samples,) = struct.unpack_from(">H", data, place + 40)
        return below - above, right - left, samples
    place = 2  # JPEG (T.81, B.1.1.2 and B.2.2) and JPEG-LS (T.87, C.2.2)
    while place + 10 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker in _SOFS:
            return struct.unpack_from(">HHB", data, place + 5)
        place += 1 if marker == 0xFFFF else 2 + length
    return None


def _decoder(syntax: str, samples: int) -> Callable[[bytes], np.ndarray]:
    import imagecodecs

    if syntax in _JPEG_2000:
        return lambda data: imagecodecs.jpeg2k_decode(data, numthreads=1)
    if syntax in _JPEG_LS:
        return imagecodecs.jpegls_decode
    # Equal colour spaces on both sides mean no conversion: pydicom converts the colours itself.
    colours = "RGB" if samples == 3 else None
    return lambda data: imagecodecs.jpeg8_decode(data, colorspace=colours, outcolorspace=colours)


def _rle(data: bytes, runner: Any) -> np.ndarray:
    """PS3.5, annex G: planes of bytes, one after the other, the most significant byte first."""
    import imagecodecs

    samples = runner.samples_per_pixel
    kind = np.dtype(f"<u{runner.bits_allocated // 8}")
    shape = (samples, runner.rows, runner.columns)
    size = samples * runner.rows * runner.columns * kind.itemsize
    decoded = imagecodecs.dicomrle_decode(data, kind, out=size)
    runner.set_option("planar_configuration", 1)
    return np.frombuffer(decoded, kind).reshape(shape)
