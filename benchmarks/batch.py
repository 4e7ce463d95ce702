"""Photos per second of a batch, beside the bare forward passes of the same networks.

The bare passes are what PyTorch does by itself, in a process of its own: inputs that are decoded
and prepared already go in batches through the networks on all cores, and nothing else. The batch is
what `python -m gradcam_core batch` does: from files to rows and overlays. In each round the bare
passes come before and after the batch. A ratio is the median over the rounds of the ratios within a
round. `make bench` prints the table that README quotes.
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

import torch
from PIL import Image
from torch import Tensor

import gradcam_core as gc
from benchmarks.page import load, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.batch import Folder, run
from gradcam_core.batch_local import explained_here
from gradcam_core.batch_photos import photos
from gradcam_core.batch_rows import Settings
from gradcam_core.heap import keep_freed
from gradcam_core.models import model_info

PHOTOS = Path(__file__).parent / "photos"
TO_REACH = 0.9
BATCHES = (8, 16)
"""Of the bare passes; the faster one counts."""

BARE_PHOTOS = 32

SIZES = (640, 480), (1600, 1200), (4000, 3000)
"""Of photos: as data sets have them, as the web has them, as phones take them."""

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def make_photos(folder: Path, count: int, size: tuple[int, int]) -> None:
    """JPEGs of this size, each of them another part of a photograph."""
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
    """The bare passes of some networks, in a process that nothing else has touched."""

    def __init__(self, load_all: Callable[[], list[gc.Model]]) -> None:
        self._process = multiprocessing.get_context("spawn").Pool(1, _hold, [load_all])

    def __enter__(self) -> Bare:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def __call__(self) -> float:
        """Photos per second, of the batch size that is fastest."""
        return max(self._process.map(_bare, BATCHES))


def _hold(load_all: Callable[[], list[gc.Model]]) -> None:
    global _held
    _held = [
        (model.module, torch.randn(BARE_PHOTOS, 3, *[model.preprocessing.size] * 2))
        for model in load_all()
    ]


_held: list[tuple[torch.nn.Module, Tensor]] = []


def _bare(batch: int) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        for module, images in _held:
            for part in images.split(batch):
                module(part)
    return BARE_PHOTOS / (time.perf_counter() - start)


def whole(models: Sequence[gc.Model], folder: Path, settings: Settings) -> float:
    """Photos per second."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        with Folder(Path(out), str(folder), settings) as results:
            run(results, photos(str(folder), Path(out)), models, settings, explained_here)
            done = results.done
        seconds = time.perf_counter() - start
    assert done == len(list(folder.iterdir()))
    return done / seconds


def measure(title: str, load_all: Callable[[], list[gc.Model]], folder: Path, rounds: int) -> Row:
    models = load_all()
    settings = Settings(models=tuple(model.info.name for model in models))
    ratios, speeds, bares = [], [], []
    with Bare(load_all) as bare:
        for number in range(rounds + 1):
            before, speed, after = bare(), whole(models, folder, settings), bare()
            if number:  # the first one warms up
                bares.append((before + after) / 2)
                speeds.append(speed)
                ratios.append(speed / bares[-1])
    ratio = statistics.median(ratios)
    return Row(
        title,
        f"{statistics.median(bares):.1f}",
        f"{statistics.median(speeds):.1f}",
        f"≥ {TO_REACH} ×",
        f"{ratio:.2f} ×",
        ratio >= TO_REACH,
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
    keep_freed()  # as the command line does
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_weights(folder)
        for size in SIZES:
            where = folder / f"{size[0]}"
            make_photos(where, options.photos, size)
            pixels = f"{size[0]} × {size[1]}"
            each: list[tuple[tuple[str, ...], Callable[[], list[gc.Model]]]] = [
                (gc.DEFAULT_MODELS, partial(large, folder))
            ]
            if size == SIZES[0]:
                each.append((LITE, lite))
            for networks, load_all in each:
                titles = ", ".join(model_info(network).title for network in networks)
                rows.append(measure(f"{titles}, {pixels}", load_all, where, options.rounds))
    print_table(
        f"All of a folder's photos, {options.photos} a round (medians of {options.rounds})",
        ("", "Bare passes, photos/s", "The batch, photos/s", "To reach", "Reached"),
        rows,
    )


if __name__ == "__main__":
    main()
