"""The request of one explanation: the same record for Python, page, API, command line, batch and
replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcam_core.cam.methods import DEFAULT_METHOD, method_named
from gradcam_core.errors import ChoiceError, LabelError
from gradcam_core.images.geometry import ViewName, check_view
from gradcam_core.models.labels import find_in_all
from gradcam_core.models.registry import model_info

if TYPE_CHECKING:
    from gradcam_core.models.loading import Model


@dataclass(frozen=True)
class ExplanationRequest:
    """What is to be explained of a photo, by one network.

    model: the network's name. target: the class; None is the network's own top prediction, or the
    next one if that is in `against`. against: classes that it is explained against; rivals: whether
    it is explained against those that the network holds most probable besides it, where `against`
    is empty. depth: in [0, 1], how far through the network's stages the layer lies that is
    explained; 1 is the target layer of the paper. layer: its dotted name, in place of `depth`.

    Whoever has a request has a valid one. Raises ChoiceError for a method, view, detail or depth
    that there is not, LabelError for a target in `against`. For names of networks and classes see
    `requests_for`.
    """

    model: str
    view: ViewName = "crop"
    target: int | None = None
    against: tuple[int, ...] = ()
    rivals: bool = False
    method: str = DEFAULT_METHOD
    detail: int = 1
    depth: float = 1.0
    layer: str | None = None

    def __post_init__(self) -> None:
        method_named(self.method)
        check_view(self.view, self.detail)
        if not 0 <= self.depth <= 1:
            raise ChoiceError(f"There is no depth {self.depth}. Choose a number from 0 to 1.")
        if self.target in self.against:
            raise LabelError("A class cannot be explained against itself. Choose another one.")

    @property
    def contrast(self) -> bool | Sequence[int]:
        """As `Examination.explain` takes it; False for a method that knows no class."""
        if not method_named(self.method).knows_class:
            return False
        return self.against or self.rivals

    def layer_of(self, model: Model) -> str | None:
        """The name of the layer in this network; None for the target layer of the paper. The first
        time, a depth below 1 takes a forward pass."""
        if self.layer is not None or self.depth == 1:
            return self.layer
        stages = model.stages
        stage = round(self.depth * (len(stages) - 1))
        return None if stage == len(stages) - 1 else stages[stage].layer


def requests_for(
    models: Sequence[str],
    view: ViewName = "crop",
    target: int | str | None = None,
    against: Sequence[int | str] = (),
    rivals: bool = False,
    method: str = DEFAULT_METHOD,
    detail: int = 1,
    depth: float = 1.0,
) -> list[ExplanationRequest]:
    """One request for each network, from what a person gave: classes by index, name or synonym.

    Raises ChoiceError for an unknown name or number, LabelError for a class that a network does not
    have, or one that means something else in each of them.
    """
    networks = [(info.title, info.labels) for info in map(model_info, models)]
    targets: Sequence[int | None] = [None] * len(models)
    if target is not None:
        targets = find_in_all(target, networks)
    others = [find_in_all(one, networks) for one in against]
    againsts = [tuple(indices[n] for indices in others) for n in range(len(models))]
    return [
        ExplanationRequest(model, view, one, its_against, rivals, method, detail, depth)
        for model, one, its_against in zip(models, targets, againsts, strict=True)
    ]
