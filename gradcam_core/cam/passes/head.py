"""Runs the part of a network that follows the target layer, alone where that is possible."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.hooks import exclusive, in_place_of, on_this_thread
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.network.outputs import logits_of_output
from gradcam_core.cam.target_layers.layout import ChannelsFirst, Layout

_AS_IT_IS = ChannelsFirst()


class Head:
    """Maps activations at a target layer [M, C, h, w] to logits [M, classes], with gradients if the
    activations require them.

    Modules that end before the target layer are skipped and return NaN. If the known activation
    still gives its known logits, nothing reads the NaN, and the head alone `is_enough`. Otherwise,
    for instance if a shortcut bypasses the target layer, the whole network runs, and only the
    output of the target layer is replaced.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str,
        inputs: Inputs,
        activation: Tensor,
        logits: Tensor,
        *,
        call: int = 1,
        layout: Layout = _AS_IT_IS,
        output: Tensor | None = None,
        logits_of: Callable[[Any], Tensor] = logits_of_output,
    ) -> None:
        """inputs: one image, with its activation [1, C, h, w] and its logits [1, classes].
        layer: the dotted name of a module; call: which of its calls, from 1. layout: how the
        activation lies in the module's output; output: this output, if it holds more than that."""
        self._module = module
        self._layer = layer
        self._call = call
        self._layout = layout
        self._output = activation if output is None else output
        self._logits_of = logits_of
        self._inputs = inputs
        self._skipped = self._before_target()
        self.is_enough = self._skipped is not None and self._reproduces(activation, logits)

    def __call__(self, activation: Tensor) -> Tensor:
        return (self._alone if self.is_enough else self._whole)(activation)

    def _before_target(self) -> dict[str, list[torch.Size]] | None:
        """The outermost modules that end before the target layer, with the shape of the output of
        each call; None if they cannot be skipped."""
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
                if isinstance(part, torch.jit.ScriptModule):
                    continue  # it takes no hooks
                undo.callback(
                    part.register_forward_pre_hook(on_this_thread(partial(begin, name))).remove
                )
                undo.callback(part.register_forward_hook(on_this_thread(partial(end, name))).remove)
            self._inputs.run(self._module)
        simple = calls[self._layer] == 1 and all(map(all, skipped.values()))
        return skipped if simple else None

    def _reproduces(self, activation: Tensor, logits: Tensor) -> bool:
        if not logits.isfinite().all():
            return False
        try:
            # Two images that share memory, as later: a network that writes into them fails here.
            alone = self._alone(activation.expand(2, *activation.shape[1:]))[:1]
        except (RuntimeError, TypeError, AttributeError, ValueError):
            return False  # code between the modules fails with placeholders
        # False if a NaN has reached the logits.
        return torch.allclose(alone, logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))

    def _alone(self, activation: Tensor) -> Tensor:
        count = len(activation)
        nan = activation.new_full((), math.nan)
        with exclusive(self._module) as undo, _gradients_for(activation):
            for name, shapes in (self._skipped or {}).items():
                outputs = iter([nan.expand(count, *shape[1:]) for shape in shapes])
                _replace_forward(self._module.get_submodule(name), outputs.__next__, undo, True)
            target = self._module.get_submodule(self._layer)
            _replace_forward(target, lambda: self._layer_output(activation), undo)
            return self._run(count, copied=False)

    def _whole(self, activation: Tensor) -> Tensor:
        calls = itertools.count(1)

        def replaced(_part: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
            if next(calls) != self._call:
                return None
            return in_place_of(output, self._layer_output(activation))

        with exclusive(self._module) as undo, _gradients_for(activation):
            target = self._module.get_submodule(self._layer)
            undo.callback(target.register_forward_hook(on_this_thread(replaced)).remove)
            return self._run(len(activation), copied=True)

    def _layer_output(self, activation: Tensor) -> Tensor:
        """The layer's output with this activation in it."""
        return self._layout.put_back(activation, self._output).clone()

    def _run(self, count: int, *, copied: bool) -> Tensor:
        image = self._inputs.images
        images = image.expand(count, *image.shape[1:])
        return self._logits_of(self._inputs.run(self._module, images, copied=copied))


def _gradients_for(activation: Tensor) -> AbstractContextManager:
    return torch.set_grad_enabled(activation.requires_grad)


def _replace_forward(
    part: nn.Module, give: Callable[[], Tensor], undo: ExitStack, then_real: bool = False
) -> None:
    """Makes a module return the values of `give` in this thread, instead of computing. then_real:
    let it compute once they are used up, because it may run again after the target layer."""
    own = part.__dict__.get("forward")
    real = part.forward
    owner = threading.get_ident()

    def forward(*inputs: Tensor, **options: object) -> Tensor:
        if threading.get_ident() != owner:
            return real(*inputs, **options)
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
