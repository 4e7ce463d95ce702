"""One forward pass, kept open at the target layer; any class's map from it.

A map needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook hands on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import torch
from torch import Tensor, nn

from gradcam_core.cam.fused import FusedRun
from gradcam_core.cam.hold import (
    Held,
    NamedLayer,
    NotRunError,
    Target,
    hold,
    not_depending,
)
from gradcam_core.cam.network.explainable import check_images_do_not_mix, explainable
from gradcam_core.cam.network.inputs import Batch, Inputs
from gradcam_core.cam.network.outputs import Output, chosen_by
from gradcam_core.cam.open_pass import OpenPass, precision_here, weights_version
from gradcam_core.cam.run import Run
from gradcam_core.cam.target_layers.graph import Form, depends_on, form_behind
from gradcam_core.cam.target_layers.layers import Ways
from gradcam_core.cam.target_layers.layout import Reshape
from gradcam_core.cam.target_layers.stages import Maps
from gradcam_core.errors import CamError

Layer = str | nn.Module
"""A dotted name, or the module itself."""


class DifferentWaysError(CamError):
    """The images of a batch would go other ways through the network if they were alone."""


Layers = list[str] | list[nn.Module] | tuple[Layer, ...]


@overload
def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layer | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Run: ...


@overload
def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layers,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> FusedRun: ...


def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layer | Layers | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Run | FusedRun:
    """Run a classifier on a batch [N, C, H, W] and hold the pass open at a layer.

    batch: of a network with several inputs a tuple or a dictionary, of which the first tensor of
    floats with four sides (or else three) is taken for the pictures. layer: a module, or its dotted
    name, whose output is a feature map: [N, C, h, w], [N, h, w, C], or tokens [N, L, C] that lie
    on a grid; "name#2" is its second call, where it runs several times, and its last one is meant
    where none is named. None is the last feature map of the network, found by running it once more
    the first time (see `layers`). Several names: their maps are joined, see `FusedRun`. reshape:
    from the output of a layer that is not known to a map [N, C, h, w] of values in it. output: from
    what the network gives to its logits [N, classes], where that is not clear. Volumes and signals
    work like images. The module is left as it was, and other threads may use it meanwhile. The
    batch is not differentiated, and must not be changed before the slow methods.

    Raises CamError if the network cannot be explained or does not take the batch, has no such
    layer, the layer gives no feature map, or the logits do not depend on it.
    """
    with torch.inference_mode(False):  # see `Run.cam`
        network = explainable(module)
        inputs = Inputs.of(batch)
        if len(inputs) > 1:
            check_images_do_not_mix(network)
        asked_for: Sequence[object] = layer if isinstance(layer, (list, tuple)) else [layer]
        names = [_name(module, one) for one in asked_for]
        if not names:
            raise CamError("layer= names no layers: give one name or more, or None.")
        asked = _Asked(network, names, reshape, output)
        passes = asked.run(inputs)
    runs = [Run(one, slice(0, len(inputs))) for one in passes]
    return FusedRun(runs) if isinstance(layer, (list, tuple)) else runs[0]


def _name(module: nn.Module, layer: object) -> str | None:
    """The dotted name of a layer. Raises CamError for what is none."""
    if layer is None:
        return None
    if isinstance(layer, str):
        return layer.removeprefix("_orig_mod.")
    if isinstance(layer, nn.Module):
        for name, part in module.named_modules():
            if part is layer and name:
                return name.removeprefix("_orig_mod.")
        raise CamError(f"The layer, a {type(layer).__name__}, is no part of the network.")
    raise CamError(
        f"The layer {layer!r} is of the type {type(layer).__name__}: its dotted name, or the "
        "module itself, is expected."
    )


_LOOKS = 3
"""So often a network is looked at that goes another way each time."""


_Look = tuple[Maps, Tensor]


def _last_of(maps: Maps) -> Target:
    last = maps.found[-1]
    return Target(last.stage.layer, last.number, lambda *_: last.layout)


@dataclass(frozen=True)
class _Held:
    """A pass that is held at its targets. named: of those that a person has named."""

    targets: Sequence[Target]
    named: Sequence[NamedLayer | None]
    found: Sequence[Held | None]
    given: Any
    logits: Tensor

    @cached_property
    def forms(self) -> set[Form]:
        """Of the graph behind each layer that is not named."""
        return {
            form_behind(one.node, self.logits)
            for layer, one in zip(self.named, self.found, strict=True)
            if layer is None and one is not None
        }

    @property
    def _is_held(self) -> bool:
        return all(layer or one for layer, one in zip(self.named, self.found, strict=True))

    def went(self, maps: Maps) -> bool:
        """Whether the pass went the way of these maps, so that the last of them was held."""
        return self._is_held and self.forms <= maps.forms

    def is_the_way_of(
        self, maps: Maps, logits: Tensor, inputs: Inputs, look: Callable[[Inputs], _Look]
    ) -> bool:
        """The same of a pass whose graph looks otherwise than that of the maps, as it may for more
        images: seen from its logits. logits: of the pass in which the maps were found, over the
        first image. Raises CamError where the images of a batch go different ways."""
        if not self._is_held:
            return False
        alone = [(maps, logits)]
        alone += [look(inputs.rows(slice(n, n + 1))) for n in range(1, len(inputs))]
        together = torch.cat([logits for _, logits in alone])
        scale = float(together.abs().max().nan_to_num())
        is_same = torch.allclose(
            together, self.logits, rtol=0, atol=_SAME * scale, equal_nan=True
        ) and all(one.forms == maps.forms and _key(one) == _key(maps) for one, _ in alone)
        if not is_same and len(inputs) > 1:
            raise DifferentWaysError(
                "The network goes another way for this batch than for its images alone, so their "
                "last feature maps are not those of one layer: give it one picture at a time, or "
                "name a layer=."
            )
        return is_same


_SAME = 1e-2
"""Of the largest logit: difference between a batch and its images alone, in half precision too."""


def _key(maps: Maps) -> tuple[str, int]:
    return maps.found[-1].name, maps.found[-1].number


@dataclass(frozen=True)
class _Asked:
    """What a network is run for. names: of layers, None for the last feature map."""

    module: nn.Module
    names: Sequence[str | None]
    reshape: Reshape | None
    output: Output | None

    def run(self, inputs: Inputs) -> list[OpenPass]:
        """One pass, open at each of the layers."""
        if None not in self.names:
            return self._open_all(inputs, self._held(inputs))
        if self.reshape is not None:
            raise CamError("reshape= belongs to a layer: name it as layer=.")
        ways = Ways(self.module, inputs, self.output)
        for maps in ways.known:
            try:
                held = self._held(inputs, maps)
            except CamError:
                continue  # it may go another way for these images
            if held.went(maps):
                ways.put_first(maps)
                return self._open_all(inputs, held)
        return self._open_all(inputs, self._found(inputs, ways))

    def _found(self, inputs: Inputs, ways: Ways) -> _Held:
        """A pass that went as a look at the network did."""

        def look(alone: Inputs) -> _Look:
            return Ways(self.module, alone, self.output).look()

        for _ in range(_LOOKS):
            maps, logits = ways.look()
            ways.put_first(maps)
            try:
                held = self._held(inputs, maps)
            except NotRunError:
                continue
            if held.went(maps) or held.is_the_way_of(maps, logits, inputs, look):
                maps.forms.update(held.forms)
                return held
        raise CamError(
            "The network goes another way each time it runs, so its last feature map is another "
            "one each time. Name the layer= to explain."
        )

    def _held(self, inputs: Inputs, maps: Maps | None = None) -> _Held:
        """A pass that is held at the layers. maps: of the way that it is thought to go."""
        targets: list[Target] = []
        named: list[NamedLayer | None] = []
        for name in self.names:
            if name is None:
                assert maps is not None
                layer, target = None, _last_of(maps)
            else:
                layer = NamedLayer(self.module, inputs, name, self.reshape, self.output)
                target = layer.target
            named.append(layer)
            targets.append(target)
        found, given = hold(self.module, inputs, targets)
        unclear = [
            layer
            for layer, one in zip(named, found, strict=True)
            if layer is not None and (layer.is_unclear or (one is None and not layer.is_of_now))
        ]
        if unclear:
            for layer in unclear:
                layer.look()
            found, given = hold(self.module, inputs, targets)
        logits_of = chosen_by(self.output)
        logits = logits_of(given)
        if all(found) and not logits.requires_grad:
            # Where a part is run with no_grad, which ends with gradients as they were before it.
            found, given = hold(self.module, inputs, targets, with_graph=True)
            logits = logits_of(given)
        if len(logits) != len(inputs):
            raise CamError(
                f"The network gives {list(logits.shape)} for {len(inputs)} images: its first side "
                "must be that of the batch, which squeeze() without an axis drops if there is one "
                "image."
            )
        return _Held(targets, named, found, given, logits)

    def _open_all(self, inputs: Inputs, held: _Held) -> list[OpenPass]:
        lock = threading.Lock()
        logits_of = chosen_by(self.output)
        passes = []
        for at, (target, layer, one) in enumerate(
            zip(held.targets, held.named, held.found, strict=True)
        ):
            if one is None:
                assert layer is not None
                raise layer.problem()
            # What is not named is known to count, by the form of the graph.
            if (layer is not None or () in held.forms) and not depends_on(held.logits, one.leaf):
                raise not_depending(self.module, inputs, target, one, held.logits, logits_of)
            passes.append(self._open(inputs, target, one, held.given, held.logits, lock, at))
        return passes

    def _open(
        self,
        inputs: Inputs,
        target: Target,
        held: Held,
        given: Any,
        logits: Tensor,
        lock: threading.Lock,
        at: int,
    ) -> OpenPass:
        return OpenPass(
            self.module,
            target.name,
            held.call,
            held.layout,
            inputs,
            held.leaf,
            held.output,
            given,
            logits,
            chosen_by(self.output),
            precision_here(held.leaf.device.type),
            self.run,
            at,
            lock,
            (inputs.version, weights_version(self.module)),
        )
