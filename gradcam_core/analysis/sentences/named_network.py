"""A network with the name that sentences use for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_core.analysis.agreement import heat_on, raster
from gradcam_core.analysis.location import HOT, Location, location_of
from gradcam_core.explanation.result import Explanation
from gradcam_core.wording import listed, percentage_in_sentence

_ALL = {2: "both", 3: "all three", 4: "all four", 5: "all five", 6: "all six",
        7: "all seven", 8: "all eight", 9: "all nine"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class NamedNetwork:
    """An explanation, and its network's name in sentences."""

    name: str
    e: Explanation

    @property
    def has_map(self) -> bool:
        return not self.e.degenerate

    @cached_property
    def location(self) -> Location:
        """Where the heat of its map lies. It must have a map."""
        return location_of(self.e)

    @cached_property
    def hot_area(self) -> int:
        """How many places of a raster over the photo are hot; all networks have the same raster."""
        heat = heat_on(self.e, raster(self.e.geometry.photo_size))
        return int(np.count_nonzero(heat >= HOT))


def grouped(
    networks: Iterable[NamedNetwork], key: Callable[[NamedNetwork], Hashable]
) -> list[list[NamedNetwork]]:
    """Groups networks by key, in the order in which the keys first occur."""
    groups: dict[Hashable, list[NamedNetwork]] = {}
    for one in networks:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def names_of(group: Iterable[NamedNetwork]) -> str:
    return listed([one.name for one in group])


def subject(group: Sequence[NamedNetwork], networks: Sequence[NamedNetwork]) -> str:
    """The words "both", "all three" and so on for all networks; otherwise the group's names."""
    if len(group) == len(networks) > 1:
        return _ALL.get(len(group), f"all {len(group)}")
    return names_of(group)


def form(group: Sequence[NamedNetwork], singular: str, plural: str) -> str:
    return singular if len(group) == 1 else plural


def percentages(probabilities: Sequence[float]) -> str:
    """The percentages as a list in words; only one if all look the same."""
    words = [percentage_in_sentence(probability) for probability in probabilities]
    return listed(words if len(set(words)) > 1 else words[:1])
