"""What is registered of a person's network, with the layer that is explained."""

from __future__ import annotations

from collections.abc import Sequence

from gradcam_core.errors import CamError, NetworkError
from gradcam_core.models.class_names.labels import Labels
from gradcam_core.models.custom.description import Description
from gradcam_core.models.custom.recipes import ArchitectureRecipe
from gradcam_core.models.downloads.weights import Source
from gradcam_core.models.registry import ModelInfo, Recipe


def info_with_layer(
    described: Description,
    recipe: ArchitectureRecipe,
    labels: Labels,
    source: Source,
    notes: Sequence[str] = (),
) -> ModelInfo:
    import torch

    from gradcam_core.cam.target_layers.layers import NeedsValuesError, layers
    from gradcam_core.models.optimise.build import network_skeleton

    layer = described.layer
    for has_values in (False, True):
        try:
            module = network_skeleton(recipe.build, recipe.input_size, has_values)
            batch = torch.zeros(1, *recipe.input_size, device=next(module.parameters()).device)
            stages = [stage.layer for stage in layers(module, batch)]
        except NeedsValuesError:
            continue
        except AssertionError as error:  # timm's word for a size that the network is not built for
            _, height, width = recipe.input_size
            raise NetworkError(
                f"{recipe.architecture} does not accept pictures of {height}x{width} ({error}): "
                "give the size= that it was trained with"
            ) from None
        except CamError as error:
            if layer is None:
                raise NetworkError(f"{recipe.architecture} cannot be explained: {error}") from None
            stages = []
        break
    layer = layer or stages[-1]
    if layer.partition("#")[0] not in dict(module.named_modules()):
        last = ", ".join(stages) or "not known"
        raise NetworkError(
            f"there is no layer {layer!r}; the last feature maps of each resolution are: {last}"
        )
    return info_of(described, recipe, labels, source, recipe.architecture.name, layer, notes)


def info_of(
    described: Description,
    recipe: Recipe,
    labels: Labels,
    source: Source,
    architecture: str,
    layer: str,
    notes: Sequence[str] = (),
) -> ModelInfo:
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
