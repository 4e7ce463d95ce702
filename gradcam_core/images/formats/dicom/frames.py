"""One frame of a DICOM file: its pixels as they are stored.

pydicom parses the file. Compressed pixels are decoded by Pillow (8-bit JPEG) or imagecodecs
(lossless JPEG, 12-bit JPEG, JPEG-LS, JPEG 2000, RLE).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.dicom import codecs
from gradcam_core.images.formats.dicom.header import PIXELS, Dataset, Header
from gradcam_core.images.formats.dicom.values import (
    Groups,
    StoredBits,
    item_of,
)

_PILLOWS = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
"""Transfer syntaxes with 8-bit JPEG. Pillow respects the colour markers that programs write."""

_BITS = (1, 8, 16, 32)
"""Supported values of BitsAllocated for integer samples."""

_PIXEL_VRS = (b"OB", b"OW", b"OF", b"OD", b"UN")

_UNDEFINED_LENGTH = 0xFFFFFFFF

_NOT_READ = (
    "This DICOM file is compressed with an unsupported method{name}. Save it uncompressed or as "
    "JPEG 2000, and try again."
)

_OTHER_BITS = "The pixels of this DICOM file have {bits} bits, which is not supported."


@dataclass(frozen=True)
class Frame:
    """samples: [rows, columns] or [rows, columns, 3], unsigned integers as stored, or float. bits:
    which bits of a sample hold its value, None for float. photometric: after decompression. index:
    0 to `count` - 1. groups: the functional groups that apply to this frame."""

    samples: np.ndarray
    bits: StoredBits | None
    photometric: str
    index: int
    count: int
    groups: Groups

    def values(self, samples: np.ndarray) -> np.ndarray:
        """Converts stored samples of any shape to the values that they encode, float64."""
        return (samples if self.bits is None else self.bits.values(samples)).astype(np.float64)


def read_frame(header: Header) -> Frame:
    """Reads the middle frame. Raises ImageError, and whatever pydicom and the decoders raise."""
    from pydicom.pixels.decoders.base import Decoder
    from pydicom.uid import UID

    syntax = UID(header.syntax)
    is_known = not syntax.is_private and syntax.type == "Transfer Syntax"
    is_native = is_known and not syntax.is_encapsulated
    if not is_native and syntax not in (*_PILLOWS, *codecs.SYNTAXES):
        raise ImageError(_NOT_READ.format(name=f" ({syntax.name})" if is_known else ""))
    options, length = _options(header)
    count = _frame_count(header, options, length if is_native else None)
    decoder = Decoder(syntax)
    bits: StoredBits | None = None
    if not is_native:
        if syntax in _PILLOWS:
            decoder.add_plugin("pillow", ("pydicom.pixels.decoders.pillow", "_decode_frame"))
        if syntax in codecs.SYNTAXES:
            decoder.add_plugin("imagecodecs", (codecs.__name__, "decode_frame"))
    elif options["pixel_keyword"] == "PixelData":
        bits = _stored_bits(header, options)
        options |= {"pixel_representation": 0, "correct_unused_bits": False}
    if is_native:
        options["view_only"] = True
    samples, found = decoder.as_array(
        header.file, index=count // 2, raw=True, number_of_frames=count, **options
    )
    if not is_native:
        bits = _decoded_bits(samples, options)
    if bits is not None:
        samples = _unsigned(samples)
    photometric = str(found["photometric_interpretation"])
    groups = partial(_group, header.dataset, count // 2)
    return Frame(samples, bits, photometric, count // 2, count, groups)


def _group(dataset: Dataset, index: int, sequence: str) -> Dataset | None:
    """The first item of a sequence in the frame's own functional groups (PS3.3, C.7.6.16), else in
    those that all frames share, else None."""
    own = item_of(dataset, "PerFrameFunctionalGroupsSequence", index)
    of_all = item_of(dataset, "SharedFunctionalGroupsSequence")
    for group in (own, of_all):
        if group is not None and (item := item_of(group, sequence)) is not None:
            return item
    return None


def _stored_bits(header: Header, options: dict[str, Any]) -> StoredBits:
    stored = options["bits_stored"]
    high = header.whole("HighBit", stored - 1)
    if not stored <= high + 1 <= options["bits_allocated"]:
        high = stored - 1
    return StoredBits(stored, high, header.encoding.is_signed)


def _decoded_bits(samples: np.ndarray, options: dict[str, Any]) -> StoredBits:
    """pydicom has moved the values into place, except signed values whose compressed picture
    declares more bits than they have."""
    stored, size = options["bits_stored"], 8 * samples.dtype.itemsize
    is_signed = samples.dtype.kind == "i"
    if not (is_signed and int(_unsigned(samples).max()) < 2**stored):
        stored = size
    return StoredBits(stored, stored - 1, is_signed)


def _unsigned(samples: np.ndarray) -> np.ndarray:
    return samples.view(f"{samples.dtype.byteorder}u{samples.dtype.itemsize}")


def _options(header: Header) -> tuple[dict[str, Any], int | None]:
    """Options for pydicom's decoders, and the length of all pixels in bytes, None if undefined.
    Moves the file on to the pixels themselves. Raises ImageError for unsupported bit sizes."""
    order = "<" if header.is_little_endian else ">"
    group, element, length = struct.unpack(f"{order}HHL", header.file.read(8))
    options: dict[str, Any] = {"pixel_keyword": PIXELS[group, element]}
    vr = struct.pack(f"{order}L", length)[:2]
    if vr in _PIXEL_VRS:  # else the VR is implicit, whatever the transfer syntax says
        options["pixel_vr"] = vr.decode("ascii")
        (length,) = struct.unpack(f"{order}L", header.file.read(4))
    allocated = header.whole("BitsAllocated")
    is_float = options["pixel_keyword"] != "PixelData"
    if allocated not in ((32, 64) if is_float else _BITS):
        raise ImageError(_OTHER_BITS.format(bits=allocated))
    stored = header.whole("BitsStored", allocated)
    options |= {
        "rows": header.whole("Rows"),
        "columns": header.whole("Columns"),
        "samples_per_pixel": header.whole("SamplesPerPixel", 1),
        "photometric_interpretation": header.photometric,
        "planar_configuration": header.whole("PlanarConfiguration"),
        "bits_allocated": allocated,
        "bits_stored": stored if 1 <= stored <= allocated else allocated,
        "pixel_representation": header.whole("PixelRepresentation"),
    }
    offsets = [header.dataset.get(f"ExtendedOffsetTable{part}") for part in ("", "Lengths")]
    if all(offsets):
        options["extended_offsets"] = tuple(offsets)
    return options, None if length == _UNDEFINED_LENGTH else length


def _frame_count(header: Header, options: dict[str, Any], length: int | None) -> int:
    """At least 1. length: of all pixels in bytes, None if they are compressed."""
    count = header.whole("NumberOfFrames")
    if count >= 1:
        return count
    if length is None:
        return 1
    pixels = options["rows"] * options["columns"] * options["samples_per_pixel"]
    return max(1, 8 * length // max(1, pixels * options["bits_allocated"]))
