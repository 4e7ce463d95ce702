"""Photos per second of a batch, compared with bare forward passes of the same networks.

The bare passes run PyTorch alone, in their own process: prepared inputs go in batches through the
networks on all cores. They run twice: through the networks as timm builds them, with which the
target is compared as in the other benchmarks, and as they are loaded here, which is faster. The
batch does what `python -m gradcam_core batch` does: from files to rows and overlays. In each round
the bare passes run before and after the batch. A ratio is the median over the rounds of the ratios
within a round. `make bench` prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import timm
import torch
from PIL import Image
from torch import Tensor, nn

import gradcam_core as gc
from benchmarks.page import load, make_weights
from benchmarks.speed import ratio
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.batch.engines.local import explain_locally
from gradcam_core.batch.pictures import find_pictures
from gradcam_core.batch.run import run
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.batch.store import ResultFolder
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.preprocessing import InputSize
from gradcam_core.models.downloads.weights import PackagedFile
from gradcam_core.models.registry import model_info
from gradcam_core.system.memory import keep_freed_memory

PHOTOS = Path(__file__).parent / "photos"
TO_REACH = 0.9
BATCHES = (8, 16)
"""Batch sizes of the bare passes; the faster one counts."""

WARM = "warm"  # the folder of photos for warming up

BARE_PHOTOS = 32

SIZES = (640, 480), (1600, 1200), (4000, 3000)
"""Sizes of photos: typical of data sets, of the web, of phones."""

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def make_photos(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Writes JPEGs of this size, each of another part of a photograph."""
    folder.mkdir()
    sources = sorted(PHOTOS.glob("*.jpg"))
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as source:
            picture = source.convert("RGB")
        inset = 3 * (number // len(sources))
        box = inset, inset, picture.width - inset, picture.height - inset
        file = folder / f"{number:04}.jpg"
        picture.resize(size, Image.Resampling.BICUBIC, box).save(file, quality=90)


class Bare:
    """The bare passes of some networks, in a process that does nothing else."""

    def __init__(self, modules: Callable[[], list[nn.Module]], sizes: Sequence[InputSize]) -> None:
        self._process = multiprocessing.get_context("spawn").Pool(1, _hold, [modules, sizes])
        self._pass(BATCHES[0])  # warms up
        self._size = max(BATCHES, key=self._pass)

    def __enter__(self) -> Bare:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def __call__(self) -> float:
        """Photos per second with the faster batch size."""
        return self._pass(self._size)

    def _pass(self, size: int) -> float:
        return self._process.apply(_bare, [size])


def _hold(modules: Callable[[], list[nn.Module]], sizes: Sequence[InputSize]) -> None:
    global _held
    inputs = [torch.randn(BARE_PHOTOS, 3, *size) for size in sizes]
    _held = list(zip(modules(), inputs, strict=True))


_held: list[tuple[nn.Module, Tensor]] = []


def _bare(size: int) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        for module, images in _held:
            for part in images.split(size):
                module(part)
    return BARE_PHOTOS / (time.perf_counter() - start)


def as_given(load_all: Callable[[], list[gc.Model]]) -> list[nn.Module]:
    """timm's networks with the same weights, because other weights could take another time."""
    modules = []
    for model in load_all():
        module = timm.create_model(model.info.architecture).eval()
        values = timm.models.load_state_dict(str(model.weights.path), use_ema=False)
        if isinstance(model.info.source, PackagedFile):  # own names, but in timm's order
            values = dict(zip(module.state_dict(), values.values(), strict=True))
        module.load_state_dict(values)
        modules.append(module)
    return modules


def as_loaded(load_all: Callable[[], list[gc.Model]]) -> list[nn.Module]:
    return [model.module for model in load_all()]


def whole(models: Sequence[gc.Model], folder: Path, settings: BatchSettings) -> float:
    """Photos per second of a whole batch."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        with ResultFolder(Path(out), str(folder), settings) as results:
            run(results, find_pictures(str(folder), Path(out)), models, settings, explain_locally)
            done = results.done
        seconds = time.perf_counter() - start
    assert done == len(list(folder.iterdir()))
    return done / seconds


def measure(
    names: Sequence[str], load_all: Callable[[], list[gc.Model]], folder: Path, rounds: int
) -> Row:
    models = load_all()
    settings = BatchSettings(tuple(ExplanationRequest(model.info.name) for model in models))
    sizes = [model.preprocessing.size for model in models]
    given, loaded, speeds = [], [], []
    with (
        Bare(partial(as_given, load_all), sizes) as bare_given,
        Bare(partial(as_loaded, load_all), sizes) as bare_loaded,
    ):
        whole(models, folder.parent / WARM, settings)
        for _ in range(rounds):
            before = bare_given(), bare_loaded()
            speeds.append(whole(models, folder, settings))
            after = bare_loaded(), bare_given()
            given.append((before[0] + after[1]) / 2)
            loaded.append((before[1] + after[0]) / 2)
    reached = ratio(speeds, given)
    titles = ", ".join(model_info(name).title for name in names)
    return Row(
        f"{titles}, {folder.name}",
        *(f"{statistics.median(one):.1f}" for one in (given, loaded, speeds)),
        f"{ratio(speeds, loaded):.2f} ×",
        f"≥ {TO_REACH} ×",
        f"{reached:.2f} ×",
        reached >= TO_REACH,
    )


def large(folder: Path) -> list[gc.Model]:
    return [load(network, folder) for network in gc.DEFAULT_MODELS]


def lite() -> list[gc.Model]:
    return [replace(gc.load_model(network), stands_in_for=None) for network in LITE]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--photos", type=int, default=96, help="in each round")
    options = parser.parse_args()
    print_versions("torch", "timm", "pyarrow", "Pillow")
    keep_freed_memory()  # as the command line does
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_weights(folder)
        make_photos(folder / WARM, 8, SIZES[0])
        for size in SIZES:
            where = folder / f"{size[0]} × {size[1]}"
            make_photos(where, options.photos, size)
            rows.append(measure(gc.DEFAULT_MODELS, partial(large, folder), where, options.rounds))
            if size == SIZES[0]:
                rows.append(measure(LITE, lite, where, options.rounds))
    print_table(
        f"All of a folder's photos, {options.photos} a round (medians of {options.rounds})",
        (
            "Networks, photos",
            "Bare passes as timm gives the networks, photos/s",
            "As they are loaded here, photos/s",
            "The batch, photos/s",
            "Of what is loaded here",
            "Of timm's, to reach",
            "Reached",
        ),
        rows,
    )


if __name__ == "__main__":
    main()
