"""Grad-CAM for ImageNet classifiers: what a network predicts for a photo, and where it looked."""

from gradcam_core.cam import CamError, Run, forward, last_feature_map
from gradcam_core.explain import Examination, Explanation, Prediction, examine, explain
from gradcam_core.images import ImageError, read_image
from gradcam_core.labels import Label, LabelError, find_label, imagenet_labels
from gradcam_core.models import DEFAULT_MODELS, Model, ModelInfo, list_models, load_model
from gradcam_core.weights import Weights, WeightsError

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
