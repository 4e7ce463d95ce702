"""Finds the feature maps of a network by running it, not by names, and remembers them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod, ref

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.explainable import (
    OF_A_NETWORK,
    as_cam_errors,
    explainable,
    unseen_part,
)
from gradcam_core.cam.network.finite import check_finite
from gradcam_core.cam.network.inputs import Batch, Inputs
from gradcam_core.cam.network.outputs import Output, logits_selector
from gradcam_core.cam.network.parts import parts_of
from gradcam_core.cam.target_layers.calls import (
    Call,
    makes_a_map,
    mark_places_used,
    measure_locality,
    noisy,
    with_graph,
)
from gradcam_core.cam.target_layers.elsewhere import (
    how_sampled,
    may_move_places,
    nodes_behind_selections,
    share_kept,
)
from gradcam_core.cam.target_layers.feature_maps import FeatureMaps, Stage
from gradcam_core.cam.target_layers.graph import calls_used, depends_on, reorders
from gradcam_core.cam.target_layers.layer_search import LayerSearch, is_convolutional
from gradcam_core.cam.target_layers.layout import is_convolution, may_lie_otherwise
from gradcam_core.cam.target_layers.places import (
    MovedError,
    are_elsewhere,
    first_layer,
    first_map,
    what_moves,
)
from gradcam_core.errors import CamError
from gradcam_core.wording import first_line


class NeedsValuesError(CamError):
    """The feature maps cannot be found without values, as for a network on the "meta" device."""


NO_GRADIENTS = (
    "The network computes without gradients (no_grad or detach in its forward), so it is unknown "
    "which places its answer depends on. Give a network that computes with gradients, or name a "
    "layer=."
)

_LEAST_KEPT = 0.8  # share of a side of the picture that cuts must leave

_USUAL = 224  # pixels; side of the input if the network does not say

_remembered: WeakKeyDictionary[nn.Module, dict[object, list[FeatureMaps]]] = WeakKeyDictionary()
_SIZES_REMEMBERED = 16
_PATHS_REMEMBERED = 4


def layers(
    module: nn.Module, batch: Batch | None = None, *, output: Output | None = None
) -> list[Stage]:
    """The stages of a network in the order in which they run: for each resolution that a
    convolution or dense layer produces, the module that ends last. The norm and the activation
    after the last convolution of a resolution therefore belong to it, and a pooling does not.
    Transformer tokens are laid out on their grid. The last stage is the feature map of the paper:
    the last tensor with spatial positions on which the logits depend.

    batch, output: as for `forward`. Only the first image of a batch is run; None is a black image
    of the size in timm's configuration of the network, or 224 x 224. Any other module whose output
    is a feature map is also a valid target layer: `module.named_modules()` lists their names.

    Raises CamError if nothing in the network yields a feature map, or if it cannot be explained.
    """
    module = explainable(module)
    inputs = Inputs.of(example_batch(module) if batch is None else batch)
    return [found.stage for found in maps_of(module, inputs, output).found]


def last_feature_map(
    module: nn.Module, batch: Batch | None = None, *, output: Output | None = None
) -> str:
    """The layer of the last feature map before pooling, as in the paper.

    See `layers`, also for the error.
    """
    return layers(module, batch, output=output)[-1].layer


def maps_of(module: nn.Module, inputs: Inputs, output: Output | None = None) -> FeatureMaps:
    """The feature maps of a network, found by running the first image. They are remembered for each
    module, kind of input and output, until the module's parts change. A network may take another
    path for another image: see `ExecutionPaths`. Raises CamError, see `layers`."""
    paths = ExecutionPaths(module, inputs, output)
    if paths.known:
        return paths.known[0]
    maps, _ = paths.trace()
    paths.remember(maps)
    return maps


class ExecutionPaths:
    """The execution paths that a network has taken for images like these, each with its maps. There
    is only one, unless the network's code decides by the image."""

    def __init__(self, module: nn.Module, inputs: Inputs, output: Output | None) -> None:
        self._module, self._inputs, self._output = module, inputs, output
        shape, device = tuple(inputs.images.shape[1:]), inputs.images.device.type
        self._all = _remembered.setdefault(module, {})
        self._key = (
            _parts(module),
            shape,
            device,
            inputs.place,
            inputs.choices,
            _reference(output),
        )

    @property
    def known(self) -> tuple[FeatureMaps, ...]:
        """The feature maps of the paths taken before, the latest first."""
        return tuple(self._all.get(self._key, ()))

    def trace(self) -> tuple[FeatureMaps, Tensor]:
        """The feature maps and logits [1, classes] of the path that the network takes now, for the
        first image of finite numbers. Raises CamError, see `layers`."""
        parts = _parts(self._module)
        found = _trace(self._module, self._inputs, self._output)
        if _parts(self._module) == parts:
            return found
        return _trace(self._module, self._inputs, self._output)  # the pass itself has made parts

    def remember(self, maps: FeatureMaps) -> None:
        if not maps.is_lasting:
            return
        others = (one for one in self.known if one is not maps)
        self._all[self._key] = [maps, *others][:_PATHS_REMEMBERED]
        while len(self._all) > _SIZES_REMEMBERED:
            self._all.pop(next(iter(self._all)))


def _reference(output: Output | None) -> object:
    """A key for a function, which does not keep it, or a network within it, in memory."""
    try:
        if inspect.ismethod(output):
            return WeakMethod(output)
        return output if output is None else ref(output)
    except TypeError:  # it allows no weak references, such as an itemgetter
        return output


def share_maps(known: nn.Module, other: nn.Module) -> None:
    """Lets a network with the same parts, but other weights, share the maps of a known one."""
    _remembered[other] = _remembered.setdefault(known, {})


def _trace(module: nn.Module, inputs: Inputs, output: Output | None) -> tuple[FeatureMaps, Tensor]:
    if not inputs.images.is_floating_point():
        raise CamError(
            f"The batch is {inputs.described()}: the last feature map is found by gradients, which "
            "only floats have. Give floats, or name a layer=."
        )
    with torch.inference_mode(False):
        images = () if inputs.images.is_meta else inputs.images
        at = next((n for n, one in enumerate(images) if one.isfinite().all()), 0)
        first = inputs.rows(slice(at, at + 1))
        image = first.images.detach().clone().requires_grad_()
        first = replace(first, images=image)
        with _as_errors_of_one(module, inputs):
            calls, given = _with_graph(module, first)
        logits = logits_selector(output)(given)
        if not logits.requires_grad or not depends_on(logits, image):
            raise CamError(NO_GRADIENTS)
        is_of_others = not is_convolutional(calls)
        if is_of_others or (
            reorders(logits)
            and any(may_lie_otherwise(call.part, call.shape, image.shape[2:]) for call in calls)
        ):
            if image.device.type == "meta":
                raise NeedsValuesError("The network must be run to find its feature maps.")
            if is_of_others:
                # If all values are NaN, nothing shows what changes.
                steps = [
                    ("The batch", image),
                    ("The network's output", logits.masked_fill(logits.isinf(), 0)),
                ]
                check_finite(steps, logits.dtype)
                mark_places_used(calls, logits, image)
            measure_locality(calls, module, first)
        known = calls_used(calls, logits)
        folded = [call for call in calls if call.makes_map and not call.is_of_images]
        calls = [call for call in calls if call.key in known]
        search = LayerSearch(calls, tuple(image.shape[2:]), logits, folded, unseen_part(module))
        maps = search.maps()
        if not isinstance(maps.stages, CamError) and (how := _moved(module, first, maps, calls)):
            maps = replace(maps, stages=MovedError(how), signatures=set())
        return maps, logits.detach()


def _with_graph(module: nn.Module, inputs: Inputs) -> tuple[list[Call], Any]:
    """`with_graph`, but without keeping activations if there are convolutions alone: no backward
    pass is needed then."""
    if is_plain(module):
        try:
            calls, given = with_graph(module, inputs, to_run=False)
        except RuntimeError:  # such as from a network that computes gradients itself
            return with_graph(module, inputs)
        if is_convolutional(calls):
            return calls, given
    return with_graph(module, inputs)


def _moved(module: nn.Module, inputs: Inputs, maps: FeatureMaps, calls: Sequence[Call]) -> str:
    """What a network does so that its last map does not lie over its picture [1, C, *sides]: words
    for a sentence, empty if the map lies over it or if this cannot be told."""
    if inputs.images.is_meta or not inputs.images.isfinite().all():
        return ""
    picture = noisy(inputs.images.detach())
    given = next((call.input_shapes[0] for call in calls if call.input_shapes), ())
    if given and given[0] != picture.shape[1] and given[0] in picture.shape[2:]:
        return ""  # pictures with channels last have their places at other axes
    last, layer = maps.found[-1], first_layer(module, maps)
    nodes = {call.key: call.node for call in calls}
    if layer is not None and may_move_places(nodes[layer, 1]):
        first = first_map(module, inputs, layer, maps.layouts[layer, 1])
        with suppress(*OF_A_NETWORK):  # it may not accept noise
            if how := what_moves(picture, first, last.stage.shape[1:], may_cut=True):
                return how
    node = nodes[last.name, last.number]
    if how := how_sampled(node):
        return how
    if share_kept(node, picture.ndim - 2) < _LEAST_KEPT:
        return f"cuts out a part of its maps before {last.stage.layer!r}"
    # In other networks, an output with moved places is no map: see `Layouts`.
    if not is_convolutional(calls) or not may_move_places(node):
        return ""
    call = next(one for one in calls if one.key == (last.name, last.number))
    if not call.changed:
        with suppress(*OF_A_NETWORK):
            measure_locality(calls, module, inputs)
    is_picked = node in nodes_behind_selections(node)
    if 1 in call.changed and are_elsewhere(call.changed[1], is_picked):
        return f"gives the map of {last.stage.layer!r} other places than its pictures"
    return ""


@contextmanager
def _as_errors_of_one(module: nn.Module, inputs: Inputs) -> Iterator[None]:
    """`as_cam_errors` for a pass over the first image alone. The error says so if the network would
    accept the whole batch."""
    try:
        with as_cam_errors(module, inputs):
            yield
    except CamError as error:
        if error.__cause__ is None or len(inputs) == 1:
            raise
        try:
            with torch.no_grad():
                inputs.run(module)
        except Exception:  # a person's own code may raise anything
            raise error from error.__cause__
        raise CamError(
            f"The network accepts these {len(inputs)} images but not a single one, which is "
            f"needed to find its last feature map ({first_line(error.__cause__)}). Name a layer=, "
            "or give a network that takes any number of images."
        ) from error.__cause__


def is_plain(module: nn.Module) -> bool:
    """Whether a network consists of convolutions, whose channels come first, judged without running
    it: its norms are batch norms, and its only other layers with weights are dense, at most as many
    as convolutions."""
    leaves = [part for part in module.modules() if next(part.children(), None) is None]
    makers = [part for part in module.modules() if makes_a_map(part)]
    dense = sum(isinstance(part, nn.Linear) for part in makers)
    convolutions = sum(map(is_convolution, makers))
    norms = [type(part).__name__ for part in leaves if "Norm" in type(part).__name__]
    return (
        convolutions >= dense
        and convolutions + dense == len(makers)
        and all("BatchNorm" in name for name in norms)
    )


def _parts(module: nn.Module) -> tuple[object, ...]:
    """A key that changes when a module's parts do, so that it is then traced again."""
    return tuple((type(part), *part._modules.keys()) for part in parts_of(module))


def example_batch(module: nn.Module) -> Tensor:
    """A black image of the size that timm's configuration of the network names, or 224 x 224."""
    config = getattr(module, "pretrained_cfg", None) or {}
    _, *size = config.get("input_size", (3, _USUAL, _USUAL))  # channels may have changed since
    like = next((one for one in module.parameters() if one.is_floating_point()), torch.empty(0))
    return torch.zeros(1, _channels(module), *size, device=like.device, dtype=like.dtype)


def _channels(module: nn.Module) -> int:
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    first = next(convolutions, None)
    return 3 if first is None else first.in_channels
