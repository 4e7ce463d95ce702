"""Finds the tensors of a network in a file: their prefix, and what else the file holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gradcam_core.errors import ArchitectureError
from gradcam_core.models.custom.architectures import Shapes
from gradcam_core.models.custom.fitting.likeness import COUNTER

_COMPUTED = ("attn_mask", "relative_position_index", "total_ops", "total_params")
"""Last names of tensors that other versions of a network compute, and of profilers' counts."""

_BESIDE = re.compile(
    r"loss|criteri|metric|accurac|confusion|conf_?mat|optim|sched|^aux|discriminator|n_averaged"
    r"|(^|_)(acc|auc|auroc|f1|iou|recall|precision|queue|ema|teacher|student|momentum|centers?)(_|$)"
)
"""In the names of modules beside a network that do not affect its outputs."""

_SCALING = re.compile(r"temperature|(^|_)scale(_|$)")
"""Numbers by which people divide or multiply logits."""

_EMA = re.compile(r"(^|_)(ema|average_model_state)(_|$)")

_RAW = "current_model_state."
"""Prefix of raw weights in files of Lightning's callback, where averaged ones take their place."""

_SOME = 0.5  # share of a network's tensors that must have their names behind a prefix


def prefixes(own: Collection[str], names: Iterable[str]) -> list[str]:
    """Possible prefixes, with their dot, of a network's names in a file, the likeliest first. own:
    the network's names. names: the file's."""
    wanted = {name for name in own if not name.endswith(COUNTER)}
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for at in range(len(parts)):
            if ".".join(parts[at:]) in wanted:
                found["".join(f"{part}." for part in parts[:at])] += 1
    most = found.most_common()
    good = [prefix for prefix, count in most if count >= _SOME * len(wanted)]
    return good or [prefix for prefix, _ in most[:1]] or [""]


def names_below(prefix: str, shapes: Shapes) -> dict[str, str]:
    """The tensors behind a prefix: their whole names in the file, by their names without it."""
    return {name.removeprefix(prefix): name for name in shapes if name.startswith(prefix)}


def is_within(part: str, prefix: str) -> bool:
    """Whether a prefix contains these dotted names, one after the other."""
    return f".{part.strip('.')}." in f".{prefix}"


def preferred_prefix(
    found: Sequence[str], tensors: Mapping[str, Tensor], own: Collection[str]
) -> str:
    """Chooses among prefixes that each have a whole network behind them: any, if all values are the
    same; that of averaged weights (EMA) beside raw ones. Raises ArchitectureError for others."""

    def same(first: str, second: str) -> bool:
        return all(
            tensors[first + name].equal(tensors[second + name])
            for name in own
            if first + name in tensors and second + name in tensors
        )

    distinct: list[str] = []
    for prefix in sorted(found, key=len):
        if not any(same(prefix, other) for other in distinct):
            distinct.append(prefix)
    averaged = [prefix for prefix in distinct if is_averaged(prefix, distinct)]
    if len(distinct) == 2 and len(averaged) == 1:
        return averaged[0]
    if len(distinct) > 1:
        named = ", ".join(repr(prefix.rstrip(".")) for prefix in distinct)
        none = ", or prefix=. for the names without one" if "" in distinct else ""
        raise ArchitectureError(
            f"the file holds {len(distinct)} networks of this architecture with other values, "
            f"{named}: give prefix= one of them{none}"
        )
    return distinct[0]


def is_averaged(prefix: str, others: Sequence[str] = ()) -> bool:
    """Whether the weights behind a prefix are an exponential moving average. others: the prefixes
    of all networks in the file."""
    is_raw = prefix.startswith(_RAW)
    is_beside_raw = any(other.startswith(_RAW) for other in others) and not is_raw
    return is_beside_raw or any(_EMA.search(_words(part)) for part in prefix.split("."))


@dataclass(frozen=True)
class UnusedTensors:
    """Names of what a file holds besides a network. inside: within the network's modules. part:
    seems to be part of the network. apart: may be left out."""

    inside: list[str]
    part: list[str]
    apart: list[str]


def unused_tensors(
    used: Collection[str], own: Collection[str], shapes: Shapes, tensors: Mapping[str, Tensor],
    prefix: str, other_prefixes: Sequence[str],
) -> UnusedTensors:  # fmt: skip
    """The tensors that are not used. used: names in the file. own: the network's names. tensors: in
    the file. other_prefixes: of networks that were not chosen."""
    modules = {name.partition(".")[0] for name in own}
    found = UnusedTensors([], [], [])
    for name in shapes:
        if name in used or is_computed(name):
            continue
        relative = name.removeprefix(prefix) if name.startswith(prefix) else None
        if relative is not None and relative.partition(".")[0] in modules:
            found.inside.append(name)
        elif (
            any(name.startswith(other) for other in other_prefixes if other)
            or is_beside(relative or name)
            or not _computes(name, shapes, tensors)
        ):
            found.apart.append(name)
        else:
            found.part.append(name)
    return found


def is_computed(name: str) -> bool:
    """Whether a tensor is not needed, because the network computes it or does not use it."""
    return name.endswith((COUNTER, *_COMPUTED))


def is_beside(name: str) -> bool:
    """Whether a tensor belongs to something beside the network, such as a loss or a metric."""
    return any(_BESIDE.search(_words(part)) for part in name.split("."))


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _computes(name: str, shapes: Shapes, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a tensor seems to belong to a layer: it is neither a single number nor a lone row of
    numbers, or it scales logits."""
    stem, _, last = name.rpartition(".")
    if not tensors[name].is_floating_point():
        return False
    if shapes[name].numel() <= 1:
        return bool(_SCALING.search(_words(last)))
    if last in ("mean", "std") and shapes[name].numel() <= 4:
        return False
    if len([size for size in shapes[name] if size > 1]) > 1:
        return True
    siblings = [other for other in shapes if other.rpartition(".")[0] == stem and other != name]
    return (
        bool(stem)
        and last in ("weight", "bias", "running_mean", "running_var")
        and any(
            other.rpartition(".")[2] in ("weight", "bias", "running_mean") for other in siblings
        )
    )


def names_in_sequence(own: Shapes, shapes: Shapes, varying: Mapping[str, int]) -> dict[str, str]:
    """Whole names in the file by the network's names, if all tensors have the same last names and
    shapes in the same order, however they are called otherwise; else {}. varying: tensors with a
    dimension that depends on the number of classes or channels, and which it is."""
    names = [name for name in own if not is_computed(name)]
    given = [name for name in shapes if not is_computed(name) and not is_beside(name)]

    def fits(name: str, other: str) -> bool:
        first, second = list(own[name]), list(shapes[other])
        if (side := varying.get(name)) is not None and len(first) == len(second):
            del first[side], second[side]
        return first == second and name.rpartition(".")[2] == other.rpartition(".")[2]

    if len(names) != len(given) or not all(map(fits, names, given)) or _is_numbered(given):
        return {}
    return dict(zip(names, given, strict=True))


def _is_numbered(names: Sequence[str]) -> bool:
    """Whether these are parts of a Sequential, which are left to `names_by_order`."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    tops = next((set(level) for level in levels if len(set(level)) > 1), set())
    return all(top.isdecimal() for top in tops)


def names_by_order(own: Shapes, shapes: Shapes, optional: Collection[str]) -> dict[str, str]:
    """Whole names in the file by the network's names, if the network's parts are in a Sequential,
    as in `nn.Sequential(*network.children())`: numbered, but otherwise with the same names, shapes
    and order; else {}. optional: names of the head's tensors."""
    parts: dict[str, list[str]] = {}
    for name in own:
        if not name.endswith(COUNTER):
            parts.setdefault(name.partition(".")[0], []).append(name.partition(".")[2])
    required = [top for top in parts if any(f"{top}.{one}" not in optional for one in parts[top])]
    if len(required) < 2 or any("" in parts[top] for top in required):
        return {}
    largest = max(required, key=lambda top: len(parts[top]))
    anchor = parts[largest][0]
    parents = {
        name.removesuffix(anchor).rstrip(".").rpartition(".")[0]
        for name in shapes
        if name.endswith(f".{anchor}")
    }
    for parent in sorted(parents, key=len):
        before = f"{parent}." if parent else ""
        numbers = sorted(
            {
                int(number)
                for name in shapes
                if name.startswith(before)
                and (number := name.removeprefix(before).partition(".")[0]).isdecimal()
            }
        )
        found: dict[str, str] = {}
        last = -1
        for top in parts:
            place = next(
                (
                    number
                    for number in numbers
                    if number > last
                    and all(
                        shapes.get(f"{before}{number}.{one}") == own[f"{top}.{one}"]
                        for one in parts[top]
                        if f"{top}.{one}" not in optional
                    )
                    and all(
                        f"{before}{number}.{one}" in shapes
                        for one in parts[top]
                        if f"{top}.{one}" in optional
                    )
                ),
                None,
            )
            if place is None:
                if top in required:
                    break
                continue
            last = place
            found |= {f"{top}.{one}": f"{before}{place}.{one}" for one in parts[top]}
        else:
            return found
    return {}
