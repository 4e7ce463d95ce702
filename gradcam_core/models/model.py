"""A network that is ready to run, and what is known of it."""

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
"""A layer by its name, or by its place from 0 to 1; or several."""

_ROUNDING = 0.01  # of probabilities, in bfloat16

JOINED = "+"
"""Between the names of several layers whose maps are joined."""


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
        """The target layer where none is asked for; None if it is found in each pass."""
        return None if getattr(self.info.recipe, "finds_layer", False) else self.info.layer

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Its feature maps, one per resolution, from the first to the target layer of the paper."""
        from gradcam_core.cam.target_layers.layers import example_batch, layers

        sides = self.preprocessing.channels, *self.preprocessing.size
        batch = example_batch(self.module).new_zeros(1, *sides)
        return tuple(layers(self.module, batch, output=self.output))

    def layer_named(self, layer: LayerChoice | Sequence[str | float] | None) -> str | None:
        """The dotted name of a target layer: given by it, or by a number from 0, the first feature
        map, to 1, the last. None and 1 are the one of the paper, for which this gives None. Of
        several layers, whose maps are joined, the names with "+" between them. The first time, a
        number below 1 takes a forward pass. Raises ChoiceError for a name that no module has."""
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
        """The names that `layer_named` gave as one."""
        is_own = names.partition("#")[0] in dict(self.module.named_modules())
        return [names] if is_own else names.split(JOINED)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of all classes, in [0, 1]: [N, classes] -> float32 of the same shape. A regression's
        values are as they are. Raises CamError where a network's own are none."""
        logits = logits.float()
        if self.info.unit is not None:
            return logits
        if self.gives_probabilities:
            least, most = (float(one) for one in logits.detach().aminmax())
            if least < -_ROUNDING or most > 1 + _ROUNDING:
                raise CamError(
                    f"{self.info.title} gave {least if least < 0 else most:.4g} for this picture, "
                    "and its outputs were taken as probabilities, from 0 to 1: register it with "
                    "output=, a function that returns logits."
                )
            return logits
        return logits.sigmoid() if self.info.independent else logits.softmax(dim=1)

    @property
    def gives_probabilities(self) -> bool:
        """Whether a softmax or sigmoid is in the network, so that its logits are no such."""
        return self._gives not in ("logits", "log-softmax")

    @property
    def may_be_saturated(self) -> bool:
        """Whether something in the network lets gradients vanish where it is sure."""
        return self._gives != "logits"

    @property
    def _gives(self) -> str:
        return getattr(self.info.recipe, "gives", "logits")

    @property
    def output(self) -> Callable[[Any], Tensor] | None:
        """From what the module gives to its logits, for `forward`; None where that is clear."""
        return getattr(self.info.recipe, "output", None)

    def logits(self, output: Any) -> Tensor:
        """The same, of what the module gave: [N, classes]."""
        from gradcam_core.cam.network.outputs import logits_selector

        return logits_selector(self.output)(output)

    @property
    def notice(self) -> str:
        """What is to be shown with this network's results: that it is a stand-in, or what was taken
        otherwise than a person's file has it; else empty."""
        if self.stands_in_for is None:
            return self.info.notice
        stand_in = f"{self.info.title}, a smaller network, stands in for {self.stands_in_for.title}"
        if self.is_arriving:
            return f"{stand_in}, whose weights are still being downloaded."
        return f"{stand_in}, whose weights are not available: {self.reason}."


def is_several(layer: object) -> bool:
    """Whether a choice of a layer is one of several."""
    return len(parts_of_choice(layer)) > 1


def parts_of_choice(layer: Any) -> Sequence[Any]:
    """The choices that a choice of several layers is made of; else itself alone."""
    if isinstance(layer, (list, tuple)):
        return layer
    return layer.split(JOINED) if isinstance(layer, str) else [layer]


def check_layer(layer: Any) -> None:
    """Raises ChoiceError for a number that is no place of a layer, and for no layer at all."""
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
