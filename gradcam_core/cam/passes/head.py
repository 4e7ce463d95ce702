"""The part of a network behind its target layer, run alone where that is possible."""

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
    """From activations at a target layer [M, C, h, w] to logits [M, classes]; with gradients where
    the activations require them.

    Every module that has ended before the target layer is skipped, and hands on NaN instead of its
    output. If the logits of the activation that was given are the same as before, none of the NaN
    matters: the head is enough. Else, as where a shortcut leads past the target layer, the whole
    network runs, and only the output of the target layer is replaced.
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
        """inputs: of one image, with its activation [1, C, h, w] and its logits [1, classes].
        layer: the dotted name of a module; call: which of its calls. layout: how the activation
        lies in its output."""
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
            # Of two, whose images lie in the same memory: a network that writes into them fails.
            alone = self._alone(activation.expand(2, *activation.shape[1:]))[:1]
        except (RuntimeError, TypeError, AttributeError, ValueError):
            return False  # what stands between the modules cannot do with placeholders
        # A NaN that matters differs from everything.
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
        """As the layer gives it, with this map in it."""
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
    """Let a module give these values instead of computing; then_real: and compute once they are
    used up, because a module may run before the target layer and behind it."""
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
