"""Makes what is registered for a person's network, with the layer that is explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gradcam_core.errors import CamError, NetworkError
from gradcam_core.models.class_names.labels import Labels
from gradcam_core.models.custom.description import Description
from gradcam_core.models.custom.recipes import ArchitectureRecipe
from gradcam_core.models.downloads.weights import Source
from gradcam_core.models.registry import ModelInfo, Recipe
from gradcam_core.upstream import without_compiler

if TYPE_CHECKING:
    from torch import nn

    from gradcam_core.models.custom.architectures import Architecture

_KEPT = 64
"""Number of architectures whose layers are cached, some 20 KB each."""


def info_with_layer(
    described: Description,
    recipe: ArchitectureRecipe,
    labels: Labels,
    source: Source,
    notes: Sequence[str] = (),
) -> ModelInfo:
    """`info_of` with the layer that is described, else the network's last stage. Raises
    NetworkError if the network lacks the layer, rejects the input size, or cannot be explained."""
    architecture = recipe.architecture
    arguments = repr(sorted(architecture.arguments.items()))
    try:
        found = _layers_of(
            architecture.builder, architecture, arguments, recipe.classes, recipe.input_size
        )
    except AssertionError as error:  # timm's error for a size that the network is not built for
        _, height, width = recipe.input_size
        raise NetworkError(
            f"{architecture} does not accept pictures of {height}x{width} ({error}): "
            "give the size= that it was trained with"
        ) from None
    if found.refused and described.layer is None:
        raise NetworkError(f"{architecture} cannot be explained: {found.refused}")
    layer = described.layer or found.stages[-1]
    if layer.partition("#")[0] not in found.parts:
        last = ", ".join(found.stages) or "not known"
        raise NetworkError(
            f"there is no layer {layer!r}; the last feature maps of each resolution are: {last}"
        )
    return info_of(described, recipe, labels, source, architecture.name, layer, notes)


@dataclass(frozen=True)
class _Layers:
    """Names of a network's layers. stages: those of the last feature maps of each resolution.
    parts: all. refused: why there are no stages, else ""."""

    stages: tuple[str, ...]
    parts: frozenset[str]
    refused: str = ""


@lru_cache(_KEPT)
def _layers_of(
    builder: Callable[..., nn.Module],
    architecture: Architecture,
    arguments: str,
    classes: int,
    input_size: tuple[int, int, int],
) -> _Layers:
    """Cached, because people try several files of the same network. builder, arguments: as for
    `architectures.shapes_of`. Raises AssertionError for a size that the network does not accept."""
    import torch

    from gradcam_core.cam.target_layers.layers import NeedsValuesError, layers
    from gradcam_core.models.optimise.build import network_skeleton

    stages: list[str] = []
    refused = ""
    for has_values in (False, True):
        module = network_skeleton(
            lambda: architecture.build(classes, input_size[0]), input_size, has_values
        )
        batch = torch.zeros(1, *input_size, device=next(module.parameters()).device)
        try:
            with without_compiler():
                stages = [stage.layer for stage in layers(module, batch)]
        except NeedsValuesError:
            continue
        except CamError as error:
            refused = str(error)
        break
    return _Layers(tuple(stages), frozenset(dict(module.named_modules())), refused)


def info_of(
    described: Description,
    recipe: Recipe,
    labels: Labels,
    source: Source,
    architecture: str,
    layer: str,
    notes: Sequence[str] = (),
) -> ModelInfo:
    """What is registered. notes: parts of its notice, without full stops; may be empty."""
    said = "; ".join(filter(None, notes))
    return ModelInfo(
        described.api_name,
        described.title,
        architecture,
        layer,
        source,
        labels=labels,
        independent=described.sigmoid,
        recipe=recipe,
        notice=f"{described.title}: {said}." if said else "",
        unit=(described.unit or "") if described.regression else None,
    )
