"""Advice about weights that do not fit an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gradcam_core.models.custom.architectures import Architecture, Shapes, shapes_of
from gradcam_core.models.custom.fitting.likeness import likeliest, of_the_same_shapes

AS_MODULE = "build the network, load the file, and give it as gc.register(…, module=…)"

_TOKENS_OF_NO_PLACE = 5  # most tokens without a position: class, distillation, registers

_ALTERED = {
    "parametrizations.": "parametrised: call torch.nn.utils.parametrize.remove_parametrizations "
    "before they are saved",
    "weight_u": "normalised: call torch.nn.utils.remove_spectral_norm before they are saved",
    "weight_orig": "pruned: call torch.nn.utils.prune.remove before they are saved",
    "weight_g": "normalised: call torch.nn.utils.remove_weight_norm before they are saved",
    "lora_": "those of LoRA: call merge_and_unload() before they are saved",
    "modules_to_save.": "those of PEFT: call merge_and_unload() before they are saved",
    "fake_quant_": "prepared for quantisation: save those of the network before that",
    "fake_quant.": "prepared for quantisation: save those of the network before that",
}
"""Part of the names of tensors: how they were altered, and what to do."""


def altered(given: Shapes) -> str:
    """How the weights were altered, by their names, and what to do; "" if they were not."""
    for part, what in _ALTERED.items():
        if any(
            part in name if "." in part or part[-1] == "_" else name.endswith(part)
            for name in given
        ):
            return what
    return ""


def hint(given: Shapes, architecture: Architecture) -> str:
    """Advice for people whose weights do not fit this architecture."""
    if found := altered(given):
        return f"They are {found}"
    best = likeliest(given)
    renamed = under_other_names(given)
    if best is None:
        return renamed or f"No architecture of timm or torchvision resembles it: {AS_MODULE}"
    if best.architecture.name == architecture.name:
        own = shapes_of(architecture, None, 3)
        missing = own.keys() - {name.removeprefix(best.prefix) for name in given}
        if missing and all(name.endswith(("running_mean", "running_var")) for name in missing):
            return "The statistics of its batch norms are missing: save its whole state_dict()"
        positions = [one for one in own if "pos_embed" in one and best.prefix + one in given]
        if any(_are_other_places(own[one], given[best.prefix + one]) for one in positions):
            return "Its pictures have another size: give size="
        return renamed or f"It is another form of it: {AS_MODULE}"
    whole = "all" if best.share == 1 else f"{best.share:.0%}"
    behind = f" behind {best.prefix.rstrip('.')!r}" if best.prefix else ""
    return f"The likeliest architecture is {best.architecture}: {whole} of its tensors fit{behind}"


def _are_other_places(own: Sequence[int], given: Sequence[int]) -> bool:
    """Whether two position embeddings are equally wide, and differ by more than tokens without a
    position, so that their pictures differ in size."""
    if len(own) != len(given) or own[-1] != given[-1]:
        return False
    return abs(prod(own[:-1]) - prod(given[:-1])) > _TOKENS_OF_NO_PLACE


def under_other_names(given: Shapes) -> str:
    """Which architecture has tensors of these shapes under other names, and what to do; "" if none
    has."""
    found = of_the_same_shapes(given)
    if found is None:
        return ""
    own = shapes_of(found.architecture, None, 3)
    behind = [name.removeprefix(found.prefix) for name in given if name.startswith(found.prefix)]
    lacking = next((name for name in own if name not in behind), "")
    other = next((name for name in behind if name not in own), "")
    if not lacking or not other:
        return ""
    if other.startswith("fc_norm."):
        return (
            f"{found.architecture} has these tensors if it takes the mean of its tokens: give "
            f"architecture={found.architecture.name}"
        )
    return (
        f"{found.architecture} has tensors of these shapes under other names ({lacking}; in the "
        f"file there is {other}): rename those of the file if it is that network, which shapes do "
        f"not tell, or {AS_MODULE}"
    )
