"""What the checks of one map have found: the outcome of each, the verdict, and the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from PIL import Image

from gradcam_core.analysis.checks import IMPROBABLE as IMPROBABLE
from gradcam_core.analysis.checks import OUTCOMES, Check, Outcome
from gradcam_core.analysis.deletion_insertion import Curve, Lead
from gradcam_core.analysis.road import Arcc, Road
from gradcam_core.explanation import Explanation
from gradcam_core.explanation_text import Prediction
from gradcam_core.wording import (
    decimal,
    decimal_beside,
    digits_of_error,
    listed,
    percentage_in_sentence,
)

SURVIVES = 0.7
"""Mean rank correlation from which on maps with random weights are much the same as the map."""

DIFFERS = 0.5
"""Mean rank correlation up to which maps with random weights differ from the map."""

STABLE = 0.8
"""Rank correlation below which a small change of the picture has changed the map."""

_LIMITS = (SURVIVES, DIFFERS, STABLE)

_BEGINNINGS: dict[Outcome, str] = {
    "holds": "This map holds",
    "unclear": "It is not clear whether this map holds",
    "fails": "This map fails",
}


@dataclass(frozen=True)
class Randomised:
    """part: what was made random last, "head" or the layer that ends a stage; everything behind it
    is random, too. correlation: of the ranks of its heat and of the real map's; None where the map
    is the same everywhere, so that nothing of the real one is left."""

    part: str
    correlation: float | None


@dataclass(frozen=True)
class Reason:
    """What one check has found. text: a clause for people, of a sentence about the map, with the
    check's own number and spread."""

    check: Check
    outcome: Outcome
    text: str

    @property
    def passed(self) -> bool:
        return self.outcome == "holds"

    def record(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class Measure:
    """A number that others know, told beside the checks and with no part in the verdict. text: what
    it says, a clause for people."""

    name: Literal["ROAD", "ARCC"]
    value: float
    text: str

    @property
    def sentence(self) -> str:
        return f"{self.name} {decimal(self.value)}: {self.text}."


@dataclass(frozen=True)
class Altered:
    """The photo as the network saw it, with some of it taken away, and what the network says then.

    share: of the picture, the hottest, that was taken away, or that alone was left. picture: RGB,
    of the size of the network's input. probability: of the class explained; top: the most probable
    classes.
    """

    share: float
    picture: Image.Image
    probability: float
    top: tuple[Prediction, ...]

    def record(self) -> dict[str, object]:
        """All but the picture."""
        top = [asdict(prediction) for prediction in self.top]
        return {"share": self.share, "probability": self.probability, "top": top}


@dataclass(frozen=True)
class Trust:
    """The results of checking one explanation. Probabilities are those of its class.

    deletion, insertion: by its heat; elsewhere: pairs of the same by the map laid elsewhere, none
    for a class that is too improbable; see `deletion_insertion`. without, alone: the photo without
    its hottest places, and with only them. probability: of the photo; shown_alone: of the photo
    seen through the heat. sanity: of the network made random step by step, the last step is all of
    it; random_weights: of several networks with all weights random. shifts, noises: of a photo
    that was shifted, or had noise added. These are rank correlations with the map, None where
    there is no other map; for slow methods, whose map takes up to minutes, they are empty, and
    there is no arcc. seed: of all that was random.
    """

    explanation: Explanation
    deletion: Curve
    insertion: Curve
    elsewhere: tuple[tuple[Curve, Curve], ...]
    without: Altered
    alone: Altered
    probability: float
    shown_alone: float
    sanity: tuple[Randomised, ...]
    random_weights: tuple[float | None, ...]
    shifts: tuple[float | None, ...]
    noises: tuple[float | None, ...]
    road: Road
    arcc: Arcc | None
    seed: int = 0

    @property
    def average_drop(self) -> float:
        """Share of the probability that is lost where only hot places are visible, in [0, 1]."""
        if not self.probability:
            return 0.0
        return max(0.0, self.probability - self.shown_alone) / self.probability

    @property
    def has_increased(self) -> bool:
        """Whether the network is more confident where only hot places are visible."""
        return self.shown_alone > self.probability

    @cached_property
    def lead(self) -> Lead | None:
        """How much more the hottest places matter than places elsewhere; None where the class is
        too improbable to tell."""
        return Lead.of((self.deletion, self.insertion), self.elsewhere) if self.elsewhere else None

    @property
    def survival(self) -> float | None:
        """Mean rank correlation with the maps of networks with random weights, of those that have a
        map; None if none has."""
        measured = [found for found in self.random_weights if found is not None]
        return sum(measured) / len(measured) if measured else None

    @property
    def steadiness(self) -> float | None:
        """The lowest of the rank correlations under small changes of the photo; 0 where one of them
        has left no map. None where there are none."""
        return min((found or 0.0 for found in self._changes), default=None)

    @property
    def lowest_change(self) -> float | None:
        """The lowest of the rank correlations that could be measured; None where none could."""
        return min((found for found in self._changes if found is not None), default=None)

    @property
    def _changes(self) -> tuple[float | None, ...]:
        return (*self.shifts, *self.noises)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """What each check has found: up to three of `CHECKS`, in their order."""
        return tuple(self._reasons())

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What has no part in the verdict."""
        road = Measure("ROAD", self.road.value, self.road.text)
        if self.arcc is None:
            return (road,)
        return (road, Measure("ARCC", self.arcc.value, self.arcc.text))

    @property
    def verdict(self) -> Outcome:
        """The worst outcome of all checks."""
        return max((reason.outcome for reason in self.reasons), key=OUTCOMES.index)

    @property
    def sentence(self) -> str:
        """The verdict and the reasons for it, for people."""
        worst = [reason.text for reason in self.reasons if reason.outcome == self.verdict]
        return f"{_BEGINNINGS[self.verdict]}: {listed(worst, last=', and ')}."

    def _reasons(self) -> Iterator[Reason]:
        yield self._deletion_insertion()
        if self.random_weights:
            yield self._randomisation(self.survival)
        if self.steadiness is not None:
            yield self._stability(self.steadiness)

    def _deletion_insertion(self) -> Reason:
        name, lead = f"“{self.explanation.target.name}”", self.lead
        if lead is None:
            percentage = percentage_in_sentence(self.probability)
            if percentage == percentage_in_sentence(IMPROBABLE):
                percentage = f"{decimal_beside(100 * self.probability, [100 * IMPROBABLE], 1)} %"
            text = f"{name} has {percentage} here, too little to find out what it rests on"
            return Reason("deletion_insertion", "unclear", text)
        outcome: Outcome = "unclear"
        words = "matter about as much"
        if lead.is_settled:
            outcome = "holds" if lead.value > 0 else "fails"
            words = "matter more" if lead.value > 0 else "matter less"
        than = "than" if lead.is_settled else "as"
        digits = digits_of_error(lead.error)
        number = f"{decimal(lead.value, digits)} ± {decimal(lead.error, digits)}"
        little = "" if lead.is_large else "; that is less than one in twenty"
        text = (
            f"its hottest places {words} for {name} {than} the same map laid elsewhere "
            f"(lead {number}, {lead.count} places{little})"
        )
        if outcome == "holds" and (doubt := self._doubt(lead)):
            return Reason("deletion_insertion", "unclear", f"{text}, but {doubt}")
        return Reason("deletion_insertion", outcome, text)

    def _doubt(self, lead: Lead) -> str:
        """What a person who looks at the pictures or the curves would hold against a lead."""
        if self.without.probability >= self.probability:
            return "the class is no less probable without them"
        if lead.deletion < 0:
            return "taking them out lowers the probability no more than elsewhere"
        if lead.insertion < 0:
            return "shown alone they raise the probability no more than elsewhere"
        return ""

    def _randomisation(self, mean: float | None) -> Reason:
        if mean is None:
            return Reason("randomisation", "holds", "with random weights nothing is left of it")
        number = f"({_spread(self.random_weights)})"
        if not self._are_of_one_kind(mean):
            number = f"on average {number}"
        if mean >= SURVIVES:
            text = f"with random weights it stays much the same {number}"
            return Reason("randomisation", "fails", f"{text}, so it says nothing of the network")
        if mean > DIFFERS:
            return Reason(
                "randomisation", "unclear", f"with random weights it stays similar {number}"
            )
        return Reason("randomisation", "holds", f"with random weights the map differs {number}")

    def _are_of_one_kind(self, mean: float) -> bool:
        """Whether what is said of the mean is so of each map with random weights."""
        kinds = (
            (one >= SURVIVES) - (one <= DIFFERS)
            for one in (mean, *(one for one in self.random_weights if one is not None))
        )
        return len(set(kinds)) == 1

    def _stability(self, least: float) -> Reason:
        number = f"({_spread(self._changes)})"
        if least >= STABLE:
            text = f"small shifts and a little noise hardly change it {number}"
            return Reason("stability", "holds", text)
        outcome: Outcome = "unclear" if (_mean(self._changes) or 0) >= STABLE else "fails"
        if min(found or 0.0 for found in self.shifts) >= STABLE:
            text = "a little noise changes it, small shifts hardly do"
        elif min(found or 0.0 for found in self.noises) >= STABLE:
            text = "small shifts change it, a little noise hardly does"
        elif outcome == "fails":
            text = "small shifts and a little noise change it"
        else:
            text = "some small shifts and some noise change it, others do not"
        return Reason("stability", outcome, f"{text} {number}")

    def record(self) -> dict[str, object]:
        """All of it but the explanation and the pictures, in types that JSON has."""
        deletions, insertions = zip(*self.elsewhere, strict=True) if self.elsewhere else ((), ())
        return {
            "verdict": self.verdict,
            "reasons": [reason.record() for reason in self.reasons],
            "sentence": self.sentence,
            "lead": self.lead.record() if self.lead else None,
            "deletion": _curve(self.deletion),
            "insertion": _curve(self.insertion),
            "random_deletion": _band(deletions),
            "random_insertion": _band(insertions),
            "without": self.without.record(),
            "alone": self.alone.record(),
            "probability": self.probability,
            "shown_alone": self.shown_alone,
            "average_drop": self.average_drop,
            "has_increased": self.has_increased,
            "sanity": [asdict(step) for step in self.sanity],
            "random_weights": list(self.random_weights),
            "survives": self.survival is not None and self.survival >= SURVIVES,
            "shifts": list(self.shifts),
            "noises": list(self.noises),
            "measures": [asdict(measure) for measure in self.measures],
            "seed": self.seed,
        }


def _curve(curve: Curve) -> dict[str, object]:
    return asdict(curve) | {"area": curve.area}


def _band(curves: Sequence[Curve]) -> dict[str, object] | None:
    """The mean of several curves, with the lowest and highest probabilities; None without any."""
    if not curves:
        return None
    values = np.array([curve.probabilities for curve in curves])
    mean = Curve(curves[0].shares, tuple(values.mean(axis=0).tolist()))
    ends = {"lowest": values.min(axis=0).tolist(), "highest": values.max(axis=0).tolist()}
    return _curve(mean) | ends


def _mean(correlations: Sequence[float | None]) -> float | None:
    """Of rank correlations, 0 where there is no map; None without any."""
    values = [found or 0.0 for found in correlations]
    return sum(values) / len(values) if values else None


def _spread(correlations: Sequence[float | None]) -> str:
    """The lowest and the highest of those that there are, and how many are missing, as text."""
    values = [found for found in correlations if found is not None]
    missing = len(correlations) - len(values)
    none = f"no map in {missing} of {len(correlations)}"
    if not values:
        return none
    lowest, highest = (decimal_beside(one, _LIMITS) for one in (min(values), max(values)))
    spread = lowest if lowest == highest else f"{lowest} to {highest}"
    return f"rank correlation {spread}{f', {none}' if missing else ''}"
