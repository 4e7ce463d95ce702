"""A talk: a sequence of photos, each with a class, a view and a caption. It is written in TOML;
docs/talks.md describes the format."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.examples import add_pictures, example_path, examples_folder
from demo.server.classes import all_classes
from gradcam_core.cam.methods.registry import check_signed, method_named
from gradcam_core.errors import ChoiceError, GradcamError, LabelError
from gradcam_core.explanation.presets import PRESETS
from gradcam_core.images.geometry import DETAILS, VIEWS
from gradcam_core.images.sandbox import READER_COUNT, read_isolated
from gradcam_core.models.registry import classifier_info

TALK_OF_THE_EXAMPLES = "talk.toml"
"""The file name of the bundled talk, in the folder of the example pictures."""

MOST_SLIDES = 200

_EXAMPLE = "talk-"
"""Prefix of the names by which the page requests a talk's own pictures; the slide's number follows.
"""

PUBLISHED, OWN = "published", "own"
"""The page's names for the kinds of map other than the presets."""


@dataclass(frozen=True)
class Slide:
    """One photo and how to show it. example: the name by which the page requests it. state: the
    choices, with the names of the page's state; missing choices have their defaults."""

    example: str
    title: str
    caption: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Talk:
    title: str
    slides: tuple[Slide, ...]


def read_talk(path: Path) -> Talk:
    """Reads the talk in a file. Paths of photos are relative to the file's folder; the page can
    request these photos like examples from now on.

    Raises ChoiceError, which says which slides cannot be shown, and why.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ChoiceError(f"The talk {path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ChoiceError(f"The talk {path} is not UTF-8 text: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ChoiceError(f"The talk {path} is not valid TOML: {error}.") from None
    found = given.pop("slide", [])
    title = given.pop("title", "")
    if given:
        unknown = next(iter(given))
        raise ChoiceError(f"The talk {path}: a talk has a title and slides, not {unknown!r}.")
    if not isinstance(title, str):
        raise ChoiceError(f"The talk {path}: its title must be a text, not {title!r}.")
    if not isinstance(found, list) or not 0 < len(found) <= MOST_SLIDES:
        raise ChoiceError(
            f"The talk {path} needs from 1 to {MOST_SLIDES} slides, each beginning with [[slide]]."
        )
    slides, pictures, faults = [], {}, {}
    for number, one in enumerate(found, start=1):
        try:
            slide, picture = _slide(number, one, path.parent)
        except GradcamError as error:
            faults[number] = str(error)
            continue
        slides.append(slide)
        if picture is not None:
            pictures[slide.example] = picture
    faults |= _bad_pictures(pictures)
    if faults:
        said = " Slide ".join(f"{number}: {faults[number]}" for number in sorted(faults))
        raise ChoiceError(f"The talk {path}, slide {said}")
    add_pictures(pictures)
    return Talk(title, tuple(slides))


def _bad_pictures(pictures: Mapping[str, Path]) -> dict[int, str]:
    """For each slide whose picture cannot be read, by its number, the reason. Reads all pictures
    now so that no slide fails during the talk. pictures: by their example names."""
    with ThreadPoolExecutor(READER_COUNT) as pool:
        reading = {path: pool.submit(read_isolated, path) for path in pictures.values()}
        return {
            int(example.removeprefix(_EXAMPLE)): f"{path.name}: {error}"
            for example, path in pictures.items()
            if (error := reading[path].exception())
        }


def _slide(number: int, given: object, folder: Path) -> tuple[Slide, Path | None]:
    if not isinstance(given, dict):
        raise ChoiceError("It is not a table: begin it with [[slide]].")
    unknown = set(given) - {"photo", "title", "caption", "map", *_READ}
    if unknown:
        known = ", ".join(["photo", "title", "caption", "map", *_READ])
        raise ChoiceError(f"There is no {sorted(unknown)[0]!r}. Known are: {known}.")
    photo, title, caption = (
        _text(key, given.get(key, "")) for key in ("photo", "title", "caption")
    )
    if not photo:
        raise ChoiceError("It needs a photo: an example's name or a file.")
    example, picture = photo, None
    is_name = photo.isidentifier() or photo[:1].isdigit()
    if not is_name or not os.path.isfile(example_path(photo)):
        picture = folder / os.path.expanduser(photo)
        if not os.path.isfile(picture):  # Path.is_file raises for a name that is too long
            raise ChoiceError(f"There is no picture {photo!r}: give an example's name or a file.")
        example = f"{_EXAMPLE}{number}"
    state = {}
    for key, read in _READ.items():
        if key in given:
            name = {"class": "target"}.get(key, key)
            try:
                state[name] = read(given[key])
            except GradcamError as error:
                raise ChoiceError(f"{key}: {error}") from None
    if state.get("target") is not None and state.get("target") == state.get("contrast"):
        raise ChoiceError("A class cannot be explained against itself.")
    kind = given.get("map")
    if "method" in state or "detail" in state:
        if kind is not None:
            raise ChoiceError("A map sets method and detail: leave out the map, or both of them.")
        state["kind"] = OWN
    elif kind is not None:
        state["kind"] = _one_of({"gradcam": PUBLISHED, **{name: name for name in PRESETS}})(kind)
    if state.get("signed") and "method" in state:
        check_signed(method_named(state["method"]))
    return Slide(example, title, caption, state), picture


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ChoiceError(f"Its {key} is a text, not {value!r}.")
    return value


def _class(name: object) -> int:
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise LabelError(f"A class is a name or an index, not {name!r}.")
    return all_classes().listed.find(name).index


def _one_of(known: Mapping[Any, Any]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        if isinstance(value, bool) is not any(isinstance(one, bool) for one in known) or (
            value not in known
        ):
            names = ", ".join(str(one).lower() for one in known)
            raise ChoiceError(f"There is no {value!r} to choose. Choose one of: {names}.")
        return known[value]

    return read


def _models(names: object) -> list[str]:
    given = [names] if isinstance(names, str) else names
    if not isinstance(given, list) or not given:
        raise ChoiceError(f"A list of names of networks is expected, not {names!r}.")
    return list(dict.fromkeys(classifier_info(str(name)).name for name in given))


def _layer(share: object) -> float:
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0 <= float(share) <= 1:  # type: ignore[arg-type]
        raise ChoiceError(
            f"{share!r} is not a number from 0 (the first feature map) to 1 (the last)."
        )
    return float(share)  # type: ignore[arg-type]


_READ: Mapping[str, Callable[[Any], Any]] = {
    "class": _class,
    "contrast": _class,
    "models": _models,
    "view": _one_of({view: view for view in VIEWS}),
    "method": lambda name: method_named(str(name)).name,
    "detail": _one_of({detail: detail for detail in DETAILS}),
    "layer": _layer,
    "signed": _one_of({True: True, False: False}),
}


def talk_of_the_examples() -> Path:
    """The path of the bundled talk."""
    return examples_folder() / TALK_OF_THE_EXAMPLES
