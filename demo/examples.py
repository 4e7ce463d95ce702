"""Where the example pictures lie."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_INSTALLED = Path(__file__).parent / "example_pictures"  # where setup.py puts them
_IN_REPOSITORY = Path(__file__).parents[1] / "assets" / "examples"


@cache
def examples_folder() -> Path:
    """The folder of the example pictures: the installed one, or else the repository's."""
    return _INSTALLED if _INSTALLED.is_dir() else _IN_REPOSITORY


def example_pictures() -> list[Path]:
    """The example pictures, in the order of the page."""
    return sorted(examples_folder().glob("*.jpg"))
