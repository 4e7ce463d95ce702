"""How long the trust checks of a map take, for each network and each part.

Seeded random weights of the three networks, only for the time. The map is laid elsewhere at the
fewest places, which is enough for most maps, and at the most, which takes longest. Medians over
rounds in which the networks take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from itertools import product
from pathlib import Path

from PIL import Image

import gradcam_core as gc
from benchmarks.page import load, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.analysis.trust import run_checks as checks
from gradcam_core.analysis.trust.limits import (
    DELETED_SHARES,
    INSERTED_SHARES,
    NOISES,
    PLACEMENTS,
    RANDOM_NETWORKS,
    SHIFTS,
)
from gradcam_core.analysis.trust.road import PERCENTILES
from tests.support.photos import EXAMPLES

TO_REACH = 6.0  # seconds
ROAD_IMAGES = 2 * len(PERCENTILES)
VERSIONS = len(DELETED_SHARES) + len(INSERTED_SHARES)
SMALL_CHANGES = SHIFTS + NOISES


def parts(model: gc.Model, photo: Image.Image, places: int) -> tuple[float, float, float]:
    """The seconds of the curves with the pictures shown alone, of random weights, and of small
    changes. places: at which the map is laid elsewhere."""
    checks.PLACEMENTS = {places: PLACEMENTS[places]}  # type: ignore[attr-defined]
    e = gc.explain(photo, model)
    marks: list[float] = []
    start = time.perf_counter()
    found = checks.run_checks(photo, model, e, lambda _: marks.append(time.perf_counter() - start))
    end = time.perf_counter() - start
    assert len(found.elsewhere) == places
    # The maps come last: each map with random weights reports progress, all small changes once.
    maps = len(model.stages) + RANDOM_NETWORKS
    curves, weights = marks[-maps - 2], marks[-2]
    return curves, weights - curves, end - weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print_versions("torch", "timm")
    checks.IMPROBABLE = 0.0  # type: ignore[attr-defined]  # with random weights, all classes are
    photo = gc.read_image(EXAMPLES / "1_cat.jpg")
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        make_weights(Path(name))
        networks = [load(model, Path(name)) for model in gc.DEFAULT_MODELS]
        for round_ in range(options.rounds + 1):
            for network, places in product(networks, (min(PLACEMENTS), max(PLACEMENTS))):
                costs = parts(network, photo, places)
                if round_:  # the first round warms up
                    found[network.info.title, places].append(costs)
    rows = []
    for (title, places), rounds in sorted(found.items(), key=lambda pair: pair[0][1]):
        each = [statistics.median(part) for part in zip(*rounds, strict=True)]
        total = statistics.median(map(sum, rounds))
        cells = [f"{part:.1f} s" for part in (*each, total)]
        images = str(2 + VERSIONS * (1 + places) + 1 + ROAD_IMAGES)
        rows.append(Row(title, str(places), images, *cells, total <= TO_REACH))
    print_table(
        f"How far can I trust this map? To be ≤ {TO_REACH:.0f} s for one network",
        [
            "Network",
            "Places elsewhere",
            "Images",
            "Deletion, insertion, the map laid elsewhere",
            f"Maps with random weights, stage by stage and {RANDOM_NETWORKS - 1} times more",
            f"{SMALL_CHANGES} maps of a photo hardly changed",
            "In all",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
