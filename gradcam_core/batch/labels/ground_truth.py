"""The true classes of a batch's pictures, and whether its networks predict them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow.parquet as pq

from gradcam_core.analysis.overlap_grades import grade_of
from gradcam_core.analysis.sentences.predictions import YES
from gradcam_core.batch.schema import DATA
from gradcam_core.models.class_names.labels import Labels
from gradcam_core.wording import TIED, counted_percentage, listed

if TYPE_CHECKING:
    from gradcam_core.explanation.examination import Examination

PictureLabel: TypeAlias = "str | int"
"""A label as given: the name or the index of a class."""


@dataclass(frozen=True)
class GroundTruth:
    """The labels of a batch. source: where they come from, for `run.json`. classes: for each label,
    the index of its class in each network, None in those that lack it."""

    source: str
    classes: Mapping[PictureLabel, tuple[int | None, ...]]


@dataclass(frozen=True)
class LabelResult:
    """One network's result for the true class of a picture.

    name: of the class, or the label as given if the network lacks the class. index: None if the
    network lacks it. rank, probability: of the class; None if nothing could be computed.
    independent: whether each class has a probability of its own, so that several may be right.
    """

    name: str
    index: int | None = None
    rank: int | None = None
    probability: float | None = None
    independent: bool = False

    def columns(self, agreement: float | None) -> dict[str, object]:
        """Its columns in a row of the data set. agreement: mean overlap of this network's map of
        the true class with those of others, in [0, 1]; None if there are no two such maps."""
        is_correct = None if self.rank is None else self.rank == 1
        if self.independent and self.probability is not None:
            is_correct = self.probability >= YES
        is_elsewhere = None
        if is_correct is not None and agreement is not None:
            is_elsewhere = is_correct and grade_of(agreement).is_near_chance
        return {
            "label": self.name,
            "label_index": self.index,
            "label_rank": self.rank,
            "label_probability": self.probability,
            "correct": is_correct,
            "elsewhere": is_elsewhere,
        }


def label_result(
    truth: GroundTruth | None,
    label: PictureLabel | None,
    network: int,
    labels: Labels,
    held: Examination | None = None,
) -> LabelResult | None:
    """A network's result for a picture with this label; None if the picture has no label.

    network: its position in the batch. labels: its classes. held: its forward pass over the
    picture; None if there is none.
    """
    if truth is None or label is None:
        return None
    index = truth.classes[label][network]
    if index is None:
        return LabelResult(str(label))
    name = labels[index].name
    if held is None or not held.probabilities.any():  # the scores are not numbers
        return LabelResult(name, index)
    rank, probability = held.rank_of(index), held.prediction(index).probability
    return LabelResult(name, index, rank, probability, held.model.info.independent)


def accuracy(out: Path) -> str | None:
    """How many labelled pictures of the data set in out each network is right about, in words; None
    if there are none."""
    found: dict[str, Counter[bool]] = {}
    for part in sorted((out / DATA).glob("*.parquet")):
        columns = ["title", "stands_in_for", "correct"]
        with part.open("rb") as file:
            rows = pq.read_table(file, columns=columns).to_pylist()
        for row in rows:
            if row["correct"] is not None:
                instead = f" for {row['stands_in_for']}" if row["stands_in_for"] else ""
                found.setdefault(row["title"] + instead, Counter())[row["correct"]] += 1
    each = [
        f"{title} {counted_percentage(counts[True], counts.total()).replace(TIED, ' ')} "
        f"({counts[True]} of {counts.total()})"
        for title, counts in sorted(found.items())
    ]
    return f"correct: {listed(each)}" if each else None
