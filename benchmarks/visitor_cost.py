"""The cost of a visitor to the server, in seconds of a core, compared with the networks' passes.

A visitor sends a photo of two megapixels, has three networks explain it, and requests two other
classes. The page's own stream and the API without files take turns, each with new photos; the
server has random weights (for speed; never for a picture) and one thread. The passes and maps of
the same photos, prepared beforehand, run in this process. Part of `make load`. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# One thread, as in the server that it is compared with; PyTorch reads this when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import gradcam_core as gc
from benchmarks.page import load, make_weights
from benchmarks.servers import server
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.explanation.examination import run_passes
from gradcam_core.images.prepare import prepare
from gradcam_core.models.registry import DEFAULT_MODELS
from tests.support.photos import large_photo
from tests.support.processes import cpu_seconds
from tests.support.visitors import CLASSES_CHANGED, WAYS_IN, Visitor

PAGE_TO_REACH = 1.3  # target: times the cost of the passes
API_TO_REACH = 1.5
WARM_UP = 2  # photos


def bring(visitor: Visitor, photo: Path) -> None:
    """Sends a photo, and requests its other classes."""
    for name in visitor.bring(photo)[1 : 1 + CLASSES_CHANGED]:
        visitor.change(name)


def passes_alone(models: Sequence[gc.Model], photo: Path) -> float:
    """The seconds of a core for the forward passes and the maps of the same photo and classes."""
    picture = gc.read_image(photo)
    prepared = [prepare(picture, model.preprocessing) for model in models]
    start = time.process_time()
    held = [run_passes(model, [one])[0] for one, model in zip(prepared, models, strict=True)]
    for one in held:
        one.explain()
    for prediction in held[0].top[1 : 1 + CLASSES_CHANGED]:
        for one in held:
            one.explain(prediction.index)
    return time.process_time() - start


def measure_cost(photos: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights"
        weights.mkdir()
        make_weights(weights)
        costs: dict[str, list[float]] = {"page": [], "API": [], "passes": []}
        models = [load(model, weights) for model in DEFAULT_MODELS]
        with server(folder, weights, OMP_NUM_THREADS="1") as (url, pid):
            visitors = {way_in: kind(url) for way_in, kind in WAYS_IN.items()}
            for n in range(WARM_UP + photos):
                for place, (way_in, visitor) in enumerate(visitors.items()):
                    photo = folder / "photo.jpg"
                    photo.write_bytes(large_photo(2 * n + place))
                    before = cpu_seconds(pid)
                    bring(visitor, photo)
                    cost = cpu_seconds(pid) - before
                    alone = passes_alone(models, photo)
                    if n >= WARM_UP:
                        costs[way_in].append(cost)
                        costs["passes"].append(alone)
            for visitor in visitors.values():
                visitor.close()
    alone = statistics.median(costs["passes"])
    rows = [Row("the passes and maps alone", f"{alone:.2f} s", "1", "")]
    for way, title, to_reach in (
        ("page", "the page's stream", PAGE_TO_REACH),
        ("API", "the API without files", API_TO_REACH),
    ):
        cost = statistics.median(costs[way])
        share = cost / alone
        rows.append(Row(title, f"{cost:.2f} s", f"{share:.2f}", f"≤ {to_reach}", share <= to_reach))
    print_table(
        f"A visitor with a photo of 2 megapixels: three networks, then {CLASSES_CHANGED} other "
        f"classes; {photos} photos each way, median",
        ["", "Of a core", "× the passes", "To reach"],
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=12, help="each way")
    options = parser.parse_args()
    print_versions("torch", "timm", "gradio", "gradio_client")
    measure_cost(options.photos)


if __name__ == "__main__":
    main()
