"""Maps of several layers of one pass, joined into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from gradcam_core.errors import CamError

if TYPE_CHECKING:
    from gradcam_core.cam.run import Run
    from gradcam_core.cam.targets import Targets

GAMMA = 2.0
"""The factor in LayerCAM's scaling by tanh. The higher it is, the more cells come close to 1."""


class FusedRun:
    """A pass kept open at several layers, whose maps are fused as in the LayerCAM paper (Jiang et
    al., TIP 2021, eq. 9).

    runs: one per layer, each with its own `cam`. layer: their names. logits: [N, classes]. For the
    rest see `Run`.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        self.layer = tuple(run.layer for run in runs)
        self.open_pass = self.runs[0].open_pass

    @property
    def is_of_tokens(self) -> bool:
        return all(run.is_of_tokens for run in self.runs)

    @property
    def nbytes(self) -> int:
        """Upper bound of the bytes held: what layers share is counted for each of them."""
        return sum(run.nbytes for run in self.runs)

    def split(self) -> list[FusedRun]:
        """See `Run.split`."""
        return [
            FusedRun(of_one) for of_one in zip(*(run.split() for run in self.runs), strict=True)
        ]

    def join(self, others: Sequence[FusedRun]) -> FusedRun:
        """See `Run.join`."""
        each = zip(*(one.runs for one in others), strict=True) if others else [()] * len(self.runs)
        return FusedRun([run.join(more) for run, more in zip(self.runs, each, strict=True)])

    def contrast(
        self,
        targets: int | Sequence[int] | None,
        method: str = "layercam",
        contrast: int | Sequence[int] | bool = False,
    ) -> list[list[int]]:
        """See `Run.contrast`."""
        return self.runs[0].contrast(targets, method, contrast)

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.runs[0])

    @property
    def logits(self) -> Tensor:
        return self.runs[0].logits

    def cam(
        self,
        targets: Targets = None,
        method: str = "layercam",
        contrast: Sequence[int] | bool = False,
        on_progress: Callable[[float], None] = lambda share: None,
        **options: Any,
    ) -> Tensor:
        """The fused maps: [N, h, w] with the cells of the finest layer, in [0, 1].

        Each layer's map M is scaled to tanh(2 M / max M) and enlarged to the finest layer
        (bilinear, half-pixel centres); each cell takes the largest value. This equals
        `torchcam.methods.LayerCAM.fuse_cams`, except that TorchCAM first subtracts the minimum of
        each map, which hides heat that is everywhere. For the arguments and errors see `Run.cam`;
        there are no signed maps of several layers.
        """
        if options.get("signed"):
            raise CamError(
                "Maps of several layers are fused by their maximum and cannot be signed."
            )
        maps = []
        for at, run in enumerate(self.runs):

            def progress(share: float, at: int = at) -> None:
                on_progress((at + share) / len(self.runs))

            maps.append(run.cam(targets, method, contrast, progress, **options))
        return joined(maps)


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Fuses maps [N, h, w], >= 0, into one of the finest map's size, in [0, 1]: see
    `FusedRun.cam`."""
    sides = max((one.shape[1:] for one in maps), key=lambda shape: shape.numel())
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sides)]
    scaled = []
    for one in maps:
        one = one.to(maps[0].device)  # layers may be on different devices
        highest = one.amax(dim=tuple(range(1, one.ndim)), keepdim=True)
        share = torch.tanh(GAMMA * one / highest.where(highest > 0, torch.ones_like(highest)))
        scaled.append(functional.interpolate(share[:, None], tuple(sides), mode=mode)[:, 0])
    return torch.stack(scaled).amax(dim=0)
