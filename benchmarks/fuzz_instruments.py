"""Small good DICOM files and raw photos, for `benchmarks.fuzz` to damage."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.handmade_pictures import heif
from tests.support.handmade_pictures.dicom import dataset, encoded, item
from tests.support.handmade_pictures.raw import dng


def seeds(image: Image.Image) -> dict[str, list[bytes]]:
    """The files by format. image: RGB, with even sides."""
    return {"DICOM": _dicom(np.asarray(image)), "raw photos": _raw(image.resize((64, 48)))}


def _dicom(colours: np.ndarray) -> list[bytes]:
    grey = colours[:, :, 0].astype(np.uint16) * 16
    window = {"RescaleSlope": 2, "RescaleIntercept": -9, "WindowCenter": [40, 9]}
    window |= {"WindowWidth": [400, 9]}
    table = item(LUTDescriptor=[300, 0, 12])
    table.add_new("LUTData", "OW", struct.pack("<300H", *range(300)))
    palette = dataset(colours[:, :, 0], PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        palette.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 8])
        palette.add_new(f"{name}PaletteColorLookupTableData", "OW", bytes(range(256)))
    group = item(FrameVOILUTSequence=[item(WindowCenter=1, WindowWidth=9)])
    frames = dataset(np.stack([grey] * 3), NumberOfFrames=3)
    frames.PerFrameFunctionalGroupsSequence = [group] * 3
    codecs = {
        JPEGLosslessSV1: imagecodecs.jpeg8_encode(grey, lossless=True, bitspersample=16),
        JPEGLSLossless: imagecodecs.jpegls_encode(grey),
        JPEG2000Lossless: imagecodecs.jpeg2k_encode(grey, codecformat="j2k", level=0),
        RLELossless: _run_lengths(grey),
    }
    return [
        encoded(dataset(grey, **window)),
        encoded(dataset(grey, **window), ImplicitVRLittleEndian),
        encoded(dataset(grey, **window), ExplicitVRBigEndian, has_meta=False),
        encoded(dataset(grey), DeflatedExplicitVRLittleEndian),
        encoded(dataset(grey, VOILUTSequence=[table], ModalityLUTSequence=[table])),
        encoded(dataset(grey.view("i2"), PixelPaddingValue=0, BitsStored=12, HighBit=11)),
        encoded(dataset(colours, PlanarConfiguration=1)),
        encoded(dataset(colours, PhotometricInterpretation="YBR_FULL")),
        encoded(palette),
        encoded(frames),
        *(encoded(dataset(grey), syntax, frames=[bytes(data)]) for syntax, data in codecs.items()),
    ]


def _run_lengths(grey: np.ndarray) -> bytes:
    """Run-length encoding (PS3.5, annex G) of another picture of the same size, in runs of 20 bytes
    in two planes."""
    plane = bytes([257 - 20, 9, 257 - 20, 200]) * (grey.size // 40)
    return struct.pack("<16L", 2, 64, 64 + len(plane), *[0] * 13) + plane * 2


def _raw(image: Image.Image) -> list[bytes]:
    return [
        dng(image, image.size),
        dng(image, image.size, orientation=6, byte_order=">"),
        dng(image, image.size, is_jpeg=False),
        dng(image, None),
        b"FUJIFILMCCD-RAW 0201FF159502X100".ljust(200, b"\0"),
        b"IIU\0\x08\0\0\0" + dng(image, image.size)[8:],
        heif.box(b"ftyp", b"crx \0\0\0\1crx isom") + heif.box(b"moov", bytes(99)),
    ]
