"""Grad-CAM for ImageNet classifiers: what a network predicts for a photo, and where it looked.

Importing this package does not import PyTorch, which takes seconds: the page answers before that.
What needs PyTorch imports it when it is first used, the names of `gradcam_core.cam` included.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradcam_core.description import NetworkError
from gradcam_core.explain import Examination, Explanation, Prediction, examine, explain
from gradcam_core.images import ImageError, read_image
from gradcam_core.labels import Label, LabelError, find_label, imagenet_labels
from gradcam_core.models import DEFAULT_MODELS, Model, ModelInfo, list_models, load_model
from gradcam_core.own_networks import register
from gradcam_core.weights import Weights, WeightsError

if TYPE_CHECKING:
    from gradcam_core.cam import Run, forward
    from gradcam_core.stages import CamError, Stage, last_feature_map, layers

__all__ = [
    "DEFAULT_MODELS",
    "CamError",
    "Examination",
    "Explanation",
    "ImageError",
    "Label",
    "LabelError",
    "Model",
    "ModelInfo",
    "NetworkError",
    "Prediction",
    "Run",
    "Stage",
    "Weights",
    "WeightsError",
    "examine",
    "explain",
    "find_label",
    "forward",
    "imagenet_labels",
    "last_feature_map",
    "layers",
    "list_models",
    "load_model",
    "read_image",
    "register",
]


_LATER = {
    "CamError": "stages",
    "Run": "cam",
    "Stage": "stages",
    "forward": "cam",
    "last_feature_map": "stages",
    "layers": "stages",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"gradcam_core.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
