"""Decides the outcome of each check from its figures, puts it into words, and gives the verdict.

The numbers that decide are in `limits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from gradcam_core.analysis.trust.limits import (
    DIFFERS,
    IMPROBABLE,
    OF_CORRELATIONS,
    STABLE,
    SURVIVES,
)
from gradcam_core.wording import (
    decimal,
    decimal_beside,
    digits_of_error,
    listed,
    percentage_in_sentence,
)

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.deletion_insertion import Lead

Check = Literal["deletion_insertion", "randomisation", "stability"]
Outcome = Literal["holds", "unclear", "fails"]
Correlations = Sequence[float | None]
"""Rank correlations in [-1, 1]; None where there is no other map."""

CHECKS: tuple[Check, ...] = get_args(Check)
"""The checks: whether the hottest places matter most for the class, whether the map depends on the
weights, and whether it stays when the picture hardly changes."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""From the best to the worst."""

HEADINGS: dict[Outcome, str] = {
    "holds": "This map holds",
    "unclear": "Not clear",
    "fails": "This map fails",
}
"""A verdict in a few words; `web/verdicts.js` repeats them for the page and the report."""

_BEGINNINGS: dict[Outcome, str] = {
    "holds": "This map holds",
    "unclear": "It is not clear whether this map holds",
    "fails": "This map fails",
}


@dataclass(frozen=True)
class Reason:
    """The result of a check. text: a clause for people, in a sentence about the map, with the
    check's number and its spread."""

    check: Check
    outcome: Outcome
    text: str

    @property
    def passed(self) -> bool:
        return self.outcome == "holds"

    def record(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


def verdict_of(reasons: Sequence[Reason]) -> Outcome:
    """The worst outcome of all checks. Needs at least one."""
    return max((reason.outcome for reason in reasons), key=OUTCOMES.index)


def sentence_of(reasons: Sequence[Reason]) -> str:
    """The verdict and the reasons for it, for people."""
    verdict = verdict_of(reasons)
    worst = [reason.text for reason in reasons if reason.outcome == verdict]
    return f"{_BEGINNINGS[verdict]}: {listed(worst, last=', and ')}."


def deletion_insertion_reason(
    name: str, lead: Lead | None, probability: float, without: float
) -> Reason:
    """The result of deletion and insertion. name: of the class explained. lead: None if the class
    is too improbable to have one. probability: of the class in the photo. without: its probability
    in the photo without the hottest places."""
    if lead is None:
        percentage = percentage_in_sentence(probability)
        if percentage == percentage_in_sentence(IMPROBABLE):
            percentage = f"{decimal_beside(100 * probability, [100 * IMPROBABLE], 1)} %"
        text = f"“{name}” has {percentage} here, too little to find out what it rests on"
        return Reason("deletion_insertion", "unclear", text)
    outcome: Outcome = "unclear"
    words, than = "matter neither clearly more nor clearly less", "than"
    if not lead.is_large:
        words, than = "matter about as much", "as"
    elif lead.is_settled:
        outcome, words = ("holds", "matter more") if lead.value > 0 else ("fails", "matter less")
    digits = digits_of_error(lead.error)
    number = f"{decimal(lead.value, digits)} ± {decimal(lead.error, digits)}"
    little = "" if lead.is_large else "; the probability differs by less than a twentieth"
    text = (
        f"its hottest places {words} for “{name}” {than} those of the same map laid "
        f"elsewhere (lead {number}, {lead.count} places{little})"
    )
    if outcome == "holds" and (doubt := _doubt(lead, probability, without)):
        return Reason("deletion_insertion", "unclear", f"{text}, but {doubt}")
    return Reason("deletion_insertion", outcome, text)


def _doubt(lead: Lead, probability: float, without: float) -> str:
    """An objection to a lead that a person would see in the pictures or curves; "" if there is
    none."""
    if without >= probability:
        return "the class is no less probable without them"
    if lead.deletion < 0:
        return "taking them out lowers the probability no more than elsewhere"
    if lead.insertion < 0:
        return "shown alone they raise the probability no more than elsewhere"
    return ""


def randomisation_reason(random_weights: Correlations) -> Reason:
    """The result of randomisation. random_weights: correlations with the maps of at least one
    network whose weights are all random."""
    mean = mean_of_measured(random_weights)
    if mean is None:
        return Reason("randomisation", "holds", "with random weights nothing is left of it")
    number = f"({_spread(random_weights)})"
    if not _are_of_one_kind(mean, random_weights):
        number = f"on average {number}"
    if mean >= SURVIVES:
        text = f"with random weights it stays much the same {number}"
        return Reason("randomisation", "fails", f"{text}, so it says nothing about the network")
    if mean > DIFFERS:
        text = f"with random weights it stays similar {number}"
        return Reason("randomisation", "unclear", text)
    return Reason("randomisation", "holds", f"with random weights the map differs {number}")


def _are_of_one_kind(mean: float, random_weights: Correlations) -> bool:
    """Whether every map with random weights lies between the same limits as the mean."""
    kinds = (
        (one >= SURVIVES) - (one <= DIFFERS)
        for one in (mean, *(one for one in random_weights if one is not None))
    )
    return len(set(kinds)) == 1


def stability_reason(shifts: Correlations, noises: Correlations) -> Reason:
    """The result of stability. shifts, noises: correlations with the maps of the photo shifted and
    with noise added, at least one each. A lost map (None) counts as 0."""
    shifted, noisy = ([found or 0.0 for found in of_kind] for of_kind in (shifts, noises))
    changes = [*shifted, *noisy]
    number = f"({_spread([*shifts, *noises])})"
    if min(changes) >= STABLE:
        text = "small shifts and a little noise hardly change it"
        return Reason("stability", "holds", f"{text} {number}")
    outcome: Outcome = "unclear" if sum(changes) / len(changes) >= STABLE else "fails"
    if min(shifted) >= STABLE:
        text = "a little noise changes it, small shifts hardly do"
    elif min(noisy) >= STABLE:
        text = "small shifts change it, a little noise hardly does"
    elif outcome == "fails":
        on_average = " on average" if max(changes) >= STABLE else ""
        text = f"small shifts and a little noise change it{on_average}"
    else:
        text = "some small shifts and some noise change it, others do not"
    return Reason("stability", outcome, f"{text} {number}")


def mean_of_measured(correlations: Correlations) -> float | None:
    """The mean of the correlations that are not None; None if all are."""
    measured = [found for found in correlations if found is not None]
    return sum(measured) / len(measured) if measured else None


def _spread(correlations: Correlations) -> str:
    """The lowest and highest correlation that are not None, and how many are None, as text."""
    measured = [found for found in correlations if found is not None]
    missing = len(correlations) - len(measured)
    none = f"no map in {missing} of {len(correlations)}"
    if not measured:
        return none
    ends = min(measured), max(measured)
    lowest, highest = (decimal_beside(end, OF_CORRELATIONS) for end in ends)
    spread = lowest if lowest == highest else f"{lowest} to {highest}"
    return f"rank correlation {spread}{f', {none}' if missing else ''}"
