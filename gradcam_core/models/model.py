"""A network that is ready to run, with its layers, weights and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias

from gradcam_core.errors import CamError, ChoiceError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.downloads.weights import Weights
from gradcam_core.models.registry import ModelInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradcam_core.cam.target_layers.feature_maps import Stage


LayerChoice: TypeAlias = str | float | tuple[str | float, ...]
"""A layer by its dotted name or its place from 0 (first feature map) to 1 (last); or several."""

_ROUNDING = 0.01  # of probabilities, in bfloat16

JOINED = "+"
"""Separates the names of several layers whose maps are joined."""


@dataclass(frozen=True)
class Model:
    """A network that is ready to run: in eval mode, its parameters frozen, its weights real.

    info: describes the network in `module`. stands_in_for: the requested network if this is a
    stand-in, and reason: why. is_arriving: whether the reason is that the weights are still being
    downloaded.
    """

    info: ModelInfo
    module: nn.Module
    preprocessing: Preprocessing
    weights: Weights
    stands_in_for: ModelInfo | None = None
    reason: str = ""
    is_arriving: bool = False

    @property
    def target_layer(self) -> str | None:
        """The default target layer; None if each pass finds it."""
        return None if getattr(self.info.recipe, "finds_layer", False) else self.info.layer

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The feature maps, one per resolution, from the first to the default target layer."""
        from gradcam_core.cam.target_layers.layers import example_batch, layers

        sides = self.preprocessing.channels, *self.preprocessing.size
        batch = example_batch(self.module).new_zeros(1, *sides)
        return tuple(layers(self.module, batch, output=self.output))

    def layer_named(self, layer: LayerChoice | Sequence[str | float] | None) -> str | None:
        """The dotted name of the target layer, or None for the default one.

        layer: a dotted name, or a number from 0 (first feature map) to 1 (last). None and 1 are the
        default. A sequence of layers, whose maps are joined, gives their names separated by "+".
        The first number below 1 costs a forward pass. Raises ChoiceError for a name that no module
        has, and for a number outside [0, 1].
        """
        if isinstance(layer, Sequence) and not isinstance(layer, str):
            check_layer(layer)
            if len(layer) == 1:
                return self.layer_named(layer[0])
            return JOINED.join(dict.fromkeys(map(self._name_of, layer)))
        if isinstance(layer, str):
            return self._existing(layer)
        if layer is None or layer == 1:
            return None
        check_layer(layer)
        stage = round(layer * (len(self.stages) - 1))
        return None if stage == len(self.stages) - 1 else self.stages[stage].layer

    def _existing(self, layer: str) -> str:
        known = dict(self.module.named_modules())
        each = self.each_layer(layer)
        missing = [one for one in each if not one or one.partition("#")[0] not in known]
        if not missing:
            return JOINED.join(dict.fromkeys(each))
        names = ", ".join(stage.layer for stage in self.stages)
        raise ChoiceError(
            f"{self.info.title} has no layer {missing[0]!r}. The last feature maps of each "
            f"resolution are: {names}."
        )

    def _name_of(self, layer: str | float) -> str:
        return self.layer_named(layer) or self.info.layer

    def each_layer(self, names: str) -> list[str]:
        """Splits what `layer_named` returned into the names of the layers."""
        is_own = names.partition("#")[0] in dict(self.module.named_modules())
        return [names] if is_own else names.split(JOINED)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits [N, classes] -> probabilities of all classes in [0, 1], float32 of the same shape.
        The values of a regression stay as they are. Raises CamError if a network that is taken to
        return probabilities gives others."""
        logits = logits.float()
        if self.info.unit is not None:
            return logits
        if self.gives_probabilities:
            ends = logits.detach().aminmax() if len(logits) else ()
            if outside := [one for one in map(float, ends) if abs(one - 0.5) > 0.5 + _ROUNDING]:
                raise CamError(
                    f"{self.info.title} gave {outside[0]:.4g} for this picture, and its outputs "
                    "were taken as probabilities, from 0 to 1: register it with output=, a "
                    "function that returns logits."
                )
            return logits
        return logits.sigmoid() if self.info.independent else logits.softmax(dim=1)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the network ends with a softmax or sigmoid, so that it gives no logits."""
        return self._gives not in ("logits", "log-softmax")

    @property
    def may_be_saturated(self) -> bool:
        """Whether the network's last operation lets gradients vanish where it is confident."""
        return self._gives != "logits"

    @property
    def _gives(self) -> str:
        return getattr(self.info.recipe, "gives", "logits")

    @property
    def output(self) -> Callable[[Any], Tensor] | None:
        """The function from the module's output to its logits, as `forward` takes it; None if no
        such function is needed."""
        return getattr(self.info.recipe, "output", None)

    def logits(self, output: Any) -> Tensor:
        """The logits [N, classes] in an output of the module."""
        from gradcam_core.cam.network.outputs import logits_selector

        return logits_selector(self.output)(output)

    @property
    def notice(self) -> str:
        """A sentence to show with this network's results: that it is a stand-in and why, or how
        settings of a person's own network were interpreted. Empty if there is nothing to say."""
        if self.stands_in_for is None:
            return self.info.notice
        stand_in = f"{self.info.title}, a smaller network, stands in for {self.stands_in_for.title}"
        if self.is_arriving:
            return f"{stand_in}, whose weights are still being downloaded."
        return f"{stand_in}, whose weights are not available: {self.reason}."


def is_several(layer: object) -> bool:
    """Whether a layer choice names several layers."""
    return len(parts_of_choice(layer)) > 1


def parts_of_choice(layer: Any) -> Sequence[Any]:
    """The parts of a choice of several layers; otherwise the choice itself as the only part."""
    if isinstance(layer, (list, tuple)):
        return layer
    return layer.split(JOINED) if isinstance(layer, str) else [layer]


def check_layer(layer: Any) -> None:
    """Raises ChoiceError for a number outside [0, 1], an empty sequence, or another type."""
    if isinstance(layer, (list, tuple)):
        if not layer:
            raise ChoiceError("No layer is named: give one or more.")
        for one in layer:
            check_layer(one)
        return
    is_place = isinstance(layer, SupportsFloat) and 0 <= float(layer) <= 1
    if not isinstance(layer, str) and not is_place:
        raise ChoiceError(
            f"There is no layer {layer}. Give a number from 0 (the first feature map) to 1 (the "
            "last), or its dotted name."
        )
