"""A file that Chromium uses as its camera."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

GREY = (128, 128, 128)

CAMERA_SIDE = 320
"""Height of the camera's picture in the page's tests, in pixels; its width is twice that."""


def film(frames: Iterable[Image.Image], file: Path) -> Path:
    """Writes a film that Chromium uses as a camera, in a loop at 30 frames a second. frames: RGB,
    all of the same size, with an even width and height."""
    with file.open("wb") as film:
        for frame in frames:
            encoded = io.BytesIO()
            frame.save(encoded, "JPEG", quality=92)
            film.write(encoded.getvalue())
    return file


def passing(photo: Path, size: tuple[int, int], count: int = 30) -> Iterator[Image.Image]:
    """Yields frames of this size that move over a photo from its top left to its bottom right."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    scale = max(size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    for n in range(count):
        left = (picture.width - size[0]) * n // (count - 1)
        top = (picture.height - size[1]) * n // (count - 1)
        yield picture.crop((left, top, left + size[0], top + size[1]))


def left_and_right(photo: Path, side: int) -> list[Image.Image]:
    """Two grey frames, twice as wide as high: with the photo at the left, and at the right."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB").resize((side, side))
    frames = []
    for left in (0, side):
        frame = Image.new("RGB", (2 * side, side), GREY)
        frame.paste(picture, (left, 0))
        frames.append(frame)
    return frames


def camera_arguments(file: Path | None = None) -> list[str]:
    """Command-line arguments that give Chromium a camera without asking for permission. file: what
    the camera sees; None for Chromium's own test picture."""
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return arguments if file is None else [*arguments, f"--use-file-for-fake-video-capture={file}"]
