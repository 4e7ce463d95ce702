"""HEIC and AVIF of 10 and 12 bits a channel: reads all bits, which Pillow reduces to 8."""

from __future__ import annotations

from typing import IO

import numpy as np
from PIL import ExifTags, Image

from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.limits import check_size
from gradcam_core.images.pixels.brightness import as_picture, raster_of

_QUARTER = 64  # of 256 levels
_HEAD_BYTES = 2**16  # of the file, with the properties of the picture
_AV1_CONFIG = b"av1C"
_HIGH, _TWELVE = 0x40, 0x20  # bits of its third byte (AV1 in ISOBMFF, section 2.3.3)


def depth_of(image: Image.Image, file: IO[bytes]) -> int:
    """Bits per channel of a file that Pillow has opened; 8 if it is neither HEIC nor AVIF."""
    if image.format == "HEIF":
        return int(image.info.get("bit_depth") or 8)
    if image.format != "AVIF":
        return 8
    file.seek(0)
    _, found, config = file.read(_HEAD_BYTES).partition(_AV1_CONFIG)
    flags = config[2] if found and len(config) > 2 else 0
    return 8 + 2 * bool(flags & _HIGH) + 2 * bool(flags & _HIGH and flags & _TWELVE)


def in_own_levels(image: Image.Image, file: IO[bytes], window: Window | None) -> Decoded | None:
    """Reads a picture of more than 8 bits where the upper 8 do not suffice: through a window, and
    if it spans little of the full range. None for any other. Raises ImageError, and whatever the
    decoders raise."""
    bits = depth_of(image, file)
    if bits <= 8 or (window is None and not spans_little(image)):
        return None
    file.seek(0)
    values, owner = (_heif if image.format == "HEIF" else _avif)(file)
    check_size(values.shape[1], values.shape[0])
    full = 2**bits - 1
    colours, alpha = with_alpha_apart(values)
    if alpha is not None:  # a raster wants it over the full range of its type
        alpha = np.minimum(alpha.astype(np.uint32) * 0xFFFF // full, 0xFFFF).astype(np.uint16)
    raster = raster_of(colours, alpha, full=(0.0, float(full)))
    decoded = as_picture(raster, window, image.getexif().get(ExifTags.Base.Orientation, 1))
    del owner  # it had to live until here, as the values are in its memory
    return decoded


def spans_little(image: Image.Image) -> bool:
    """Whether the colours of an opened picture span less than a quarter of the full range, or
    Pillow has read more than 8 bits."""
    image.load()
    extrema = image.convert(image.mode).getextrema()
    if not isinstance(extrema[0], tuple):
        return image.mode != "L" or extrema[1] - extrema[0] < _QUARTER
    colours = extrema[:3] if len(extrema) >= 3 else extrema[:1]
    lows, highs = zip(*colours, strict=True)
    return bool(max(highs) - min(lows) < _QUARTER)


def with_alpha_apart(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """[H, W] or [H, W, 1 to 4] -> colours [H, W] or [H, W, 3], and alpha [H, W] or None."""
    if values.ndim == 2:
        return values, None
    count = values.shape[2]
    alpha = values[:, :, -1] if count in (2, 4) else None
    return values[:, :, :3] if count >= 3 else values[:, :, 0], alpha


def _heif(file: IO[bytes]) -> tuple[np.ndarray, object]:
    import pi_heif

    images = pi_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = images[images.primary_index]
    (width, height), samples = image.size, len(image.mode.split(";")[0])
    rows = np.frombuffer(image.data, np.uint16).reshape(height, image.stride // 2)
    return rows[:, : width * samples].reshape(height, width, samples), image


def _avif(file: IO[bytes]) -> tuple[np.ndarray, object]:
    import imagecodecs

    return imagecodecs.avif_decode(file.read(), index=0, numthreads=2), None
