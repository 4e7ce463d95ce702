"""Grad-CAM for image classifiers: what a network predicts for a photo, and where it looked.

Each name below is imported on first use, because importing PyTorch takes seconds, and reading a
picture or listing the networks must not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradcam_core.version import __version__

if TYPE_CHECKING:
    from gradcam_core.analysis.cover import CoverEffect, cold_places, cover_effect, hottest_place
    from gradcam_core.analysis.trust.check import check
    from gradcam_core.analysis.trust.result import Trust
    from gradcam_core.cam.forward import forward
    from gradcam_core.cam.guided import guided_gradcam
    from gradcam_core.cam.joined_layers import FusedRun
    from gradcam_core.cam.run import Run
    from gradcam_core.cam.target_layers.feature_maps import Stage
    from gradcam_core.cam.target_layers.layers import last_feature_map, layers
    from gradcam_core.errors import (
        CamError,
        ChoiceError,
        GradcamError,
        ImageError,
        LabelError,
        NetworkError,
        WeightsError,
    )
    from gradcam_core.explanation.examination import Examination
    from gradcam_core.explanation.explain import examine, explain
    from gradcam_core.explanation.result import Explanation
    from gradcam_core.explanation.text import Prediction
    from gradcam_core.export.notebook import Explanations, compare, load_ipython_extension
    from gradcam_core.images.cover import Cover
    from gradcam_core.images.decoded import Decoded, Window
    from gradcam_core.images.read import read_image, read_picture
    from gradcam_core.models.class_names.labels import Label, find_label, imagenet_labels
    from gradcam_core.models.custom import register
    from gradcam_core.models.downloads.weights import Weights
    from gradcam_core.models.loading import load_model
    from gradcam_core.models.model import Model
    from gradcam_core.models.prepare import prepare
    from gradcam_core.models.registry import DEFAULT_MODELS, ModelInfo, list_models

__all__ = [
    "DEFAULT_MODELS",
    "CamError",
    "ChoiceError",
    "Cover",
    "CoverEffect",
    "Decoded",
    "Examination",
    "Explanation",
    "Explanations",
    "FusedRun",
    "GradcamError",
    "ImageError",
    "Label",
    "LabelError",
    "Model",
    "ModelInfo",
    "NetworkError",
    "Prediction",
    "Run",
    "Stage",
    "Trust",
    "Weights",
    "WeightsError",
    "Window",
    "__version__",
    "check",
    "cold_places",
    "compare",
    "cover_effect",
    "examine",
    "explain",
    "find_label",
    "forward",
    "guided_gradcam",
    "hottest_place",
    "imagenet_labels",
    "last_feature_map",
    "layers",
    "list_models",
    "load_ipython_extension",
    "load_model",
    "prepare",
    "read_image",
    "read_picture",
    "register",
]

_NAMES = {
    "analysis.cover": ("CoverEffect", "cold_places", "cover_effect", "hottest_place"),
    "analysis.trust.check": ("check",),
    "analysis.trust.result": ("Trust",),
    "cam.forward": ("forward",),
    "cam.joined_layers": ("FusedRun",),
    "cam.guided": ("guided_gradcam",),
    "cam.target_layers.layers": ("last_feature_map", "layers"),
    "cam.target_layers.feature_maps": ("Stage",),
    "cam.run": ("Run",),
    "errors": (
        *("CamError", "ChoiceError", "GradcamError", "ImageError", "LabelError"),
        *("NetworkError", "WeightsError"),
    ),
    "explanation.examination": ("Examination",),
    "explanation.explain": ("examine", "explain"),
    "explanation.result": ("Explanation",),
    "explanation.text": ("Prediction",),
    "export.notebook": ("Explanations", "compare", "load_ipython_extension"),
    "images.cover": ("Cover",),
    "images.decoded": ("Decoded", "Window"),
    "images.read": ("read_image", "read_picture"),
    "models.custom": ("register",),
    "models.class_names.labels": ("Label", "find_label", "imagenet_labels"),
    "models.loading": ("load_model",),
    "models.model": ("Model",),
    "models.prepare": ("prepare",),
    "models.registry": ("DEFAULT_MODELS", "ModelInfo", "list_models"),
    "models.downloads.weights": ("Weights",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
