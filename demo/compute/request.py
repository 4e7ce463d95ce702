"""What a visitor wants explained of a photo."""

from __future__ import annotations

from dataclasses import dataclass

from gradcam_core.cam.methods import DEFAULT_METHOD, method_named
from gradcam_core.images.geometry import ViewName


@dataclass(frozen=True)
class Wanted:
    """What is to be explained of a photo.

    model: the network's name. target: the class; None is the network's own top prediction, or the
    next one if it is `against`. against: a class that it is explained against; rivals: whether it
    is explained against those that the network holds most probable besides it. depth: in [0, 1],
    how far through the network's stages the layer lies that is looked at; 1 is the target layer of
    the paper.
    """

    model: str
    view: ViewName = "crop"
    target: int | None = None
    against: int | None = None
    rivals: bool = False
    method: str = DEFAULT_METHOD
    detail: int = 1
    depth: float = 1.0

    @property
    def contrast(self) -> bool | int:
        if not method_named(self.method).knows_class:
            return False
        return self.rivals if self.against is None else self.against

    @property
    def detail_run(self) -> int:
        """Score-CAM at detail 3 would keep all others waiting for an hour."""
        return 1 if method_named(self.method).needs == "scores of images" else self.detail
