"""The settings of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradcam_core.batch.labels.ground_truth import GroundTruth
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.decoded import Window
from gradcam_core.images.rendering.render import OVERLAY_MAX_SIDE_PX
from gradcam_core.models.model import LayerChoice

PICTURES_AT_ONCE = {"cpu": 4, "cuda": 32}
"""Pictures in one pass at detail 1. With 16 pictures, two cores take 4 to 9 % longer per picture
than with 4, whose activations stay in the caches from one layer to the next."""


LATER_SETTINGS = ("layer", "signed", "smooth", "window")
"""Settings that `run.json` holds only if they differ from the defaults."""


@dataclass(frozen=True)
class BatchSettings:
    """What a batch computes for every picture.

    requests: one per network; they differ only in the network and its index of the class. trust:
    whether trust checks are run on each map. overlay_side_px: the longest side of an overlay.
    truth: the true labels, if the pictures have any. window: the range of values shown of every
    picture, see `read_picture`. fetches_addresses: whether pictures may be fetched from the web.
    """

    requests: tuple[ExplanationRequest, ...]
    trust: bool = False
    overlay_side_px: int = OVERLAY_MAX_SIDE_PX
    truth: GroundTruth | None = None
    window: Window | None = None
    fetches_addresses: bool = True

    @property
    def models(self) -> tuple[str, ...]:
        """The networks' names."""
        return tuple(request.model for request in self.requests)

    def at_once(self, device: str) -> int:
        """How many pictures share one pass on this device ("cpu", "cuda")."""
        first = self.requests[0]
        if self.trust or first.is_slow:
            return 1
        most = PICTURES_AT_ONCE.get(device, PICTURES_AT_ONCE["cpu"])
        return max(1, most // first.detail**2)

    def record(self) -> dict[str, Any]:
        """The settings as `run.json` holds them, in JSON's types."""
        first = self.requests[0]
        targets: Sequence[int | None] = [request.target for request in self.requests]
        # Data sets of earlier versions lack these settings: see `LATER_SETTINGS`.
        later: dict[str, Any] = {} if first.layer == 1 else {"layer": _listed(first.layer)}
        if first.signed:
            later["signed"] = True
        if first.smooth is not None:
            later["smooth"] = first.smooth
        if self.window is not None:
            later["window"] = self.window.text
        return later | {
            "models": list(self.models),
            "targets": None if first.target is None else targets,
            "contrast": [request.contrast for request in self.requests] if first.contrast else None,
            "method": first.method,
            "detail": first.detail,
            "view": first.view,
            "trust": self.trust,
            "longest": self.overlay_side_px,
            "labels": self.truth and self.truth.source,
        }


def _listed(layer: LayerChoice) -> str | float | list[str | float]:
    """A layer choice in JSON's types."""
    return list(layer) if isinstance(layer, tuple) else layer
