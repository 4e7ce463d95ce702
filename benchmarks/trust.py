"""What it costs to check how far a map can be trusted: one network at a time, each part by itself.

Seeded random weights of the three networks, for the time alone. Medians of some rounds, in which
the networks take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image

import gradcam_core as gc
from benchmarks.page import load, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.analysis.deletion_insertion import STEPS
from gradcam_core.analysis.trust import NOISES, trust
from tests.support.photos import EXAMPLES

TO_REACH = 6.0  # seconds
IMAGES = 3 + 4 * (STEPS - 1) + 1
SMALL_CHANGES = 2 + NOISES


def parts(model: gc.Model, photo: Image.Image) -> tuple[float, float, float]:
    """Seconds for the curves and what is shown alone, for small changes, for random weights."""
    e = gc.explain(photo, model)
    marks: list[tuple[float, float]] = []
    start = time.perf_counter()
    trust(photo, model, e, lambda share: marks.append((share, time.perf_counter() - start)))
    end = time.perf_counter() - start
    passes = IMAGES + SMALL_CHANGES + len(model.stages) + 1

    def when(count: int) -> float:
        return next(at for share, at in marks if round(share * passes) >= count)

    curves, changes = when(IMAGES), when(IMAGES + SMALL_CHANGES)
    return curves, changes - curves, end - changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print_versions("torch", "timm")
    photo = gc.read_image(EXAMPLES / "1_cat.jpg")
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        make_weights(Path(name))
        networks = [load(model, Path(name)) for model in gc.DEFAULT_MODELS]
        for round_ in range(options.rounds + 1):
            for network in networks:
                costs = parts(network, photo)
                if round_:  # the first one warms up
                    found[network.info.title].append(costs)
    rows = []
    for title, rounds in found.items():
        each = [statistics.median(part) for part in zip(*rounds, strict=True)]
        total = statistics.median(map(sum, rounds))
        cells = [f"{part:.1f} s" for part in (*each, total)]
        rows.append(Row(title, *cells, total <= TO_REACH))
    print_table(
        f"How far can I trust this map? To be ≤ {TO_REACH:.0f} s for one network",
        [
            "Network",
            f"Deletion, insertion, both in a random order, the heat alone: {IMAGES} images",
            f"{SMALL_CHANGES} maps of a photo hardly changed",
            "A map with random weights from the head on to every stage",
            "In all",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
