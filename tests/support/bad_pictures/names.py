"""Good pictures under wrong names, or under names that do harm if they are trusted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.support.bad_pictures.bad_picture import CAT, BadPicture
from tests.support.bad_pictures.encodings import as_file


def under_wrong_names() -> Iterator[BadPicture]:
    names = {
        "JPEG": ("cat.png", "cat.exe", "cat.svg"),
        "PNG": ("cat.jpg", "cat.pdf", "cat"),
        "WebP": ("cat.gif", "cat.html"),
        "GIF": ("cat.jpeg",),
        "TIFF": ("cat.bmp",),
        "BMP": ("cat.heic",),
        "AVIF": ("cat.webp", "cat.mp4"),
        "HEIC": ("cat.jpg", "cat.avif"),
        "PPM": ("cat.tiff",),
    }
    for encoding, given in names.items():
        for name in given:
            yield BadPicture(
                "names that lie",
                f"{encoding} called {name}",
                partial(as_file, encoding),
                CAT,
                file_name=name,
            )


ODD_NAMES = {
    "up and away": "../../../../../../tmp/made_by_a_picture.png",
    "up and away, encoded": "..%2f..%2f..%2fmade_by_a_picture.png",
    "up and away on Windows": "..\\..\\..\\made_by_a_picture.png",
    "an absolute path": "/tmp/made_by_a_picture.png",
    "NUL": "cat\0.png",
    "NUL before another ending": "cat.html\0.png",
    "300 characters": "c" * 296 + ".png",
    "300 characters of four bytes each": "\N{CAT FACE}" * 296 + ".png",
    "right-to-left marks": "cat\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "line breaks": "cat\r\nX-Header: 1\n.png",
    "an option": "--help.png",
    "quotes": "cat\"'`$(id);.png",
    "tags": "<img src=x onerror=alert(1)>.png",
    "only dots": "..",
    "one dot": ".png",
    "a space": " ",
    "no Unicode": "cat\udcff.png",
    "a device of Windows": "CON.png",
    "emoji": "\N{CAT FACE}\N{ZERO WIDTH JOINER}\N{HOT BEVERAGE}.png",
    "format codes": "%s%n%x{0}{__class__}.png",
}


def odd_names() -> Iterator[BadPicture]:
    for name, file_name in ODD_NAMES.items():
        yield BadPicture(
            "odd names", f"called {name}", partial(as_file, "PNG"), CAT, file_name=file_name
        )
