"""The part of a network behind its target layer, run alone where that is possible."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from gradcam_core.cam.hooks import exclusive


class Head:
    """From activations at a target layer [M, C, h, w] to logits [M, classes], without gradients.

    Every module that has ended before the target layer is skipped, and hands on NaN instead of its
    output. If the logits of the activation that was given are the same as before, none of the NaN
    matters: the head is enough. Else, as where a shortcut leads past the target layer, the whole
    network runs, and only the output of the target layer is replaced.
    """

    def __init__(
        self, module: nn.Module, layer: str, image: Tensor, activation: Tensor, logits: Tensor
    ) -> None:
        """image: [1, 3, H, W], with its activation [1, C, h, w] and its logits [1, classes]."""
        self._module = module
        self._layer = layer
        self._image = image
        self._skipped = self._before_target()
        self.is_enough = self._skipped is not None and self._reproduces(activation, logits)

    def __call__(self, activation: Tensor) -> Tensor:
        return (self._alone if self.is_enough else self._whole)(activation)

    def _before_target(self) -> dict[str, list[torch.Size]] | None:
        """The outermost modules that end before the target layer does, and the shapes of what they
        give at each of their calls; None if they cannot be skipped."""
        above = {self._layer.rpartition(".")[0]}
        while "" not in above:
            above |= {name.rpartition(".")[0] for name in above}
        open_modules: list[str] = []
        skipped: dict[str, list[torch.Size]] = {}
        calls: Counter[str] = Counter()

        def begin(name: str, *_: object) -> None:
            open_modules.append(name)

        def end(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
            open_modules.pop()
            calls[name] += 1
            if calls[self._layer] or name in above or not above.issuperset(open_modules):
                return
            shape = output.shape if isinstance(output, Tensor) else torch.Size()
            skipped.setdefault(name, []).append(shape)

        with exclusive(self._module) as undo, torch.no_grad():
            for name, part in self._module.named_modules():
                undo.callback(part.register_forward_pre_hook(partial(begin, name)).remove)
                undo.callback(part.register_forward_hook(partial(end, name)).remove)
            self._module(self._image)
        simple = calls[self._layer] == 1 and all(map(all, skipped.values()))
        return skipped if simple else None

    def _reproduces(self, activation: Tensor, logits: Tensor) -> bool:
        if not logits.isfinite().all():
            return False
        try:
            alone = self._alone(activation)
        except (RuntimeError, TypeError, AttributeError, ValueError):
            return False  # what stands between the modules cannot do with placeholders
        # A NaN that matters differs from everything.
        return torch.allclose(alone, logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))

    def _alone(self, activation: Tensor) -> Tensor:
        count = len(activation)
        nan = activation.new_full((), math.nan)
        with exclusive(self._module) as undo, torch.no_grad():
            for name, shapes in (self._skipped or {}).items():
                outputs = iter([nan.expand(count, *shape[1:]) for shape in shapes])
                _replace_forward(self._module.get_submodule(name), outputs.__next__, undo, True)
            target = self._module.get_submodule(self._layer)
            _replace_forward(target, activation.clone, undo)
            return self._module(self._image.expand(count, -1, -1, -1))

    def _whole(self, activation: Tensor) -> Tensor:
        with exclusive(self._module) as undo, torch.no_grad():
            target = self._module.get_submodule(self._layer)
            hook = target.register_forward_hook(lambda *_: activation.clone())
            undo.callback(hook.remove)
            return self._module(self._image.expand(len(activation), -1, -1, -1))


def _replace_forward(
    part: nn.Module, give: Callable[[], Tensor], undo: ExitStack, then_real: bool = False
) -> None:
    """Let a module give these values instead of computing; then_real: and compute once they are
    used up, because a module may run before the target layer and behind it."""
    own = part.__dict__.get("forward")
    real = part.forward

    def forward(*inputs: Tensor, **options: object) -> Tensor:
        if not then_real:
            return give()
        try:
            return give()
        except StopIteration:
            return real(*inputs, **options)

    part.forward = forward
    if own is None:
        undo.callback(delattr, part, "forward")
    else:
        undo.callback(setattr, part, "forward", own)
