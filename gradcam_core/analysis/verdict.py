"""What the checks of one map have found: its verdict, the reasons for it, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, get_args

from gradcam_core.analysis.deletion_insertion import Curve
from gradcam_core.explanation import Explanation
from gradcam_core.wording import decimal, listed

SURVIVES = 0.7
"""Rank correlation from which on a map with random weights is much the same as the real one."""

STABLE = 0.8
"""Rank correlation below which a small change of the picture has changed the map."""


@dataclass(frozen=True)
class Randomised:
    """part: what was made random last, "head" or the layer that ends a stage; everything behind it
    is random, too. correlation: of the ranks of its heat and of the real map's; None where the map
    is the same everywhere, so that nothing of the real one is left."""

    part: str
    correlation: float | None


Check = Literal["deletion_insertion", "randomisation", "stability"]
Verdict = Literal["holds", "fails"]

CHECKS: tuple[Check, ...] = get_args(Check)
"""The checks: whether the hottest places matter most for the class, whether the map depends on the
weights, and whether it stays when the picture hardly changes."""


@dataclass(frozen=True)
class Reason:
    """What one check has found. text: a clause for people, of a sentence about the map."""

    check: Check
    passed: bool
    text: str


@dataclass(frozen=True)
class Trust:
    """The results of checking one explanation. Probabilities are those of its class.

    deletion, insertion: by its heat, and by the same heat with its cells in a random order; see
    `deletion_insertion`. probability: of the photo; shown_alone: of what the heat lets through.
    sanity: the last one has all weights random. shifts, noises: rank correlations with the maps of
    a photo that was shifted, or had noise added; None as above. For slow methods, whose map takes
    up to minutes, the last three are empty.
    """

    explanation: Explanation
    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve
    probability: float
    shown_alone: float
    sanity: tuple[Randomised, ...]
    shifts: tuple[float | None, ...]
    noises: tuple[float | None, ...]

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

    @property
    def advantage(self) -> float:
        """Area of insertion minus area of deletion, minus the same for the random order. One number
        for both, because either alone depends much on the random order."""
        by_chance = self.random_insertion.area - self.random_deletion.area
        return self.insertion.area - self.deletion.area - by_chance

    @property
    def survives(self) -> bool:
        """Whether the map is much the same where all weights are random."""
        return bool(self.sanity) and (self.sanity[-1].correlation or 0) >= SURVIVES

    @property
    def steadiness(self) -> float | None:
        """The lowest of the rank correlations under small changes of the photo; 0 where one of them
        has left no map. None where there are none."""
        return min((found or 0.0 for found in (*self.shifts, *self.noises)), default=None)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """What each check has found: up to three of `CHECKS`, in their order."""
        return tuple(self._reasons())

    @property
    def verdict(self) -> Verdict:
        """ "holds" if the map has passed all checks, else "fails"."""
        return "holds" if all(reason.passed for reason in self.reasons) else "fails"

    @property
    def sentence(self) -> str:
        """The verdict and the reasons for it, for people."""
        if self.verdict == "holds":
            passed = [reason.text for reason in self.reasons]
            return f"This map holds: {listed(passed, last=', and ')}."
        failed = [reason.text for reason in self.reasons if not reason.passed]
        return f"Be careful with this map: {listed(failed, last=', and ')}."

    def _reasons(self) -> Iterator[Reason]:
        name = f"“{self.explanation.target.name}”"
        passed = self.advantage > 0
        more = "more" if passed else "no more"
        taken_out = f"{self.deletion.area:.2f} against {self.random_deletion.area:.2f}"
        put_in = f"{self.insertion.area:.2f} against {self.random_insertion.area:.2f}"
        areas = f"areas: taken out {taken_out}, put in {put_in}"
        text = f"its hottest places matter {more} for {name} than random places ({areas})"
        yield Reason("deletion_insertion", passed, text)
        if self.sanity:
            yield Reason("randomisation", not self.survives, self._of_random_weights())
        if self.steadiness is not None:
            passed = self.steadiness >= STABLE
            change = "hardly change" if passed else "change"
            least = f"rank correlation {decimal(self.steadiness)} at least"
            text = f"small shifts and a little noise {change} it ({least})"
            yield Reason("stability", passed, text)

    def _of_random_weights(self) -> str:
        left = self.sanity[-1].correlation
        if left is None:
            return "with random weights nothing is left of it"
        correlation = f"(rank correlation {decimal(left)})"
        if not self.survives:
            return f"with random weights the map differs {correlation}"
        text = f"with random weights it stays much the same {correlation}"
        return f"{text}, so it says nothing of the network"

    def record(self) -> dict[str, object]:
        """All of it but the explanation, in types that JSON has."""
        curves = {
            name: {"probabilities": list(curve.probabilities), "area": curve.area}
            for name, curve in (
                ("deletion", self.deletion),
                ("insertion", self.insertion),
                ("random_deletion", self.random_deletion),
                ("random_insertion", self.random_insertion),
            )
        }
        return {
            "verdict": self.verdict,
            "reasons": [asdict(reason) for reason in self.reasons],
            "sentence": self.sentence,
            **curves,
            "probability": self.probability,
            "shown_alone": self.shown_alone,
            "average_drop": self.average_drop,
            "has_increased": self.has_increased,
            "sanity": [asdict(step) for step in self.sanity],
            "survives": self.survives,
            "shifts": list(self.shifts),
            "noises": list(self.noises),
        }
