"""Makes what is registered for a module that a person has built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from gradcam_core.errors import NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.class_names import labels_for
from gradcam_core.models.custom.description import Description
from gradcam_core.models.custom.files.label_files import names_in
from gradcam_core.models.custom.info import info_of
from gradcam_core.models.custom.input_settings import imagenet_input, input_of
from gradcam_core.models.custom.mean_and_std import plausible
from gradcam_core.models.custom.modules.own_module import (
    ModuleRecipe,
    ModuleSource,
    channels_of,
    inspect_module,
    unwrapped,
)
from gradcam_core.models.registry import ModelInfo
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import Tensor, nn


_CHANNELS = "pictures have 1 or 3: give channels=1 or channels=3 if the module takes such pictures"

_HEADS = ("fc", "head", "classifier")
_HOLDERS = ("config", "hparams", "dataset_meta")
"""Attributes in which transformers, Lightning and OpenMMLab keep a module's settings."""

_NAMES_KEYS = ("id2label", "class_names", "classes", "class_to_idx", "idx_to_class", "CLASSES")
"""Keys that hold only names of classes; a list called `names` or `labels` may be of parts."""


def of_module(
    described: Description,
    module: nn.Module,
    output: Callable[[Any], Tensor] | None = None,
) -> ModelInfo:
    """What is registered for a module. output: maps its output to logits, if that is needed. Raises
    NetworkError or LabelError."""
    from torch import nn

    if not isinstance(module, nn.Module):
        raise NetworkError(f"module= is a {type(module).__name__} and must be a torch.nn.Module")
    module = unwrapped(module)
    if module.training:
        raise NetworkError(
            "the module is in training mode: call its eval() first; if it was exported and has "
            "none, give the module that it was made from"
        )
    if _is_headless(module):
        raise NetworkError(
            "the module has no classes (num_classes is 0), so its outputs are features: give it a "
            "head and its num_classes, or wrap both in a module"
        )
    for key in ("architecture", "weights", "prefix", "transform_input"):
        if getattr(described, key) is not None:
            raise NetworkError(f"{key}= cannot be combined with module=, which is used as it is")
    if output is not None and not callable(output):
        raise NetworkError(f"output= is a {type(output).__name__} and must be a function")
    of_layer = channels_of(module)
    # A first layer may take more channels than the picture has, such as its coordinates.
    channels = described.channels or (of_layer if of_layer in (1, 3) else 3)
    if channels not in (1, 3):
        raise NetworkError(f"channels= gives {channels} channels, but {_CHANNELS}")
    usual, note = _usual_of(module)
    if described.mean is None and described.std is None and (place := _normalising(module)):
        raise NetworkError(
            f"{place} in the module has a mean and a std: if it normalises pictures, give mean=0 "
            "and std=1, or std=1/255 if it takes values from 0 to 255; else those that it was "
            "trained with"
        )
    preprocessing = input_of(described, usual, channels)
    given = [key for key in ("mean", "std") if getattr(described, key) is not None]
    if len(given) == 2 or channels != usual.channels:
        note = ""
    elif note and given:
        note = f"only {given[0]} was given, and the other is ImageNet's"
    try:
        seen = inspect_module(module, preprocessing, described.layer, output)
    except NetworkError as error:
        if described.channels or of_layer == channels:
            raise
        raise NetworkError(
            f"the module's first layer takes {of_layer} channels, but {_CHANNELS}"
        ) from error
    if seen.scales_pictures and described.mean is None and described.std is None:
        raise NetworkError(
            "the module scales its pictures before its first layer: if it normalises them, give "
            "mean=0 and std=1, or std=1/255 if it takes values from 0 to 255; otherwise give the "
            "mean and std that it was trained with"
        )
    if described.classes not in (None, seen.outputs):
        raise NetworkError(f"classes is {described.classes}, but the module gives {seen.outputs}")
    if seen.no_logits and not described.regression:
        raise NetworkError(f"the module's outputs are {seen.no_logits}")
    labels = labels_for(described, seen.outputs, _names_in(module, seen.outputs))
    is_single = seen.outputs == 1 and not described.regression
    gives = "logits" if described.regression else seen.gives
    recipe = ModuleRecipe(
        module, preprocessing, output, is_single, gives, described.layer is None, seen.reads_values
    )
    inside = ""
    if "softmax" in gives:
        inside = (
            f"the outputs are those of a {gives} or the like, so maps fade where the network is "
            "confident; logits are better: leave it out"
        )
    elif gives == "probabilities":
        inside = (
            "the outputs are taken as probabilities, because all that were tried are from 0 to 1"
        )
    name = type(module).__name__
    source = ModuleSource(name)
    heads = [one for one in _HEADS if isinstance(getattr(module, one, None), nn.Module)]
    feats = ""
    if heads and all(isinstance(getattr(module, one), nn.Identity) for one in heads):
        feats = f"its {heads[0]} does nothing, so its outputs may be features, not classes"
    info = info_of(described, recipe, labels, source, name, seen.layer, (note, inside, feats))
    is_each = described.sigmoid or (gives in ("sigmoid", "probabilities") and seen.outputs > 1)
    return replace(info, independent=is_each)


def _is_headless(module: nn.Module) -> bool:
    """Whether the module says that it has no classes, and no head was added later."""
    from torch import nn

    if getattr(module, "num_classes", None) != 0:
        return False
    try:
        heads = module.get_classifier()  # type: ignore[operator]
    except Exception:  # it has no head, or not where it was
        if hasattr(module, "get_classifier"):
            return False
        heads = tuple(getattr(module, name) for name in _HEADS if hasattr(module, name))
    heads = heads if isinstance(heads, tuple) else (heads,)
    return all(one is None or isinstance(one, nn.Identity) for one in heads)


def _names_in(module: nn.Module, outputs: int) -> list[str] | None:
    """The names of so many classes, by the module, its settings, or the module that it only wraps;
    None if none has them."""
    layers: list[nn.Module] = [module]
    for part in layers:  # the list grows during the loop
        inner = [one for one in part.children() if next(one.parameters(), None) is not None]
        layers += inner if len(inner) == 1 else []  # of several, one has names of what it gave
        for holder, key in product((*_HOLDERS, ""), (*_NAMES_KEYS, "names")):
            with suppress(Exception):  # a property may raise anything
                held = getattr(part, holder) if holder else part
                found = held[key] if isinstance(held, Mapping) else getattr(held, key)
                if key == "names" and not isinstance(found, Mapping):
                    continue
                names = names_in(found)
                if len(names) == outputs and all(map(str.strip, names)):
                    return names
    return None


def _normalising(module: nn.Module) -> str:
    """The dotted name and the class of a part that may normalise pictures; "" if none does."""
    for name, part in module.named_modules():
        given: list[Any] = [getattr(part, key, None) for key in ("mean", "std")]
        mean, std = (one.flatten().tolist() if hasattr(one, "tolist") else one for one in given)
        if plausible(mean, std):
            return f"{name} ({type(part).__name__})" if name else type(part).__name__
    return ""


def _usual_of(module: nn.Module) -> tuple[Preprocessing, str]:
    """The preprocessing that a timm network states, else ImageNet's; and the notice that ImageNet's
    is used, else ""."""
    settings = getattr(module, "pretrained_cfg", None)
    if isinstance(settings, Mapping) and settings.get("mean"):
        import_timm()
        from timm.data import resolve_data_config

        return Preprocessing.from_timm(resolve_data_config(dict(settings))), ""
    return imagenet_input(), "mean and std are ImageNet's, because none were given"
