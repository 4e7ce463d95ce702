"""Grad-CAM for ImageNet classifiers: what a network predicts for a photo, and where it looked.

Importing this package does not import PyTorch, which takes seconds: the page answers before that.
What needs PyTorch imports it when it is first used, the names of `gradcam_core.cam` included.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradcam_core.explain import Examination, Explanation, Prediction, examine, explain
from gradcam_core.images import ImageError, read_image
from gradcam_core.labels import Label, LabelError, find_label, imagenet_labels
from gradcam_core.models import DEFAULT_MODELS, Model, ModelInfo, list_models, load_model
from gradcam_core.weights import Weights, WeightsError

if TYPE_CHECKING:
    from gradcam_core.cam import CamError, Run, forward, last_feature_map

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
    "Prediction",
    "Run",
    "Weights",
    "WeightsError",
    "examine",
    "explain",
    "find_label",
    "forward",
    "imagenet_labels",
    "last_feature_map",
    "list_models",
    "load_model",
    "read_image",
]


_OF_CAM = ("CamError", "Run", "forward", "last_feature_map")


def __getattr__(name: str) -> Any:
    if name in _OF_CAM:
        return getattr(import_module("gradcam_core.cam"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
