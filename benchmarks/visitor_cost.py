"""What one visitor costs the server, in seconds of a core, beside the networks' passes alone.

A visitor brings a photo of two megapixels, has three networks explain it, and asks for two other
classes. The page's own stream and the API without files take turns, each with photos that nobody
has brought before; the server has random weights (for speed; never for a picture) and one thread.
The passes and maps of the same photos, prepared beforehand, run in this process. Part of
`make load`. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As the server that it is compared with, before PyTorch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

from gradio_client import Client, handle_file  # type: ignore[import-untyped]

import gradcam_core as gc
from benchmarks.page import FOLDER, load, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.examination import run_passes
from gradcam_core.images.prepare import prepare
from gradcam_core.models.registry import DEFAULT_MODELS
from tests.support.app_server import started_app
from tests.support.photos import large_photo
from tests.support.processes import cpu_seconds
from tests.support.stream import explain_stream
from tests.support.uploads import upload

PAGE_TO_REACH = 1.3  # times what the passes take
API_TO_REACH = 1.5
CLASSES_CHANGED = 2  # for each photo
WARM_UP = 2  # photos


def by_page(url: str, photo: bytes) -> None:
    """What the page asks for, and takes from the answers."""
    cells = [{"id": name, "model": name} for name in DEFAULT_MODELS]
    body: dict[str, Any] = {"upload": upload(url, photo, "a.jpg"), "cells": cells, "compare": True}
    answers = explain_stream(url, body)
    first = next(answer["result"] for answer in answers if "result" in answer)
    shown = next(answer["photo"] for answer in answers if "photo" in answer)
    assert base64.b64decode(shown["jpeg"])
    for prediction in first["top"][1 : 1 + CLASSES_CHANGED]:
        changed = {"target": prediction["index"], "has_photo": shown["id"]}
        assert sum("result" in answer for answer in explain_stream(url, body | changed)) == len(
            cells
        )


def by_api(client: Client, photo: bytes, folder: Path) -> None:
    """What a program asks for that wants numbers, not files."""
    file = folder / "photo.jpg"
    file.write_bytes(photo)
    given = {"image": handle_file(str(file)), "models": list(DEFAULT_MODELS), "outputs": []}
    findings, _ = client.predict(**given, api_name="/explain")
    for prediction in findings["explanations"][0]["top"][1 : 1 + CLASSES_CHANGED]:
        client.predict(**given, target=prediction["index"], api_name="/explain")


def passes_alone(models: Sequence[gc.Model], photo: bytes) -> float:
    """Seconds of a core for the forward passes and the maps of the same photo and classes."""
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
        settings = {FOLDER: str(weights), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-c", "from benchmarks.page import serve; serve()"]
        costs: dict[str, list[float]] = {"page": [], "API": [], "passes": []}
        models = [load(model, weights) for model in DEFAULT_MODELS]
        with started_app(folder, command=command, **settings) as app:
            client = Client(app.url, verbose=False)
            ways: dict[str, Callable[[bytes], None]] = {
                "page": lambda photo: by_page(app.url, photo),
                "API": lambda photo: by_api(client, photo, folder),
            }
            for n in range(WARM_UP + photos):
                for place, (way, visit) in enumerate(ways.items()):
                    photo = large_photo(2 * n + place)
                    before = cpu_seconds(app.process.pid)
                    visit(photo)
                    cost = cpu_seconds(app.process.pid) - before
                    alone = passes_alone(models, photo)
                    if n >= WARM_UP:
                        costs[way].append(cost)
                        costs["passes"].append(alone)
            client.close()
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
