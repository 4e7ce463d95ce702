"""Which layer is explained in every classifier of timm and torchvision, and whether its map matches
the formula.

With random weights, at the network's published input size. For each network: the layer that
`gc.forward` finds, its cells and their layout, the share of the network's parameters after it, and
the largest difference from Grad-CAM written out, as a share of the map's maximum; or the sentence
with which the network is refused.
"""

from __future__ import annotations

import argparse
import gc as garbage
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

import gradcam_core as gc
from benchmarks.table import print_versions
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.target_layers.feature_maps import FeatureMap
from gradcam_core.cam.target_layers.layers import maps_of

ALLOWED = 1e-4
"""Largest allowed difference from the formula, as a share of the map's maximum."""


@dataclass(frozen=True)
class Row:
    name: str
    layer: str
    grid: str
    behind: float
    error: float
    reason: str = ""


def literal(module: nn.Module, batch: Tensor, found: FeatureMap, target: int) -> Tensor:
    """Grad-CAM of one call of a layer, by autograd through the whole network."""
    kept: list[Tensor] = []
    calls = 0

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls != found.number:
            return None
        kept.append(output)
        return output.clone()  # because a ReLU may write into it

    hook = module.get_submodule(found.name).register_forward_hook(keep)
    output = module(batch.clone().requires_grad_())
    hook.remove()
    (held,) = kept
    # The graph is retained because some networks reuse a part of it, such as position tables.
    (gradient,) = torch.autograd.grad(output[:, target].sum(), held, retain_graph=True)
    activation, gradient = (found.layout.to_map(one.detach()) for one in (held, gradient))
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu()


def share_behind(module: nn.Module, batch: Tensor, found: FeatureMap) -> float:
    """The share of the parameters, 0 to 1, in modules that run only after the call."""
    before: set[str] = set()
    calls = 0

    def ended(name: str) -> None:
        nonlocal calls
        if name == found.name:
            calls += 1
        if calls < found.number or (name == found.name and calls == found.number):
            before.add(name)

    hooks = [
        part.register_forward_hook(lambda *_, name=name: ended(name))
        for name, part in module.named_modules()
        if name
    ]
    with torch.no_grad():
        module(batch)
    for hook in hooks:
        hook.remove()
    total = behind = 0
    for name, parameter in module.named_parameters():
        owners = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
        total += parameter.numel()
        behind += 0 if any(owner in before for owner in owners) else parameter.numel()
    return behind / total


def random_weights(module: nn.Module) -> nn.Module:
    """Makes parameters random that are initially all 0, such as heads and the last norms of blocks,
    because trained parameters are not."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return module.eval()


def look(name: str, module: nn.Module, side: int) -> Row:
    batch = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        run = gc.forward(module, batch)
    except gc.CamError as error:
        return Row(name, "", "", 0.0, 0.0, str(error))
    found = maps_of(module, Inputs.of(batch)).found[-1]
    expected, target = torch.zeros(()), -1
    while not expected.max() > 0 and target < 9:  # a map may be 0 everywhere
        target += 1
        expected = literal(module, batch, found, target)
    if not expected.max() > 0:
        return Row(name, "", "", 0.0, 0.0, f"{run.layer}: the maps of all classes are 0")
    share = float((run.cam(target) - expected).abs().max() / expected.max().clamp(min=1e-30))
    grid = " × ".join(map(str, run.activation.shape[2:]))
    kind = type(found.layout).__name__
    forms = {"Tokens": ", tokens on a grid", "ChannelsLast": ", channels last"}
    behind = share_behind(module, batch, found)
    return Row(name, run.layer, grid + forms.get(kind, ""), behind, share)


def networks(most_millions: float) -> Iterator[tuple[str, nn.Module, int]]:
    def is_small(module: nn.Module) -> bool:
        return sum(one.numel() for one in module.parameters()) <= most_millions * 1e6

    def built(create: Any, *arguments: Any, **options: Any) -> nn.Module | None:
        try:
            with torch.device("meta"):
                if not is_small(create(*arguments, **options)):
                    return None
        except (RuntimeError, NotImplementedError):
            pass  # the network cannot be built without values
        module = create(*arguments, **options)
        return module if is_small(module) else None

    for name in timm.list_models():
        module = built(timm.create_model, name, num_classes=10)
        if module is not None:
            config: dict[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
            yield name, module, config["input_size"][1]
    for name in torchvision.models.list_models(module=torchvision.models):
        module = built(torchvision.models.get_model, name, weights=None, num_classes=10)
        if module is not None:
            yield f"torchvision:{name}", module, 299 if name == "inception_v3" else 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-millions", type=float, default=30.0, help="of parameters")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after these")
    parser.add_argument("--every", type=int, default=1, help="of so many networks look at one")
    parser.add_argument("--first", type=int, default=0, help="which of these is the first")
    parser.add_argument("--after", default="", help="begin behind the network of this name")
    options = parser.parse_args()
    print_versions("torch", "torchvision", "timm")
    print(
        "\n| Network | Layer | Cells | Parameters behind it | Difference |\n|---|---|---|---|---|"
    )
    began = time.monotonic()
    rows: list[Row] = []
    failed: list[str] = []
    for number, (name, module, side) in enumerate(networks(options.most_millions)):
        if number % options.every != options.first or name <= options.after:
            continue
        torch.manual_seed(0)
        try:
            row = look(name, random_weights(module), side)
        except Exception as error:  # reported in the table; the sweep continues
            failed.append(name)
            row = Row(name, "", "", 0.0, 0.0, f"FAILED: {type(error).__name__}: {error}")
        rows.append(row)
        end = row.reason or f"{row.layer} | {row.grid} | {row.behind:.1%} | {row.error:.0e}"
        print(f"| {row.name} | {end} |", flush=True)
        del module
        garbage.collect()
        if time.monotonic() - began > options.seconds:
            break
    explained = [row for row in rows if not row.reason]
    wrong = [row.name for row in explained if row.error > ALLOWED]
    print(
        f"\n{len(rows)} networks: {len(explained)} explained, {len(rows) - len(explained)} refused "
        f"with a sentence; {len(wrong)} differ from the formula by more than {ALLOWED:.0e} "
        f"{wrong}; "
        f"{len(failed)} failed {failed}"
    )


if __name__ == "__main__":
    main()
