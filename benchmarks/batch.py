"""Photos per second of a batch, beside the bare forward passes of the same networks.

Each round goes over the same photos twice: once as they are decoded and prepared already, in
batches through the networks and nothing else, on all cores as PyTorch does it by itself; and once
as `python -m gradcam_core batch` does all of it, from files to rows and overlays. A ratio is the
median over the rounds of the ratios within a round. `make bench` prints the table that README
quotes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
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
from gradcam_core.explain import prepare
from gradcam_core.models import model_info

PHOTOS = Path(__file__).parent / "photos"
TO_REACH = 0.9
BATCHES = (8, 16)
"""Of the bare passes; the faster one counts."""

SIZES = (640, 480), (1600, 1200), (4000, 3000)
"""Of photos: as data sets have them, as the web has them, as phones take them."""

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def make_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of this size, each of them another part of a photograph."""
    folder.mkdir()
    sources = sorted(PHOTOS.glob("*.jpg"))
    files = []
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as source:
            picture = source.convert("RGB")
        inset = 3 * (number // len(sources))
        box = inset, inset, picture.width - inset, picture.height - inset
        files.append(folder / f"{number:04}.jpg")
        picture.resize(size, Image.Resampling.BICUBIC, box).save(files[-1], quality=90)
    return files


def prepared(files: Sequence[Path], models: Sequence[gc.Model]) -> list[Tensor]:
    """What each network is shown of all photos: [N, 3, H, W]."""
    pictures = [gc.read_image(file) for file in files]
    return [
        torch.cat([prepare(picture, model.preprocessing).batch for picture in pictures])
        for model in models
    ]


def bare(models: Sequence[gc.Model], inputs: Sequence[Tensor], batch: int) -> float:
    """Seconds."""
    start = time.perf_counter()
    with torch.no_grad():
        for model, images in zip(models, inputs, strict=True):
            for part in images.split(batch):
                model.module(part)
    return time.perf_counter() - start


def whole(models: Sequence[gc.Model], folder: Path, settings: Settings) -> float:
    """Seconds."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        with Folder(Path(out), str(folder), settings) as results:
            run(results, photos(str(folder), Path(out)), models, settings, explained_here)
            done = results.done
        seconds = time.perf_counter() - start
    assert done == len(list(folder.iterdir()))
    return seconds


def measure(
    title: str, models: Sequence[gc.Model], folder: Path, files: Sequence[Path], rounds: int
) -> Row:
    settings = Settings(models=tuple(model.info.name for model in models))
    inputs = prepared(files, models)
    ratios, speeds, bares = [], [], []
    for number in range(rounds + 1):
        least = min(bare(models, inputs, batch) for batch in BATCHES)
        seconds = whole(models, folder, settings)
        if number:  # the first one warms up
            ratios.append(least / seconds)
            speeds.append(len(files) / seconds)
            bares.append(len(files) / least)
    ratio = statistics.median(ratios)
    return Row(
        title,
        f"{statistics.median(bares):.1f}",
        f"{statistics.median(speeds):.1f}",
        f"≥ {TO_REACH} ×",
        f"{ratio:.2f} ×",
        ratio >= TO_REACH,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=48, help="in each round")
    options = parser.parse_args()
    print_versions("torch", "timm", "pyarrow", "Pillow")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_weights(folder)
        three = [load(network, folder) for network in gc.DEFAULT_MODELS]
        lite = [replace(gc.load_model(network), stands_in_for=None) for network in LITE]
        for size in SIZES:
            where = folder / f"{size[0]}"
            files = make_photos(where, options.photos, size)
            pixels = f"{size[0]} × {size[1]}"
            for models in (three, lite) if size == SIZES[0] else (three,):
                titles = ", ".join(model_info(model.info.name).title for model in models)
                rows.append(measure(f"{titles}, {pixels}", models, where, files, options.rounds))
    print_table(
        f"All of a folder's photos, medians of {options.rounds} rounds of {options.photos} photos",
        ("", "Bare passes, photos/s", "The batch, photos/s", "To reach", "Reached"),
        rows,
    )


if __name__ == "__main__":
    main()
