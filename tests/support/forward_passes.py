"""Records forward passes in this process, and delays them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from torch import nn

from gradcam_core.cam import forward as cam


class HeldPasses:
    """Makes forward passes wait, after they have begun, until they are released. modules: those
    whose pass has begun, in their order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.modules: list[nn.Module] = []
        self.have_begun, self.may_end = threading.Event(), threading.Event()
        self._forward = cam.forward
        patch.setattr(cam, "forward", self._held)

    def _held(self, module: nn.Module, batch: Any, layer: Any = None) -> Any:
        self.modules.append(module)
        self.have_begun.set()
        assert self.may_end.wait(60)
        return self._forward(module, batch, layer)


def counted_passes(patch: pytest.MonkeyPatch) -> list[nn.Module]:
    """A list to which the module of every later forward pass is added."""
    ran: list[nn.Module] = []
    forward = cam.forward

    def counted(module: nn.Module, batch: Any, layer: Any = None) -> Any:
        ran.append(module)
        return forward(module, batch, layer)

    patch.setattr(cam, "forward", counted)
    return ran
