"""How long the CAM engine takes, compared with the bare networks, pytorch-grad-cam and TorchCAM.

Seeded random weights, float32, all cores, one process, everything interleaved: each round runs
every task once, and a ratio is the median over the rounds of the ratios within a round.
`make bench` prints the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from pytorch_grad_cam import GradCAM as PytorchGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors.torch import save_file
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCam
from tqdm import tqdm

import gradcam_core as gc
from benchmarks.memory import LOADED, OWN
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.models.optimise.build import read_network
from gradcam_core.models.registry import model_info

NAMES = ("xception", "resnet50", "vgg19")
SEED = 0
TOP = 5
BATCH = 16

IN_WORDS = {
    "bare": "the bare forward passes",
    "one": "top-1 map",
    "other": "another class, pass held",
    "five": "top-5 maps",
    "pgc one": "top-1 map with pytorch-grad-cam",
    "pgc five": "top-5 maps with pytorch-grad-cam",
    "torchcam one": "top-1 map with TorchCAM",
    "torchcam five": "top-5 maps with TorchCAM",
}

MEMORY_IN_WORDS = {
    "ours": ", loaded here",
    "own": ", an own module, the first time, when its layer is found",
    "own again": ", an own module, after the first time",
    "prepared": ", prepared, the first time",
    "prepared again": ", prepared, after the first time",
}


@dataclass
class Network:
    """A network twice with the same weights: as its library builds it, and as we load it."""

    bare: nn.Module
    ours: nn.Module
    layer: str
    image: Tensor
    file: Path

    @classmethod
    def make(cls, name: str, folder: Path) -> Network:
        info = model_info(name)
        torch.manual_seed(SEED)
        bare = timm.create_model(info.architecture, pretrained=False).eval()
        file = folder / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in bare.state_dict().items()}, file)
        ours = read_network(info.architecture, file)
        side = timm.get_pretrained_cfg(info.architecture).input_size[1]
        return cls(bare, ours, info.layer, torch.randn(1, 3, side, side), file)


def bare(network: Network) -> Tensor:
    with torch.no_grad():
        return network.bare(network.image)


def first_class(network: Network) -> Tensor:
    run = gc.forward(network.ours, network.image, network.layer)
    return run.cam(int(run.logits.argmax()))


def five_classes(network: Network) -> list[Tensor]:
    run = gc.forward(network.ours, network.image, network.layer)
    return [run.cam(int(index)) for index in run.logits[0].topk(TOP).indices]


def pytorch_grad_cam_one(network: Network) -> object:
    with PytorchGradCam(network.bare, [network.bare.get_submodule(network.layer)]) as cam:
        return cam(network.image, None)


def pytorch_grad_cam_five(network: Network) -> object:
    with PytorchGradCam(network.bare, [network.bare.get_submodule(network.layer)]) as cam:
        maps = [cam(network.image, None)]
        others = cam.outputs[0].topk(TOP).indices[1:].tolist()
        return maps + [cam(network.image, [ClassifierOutputTarget(one)]) for one in others]


def torchcam_one(network: Network) -> object:
    with TorchCam(network.bare, network.layer) as cam:
        scores = network.bare(network.image)
        return cam(int(scores.argmax()), scores)


def torchcam_five(network: Network) -> object:
    with TorchCam(network.bare, network.layer) as cam:
        scores = network.bare(network.image)
        classes = scores[0].topk(TOP).indices.tolist()
        return [cam(one, scores, retain_graph=True) for one in classes]


def measure(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each task in each round, after a round for warming up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in tqdm(range(rounds + 1), desc="rounds", leave=False):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    print_versions("torch", "torchvision", "timm", "grad-cam", "torchcam")
    with tempfile.TemporaryDirectory() as folder:
        networks = [Network.make(name, Path(folder)) for name in NAMES]
        held = [gc.forward(n.ours, n.image, n.layer) for n in networks]
        classes = iter(range(1000))

        def another_class() -> None:
            index = next(classes)
            for run in held:
                run.cam(index)

        resnet = networks[1]
        batch = torch.randn(BATCH, *resnet.image.shape[1:])
        vgg = networks[2]
        architecture = model_info("vgg19").architecture

        def each(work: Callable[[Network], object]) -> Callable[[], object]:
            return lambda: [work(network) for network in networks]

        seconds = measure(
            {
                "bare": each(bare),
                "one": each(first_class),
                "five": each(five_classes),
                "other": another_class,
                "pgc one": each(pytorch_grad_cam_one),
                "pgc five": each(pytorch_grad_cam_five),
                "torchcam one": each(torchcam_one),
                "torchcam five": each(torchcam_five),
                "single": lambda: first_class(resnet),
                "batch": lambda: gc.forward(resnet.ours, batch, resnet.layer).cam(1),
                "load": lambda: read_network(architecture, vgg.file),
            },
            rounds,
        )
        print_table(
            "Speed",
            ("Work", "To reach", "Reached"),
            [
                _times("top-1 map of all three, logits included", seconds, "one", 0.90),
                _times("another class for all three, pass held", seconds, "other", 0.06),
                _times("maps of the top-5 classes of all three", seconds, "five", 1.10),
                _faster("one class, against pytorch-grad-cam", seconds, "pgc one", "one", 4.5),
                _faster("five classes, against pytorch-grad-cam", seconds, "pgc five", "five", 16),
                _faster("one class, against TorchCAM", seconds, "torchcam one", "one", 1.3),
                _faster("five classes, against TorchCAM", seconds, "torchcam five", "five", 1.3),
                _batch(seconds),
                _load(seconds),
            ],
        )
        print_table(
            "Milliseconds, medians",
            ("Work, all three networks", "ms"),
            [
                Row(text, f"{1000 * statistics.median(seconds[name]):.0f}")
                for name, text in IN_WORDS.items()
            ],
        )
        print_table(
            "Memory of one explanation, above the weights",
            ("Network", "Bare pass", "To reach", "Reached"),
            [row for network in networks for row in _memory(network)],
        )


def _times(work: str, seconds: dict[str, list[float]], name: str, limit: float) -> Row:
    reached = ratio(seconds[name], seconds["bare"])
    return Row(work, f"≤ {limit:.2f} × bare", f"{reached:.2f} × bare", reached <= limit)


def _faster(work: str, seconds: dict[str, list[float]], slow: str, fast: str, limit: float) -> Row:
    reached = ratio(seconds[slow], seconds[fast])
    return Row(work, f"≥ {limit:g} × faster", f"{reached:.1f} × faster", reached >= limit)


def _batch(seconds: dict[str, list[float]]) -> Row:
    reached = ratio(seconds["batch"], seconds["single"]) / BATCH
    text = f"{reached:.2f} × batch 1"
    return Row(f"ResNet50, a photo in a batch of {BATCH}", "≤ 1 × batch 1", text, reached <= 1)


def _load(seconds: dict[str, list[float]]) -> Row:
    reached = statistics.median(seconds["load"])
    return Row("loading VGG19 from a local file", "≤ 0.5 s", f"{reached:.2f} s", reached <= 0.5)


def _memory(network: Network) -> list[Row]:
    """The peaks of memory above the loaded weights, each measured in its own process."""
    title = model_info(network.file.stem).title
    ways = (*LOADED, *OWN) if network.file.stem == "resnet50" else LOADED
    peaks = {
        way: int(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", way, network.file.stem, network.file],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for way in ways
    }
    most = peaks["bare"] + 20
    return [
        Row(
            f"{title}{MEMORY_IN_WORDS[way]}",
            f"{peaks['bare']} MB",
            f"≤ bare + 20 MB = {most} MB",
            f"{peaks[way]} MB",
            peaks[way] <= most,
        )
        for way in ways
        if way != "bare"
    ]


if __name__ == "__main__":
    main()
