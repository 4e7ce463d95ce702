"""DICOM files, written by pydicom."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def dataset(values: np.ndarray, **elements: Any) -> Dataset:
    """An image with these values: [H, W], [H, W, 3], or, for several frames, [N, H, W] with
    NumberOfFrames given. elements: by keyword; None omits an element."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = CT, generate_uid(), "CT"
    made.SamplesPerPixel = 3 if values.shape[-1] == 3 and values.ndim > 2 else 1
    made.PhotometricInterpretation = "RGB" if made.SamplesPerPixel == 3 else "MONOCHROME2"
    if made.SamplesPerPixel == 3:
        made.PlanarConfiguration = 0
    shape = values.shape[:-1] if made.SamplesPerPixel == 3 else values.shape
    made.Rows, made.Columns = shape[-2:]
    bits = 8 * values.dtype.itemsize
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    made.PixelData = values.tobytes()
    made["PixelData"].VR = "OW" if bits > 8 else "OB"
    return made


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def encoded(
    made: Dataset,
    syntax: str = ExplicitVRLittleEndian,
    frames: list[bytes] | None = None,
    has_meta: bool = True,
) -> bytes:
    """The bytes of the file. frames: compressed frames in place of the pixels. has_meta: whether to
    write the file meta information."""
    if frames is not None:
        made.PixelData = encapsulate(frames)
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
    is_big = syntax == ExplicitVRBigEndian
    if is_big and made.BitsAllocated > 8:
        kind = np.dtype(f"u{made.BitsAllocated // 8}")
        made.PixelData = np.frombuffer(made.PixelData, kind).byteswap().tobytes()
    file = io.BytesIO()
    if not has_meta:
        buffer = _buffer(file, syntax)
        write_dataset(buffer, made)
        return file.getvalue()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.get("SOPClassUID", CT)
    meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = syntax
    is_implicit = syntax == ImplicitVRLittleEndian
    whole = FileDataset("", made, bytes(128), meta, is_implicit, not is_big)
    whole.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _buffer(file: io.BytesIO, syntax: str) -> Any:
    from pydicom.filebase import DicomFileLike

    buffer = DicomFileLike(file)
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    return buffer


def deflated(content: bytes, level: int = 9) -> bytes:
    """A file with compressed content. content: the result of `encoded` with has_meta=False."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT, "1.2.3"
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    FileDataset("", Dataset(), file_meta=meta, preamble=bytes(128)).save_as(
        file, enforce_file_format=True
    )
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    nothing = 2  # bytes of the empty content that pydicom has compressed
    return file.getvalue()[:-nothing] + packer.compress(content) + packer.flush()
