"""A camera that is a file, for Chromium."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

FRAMES = 30


def film(photo: Path, file: Path, size: tuple[int, int], moves: bool = True) -> Path:
    """A file of frames over which the photo moves from its top left to its bottom right, or stands
    still. size: of the frames, (width, height)."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    scale = max(size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    with file.open("wb") as frames:
        for n in range(FRAMES):
            share = n / (FRAMES - 1) if moves else 0.5
            left = round((picture.width - size[0]) * share)
            top = round((picture.height - size[1]) * share)
            frame = io.BytesIO()
            picture.crop((left, top, left + size[0], top + size[1])).save(frame, "JPEG", quality=90)
            frames.write(frame.getvalue())
    return file


def camera_arguments(file: Path) -> list[str]:
    """Of Chromium's command line: the file is the camera, and no page has to ask for it."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={file}",
    ]
