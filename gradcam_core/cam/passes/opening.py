"""Opens a pass: runs the network once, on an execution path whose feature maps are known, and
keeps the pass open at each of the layers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.network.outputs import Output, logits_selector
from gradcam_core.cam.passes.layer_hooks import (
    HeldLayer,
    LayerTarget,
    NamedLayer,
    NotRunError,
    hold,
    independence_error,
)
from gradcam_core.cam.passes.open_pass import OpenPass, precision_here, weights_version
from gradcam_core.cam.target_layers.feature_maps import FeatureMaps
from gradcam_core.cam.target_layers.graph import GraphSignature, depends_on, graph_signature
from gradcam_core.cam.target_layers.layers import ExecutionPaths
from gradcam_core.cam.target_layers.layout import Reshape
from gradcam_core.errors import CamError


class ExecutionPathError(CamError):
    """The images of a batch would take different paths through the network on their own."""


_MOST_TRACES = 3
"""How many times a network is traced if it takes another path each time."""

_Trace = tuple[FeatureMaps, Tensor]


def _last_of(maps: FeatureMaps) -> LayerTarget:
    last = maps.found[-1]
    return LayerTarget(last.stage.layer, last.number, lambda *_: last.layout)


@dataclass(frozen=True)
class _HeldPass:
    """A pass that is held at its targets. named: the layer that a person named for each target, or
    None for the last feature map. found: what is held of each, or None. given: the network's
    output."""

    targets: Sequence[LayerTarget]
    named: Sequence[NamedLayer | None]
    found: Sequence[HeldLayer | None]
    given: Any
    logits: Tensor

    @cached_property
    def signatures(self) -> set[GraphSignature]:
        """The signature of the graph between each layer that is not named and the logits."""
        return {
            graph_signature(one.node, self.logits)
            for layer, one in zip(self.named, self.found, strict=True)
            if layer is None and one is not None
        }

    @property
    def _is_held(self) -> bool:
        return all(layer or one for layer, one in zip(self.named, self.found, strict=True))

    def followed(self, maps: FeatureMaps) -> bool:
        """Whether the pass took the path of these maps, so that it holds the last of them."""
        return self._is_held and self.signatures <= maps.signatures

    def follows_by_logits(
        self, maps: FeatureMaps, logits: Tensor, inputs: Inputs, trace: Callable[[Inputs], _Trace]
    ) -> bool:
        """Like `followed`, but compares logits, because the graph may look different for more
        images. maps, logits: of the trace over the first image alone; trace: makes those of others.
        Raises ExecutionPathError if the images of a batch take different paths."""
        if not self._is_held:
            return False
        alone = [(maps, logits)]
        alone += [trace(inputs.rows(slice(n, n + 1))) for n in range(1, len(inputs))]
        together = torch.cat([logits for _, logits in alone])
        scale = float(together.abs().max().nan_to_num())
        is_same = torch.allclose(
            together, self.logits, rtol=0, atol=_LOGITS_TOLERANCE * scale, equal_nan=True
        ) and all(one.signatures == maps.signatures and _key(one) == _key(maps) for one, _ in alone)
        if not is_same and len(inputs) > 1:
            raise ExecutionPathError(
                "The network takes a different route for this batch than for its images alone, "
                "so they share no last feature map: give it one picture at a time, or name a "
                "layer=."
            )
        return is_same


_LOGITS_TOLERANCE = 1e-2
"""The most by which the logits of a batch and of its images alone may differ, even in half
precision, as a share of the largest logit."""


def _key(maps: FeatureMaps) -> tuple[str, int]:
    return maps.found[-1].name, maps.found[-1].number


@dataclass(frozen=True)
class LayersToOpen:
    """Layers at which passes are to be kept open. names: None is the last feature map."""

    module: nn.Module
    names: Sequence[str | None]
    reshape: Reshape | None
    output: Output | None

    def run(self, inputs: Inputs) -> list[OpenPass]:
        """Runs the network once: one open pass per layer. Raises CamError, see `forward`."""
        if None not in self.names:
            return self._open_all(inputs, self._held(inputs))
        if self.reshape is not None:
            raise CamError("reshape= belongs to a layer: name it as layer=.")
        paths = ExecutionPaths(self.module, inputs, self.output)
        for maps in paths.known:
            try:
                held = self._held(inputs, maps)
            except CamError:
                continue  # it may take another path for these images
            if held.followed(maps):
                paths.remember(maps)
                return self._open_all(inputs, held)
        return self._open_all(inputs, self._found(inputs, paths))

    def _found(self, inputs: Inputs, paths: ExecutionPaths) -> _HeldPass:
        """Traces the network until a pass takes the same path, and returns this pass. Raises
        CamError if the paths keep changing."""

        def trace(alone: Inputs) -> _Trace:
            return ExecutionPaths(self.module, alone, self.output).trace()

        for _ in range(_MOST_TRACES):
            maps, logits = paths.trace()
            paths.remember(maps)
            try:
                held = self._held(inputs, maps)
            except NotRunError:
                continue
            if held.followed(maps) or held.follows_by_logits(maps, logits, inputs, trace):
                maps.signatures.update(held.signatures)
                return held
        raise CamError(
            "The network takes a different route each time it runs, so its last feature map "
            "changes, too. Name the layer= to explain."
        )

    def _held(self, inputs: Inputs, maps: FeatureMaps | None = None) -> _HeldPass:
        """A pass held at the layers. maps: those of the path that it is expected to take."""
        targets: list[LayerTarget] = []
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
                layer.trace()
            found, given = hold(self.module, inputs, targets)
        logits_of = logits_selector(self.output)
        logits = logits_of(given)
        if all(found) and not logits.requires_grad:
            # A no_grad block around the layer switches gradients off again where it ends.
            found, given = hold(self.module, inputs, targets, with_graph=True)
            logits = logits_of(given)
        if len(logits) != len(inputs):
            raise CamError(
                f"The network gives {list(logits.shape)} for {len(inputs)} images: its first "
                "dimension must be the batch; squeeze() without an axis drops it for a single "
                "image."
            )
        return _HeldPass(targets, named, found, given, logits)

    def _open_all(self, inputs: Inputs, held: _HeldPass) -> list[OpenPass]:
        inputs.check_values()
        lock = threading.Lock()
        logits_of = logits_selector(self.output)
        passes = []
        for at, (target, layer, one) in enumerate(
            zip(held.targets, held.named, held.found, strict=True)
        ):
            if one is None:
                assert layer is not None
                raise layer.problem()
            # The graph's signature shows that the logits depend on a layer that is not named.
            is_certain = layer is None and () not in held.signatures
            if not is_certain and not depends_on(held.logits, one.leaf):
                raise independence_error(self.module, inputs, target, one, held.logits, logits_of)
            passes.append(self._open(inputs, target, one, held.given, held.logits, lock, at))
        return passes

    def _open(
        self,
        inputs: Inputs,
        target: LayerTarget,
        held: HeldLayer,
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
            logits_selector(self.output),
            precision_here(held.leaf.device.type),
            self.run,
            at,
            lock,
            (inputs.version, weights_version(self.module)),
        )
