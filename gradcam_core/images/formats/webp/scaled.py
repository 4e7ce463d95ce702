"""Decodes WebP at a reduced size, which libwebp can do but neither Pillow nor imagecodecs offers.

libwebp shrinks the rows as it decodes them. So an ordinary WebP takes only the memory of the
smaller picture. A lossless one takes four more bytes for each original pixel, all of which libwebp
holds. Needless once `PIL.Image.Image.draft` supports WebP.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

_ABI_VERSION = 0x0209  # of decode.h; libwebp itself checks the first of its two bytes
_RGBA = 1  # MODE_RGBA
_LIBRARY = re.compile(r"\s(/\S.*/libwebp[-.][^/\n]*)$", re.MULTILINE)


class _Buffer(ctypes.Structure):
    """WebPDecBuffer. The larger member of its union is WebPYUVABuffer, of 80 bytes."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height", "is_external")),
        ("rgba", ctypes.c_void_p),
        ("stride", ctypes.c_int),
        ("size", ctypes.c_size_t),
        ("rest_of_union", ctypes.c_uint8 * (80 - 24)),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Config(ctypes.Structure):
    """WebPDecoderConfig: WebPBitstreamFeatures, WebPDecBuffer, WebPDecoderOptions."""

    _fields_ = (
        ("features", ctypes.c_int * 5),
        ("features_pad", ctypes.c_uint32 * 5),
        ("output", _Buffer),
        *((name, ctypes.c_int) for name in ("bypass_filtering", "no_fancy_upsampling")),
        ("crop", ctypes.c_int * 5),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height")),
        *((name, ctypes.c_int) for name in ("use_threads", "dithering", "flip", "alpha_dithering")),
        ("options_pad", ctypes.c_uint32 * 5),
    )


@cache
def _library() -> Any:
    """The libwebp that Pillow has loaded; None if it is not found, as on all systems but Linux,
    which do not limit memory either."""
    with suppress(ImportError, OSError, AttributeError):
        from PIL import _webp  # noqa: F401  # loads libwebp

        found = _LIBRARY.search(Path("/proc/self/maps").read_text())
        if found and ctypes.sizeof(ctypes.c_void_p) == 8:
            library = ctypes.CDLL(found[1])
            for function in (library.WebPInitDecoderConfigInternal, library.WebPDecode):
                function.restype = ctypes.c_int
            return library
    return None


def is_available() -> bool:
    return _library() is not None


def decode_scaled(file: IO[bytes], size: tuple[int, int]) -> np.ndarray:
    """The picture at that size (width, height): uint8 [H, W, 4], colours not multiplied by alpha.
    Raises ValueError if libwebp cannot decode it."""
    library, config = _library(), _Config()
    if not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI_VERSION):
        raise ValueError("another version of libwebp")
    width, height = size
    values = np.empty((height, width, 4), np.uint8)
    config.use_scaling, config.scaled_width, config.scaled_height = 1, width, height
    output = config.output
    output.colorspace, output.is_external = _RGBA, 1
    output.rgba, output.stride, output.size = values.ctypes.data, 4 * width, values.nbytes
    data = np.frombuffer(_content(file), np.uint8)
    address = ctypes.c_void_p(data.ctypes.data)
    if library.WebPDecode(address, ctypes.c_size_t(data.size), ctypes.byref(config)):
        raise ValueError("libwebp cannot decode this")
    return values


def _content(file: IO[bytes]) -> Any:
    """All bytes of a file, not copied."""
    try:
        number = file.fileno()
    except OSError:
        return getattr(file, "getbuffer", file.read)()
    return mmap.mmap(number, 0, access=mmap.ACCESS_READ)
