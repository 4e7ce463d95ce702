"""The classes that the page offers: those of all networks, each name once.

The page identifies a class by its place in this list. The first 1000 are ImageNet's, in its order;
those of users' own networks follow. Classes with the same name are the same class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gradcam_core import imagenet_labels
from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.class_search import note, search
from gradcam_core.models.class_names.labels import Label, Labels
from gradcam_core.models.registry import ModelInfo, classifiers, model_info


@dataclass(frozen=True, eq=False)
class Classes:
    """labels: of all classes, by place; the index in a label is that of the network it comes from.
    own: for each network without ImageNet's classes, by its name, the places of its classes."""

    labels: tuple[Label, ...]
    own: dict[str, tuple[int, ...]]

    @cached_property
    def alphabetical(self) -> list[int]:
        """All places, in the order of the names."""
        return sorted(range(len(self.labels)), key=lambda n: self.labels[n].name.casefold())

    def search(self, text: str) -> dict[str, Any]:
        """The answer to a typed text: the places of the classes to list, and a note that says what
        they are if the text is no class."""
        found = search(self.listed, text)
        indices = [match.label.index for match in found]
        return {"classes": indices, "note": note(self.listed, text, found)}

    @cached_property
    def listed(self) -> Labels:
        """The same classes with their places as indices, for finding a class."""
        placed = (replace(label, index=place) for place, label in enumerate(self.labels))
        return Labels("list of classes", tuple(placed), is_imagenet=True)

    def index(self, model: str, place: int) -> int:
        """A class's index in a network's outputs. Raises LabelError if the network lacks it."""
        places = self._places(model)
        if place not in places:
            name = self.labels[place].name
            raise LabelError(f"{model_info(model).title} has no class “{name}”.")
        return places.index(place)

    def place(self, model: str, index: int) -> int:
        """The place in this list of the class with this index in a network's outputs."""
        return self._places(model)[index]

    def _places(self, model: str) -> tuple[int, ...] | range:
        return self.own.get(model, range(len(imagenet_labels())))


_found: tuple[list[ModelInfo], Classes] | None = None


def all_classes() -> Classes:
    """The classes of all registered networks. When networks are added, known classes keep their
    places, which open pages use."""
    global _found
    networks = classifiers()
    before, classes = _found or ([], None)
    if classes is None or [*map(id, before)] != [*map(id, networks)]:
        is_gone = {info.name for info in before} - {info.name for info in networks}
        known = imagenet_labels() if classes is None or is_gone else classes.labels
        classes = _of(networks, known)
        _found = networks, classes
    return classes


def _of(networks: Sequence[ModelInfo], known: Iterable[Label]) -> Classes:
    labels = list(known)
    places = {label.name.casefold(): n for n, label in enumerate(labels)}
    own = {}
    for info in networks:
        if info.labels is imagenet_labels():
            continue
        for label in info.labels:
            key = label.name.casefold()
            if key not in places:
                places[key] = len(labels)
                labels.append(label)
        own[info.name] = tuple(places[label.name.casefold()] for label in info.labels)
    return Classes(tuple(labels), own)
