"""Runs the checks of a map: is it faithful to the network, does it depend on what the network has
learned, and is it stable under small changes of the picture?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.trust.deletion_insertion import (
    Backgrounds,
    Curve,
    Lead,
    curves,
    placements,
    shown_alone,
)
from gradcam_core.analysis.trust.limits import (
    DELETED_SHARES,
    IMPROBABLE,
    INSERTED_SHARES,
    NOISE,
    NOISES,
    PLACEMENTS,
    RANDOM_NETWORKS,
    SHIFT,
    SHIFTS,
)
from gradcam_core.analysis.trust.randomisation import cascade
from gradcam_core.analysis.trust.result import Altered, Randomised, Trust
from gradcam_core.analysis.trust.road import (
    PERCENTILES,
    Arcc,
    Road,
    coherency,
    filled_in,
    road_of,
    taken_out,
)
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.cam.network.hooks import exclusive
from gradcam_core.errors import CamError
from gradcam_core.explanation.examination import TOP, answer_together, run_passes
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.explanation.result import Explanation
from gradcam_core.explanation.text import Prediction
from gradcam_core.images.geometry import View, view_of
from gradcam_core.images.prepare import PreparedInput
from gradcam_core.images.preprocessing import Preprocessing, ResizablePhoto
from gradcam_core.models.forward_pass import device_of, precision
from gradcam_core.models.model import Model

BATCH_SIZE = 4
"""Images in one pass. This number is the fastest on a CPU."""


def run_checks(
    photo: ResizablePhoto,
    model: Model,
    e: Explanation,
    on_progress: Callable[[float], None] = lambda share: None,
    seed: int = 0,
    on_probability: Callable[[float], None] = lambda probability: None,
) -> Trust:
    """Checks `e`, the explanation of `photo` by `model`; see `check` for the result.

    on_progress: called with the share that is done. on_probability: called before that work, with
    the probability of the class in the photo. An exception raised by either stops the work. seed:
    for everything random. Raises CamError for a map without heat.
    """
    if e.degenerate:
        raise CamError(f"There is no heat to check. {e.degenerate}")
    return _Checks(photo, model, e, on_progress, seed).all(on_probability)


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
        self._device = device_of(model)
        self._on_progress, self._seed = on_progress, seed
        self._done = 0
        self._shown_share = 0.0
        versions = len(DELETED_SHARES) + len(INSERTED_SHARES)
        is_slow = method_named(e.method).is_slow
        self._maps = 0 if is_slow else SHIFTS + NOISES + len(model.stages) + RANDOM_NETWORKS
        self._to_do = 3 + versions * (1 + min(PLACEMENTS)) + self._maps
        self._to_do += 2 * len(PERCENTILES) + (self._maps > 0 and e.detail > 1)

    def all(self, on_probability: Callable[[float], None]) -> Trust:
        e = self._e
        image = self._batch(view_of(self._photo.size, self._preprocessing, e.view))
        grounds, heat = Backgrounds.of(image), _over(e.feature_map, image)
        versions = grounds.versions(heat)
        ends = self._of_target(self._predict([grounds.image, grounds.blur]))
        on_probability(ends[0])
        alone, alike = self._seen_through(image, heat)
        inner = self._predict(versions)
        own = curves(ends, self._of_target(inner))
        probability = own[0].probabilities[0]
        is_testable = probability >= IMPROBABLE
        if not is_testable:
            self._to_do -= min(PLACEMENTS) * len(versions)
        elsewhere = self._elsewhere(own, grounds, ends, heat) if is_testable else ()
        road = self._road(image, heat)
        sanity, random_weights = self._random() if self._maps else ((), ())
        changed: tuple[float | None, ...] = ()
        if self._maps:
            hardly_changed = [*self._shifted(), *self._noisy()]
            changed = self._correlations(self._model.module, hardly_changed)
        return Trust(
            explanation=e,
            deletion=own[0],
            insertion=own[1],
            elsewhere=tuple(elsewhere),
            without=self._altered(DELETED_SHARES[0], versions[0], inner[0]),
            alone=self._altered(INSERTED_SHARES[-1], versions[-1], inner[-1]),
            probability=probability,
            shown_alone=alone,
            sanity=sanity,
            random_weights=random_weights,
            shifts=changed[:SHIFTS],
            noises=changed[SHIFTS:],
            road=road,
            arcc=None if alike is None else Arcc(road.value, float(heat.mean()), alike),
            seed=self._seed,
        )

    @property
    def _preprocessing(self) -> Preprocessing:
        return self._model.preprocessing

    def _batch(self, geometry: View) -> Tensor:
        return geometry.batch(self._photo, self._preprocessing).to(self._device)

    def _count(self, done: int) -> None:
        self._done += done
        self._shown_share = max(self._shown_share, min(1.0, self._done / self._to_do))
        self._on_progress(self._shown_share)

    def _predict(self, images: Sequence[Tensor]) -> np.ndarray:
        """Probabilities [M, classes] of images [1, C, H, W]."""
        module = self._model.module
        found: list[np.ndarray] = []
        for at in range(0, len(images), BATCH_SIZE):
            batch = torch.cat(list(images[at : at + BATCH_SIZE]))
            with exclusive(module), torch.no_grad(), precision(self._device.type):
                logits = self._model.logits(module(batch))
                found.append(self._model.probabilities(logits).float().cpu().numpy())
            self._count(len(batch))
        return np.nan_to_num(np.concatenate(found))

    def _of_target(self, probabilities: np.ndarray) -> list[float]:
        return probabilities[:, self._e.target.index].tolist()

    def _altered(self, share: float, image: Tensor, probabilities: np.ndarray) -> Altered:
        labels = self._model.info.labels
        best = np.argsort(-probabilities, kind="stable")[:TOP].tolist()
        top = tuple(Prediction(n, labels[n].name, float(probabilities[n])) for n in best)
        probability = float(probabilities[self._e.target.index])
        return Altered(share, _picture(image, self._preprocessing), probability, top)

    def _elsewhere(
        self,
        own: tuple[Curve, Curve],
        grounds: Backgrounds,
        ends: Sequence[float],
        heat: np.ndarray,
    ) -> list[tuple[Curve, Curve]]:
        """The curves of the map laid elsewhere: placements are added until the lead is settled, or
        `PLACEMENTS` has no more."""
        elsewhere = placements(heat, self._seed)
        found: list[tuple[Curve, Curve]] = []
        for count in PLACEMENTS:
            if len(found) >= 2 and Lead.of(own, found).is_settled:
                break
            more = list(islice(elsewhere, count - len(found)))
            versions = [version for laid in more for version in grounds.versions(laid)]
            if found:
                self._to_do += len(versions)
            inner = self._of_target(self._predict(versions))
            each = len(versions) // len(more)
            found += [curves(ends, inner[n * each : (n + 1) * each]) for n in range(len(more))]
        return found

    def _road(self, image: Tensor, heat: np.ndarray) -> Road:
        versions = [filled_in(image, missing, seed=self._seed) for missing in taken_out(heat)]
        return road_of(self._of_target(self._predict(versions)))

    def _seen_through(self, image: Tensor, heat: np.ndarray) -> tuple[float, float | None]:
        """For the photo seen through the heat: the class's probability, and the coherency of its
        map; None for a slow method."""
        e = self._e
        if not self._maps:
            return self._of_target(self._predict([shown_alone(image, heat)]))[0], None
        batch = image if e.detail == 1 else self._batch(e.geometry)
        through = shown_alone(batch, _over(e.feature_map, batch))
        (other,) = self._maps_of(self._model.module, [self._input(through, e.geometry)])
        alike = coherency(heat, _over(other.feature_map, image))
        if e.detail == 1:
            return other.target.probability, alike
        return self._of_target(self._predict([shown_alone(image, heat)]))[0], alike

    def _correlations(
        self, module: nn.Module, inputs: Sequence[PreparedInput]
    ) -> tuple[float | None, ...]:
        """The rank correlation of each input's map with the real one, over the places that the
        network saw in both; None if there is nothing to compare."""
        found: list[float | None] = []
        for other in self._maps_of(module, inputs):
            shared = agreement((self._e, other))
            found.append(shared.pairs[0].correlation if shared else None)
        return tuple(found)

    def _maps_of(self, module: nn.Module, inputs: Sequence[PreparedInput]) -> Iterator[Explanation]:
        """Explains other inputs in the same way, with this module or another."""
        e = self._e
        model = replace(self._model, module=module)
        contrast = tuple(other.index for other in e.contrast)
        request = ExplanationRequest(
            e.model, e.view, e.target.index, contrast, e.method, e.detail, e.layer, smooth=e.smooth
        )
        together = max(1, BATCH_SIZE // e.detail**2)
        for at in range(0, len(inputs), together):
            held = run_passes(model, inputs[at : at + together], e.layer)
            yield from answer_together(held, request)
            self._count(len(held))

    def _input(self, batch: Tensor, geometry: View) -> PreparedInput:
        return PreparedInput(geometry, self._e.view, self._e.detail, batch)

    def _shifted(self) -> Iterator[PreparedInput]:
        geometry = self._e.geometry
        pixels = max(1, round(SHIFT * min(geometry.size)))
        left, top = geometry.offset
        for offset in ((left - pixels, top), (left, top - pixels)):
            shifted = replace(geometry, offset=offset)
            yield self._input(self._batch(shifted), shifted)

    def _noisy(self) -> Iterator[PreparedInput]:
        generator = torch.Generator().manual_seed(self._seed)
        batch = self._batch(self._e.geometry)
        deviation = NOISE / torch.tensor(self._preprocessing.std, device="cpu").view(1, -1, 1, 1)
        for _ in range(NOISES):
            noise = torch.randn(batch.shape, generator=generator, device="cpu") * deviation
            yield self._input(batch + noise.to(self._device), self._e.geometry)

    def _random(self) -> tuple[tuple[Randomised, ...], tuple[float | None, ...]]:
        """The steps of the randomisation, and the rank correlations of all networks whose weights
        are all random."""
        batch, stages = self._batch(self._e.geometry), self._model.stages
        networks = cascade(
            self._model.module,
            batch,
            stages,
            self._seed,
            again=RANDOM_NETWORKS - 1,
            explained=self._model.each_layer(self._e.layer),
            other_batches=self._e.smooth is not None,
        )
        prepared = [self._input(batch, self._e.geometry)]
        found = [
            Randomised(part, self._correlations(module, prepared)[0]) for part, module in networks
        ]
        steps = len(found) - (RANDOM_NETWORKS - 1)
        whole = tuple(one.correlation for one in found[steps - 1 :])
        return tuple(found[:steps]), whole


def _over(feature_map: np.ndarray, image: Tensor) -> np.ndarray:
    """The map [h, w] enlarged to a network's input [1, C, H, W] and divided by its maximum:
    float32 [H, W] in [0, 1]."""
    heat = torch.from_numpy(feature_map)[None, None].float()
    over = nn.functional.interpolate(heat, image.shape[2:], mode="bilinear")[0, 0]
    return (over / over.max()).nan_to_num().numpy()


def _picture(image: Tensor, preprocessing: Preprocessing) -> Image.Image:
    """A network's normalised input [1, C, H, W] turned back into an RGB picture."""
    channels = image[0].permute(1, 2, 0).float().cpu().numpy()
    pixels = channels * np.array(preprocessing.std) + np.array(preprocessing.mean)
    grey_or_rgb = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(grey_or_rgb, (*grey_or_rgb.shape[:2], 3)).copy())
