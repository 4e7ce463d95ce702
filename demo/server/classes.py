"""The classes that the page offers: those of all networks, each name once.

The page identifies a class by its place in this list. The first 1000 are ImageNet's, in its order;
those of a person's own networks follow. Classes of the same name are the same class.
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
    """labels: of all classes; their indices are those of the networks that they come from. own: the
    places of their classes, by the names of networks that do not have ImageNet's."""

    labels: tuple[Label, ...]
    own: dict[str, tuple[int, ...]]

    @cached_property
    def alphabetical(self) -> list[int]:
        """All places, in the order of the names."""
        return sorted(range(len(self.labels)), key=lambda n: self.labels[n].name.casefold())

    def search(self, text: str) -> dict[str, Any]:
        """What the page lists for a text that somebody types: the places of classes, and a note
        that says what they are where the text is no class."""
        found = search(self.listed, text)
        indices = [match.label.index for match in found]
        return {"classes": indices, "note": note(self.listed, text, found)}

    @cached_property
    def listed(self) -> Labels:
        """The same classes, whose indices are their places: for finding one."""
        placed = (replace(label, index=place) for place, label in enumerate(self.labels))
        return Labels("list of classes", tuple(placed), is_imagenet=True)

    def index(self, model: str, place: int) -> int:
        """The class's index in a network's outputs. Raises LabelError if the network lacks it."""
        places = self._places(model)
        if place not in places:
            name = self.labels[place].name
            raise LabelError(f"{model_info(model).title} has no class “{name}”.")
        return places.index(place)

    def place(self, model: str, index: int) -> int:
        """The place in this list of one of a network's outputs."""
        return self._places(model)[index]

    def _places(self, model: str) -> tuple[int, ...] | range:
        return self.own.get(model, range(len(imagenet_labels())))


_found: tuple[list[ModelInfo], Classes] | None = None


def all_classes() -> Classes:
    """The classes of all networks that there are. A class keeps its place, which open pages know,
    when others come."""
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
