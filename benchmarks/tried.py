"""Attempts to make the networks' forward pass and the heads' gradients faster.

Forward passes are timed without gradients, interleaved, as ratios to the network as its library
builds it. `python -m benchmarks.tried` prints its tables in docs/benchmarks.md.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import gradcam_core as gc
from benchmarks.speed import NAMES, Network, measure, ratio
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.models.registry import model_info

ROUNDS = 9


def fused_script(module: nn.Module, image: Tensor) -> Callable[[Tensor], Tensor]:
    """TorchScript, traced and frozen, with oneDNN's fusions; deprecated, and without gradients."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, image)
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def forward_passes(network: Network) -> dict[str, float]:
    image = network.image
    last = image.to(memory_format=torch.channels_last)
    layout = copy.deepcopy(network.bare).to(memory_format=torch.channels_last)
    modules: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        "as its library gives it": (network.bare, image),
        "channels_last": (layout, last),
        "and folded, dense (what we load)": (network.ours, last),
        "and packed (gc.prepare)": (gc.prepare(network.bare, image), last),
        "TorchScript, frozen, fused": (fused_script(network.bare, image), image),
    }

    def timed(module: Callable[[Tensor], Tensor], given: Tensor) -> Callable[[], object]:
        def work() -> None:
            with torch.no_grad():
                module(given)

        return work

    seconds = measure({name: timed(*pair) for name, pair in modules.items()}, ROUNDS)
    bare = seconds["as its library gives it"]
    return {name: ratio(values, bare) for name, values in seconds.items()}


def five_gradients(network: Network) -> dict[str, float]:
    """The time of five classes' gradients at the target layer, one by one and batched, as ratios to
    one by one."""
    run = gc.forward(network.ours, network.image, network.layer)
    graph, leaf = run.open_pass.logits, run.open_pass.leaf
    classes = torch.arange(5)
    rows = torch.eye(graph.shape[1])[classes][:, None]

    def one_by_one() -> None:
        for index in classes.tolist():
            torch.autograd.grad(graph[0, index], leaf, retain_graph=True)

    def batched() -> None:
        torch.autograd.grad(graph, leaf, rows, retain_graph=True, is_grads_batched=True)

    seconds = measure({"one": one_by_one, "batched": batched}, ROUNDS)
    return {name: ratio(values, seconds["one"]) for name, values in seconds.items()}


def main() -> None:
    print_versions("torch", "timm")
    with tempfile.TemporaryDirectory() as folder:
        networks = {name: Network.make(name, Path(folder)) for name in NAMES}
        forward = {name: forward_passes(network) for name, network in networks.items()}
        gradients = {name: five_gradients(network) for name, network in networks.items()}
    titles = [model_info(name).title for name in NAMES]
    print_table(
        "Forward pass, as a share of the network as its library gives it",
        ("Way", *titles),
        [Row(way, *(f"{forward[n][way]:.2f}" for n in NAMES)) for way in forward[NAMES[0]]],
    )
    print_table(
        "Five classes' gradients in one call (is_grads_batched), as a share of five calls",
        ("", *titles),
        [Row("batched", *(f"{gradients[n]['batched']:.2f}" for n in NAMES))],
    )


if __name__ == "__main__":
    main()
