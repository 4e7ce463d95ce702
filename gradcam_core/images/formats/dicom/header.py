"""The header of a DICOM file: what it says about its image, and nothing about a patient."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from typing import IO, Any

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.dicom.values import (
    Encoding,
    number,
)
from gradcam_core.images.limits import NO_MEMORY

Dataset = Any  # pydicom's

_KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelAspectRatio",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ModalityLUTSequence",
    "DoseGridScaling",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
"""The only elements of a header that are read. None of them is about a patient."""

PIXELS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}

_INFLATED_MAX_BYTES = 250 * 2**20

_PIXEL_TAGS = tuple(group << 16 | element for group, element in PIXELS)


@dataclass(frozen=True)
class Header:
    """What a file says about its image. file: positioned at the element with the pixels; for a
    deflated file, a buffer with the decompressed content. syntax: UID of the transfer syntax.
    of_what: UID of the SOP class, "" if it is missing."""

    dataset: Dataset
    file: IO[bytes]
    syntax: str
    of_what: str
    has_pixels: bool

    def whole(self, keyword: str, default: int = 0) -> int:
        """The value of an element as int, `default` if it is missing or no number."""
        value = number(self.dataset, keyword)
        return default if value is None else int(value)

    @property
    def encoding(self) -> Encoding:
        return Encoding(self.is_little_endian, self.whole("PixelRepresentation") == 1)

    @property
    def is_little_endian(self) -> bool:
        return bool(self.dataset.original_encoding[1])

    @property
    def photometric(self) -> str:
        """Photometric interpretation, such as MONOCHROME2."""
        return str(self.dataset.get("PhotometricInterpretation") or "").strip().upper()

    @property
    def unit(self) -> str:
        """The unit of rescaled values, as a suffix to a number: " HU", or "" if unknown."""
        kind = self.dataset.get("RescaleType") or ("HU" if self._is_ct else "")
        return " HU" if str(kind).strip() == "HU" else ""

    @property
    def pixel_height(self) -> float:
        """A pixel's height divided by its width (PS3.3, 10.7.1.3 and C.7.6.3.1.7); 1 if the file
        gives no sensible value."""
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
            try:
                height, width = map(float, self.dataset.get(keyword))
            except (TypeError, ValueError, OverflowError, AttributeError):
                continue
            if 0 < height < math.inf and 0 < width < math.inf:
                return height / width
        return 1.0

    @property
    def padding(self) -> tuple[float, float] | None:
        """The range of stored values that are no part of the picture but fill the rectangle around
        it, (lowest, highest), or None if there is none: PS3.3, C.7.5.1.1.2."""
        names = [f"{kind}PixelPadding" for kind in ("", "Float", "DoubleFloat")]
        for name in names:
            if (value := number(self.dataset, f"{name}Value")) is not None:
                limit = number(self.dataset, f"{name}RangeLimit")
                ends = [value, value if limit is None else limit]
                if self.encoding.is_signed:  # some programs write it as if it were unsigned
                    ends = [end - 2**16 if 2**15 <= end < 2**16 else end for end in ends]
                return min(ends), max(ends)
        return None

    @property
    def _is_ct(self) -> bool:
        return self.dataset.get("Modality") == "CT" and "RescaleSlope" in self.dataset


def read_header(file: IO[bytes]) -> Header:
    """Reads the header up to the pixels. Raises ImageError, and whatever pydicom raises for a
    damaged file."""
    import pydicom
    from pydicom.filereader import read_dataset
    from pydicom.uid import (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    )

    tags: list = [pydicom.tag.Tag(keyword) for keyword in _KEYWORDS]
    file.seek(128)
    file.seek(132 if file.read(4) == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
    syntax = str(meta.get("TransferSyntaxUID") or "").strip("\0 ")
    if syntax == DeflatedExplicitVRLittleEndian:
        file, syntax = _inflated(file), ExplicitVRLittleEndian
        dataset = read_dataset(
            file, False, True, stop_when=lambda tag, *_: tag in _PIXEL_TAGS, specific_tags=tags
        )
        dataset.set_original_encoding(False, True)
    else:
        file.seek(0)
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
    if not syntax:
        is_implicit, is_little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        syntax = ImplicitVRLittleEndian if is_implicit else explicit
    of_what = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
    place = file.tell()
    has_pixels = len(file.read(12)) == 12
    file.seek(place)
    return Header(dataset, file, syntax, str(of_what), has_pixels)


def _inflated(file: IO[bytes]) -> IO[bytes]:
    """The rest of a file, decompressed (PS3.5, A.5). Raises ImageError if it is too large."""
    packed = zlib.decompressobj(-zlib.MAX_WBITS)
    content = packed.decompress(file.read(), _INFLATED_MAX_BYTES)
    if packed.unconsumed_tail:
        raise ImageError(NO_MEMORY)
    return io.BytesIO(content)
