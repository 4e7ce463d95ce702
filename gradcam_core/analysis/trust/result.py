"""The results of checking a map: the figures, what follows from them, and the record of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from PIL import Image

from gradcam_core.analysis.trust.deletion_insertion import Curve, Lead
from gradcam_core.analysis.trust.limits import SURVIVES
from gradcam_core.analysis.trust.road import Arcc, Road
from gradcam_core.analysis.trust.verdict import (
    Outcome,
    Reason,
    deletion_insertion_reason,
    mean_of_measured,
    randomisation_reason,
    sentence_of,
    stability_reason,
    verdict_of,
)
from gradcam_core.explanation.result import Explanation
from gradcam_core.explanation.text import Prediction
from gradcam_core.wording import decimal


@dataclass(frozen=True)
class Randomised:
    """A step of the randomisation. part: the part randomised last, "head" or the layer that ends a
    stage; everything after it is random, too. correlation: rank correlation of the resulting map
    with the real one, in [-1, 1]; None if that map is the same everywhere, so that nothing of the
    real map is left."""

    part: str
    correlation: float | None


@dataclass(frozen=True)
class Measure:
    """A published measure, reported beside the checks without affecting the verdict. text: a clause
    that explains its value to people."""

    name: Literal["ROAD", "ARCC"]
    value: float
    text: str

    @property
    def sentence(self) -> str:
        return f"{self.name} {decimal(self.value)}: {self.text}."


@dataclass(frozen=True)
class Altered:
    """The photo as the network sees it with part of it removed, and the network's prediction then.

    share: of the picture, hottest places first, that was removed, or that alone was left. picture:
    RGB, in the size of the network's input. probability: of the class explained. top: the most
    probable classes.
    """

    share: float
    picture: Image.Image
    probability: float
    top: tuple[Prediction, ...]

    def record(self) -> dict[str, object]:
        """All fields but the picture, in JSON's types."""
        top = [asdict(prediction) for prediction in self.top]
        return {"share": self.share, "probability": self.probability, "top": top}


@dataclass(frozen=True)
class Trust:
    """The results of checking one explanation. Probabilities are those of its class.

    deletion, insertion: the curves for its heat; elsewhere: pairs of curves for the map laid
    elsewhere, none for a class that is too improbable, see `deletion_insertion`. without, alone:
    the photo without its hottest places, and with only them. probability: for the photo;
    shown_alone: for the photo seen through the heat.

    sanity: for the network randomised step by step, the last step being all of it; random_weights:
    for several networks with all weights random; shifts, noises: for photos that were shifted or
    had noise added. These are rank correlations with the map, None if there is no other map; for
    slow methods, whose map takes up to minutes, they are empty, and there is no arcc. seed: for
    everything random.
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
        """The share of the probability, in [0, 1], that is lost if only hot places are visible."""
        if not self.probability:
            return 0.0
        return max(0.0, self.probability - self.shown_alone) / self.probability

    @property
    def has_increased(self) -> bool:
        """Whether the network is more confident if only hot places are visible."""
        return self.shown_alone > self.probability

    @cached_property
    def lead(self) -> Lead | None:
        """How much more the hottest places matter than places elsewhere; None if the class is too
        improbable to tell."""
        return Lead.of((self.deletion, self.insertion), self.elsewhere) if self.elsewhere else None

    @property
    def survival(self) -> float | None:
        """Mean rank correlation with the maps of networks with random weights, over those networks
        that give a map; None if none does."""
        return mean_of_measured(self.random_weights)

    @property
    def steadiness(self) -> float | None:
        """The lowest rank correlation under small changes of the photo, where a lost map counts as
        0; None if none were made."""
        return min((found or 0.0 for found in self._changes), default=None)

    @property
    def lowest_change(self) -> float | None:
        """The lowest of the rank correlations that could be measured; None if none could."""
        return min((found for found in self._changes if found is not None), default=None)

    @property
    def _changes(self) -> tuple[float | None, ...]:
        return (*self.shifts, *self.noises)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """The result of each check, in the order of `CHECKS`. Slow methods have only the first."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[Reason]:
        name, without = self.explanation.target.name, self.without.probability
        yield deletion_insertion_reason(name, self.lead, self.probability, without)
        if self.random_weights:
            yield randomisation_reason(self.random_weights)
        if self._changes:
            yield stability_reason(self.shifts, self.noises)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that do not affect the verdict."""
        road = Measure("ROAD", self.road.value, self.road.text)
        if self.arcc is None:
            return (road,)
        return (road, Measure("ARCC", self.arcc.value, self.arcc.text))

    @property
    def verdict(self) -> Outcome:
        """The worst outcome of all checks."""
        return verdict_of(self.reasons)

    @property
    def sentence(self) -> str:
        """The verdict and the reasons for it, for people."""
        return sentence_of(self.reasons)

    def record(self) -> dict[str, object]:
        """Everything but the explanation and the pictures, in JSON's types."""
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
    """The record of the mean of several curves, with the lowest and highest probability at each
    share; None if there are no curves."""
    if not curves:
        return None
    values = np.array([curve.probabilities for curve in curves])
    mean = Curve(curves[0].shares, tuple(values.mean(axis=0).tolist()))
    ends = {"lowest": values.min(axis=0).tolist(), "highest": values.max(axis=0).tolist()}
    return _curve(mean) | ends
