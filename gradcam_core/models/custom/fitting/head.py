"""Finds a network's head in a file that names it differently from the architecture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gradcam_core.errors import ArchitectureError
from gradcam_core.models.custom.architectures import Shapes
from gradcam_core.models.custom.fitting.placement import is_beside, is_computed


@dataclass(frozen=True)
class ReplacedHead:
    """A layer in the file that is used as the architecture's last layer. names: of its tensors in
    the file, by the architecture's names. note: the notice about it."""

    names: Mapping[str, str]
    note: str


def replaced_head(
    missing: Collection[str],
    usual: Shapes,
    of_classes: Mapping[str, int],
    shapes: Shapes,
    prefix: str,
    used: set[str],
    is_prefix_given: bool,
) -> ReplacedHead | None:
    """The last layer, if the file has it under another name than the architecture: alone in a
    Sequential, or beside the network. None if nothing fits.

    missing: tensors of the architecture that the file lacks. usual: shapes of the architecture.
    of_classes: tensors that depend on the number of classes, and in which dimension. shapes: of the
    file. used: names in the file that are already used. is_prefix_given: whether only what is
    behind the prefix counts. Raises ArchitectureError if several layers could be the head.
    """
    stems = {name.rpartition(".")[0] for name in missing}
    if not missing or not set(missing) <= set(of_classes) or len(stems) != 1:
        return None
    (stem,) = stems
    weight = f"{stem}.weight"
    if weight not in missing:  # only the bias is missing, so the layer has none
        return ReplacedHead({}, f"{prefix}{stem} has no bias")
    dimension = of_classes[weight]
    wanted = [size for n, size in enumerate(usual[weight]) if n != dimension]
    layers = {
        name.removesuffix(".weight"): shape
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) >= 2
    }

    def fits(name: str) -> bool:
        shape = layers[name]
        sizes = [size for n, size in enumerate(shape) if n != dimension]
        bias = shapes.get(f"{name}.bias")
        return sizes == wanted and bias is not None and list(bias) == [shape[dimension]]

    def taken(name: str, note: str) -> ReplacedHead:
        parts = [one.removeprefix(f"{stem}.") for one in missing]
        return ReplacedHead({f"{stem}.{part}": f"{name}.{part}" for part in parts}, note)

    place = f"{prefix}{stem}"
    inside = [name for name in layers if name.startswith(f"{place}.")]
    if inside:
        others = _others(place, inside[0], shapes)
        if len(inside) > 1 or not fits(inside[0]) or others:
            raise ArchitectureError(_several(stem, inside, others, layers))
        return taken(inside[0], f"{inside[0]} is used as {stem}")
    above = stem.rpartition(".")[0]
    if above and f"{prefix}{above}" in layers and fits(f"{prefix}{above}"):
        return taken(f"{prefix}{above}", f"{prefix}{above} is used as {stem}")
    beside = [
        name
        for name in layers
        if f"{name}.weight" not in used
        and (not is_prefix_given or name.startswith(prefix))
        and fits(name)
        and not is_beside(name)
    ]
    if len(beside) > 1:
        raise ArchitectureError(
            f"the file has no {stem}, and {len(beside)} layers that could be it: "
            f"{', '.join(beside)}; build the network with the one that is meant, and give it as "
            "gc.register(…, module=…)"
        )
    for name in beside:
        parent = name.rpartition(".")[0]
        if parent not in ("", prefix.rstrip(".")):
            siblings = [one for one in layers if one.startswith(f"{parent}.")]
            siblings = [one for one in siblings if f"{one}.weight" not in used]
            others = _others(parent, name, shapes) - used
            if len(siblings) > 1 or others:
                raise ArchitectureError(_several(stem, siblings, others, layers))
        return taken(name, f"{name} is used as {stem}")
    return None


def _others(place: str, layer: str, shapes: Shapes) -> set[str]:
    """The tensors below a place that are not of this layer, without those that are computed or
    belong to something beside the network."""
    own = {f"{layer}.weight", f"{layer}.bias"}
    below = {name for name in shapes if name.startswith(f"{place}.")} - own
    return {
        name
        for name in below
        if not is_computed(name) and not is_beside(name.removeprefix(f"{place}."))
    }


def _several(stem: str, names: Sequence[str], others: Collection[str], layers: Shapes) -> str:
    found = [f"{name}.weight {list(layers[name])}" for name in names]
    known = {name.rpartition(".")[0] for name in others} - set(names)
    named = ", ".join([*found, *sorted(known)])
    return (
        f"the head {stem} has several layers in the file ({named}), and what lies between them is "
        "not in it: build the network, load the file, and give it as gc.register(…, module=…)"
    )
