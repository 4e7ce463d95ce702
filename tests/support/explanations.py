"""Explanations with a given map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import gradcam_core as gc
from gradcam_core.images.geometry import ViewName, view_of
from gradcam_core.images.preprocessing import InputSize, Preprocessing

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def explained(
    cells: object,
    photo_size: tuple[int, int] = (400, 400),
    *,
    view: ViewName = "crop",
    crop_share: float = 1.0,
    title: str = "Net",
    stands_in_for: str = "",
    top: Sequence[tuple[int, float]] = ((281, 0.8), (282, 0.1)),
    target: tuple[int, float] | None = None,
    rank: int = 1,
    method: str = "gradcam",
    classes: int = 1000,
    independent: bool = False,
    names: Sequence[str] = (),
    unit: str | None = None,
) -> gc.Explanation:
    """An explanation with this map. top, target: (index, probability) of classes. names: of the
    classes; empty for ImageNet's. unit: of a regression, whose values take the place of the
    probabilities."""
    preprocessing = Preprocessing(
        InputSize(64, 64), crop_share, Image.Resampling.BILINEAR, (0,), (1,)
    )
    known = names or [label.name for label in gc.imagenet_labels()]
    best = tuple(gc.Prediction(index, known[index], share) for index, share in top)
    wanted = best[0] if target is None else gc.Prediction(target[0], known[target[0]], target[1])
    return gc.Explanation(
        model=title.lower(),
        title=title,
        target=wanted,
        rank=rank,
        top=best,
        method=method,
        contrast=(),
        layer="features",
        detail=1,
        view=view,
        weights=gc.Weights("made by the test", Path(__file__)),
        stands_in_for=stands_in_for,
        notice="",
        geometry=view_of(photo_size, preprocessing, view),
        feature_map=np.array(cells, dtype=np.float32),
        classes=classes,
        independent=independent,
        unit=unit,
    )
