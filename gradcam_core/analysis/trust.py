"""How far one map can be trusted: is it faithful to the network, does it depend on what the network
has learned, and does it hold still when the picture hardly changes?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.deletion_insertion import STEPS, Curve, curves, shown_alone
from gradcam_core.analysis.randomisation import cascade
from gradcam_core.cam.hooks import exclusive
from gradcam_core.cam.methods import method_named
from gradcam_core.errors import CamError
from gradcam_core.examination import PreparedInput, precision, run_passes
from gradcam_core.explanation import Explanation
from gradcam_core.images.geometry import Preprocessing, ResizablePhoto, View, view_of
from gradcam_core.models.loading import Model
from gradcam_core.wording import decimal

SHIFT = 0.02
"""Of the input's side, that the picture is shifted by to the right, and down."""

NOISE = 0.02
"""Standard deviation of the noise that is added to the picture, whose values are in [0, 1]."""

NOISES = 2
"""How many times noise is added."""

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
"""Whether the hottest places carry the class, whether the map depends on the weights, and whether
it stays when the picture hardly changes."""


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
            return f"This map holds: {_listed([reason.text for reason in self.reasons])}."
        failed = [reason.text for reason in self.reasons if not reason.passed]
        return f"Be careful with this map: {_listed(failed)}."

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
        found = {
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
            **found,
            "probability": self.probability,
            "shown_alone": self.shown_alone,
            "average_drop": self.average_drop,
            "has_increased": self.has_increased,
            "sanity": [asdict(one) for one in self.sanity],
            "survives": self.survives,
            "shifts": list(self.shifts),
            "noises": list(self.noises),
        }


def trust(
    photo: ResizablePhoto,
    model: Model,
    e: Explanation,
    on_progress: Callable[[float], None] = lambda share: None,
    seed: int = 0,
) -> Trust:
    """Check an explanation of this photo by this network; takes some forty passes.

    on_progress: called with the share that is done; what it raises ends the work. seed: of all that
    is random. Raises CamError for a map without heat, which cannot be checked.
    """
    if e.degenerate:
        raise CamError(f"There is no map to check. {e.degenerate}")
    return _Checks(photo, model, e, on_progress, seed).all()


class _Checks:
    def __init__(
        self,
        photo: ResizablePhoto,
        model: Model,
        e: Explanation,
        on_progress: Callable[[float], None],
        seed: int,
    ) -> None:
        self._photo, self._model, self._e = photo, model, e
        self._device = next(model.module.parameters()).device
        self._on_progress, self._seed = on_progress, seed
        self._done = 0
        self._images = 3 + 4 * (STEPS - 1) + 1  # of the curves, and the photo seen through the heat
        self._maps = 0 if method_named(e.method).is_slow else 2 + NOISES + len(model.stages) + 1

    def all(self) -> Trust:
        e, heat = self._e, self._e.feature_map
        image = self._batch(view_of(self._photo.size, self._preprocessing, e.view))
        cells = np.random.default_rng(self._seed).permutation(heat.ravel()).reshape(heat.shape)
        over, shuffled = _over(heat, image), _over(cells, image)
        by_heat, by_chance = curves(self._predict, image, [over, shuffled])
        alone = shown_alone(self._predict, image, over)
        maps = bool(self._maps)
        return Trust(
            explanation=e,
            deletion=by_heat[0],
            insertion=by_heat[1],
            random_deletion=by_chance[0],
            random_insertion=by_chance[1],
            probability=by_heat[0].probabilities[0],
            shown_alone=alone,
            shifts=tuple(self._shifts()) if maps else (),
            noises=tuple(self._noises()) if maps else (),
            sanity=tuple(self._sanity()) if maps else (),
        )

    @property
    def _preprocessing(self) -> Preprocessing:
        return self._model.preprocessing

    def _batch(self, geometry: View) -> Tensor:
        return geometry.batch(self._photo, self._preprocessing).to(self._device)

    def _precision(self) -> AbstractContextManager:
        return precision(self._device.type)

    def _count(self, done: int) -> None:
        self._done += done
        self._on_progress(self._done / (self._images + self._maps))

    def _predict(self, images: Tensor) -> Tensor:
        module = self._model.module
        with exclusive(module), torch.no_grad(), self._precision():
            probabilities = self._model.probabilities(module(images))[:, self._e.target.index]
        self._count(len(images))
        return probabilities

    def _correlation(self, module: nn.Module, batch: Tensor, geometry: View) -> float | None:
        """Of the ranks of this map's heat and the real one's, where both saw the photo."""
        e = self._e
        rivals = [rival.index for rival in e.rivals] or False
        changed = PreparedInput(geometry, e.view, e.detail, batch)
        held = run_passes(replace(self._model, module=module), [changed], e.layer)[0]
        other = held.explain(e.target.index, e.method, rivals)
        self._count(1)
        found = agreement((e, other))
        return found.pairs[0].correlation if found else None

    def _shifts(self) -> Iterator[float | None]:
        geometry = self._e.geometry
        pixels = max(1, round(SHIFT * min(geometry.size)))
        for right, down in ((pixels, 0), (0, pixels)):
            left, top = geometry.offset
            shifted = replace(geometry, offset=(left - right, top - down))
            yield self._correlation(self._model.module, self._batch(shifted), shifted)

    def _noises(self) -> Iterator[float | None]:
        generator = torch.Generator().manual_seed(self._seed)
        batch = self._batch(self._e.geometry)
        deviation = NOISE / torch.tensor(self._preprocessing.std).view(1, -1, 1, 1)
        for _ in range(NOISES):
            noise = torch.randn(batch.shape, generator=generator) * deviation
            noisy = batch + noise.to(self._device)
            yield self._correlation(self._model.module, noisy, self._e.geometry)

    def _sanity(self) -> Iterator[Randomised]:
        batch = self._batch(self._e.geometry)
        for part, module in cascade(self._model.module, batch, self._model.stages, self._seed):
            yield Randomised(part, self._correlation(module, batch, self._e.geometry))


def _over(feature_map: np.ndarray, image: Tensor) -> np.ndarray:
    """The map over a network's input [1, C, H, W], in [0, 1]: float32 [H, W]."""
    heat = torch.from_numpy(feature_map)[None, None].float()
    over = nn.functional.interpolate(heat, image.shape[2:], mode="bilinear")[0, 0]
    return (over / over.max()).numpy()


def _listed(clauses: list[str]) -> str:
    if len(clauses) == 1:
        return clauses[0]
    return f"{', '.join(clauses[:-1])}, and {clauses[-1]}"
