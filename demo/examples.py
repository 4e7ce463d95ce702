"""The example pictures: where they lie, which of them the page offers, and what each shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_INSTALLED = Path(__file__).parent / "example_pictures"  # where setup.py puts them
_IN_REPOSITORY = Path(__file__).parents[1] / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A picture that the page offers. name: its file name without ".jpg". title: what it is an
    example of. caption: what to notice; true for any choice of networks."""

    name: str
    title: str
    caption: str


EXAMPLES = (
    Example(
        "1_cat",
        "Look-alikes",
        "Tabby, tiger cat, Egyptian cat: which one do they name? Click each of the three. Does the "
        "heat move?",
    ),
    Example(
        "3_cat_and_coffee",
        "Two objects",
        "Which one does each network name? Click the other one in its list, and see where the "
        "heat goes.",
    ),
    Example(
        "5_rocket",
        "Do they agree?",
        "Missile, space shuttle, drilling platform: none of the classes fits well. Compare the "
        "names and the places.",
    ),
    Example(
        "7_house",
        "Cut off",
        "The centre crop leaves out half of the house. Choose “Whole photo”: what happens to the "
        "heat, and to the percentages?",
    ),
    Example(
        "8_boats",
        "Right for the wrong reason?",
        "Explain “dock”. The jetty is at the left. Is the heat there, or on the ship?",
    ),
    Example(
        "9_raccoon",
        "No class fits",
        "ImageNet has no raccoon. What does each network say instead, how sure is it, and where "
        "does it look?",
    ),
)

OPENING = "3_cat_and_coffee"
"""The example that the page opens with."""


@cache
def examples_folder() -> Path:
    """The folder of the example pictures: the installed one, or else the repository's. It also has
    pictures that the page does not offer, for links, tests and documentation."""
    return _INSTALLED if _INSTALLED.is_dir() else _IN_REPOSITORY


_added: dict[str, Path] = {}


def add_pictures(paths: Mapping[str, Path]) -> None:
    """Adds the pictures of a talk, by names under which the page can request them like examples."""
    _added.update(paths)


def example_path(name: str) -> Path:
    """The path of an example or of a talk's picture. The file need not exist."""
    return _added.get(name) or examples_folder() / f"{name}.jpg"


def example_folder(name: str) -> Path:
    """The folder in which the picture with this name must lie, links followed."""
    return _added[name].parent if name in _added else examples_folder()


def example_names() -> list[str]:
    """The names of all pictures in the folder."""
    return sorted(path.stem for path in examples_folder().glob("*.jpg"))
