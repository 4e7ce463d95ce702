"""How far one map can be trusted: is it faithful to the network, does it depend on what the network
has learned, and does it hold still when the picture hardly changes?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.deletion_insertion import STEPS, curves, shown_alone
from gradcam_core.analysis.randomisation import cascade
from gradcam_core.analysis.verdict import Randomised, Trust
from gradcam_core.cam.hooks import exclusive
from gradcam_core.cam.methods import method_named
from gradcam_core.errors import CamError
from gradcam_core.examination import precision, run_passes
from gradcam_core.explanation import Explanation
from gradcam_core.images.geometry import View, view_of
from gradcam_core.images.prepare import PreparedInput
from gradcam_core.images.preprocessing import Preprocessing, ResizablePhoto
from gradcam_core.models.loading import Model

SHIFT = 0.02
"""Share of the input's side that the picture is shifted by, to the right and down."""

NOISE = 0.02
"""Standard deviation of the noise that is added to the picture, whose values are in [0, 1]."""

NOISES = 2
"""Number of times noise is added."""


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
        contrast = [other.index for other in e.contrast] or False
        changed = PreparedInput(geometry, e.view, e.detail, batch)
        held = run_passes(replace(self._model, module=module), [changed], e.layer)[0]
        other = held.explain(e.target.index, e.method, contrast)
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
