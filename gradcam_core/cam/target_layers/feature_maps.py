"""Records of a network's feature maps, as a pass has shown them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradcam_core.cam.target_layers.graph import GraphSignature
from gradcam_core.cam.target_layers.layout import Layout
from gradcam_core.errors import CamError


@dataclass(frozen=True)
class Stage:
    """The last feature map of one resolution.

    layer: dotted name of a module; with "#2", its second call, where it runs several times.
    shape: (channels, h, w), with one or three sides where the input has.
    """

    layer: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FeatureMap:
    """A feature map of a network. name, number: of the call that gives it, see `Call`."""

    stage: Stage
    name: str
    number: int
    layout: Layout


@dataclass(frozen=True)
class FeatureMaps:
    """What a pass has shown of a network's feature maps.

    stages: those of `layers`, or an error that says why there are none. layouts: of all calls that
    give a map, by name and number. unused: the calls among these whose places the logits do not
    depend on. signatures: of the graph after the last stage, in this pass and in others on the same
    path. is_lasting: whether all of this holds for other weights, too.
    """

    stages: list[FeatureMap] | CamError
    layouts: dict[tuple[str, int], Layout]
    unused: set[tuple[str, int]]
    signatures: set[GraphSignature] = field(default_factory=set)
    is_lasting: bool = True

    @property
    def found(self) -> list[FeatureMap]:
        """The stages. Raises CamError if there are none."""
        if isinstance(self.stages, CamError):
            raise type(self.stages)(*self.stages.args)
        return self.stages

    @property
    def names(self) -> str:
        """The layers to choose from, for an error message. Raises CamError like `found`."""
        return ", ".join(found.stage.layer for found in self.found)
