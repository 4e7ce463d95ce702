"""The comparison from which the preset "sharp" and the classes of a contrast were chosen.

It plays the grid pointing game of `quality.py` on the half of the photographs that `quality.py`
does not report. `python -m benchmarks.choose` prints its table in docs/benchmarks.md.
"""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

import gradcam_core as gc
from benchmarks.quality import NETWORKS, RASTER, grids, halves, held_open, recognised, title
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.images.geometry import DETAILS

GRIDS = 20
COUNTS = (3, 5, 10, 20)
METHODS = {
    "the mean of so many others": "gradcam",
    "the strongest of so many others at each cell": "competitive",
}


def main() -> None:
    print_versions("torch", "timm")
    judged: dict[tuple[str, int, int, str], list[tuple[float, float]]] = {}
    for name in NETWORKS:
        model = gc.load_model(name)
        for grid in tqdm(grids(recognised(model, halves()[0]), GRIDS), desc=name, leave=False):
            for detail in DETAILS:
                held = held_open(name, grid, detail)
                ranking = held.run.logits[0].argsort(descending=True).tolist()
                for words, method in METHODS.items():
                    for count in COUNTS:
                        key = words, count, detail, name
                        for cell, target in enumerate(grid.classes):
                            others = [c for c in ranking[: count + 1] if c != target][:count]
                            e = held.explain(target, method, others)
                            heat = e.heatmap_at((RASTER, RASTER))
                            judged.setdefault(key, []).append(grid.judge(heat, cell))
    means = {key: np.mean(values, axis=0) for key, values in judged.items()}
    print_table(
        "The class rather than …: GridPG / share of peaks in the right cell",
        ("", "Others", "Input", *map(title, NETWORKS)),
        [
            Row(words, str(count), f"{detail} ×", *(
                "{:.3f} / {:.3f}".format(*means[words, count, detail, name]) for name in NETWORKS
            ))
            for words in METHODS
            for count in COUNTS
            for detail in DETAILS
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
