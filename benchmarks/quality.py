"""How well maps locate evidence: the grid pointing game, against pytorch-grad-cam and TorchCAM.

Four photographs of four different classes that the network recognises make one 2 x 2 picture. The
map of a class is good if its heat lies in that class's cell: GridPG is the share of the heat there
(chance: 0.25), and the peak is there or not. Settings were chosen on one half of the photographs;
the printed results are from the other half. Also deletion and insertion on the single photographs.
`make quality` prints the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torchcam.methods
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur
from tqdm import tqdm

import gradcam_core as gc
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.analysis.trust.deletion_insertion import Curve, replaced
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.explanation.presets import PRESETS
from gradcam_core.images.geometry import DETAILS, view_of
from gradcam_core.models.registry import model_info

PHOTOS = Path(__file__).parent / "photos"
NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
CELL = 448
RASTER = 2 * 112  # side of the judged map in pixels
SEED = 1
STEPS = 32  # of deletion and insertion
AT_ONCE = 4  # images in one pass
WEAK_BLUR = (11, 5.0)  # kernel and sigma in pixels at an input of 224, as in the code of RISE

Way: TypeAlias = "Callable[[Grid], list[np.ndarray]]"
"""A way to explain: from a grid to the maps of its four classes."""

SHARP = '**preset "sharp"**'

TO_REACH = (0.93, 0.99)
"""Targets of the preset "sharp" for each network: GridPG, and the share of peaks in the right cell.
"""

NEAR = 0.01
"""The largest allowed difference in GridPG between our Grad-CAM and the peers'."""


@dataclass(frozen=True)
class Photograph:
    picture: Image.Image
    names: frozenset[str]  # of classes, each of which is right

    @classmethod
    def read(cls, path: Path) -> Photograph:
        names = {"tabby": ("tabby", "tiger cat", "Egyptian cat")}.get(
            path.stem, (path.stem.replace("_", " "),)
        )
        right = frozenset(gc.find_label(name).name for name in names)
        return cls(gc.read_image(path).resize((CELL, CELL), Image.Resampling.LANCZOS), right)


@dataclass(frozen=True, eq=False)
class Grid:
    """Four photographs as one picture, and the class that the network gives each of them."""

    picture: Image.Image
    classes: tuple[int, ...]

    def judge(self, heat: np.ndarray, cell: int) -> tuple[float, float]:
        """(the cell's share of the heat, 1 if the peak is in it else 0). heat: [RASTER, RASTER]."""
        half = RASTER // 2
        row, column = divmod(cell, 2)
        inside = heat[row * half : (row + 1) * half, column * half : (column + 1) * half]
        total = heat.sum()
        peak = heat.max()
        return (float(inside.sum() / total) if total else 0.0), float(0 < peak == inside.max())


def halves() -> tuple[list[Path], list[Path]]:
    """The photographs for choosing settings, and those for the report."""
    paths = sorted(PHOTOS.glob("*.jpg"))
    return paths[::2], paths[1::2]


def recognised(model: gc.Model, paths: list[Path]) -> list[tuple[Photograph, int]]:
    """The photographs whose class is the network's own top prediction, with that class."""
    found = []
    for path in paths:
        photo = Photograph.read(path)
        top = gc.examine(photo.picture, model).top[0]
        if top.name in photo.names:
            found.append((photo, top.index))
    return found


def grids(photos: list[tuple[Photograph, int]], count: int) -> list[Grid]:
    chance = random.Random(SEED)
    made = []
    for _ in range(count):
        four = chance.sample(photos, 4)
        picture = Image.new("RGB", (2 * CELL, 2 * CELL))
        for cell, (photo, _) in enumerate(four):
            picture.paste(photo.picture, (cell % 2 * CELL, cell // 2 * CELL))
        made.append(Grid(picture, tuple(index for _, index in four)))
    return made


@lru_cache(maxsize=len(DETAILS))
def held_open(model_name: str, grid: Grid, detail: int) -> gc.Examination:
    return gc.examine(grid.picture, model_name, view="whole", detail=detail)


def ours(model: gc.Model, method: str, detail: int, contrast: bool, grid: Grid) -> list[np.ndarray]:
    held = held_open(model.info.name, grid, detail)
    explained = (held.explain(c, method, contrast) for c in grid.classes)
    return [e.heatmap_at((RASTER, RASTER)) for e in explained]


def input_of(model: gc.Model, grid: Grid, detail: int) -> Tensor:
    geometry = view_of(grid.picture.size, model.preprocessing, "whole", detail)
    return geometry.batch(grid.picture, model.preprocessing)


def by_pytorch_grad_cam(model: gc.Model, method: str, detail: int, grid: Grid) -> list[np.ndarray]:
    """The maps as the library gives them: stretched over the input, from 0 to 1."""
    # Late: it takes a second to import, and not all who import this module need it.
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    batch = input_of(model, grid, detail)
    layer = model.module.get_submodule(model.info.layer)
    make = getattr(pytorch_grad_cam, method)
    with make(model.module, [layer]) as cam:
        # The network's parameters are frozen, so the gradient must come from the input.
        cam.compute_input_gradient = True
        if method == "FinerCAM":
            maps = [cam(batch, None, target_idx=c)[0] for c in grid.classes]
        else:
            maps = [cam(batch, [ClassifierOutputTarget(c)])[0] for c in grid.classes]
    return [on_raster(torch.from_numpy(heat)) for heat in maps]


def by_torchcam(model: gc.Model, method: str, detail: int, grid: Grid) -> list[np.ndarray]:
    """The maps of the library, which it scales to [0, 1], enlarged to the raster."""
    batch = input_of(model, grid, detail).requires_grad_()
    with getattr(torchcam.methods, method)(model.module, target_layer=model.info.layer) as cam:
        scores = model.module(batch)
        maps = [cam(c, scores, retain_graph=True)[0][0].detach() for c in grid.classes]
    return [on_raster(heat) for heat in maps]


def on_raster(heat: Tensor) -> np.ndarray:
    enlarged = interpolate(heat[None, None], (RASTER, RASTER), mode="bilinear", antialias=True)
    return enlarged[0, 0].clamp(min=0).numpy()


PEERS = {"pytorch-grad-cam": by_pytorch_grad_cam, "TorchCAM": by_torchcam}
PEER_METHODS = ("GradCAM", "LayerCAM", "FinerCAM")


COMPARED = [one for one in METHODS.values() if one.needs != "attention" and one.samples == 1]
"""The methods for convolutional networks, except those that take hours."""


def ways(model: gc.Model) -> Iterator[tuple[tuple[str, str], Way, bool]]:
    """Yields ((name, detail), function of a grid, whether it is slow)."""
    for detail in DETAILS:
        for method in COMPARED:
            work = partial(ours, model, method.name, detail, False)
            yield (method.title, f"{detail} ×"), work, method.needs == "scores of images"
        work = partial(ours, model, "gradcam", detail, True)
        yield ("Grad-CAM with contrast", f"{detail} ×"), work, False
    preset = PRESETS["sharp"]
    work = partial(ours, model, preset.method, preset.detail, False)
    yield (SHARP, f"{preset.detail} ×"), work, False
    for detail in (1, 2):
        for library, by in PEERS.items():
            for peer in PEER_METHODS:
                work = partial(by, model, peer, detail)
                yield (f"{library} {peer}", f"{detail} ×"), work, False


def pointing_game(
    model: gc.Model, photos: list[tuple[Photograph, int]], count: int, slow_count: int
) -> dict[tuple[str, str], tuple[float, float, int]]:
    """For each way: (GridPG, share of peaks in the right cell, number of maps)."""
    judged: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number, grid in enumerate(tqdm(grids(photos, count), desc=model.info.title, leave=False)):
        for name, work, is_slow in ways(model):
            if not is_slow or number < slow_count:
                maps = enumerate(work(grid))
                judged.setdefault(name, []).extend(grid.judge(heat, cell) for cell, heat in maps)
    return {name: (*np.mean(values, axis=0), len(values)) for name, values in judged.items()}


def faithfulness(
    model: gc.Model, photos: list[tuple[Photograph, int]]
) -> dict[str, tuple[float, float]]:
    """The mean deletion and insertion of each method on the single photographs, at detail 1."""
    results: dict[str, list[tuple[float, float]]] = {}
    for photo, target in tqdm(photos, desc=f"{model.info.title}, deletion", leave=False):
        geometry = view_of(photo.picture.size, model.preprocessing, "crop")
        batch = geometry.batch(photo.picture, model.preprocessing)
        held = gc.examine(photo.picture, model)
        maps = {m.title: held.explain(target, m.name) for m in COMPARED}
        maps["Grad-CAM with contrast"] = held.explain(target, contrast=True)
        maps[SHARP] = gc.explain(photo.picture, model, target, preset="sharp")
        for name, explanation in maps.items():
            left, top, right, bottom = explanation.box
            heat = explanation.heatmap[top:bottom, left:right]
            size = tuple(batch.shape[2:])
            over = interpolate(torch.from_numpy(heat)[None, None], size, mode="bilinear")
            results.setdefault(name, []).append(areas(model, batch, over[0, 0].numpy(), target))
        chance = np.random.default_rng(SEED).random(tuple(batch.shape[2:]))
        results.setdefault("a random order", []).append(areas(model, batch, chance, target))
    return {name: tuple(np.mean(values, axis=0)) for name, values in results.items()}


def areas(
    model: gc.Model, batch: torch.Tensor, heatmap: np.ndarray, target: int
) -> tuple[float, float]:
    """The areas under the published curves of deletion and insertion (RISE, 2018): the picture's
    pixels are replaced by the training mean, and a weakly blurred picture's by the original's."""
    kernel, sigma = WEAK_BLUR
    blurred = gaussian_blur(batch, [kernel] * 2, [sigma] * 2)
    ways = ((batch, torch.zeros_like(batch)), (blurred, batch))
    deletion, insertion = (_area(model, start, end, heatmap, target) for start, end in ways)
    return deletion, insertion


def _area(
    model: gc.Model, start: torch.Tensor, end: torch.Tensor, heatmap: np.ndarray, target: int
) -> float:
    """The area under the curve from one picture to the other, the hottest pixels first."""
    shares = tuple(step / STEPS for step in range(STEPS + 1))
    probabilities: list[float] = []
    for at in range(0, len(shares), AT_ONCE):
        images = [replaced(start, end, heatmap, share) for share in shares[at : at + AT_ONCE]]
        with torch.no_grad():
            found = model.module(torch.cat(images)).softmax(dim=1)[:, target]
        probabilities += found.tolist()
    return Curve(shares, tuple(probabilities)).area


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--grids", type=int, default=25, help="2 x 2 pictures a network")
    parser.add_argument("--slow-grids", type=int, default=1, help="for Score-CAM")
    options = parser.parse_args()
    print_versions("torch", "timm", "grad-cam", "torchcam")
    paths = halves()[options.half == "report"]
    games, scores = [], []
    for name in NETWORKS:
        model = gc.load_model(name)
        photos = recognised(model, paths)
        print(f"{model.info.title} recognises {len(photos)} of {len(paths)} photographs")
        games.append(pointing_game(model, photos, options.grids, options.slow_grids))
        scores.append(faithfulness(model, photos))
    titles = [title(name) for name in NETWORKS]
    print_table(
        "Grid pointing game: GridPG / share of peaks in the right cell",
        ("Method", "Input", *titles, "Maps"),
        [
            Row(*way, *(f"{game[way][0]:.3f} / {game[way][1]:.3f}" for game in games),
                str(sum(game[way][2] for game in games)), *_judged(way, games))
            for way in games[0]
        ],
    )  # fmt: skip
    print_table(
        "Deletion (low is good) / insertion (high is good)",
        ("Method", *titles),
        [
            Row(way, *(f"{score[way][0]:.3f} / {score[way][1]:.3f}" for score in scores))
            for way in scores[0]
        ],
    )


def title(name: str) -> str:
    """A network's short title, for the head of a column."""
    return model_info(name).title.removeprefix("EfficientNet-")


def _judged(way: tuple[str, str], games: list[dict]) -> list[bool]:
    """Whether a row with a target reaches it; empty for a row without a target."""
    if way[0] == SHARP:
        return [all(game[way][0] >= TO_REACH[0] and game[way][1] >= TO_REACH[1] for game in games)]
    if way == ("Grad-CAM", "1 ×"):
        peers = [("pytorch-grad-cam GradCAM", "1 ×"), ("TorchCAM GradCAM", "1 ×")]
        return [all(abs(game[way][0] - game[peer][0]) <= NEAR for game in games for peer in peers)]
    return []


if __name__ == "__main__":
    main()
