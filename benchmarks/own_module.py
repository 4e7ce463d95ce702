"""Users' own modules: the time of an explanation by a prepared module, compared with that of other
libraries on the unchanged module; and of a pass that is held open, compared with a plain pass.

Random weights, float32, all cores, one process, everything interleaved, as in `benchmarks.speed`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn

import gradcam_core as gc
from benchmarks.speed import (
    SEED,
    Network,
    bare,
    measure,
    pytorch_grad_cam_one,
    ratio,
    torchcam_one,
)
from benchmarks.table import Row, print_table, print_versions

PYTORCH_GRAD_CAM, TORCHCAM, FORWARD = 4.5, 1.5, 1.05
SIDE_PX, XCEPTION_SIDE_PX = 224, 299


@dataclass(frozen=True)
class Own:
    library: str
    architecture: str

    def build(self) -> nn.Module:
        torch.manual_seed(SEED)
        if self.library == "timm":
            return timm.create_model(self.architecture, pretrained=False).eval()
        return torchvision.models.get_model(self.architecture, weights=None).eval()

    def __str__(self) -> str:
        return f"{self.architecture} of {self.library}"


THREE = (Own("timm", "legacy_xception"), Own("timm", "resnet50"), Own("timm", "vgg19"))
"""This project's main networks, as users' own modules."""

NETWORKS = (
    *THREE,
    Own("torchvision", "resnet50"),
    Own("torchvision", "vgg19"),
    Own("torchvision", "efficientnet_b0"),
)


def explained(module: nn.Module, image: Tensor) -> Tensor:
    run = gc.forward(module, image)
    return run.cam(int(run.logits.argmax()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    print_versions("torch", "torchvision", "timm", "grad-cam", "torchcam")
    against, passes = [], []
    of_three: list[dict[str, list[float]]] = []
    for own in NETWORKS:
        module = own.build()
        side = SIDE_PX if "xception" not in own.architecture else XCEPTION_SIDE_PX
        image = torch.randn(1, 3, side, side)
        prepared = gc.prepare(module)
        network = Network(module, prepared, gc.last_feature_map(module), image, Path())
        seconds = measure(_works(network), rounds)
        if own in THREE:
            of_three.append(seconds)
        against.append(_row(str(own), seconds))
        reached = _forward(module, image, rounds)
        passes.append(Row(str(own), f"≤ {FORWARD:.2f} ×", f"{reached:.2f} ×", reached <= FORWARD))
    together = {
        work: [sum(times) for times in zip(*(one[work] for one in of_three), strict=True)]
        for work in of_three[0]
    }
    against.insert(0, _row("Xception, ResNet50 and VGG19 of timm together", together))
    print_table(
        "One class of an own module, prepared",
        (
            "Network",
            "Its plain pass, × bare",
            "Explanation, × bare",
            "TorchCAM, × bare",
            f"Against pytorch-grad-cam: ≥ {PYTORCH_GRAD_CAM:g} ×",
            f"Against TorchCAM: ≥ {TORCHCAM:g} ×",
        ),
        against,
    )
    print_table("gc.forward, not prepared", ("Network", "To reach", "× its plain pass"), passes)


def _row(name: str, seconds: dict[str, list[float]]) -> Row:
    to_pgc = ratio(seconds["pgc one"], seconds["one"])
    to_torchcam = ratio(seconds["torchcam one"], seconds["one"])
    return Row(
        name,
        f"{ratio(seconds['prepared bare'], seconds['bare']):.2f} ×",
        f"{ratio(seconds['one'], seconds['bare']):.2f} ×",
        f"{ratio(seconds['torchcam one'], seconds['bare']):.2f} ×",
        f"{to_pgc:.1f} × faster" + _missed(to_pgc, PYTORCH_GRAD_CAM),
        f"{to_torchcam:.2f} × faster" + _missed(to_torchcam, TORCHCAM),
    )


def _works(network: Network) -> dict[str, Callable[[], object]]:
    return {
        "bare": lambda: bare(network),
        "prepared bare": lambda: _plain_pass(network.ours, network.image),
        "one": lambda: explained(network.ours, network.image),
        "pgc one": lambda: pytorch_grad_cam_one(network),
        "torchcam one": lambda: torchcam_one(network),
    }


def _plain_pass(module: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        return module(image)


def _forward(module: nn.Module, image: Tensor, rounds: int) -> float:
    """The time of a pass that is held open over that of a plain pass; measured in both orders,
    because the second pass finds the caches warm."""
    shares = []
    works = {
        "plain": lambda: _plain_pass(module, image),
        "held": lambda: gc.forward(module, image),
    }
    for order in (("plain", "held"), ("held", "plain")):
        seconds = measure({name: works[name] for name in order}, rounds)
        shares += [ratio([a], [b]) for a, b in zip(seconds["held"], seconds["plain"], strict=True)]
    return ratio(shares, [1.0] * len(shares))


def _missed(reached: float, limit: float) -> str:
    return "" if reached >= limit else " (missed)"


if __name__ == "__main__":
    main()
