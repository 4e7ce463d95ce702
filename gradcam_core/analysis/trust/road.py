"""The measures ROAD and ARCC. ROAD is how much more of its probability a class loses without a
map's hottest places than without its coldest, where removed places are filled in from their
surroundings. ARCC combines ROAD with two other measures.

ROAD, "remove and debias" (Rong, Leemann and others, "A Consistent and Efficient Evaluation Strategy
for Attribution Methods", ICML 2022), and ARCC ("How to Evaluate and Refine your CAM", 2026). Both
are computed as in pytorch-grad-cam (`ROADCombined`, `ARCC`), with probabilities as scores. They are
reported beside the checks and do not affect the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradcam_core.wording import decimal, percentage_in_sentence

PERCENTILES = (60, 80)
"""Places from these percentiles of the heat are taken out: two fifths and one fifth of the picture.
Few and high, because the time to fill in places grows faster than their number."""

NOISE = 0.01
"""Standard deviation of the noise added to filled-in places, in units of the network's input."""

_NEIGHBOURS = tuple(
    (down, across, 1 / 6 if 0 in (down, across) else 1 / 12)
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
)
"""The neighbours of a pixel: (down, across, weight in the mean)."""

_EPSILON = 1e-8


@dataclass(frozen=True)
class Road:
    """most, least: the class's mean probability, over `PERCENTILES`, without the hottest places and
    without the coldest."""

    most: float
    least: float

    @property
    def value(self) -> float:
        """From -0.5, if only the coldest places matter, to 0.5, if only the hottest do."""
        return (self.least - self.most) / 2

    @property
    def text(self) -> str:
        """A clause that explains the value to people."""
        least, most = map(percentage_in_sentence, (self.least, self.most))
        return (
            f"with removed places filled in from their surroundings, the class has on "
            f"average {least} without the coldest places and {most} without the hottest; half the "
            "difference, from −0.5 to 0.5"
        )


@dataclass(frozen=True)
class Arcc:
    """road: `Road.value`. complexity: the mean of the heat, from 0 to 1. coherency: how alike the
    map is to the map of the photo seen through the heat, from 0 (opposite) to 1."""

    road: float
    complexity: float
    coherency: float

    @property
    def value(self) -> float:
        """From 0 to 1: the harmonic mean of coherency, of 1 minus complexity, and of twice ROAD,
        which counts as 0 if negative."""
        parts = (self.coherency, 1 - self.complexity, min(1.0, max(0.0, 2 * self.road)))
        return len(parts) / sum(1 / (part + _EPSILON) for part in parts)

    @property
    def text(self) -> str:
        little, alike = decimal(1 - self.complexity), decimal(self.coherency)
        return (
            f"the harmonic mean of twice ROAD (at least 0), of 1 minus the mean heat ({little}) "
            f"and of how alike the map of the photo seen through the heat is ({alike}); from 0 to 1"
        )


def taken_out(heat: np.ndarray) -> list[np.ndarray]:
    """The places to take out: for each percentile the hottest, then the coldest.

    heat: [H, W] in [0, 1] -> masks bool [H, W]. Places of equal heat are taken out together, as in
    pytorch-grad-cam. Where that would take out the whole picture, because most of it has the same
    heat, only places above that heat are taken out.
    """
    return [
        _from(order, float(np.percentile(order, percentile)))
        for percentile in PERCENTILES
        for order in (heat, 1 - heat)
    ]


def _from(order: np.ndarray, threshold: float) -> np.ndarray:
    found = order >= threshold
    return order > threshold if found.all() else found


def filled_in(image: Tensor, missing: np.ndarray, noise: float = NOISE, seed: int = 0) -> Tensor:
    """Fills in the missing places of an image: each becomes the weighted mean of its eight
    neighbours, which may be missing, too, plus some noise.

    image: [1, C, H, W]. missing: bool [H, W], not all True -> [1, C, H, W]. Equals the
    `NoisyLinearImputer` of pytorch-grad-cam.
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    pixels = image[0].float().cpu().numpy()
    count = int(missing.sum())
    inside = np.pad(np.ones_like(missing), 1)
    number = np.full(inside.shape, -1)
    number[1:-1, 1:-1][missing] = np.arange(count)
    known = np.pad(np.where(missing, 0, pixels), ((0, 0), (1, 1), (1, 1)))
    y, x = (axis + 1 for axis in np.nonzero(missing))
    own = np.arange(count)
    total, right = np.zeros(count), np.zeros((count, len(pixels)))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for down, across, weight in _NEIGHBOURS:
        there = y + down, x + across
        total += weight * inside[there]
        right += weight * known[:, *there].T
        others = number[there]
        is_missing = others >= 0
        of_them = own[is_missing]
        entries.append((np.full(len(of_them), -weight), of_them, others[is_missing]))
    entries.append((total, own, own))
    values, rows, columns = map(np.concatenate, zip(*entries, strict=True))
    if not count:
        return image
    solver = splu(
        csc_matrix((values, (rows, columns)), shape=(count, count)),
        # The matrix is symmetric, and these settings make solving it several times as fast.
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    filling = torch.from_numpy(solver.solve(right).T).float()
    generator = torch.Generator().manual_seed(seed)
    filling += noise * torch.randn(filling.shape, generator=generator, device="cpu")
    version = image.clone()
    version[0, :, torch.from_numpy(missing)] = filling.to(version)
    return version


def road_of(probabilities: Sequence[float]) -> Road:
    """ROAD from the class's probabilities in the versions without each mask of `taken_out`, in
    their order."""
    return Road(float(np.mean(probabilities[::2])), float(np.mean(probabilities[1::2])))


def coherency(heat: np.ndarray, other: np.ndarray) -> float:
    """How alike two maps [H, W] are: Pearson's correlation, rescaled to [0, 1]; 0.5 if one of them
    is the same everywhere."""
    one, two = (found.astype(np.float64).ravel() - found.mean() for found in (heat, other))
    covariance = one @ two / (len(one) - 1)
    return float(covariance / (one.std(ddof=1) * two.std(ddof=1) + _EPSILON) + 1) / 2
