"""The facts about several explanations of one photo, as the page shows them: names, probabilities,
the table of overlaps, and the heat itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

import gradcam_core as gc
from tests.support.heat_facts import HeatFacts, common_region

NUMBER = r"(?:[<>] )?\d+(?:\.\d+)?"
PERCENTS = rf"{NUMBER} %(?:, {NUMBER} %)*(?: and {NUMBER} %)?"

COUNTS = {"both": 2, "all three": 3, "all four": 4, "all five": 5, "all six": 6, "all nine": 9}


def percent(share: float) -> str:
    """A probability in the required form."""
    if share < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def whole(share: float) -> str:
    """A share of places in the required form."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


class PhotoFacts:
    """agreement: the record behind the table, in which numbers from 0 are the names."""

    def __init__(
        self, explanations: Sequence[gc.Explanation], agreement: dict[str, Any] | None
    ) -> None:
        titles = [e.title for e in explanations]
        self.e = {e.title if titles.count(e.title) == 1 else e.heading: e for e in explanations}
        self.heat = {name: HeatFacts(e) for name, e in self.e.items()}
        self.mapped = [name for name, heat in self.heat.items() if heat.has_map]
        self.scored = [
            name for name, e in self.e.items() if e.unit is None and e.top[0].probability > 0
        ]
        self.table: dict[frozenset[str], dict[str, Any]] = {}
        for pair in (agreement or {}).get("pairs", ()):
            first, second = (list(self.e)[int(number)] for number in pair["names"])
            self.table[frozenset((first, second))] = pair

    @cached_property
    def region(self) -> np.ndarray:
        """What all networks saw."""
        return common_region(list(self.heat.values()))

    @cached_property
    def whoever(self) -> str:
        """A regular expression for the networks that a sentence names."""
        name = f"(?:{'|'.join(map(re.escape, sorted(self.e, key=len, reverse=True)))})"
        return rf"both|all \w+|{name}(?:, {name})*(?: and {name})?"

    def who(self, text: str) -> list[str]:
        """The networks meant by "both", "all three", "they" or a list of names."""
        if text in COUNTS or text == "they":
            assert COUNTS.get(text) in (None, len(self.e)), text
            return list(self.e)
        names = re.split(r", | and ", text)
        assert all(name in self.e for name in names), text
        assert len(set(names)) == len(names), text
        return names

    def has_numbers(self, names: Sequence[str], text: str, shares: Sequence[float]) -> None:
        """Fails unless a text has the probabilities of these networks: one for each, or one for all
        if they are the same."""
        written = [percent(share) for share in shares]
        written = written if len(set(written)) > 1 else written[:1]
        assert re.split(r", | and ", text) == written, (names, text, written)
