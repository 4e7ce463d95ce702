"""The server's memory and files after a long day: few visitors, many explanations in random order.

Uses the networks with embedded weights, and the page's own stream. Part of `make load`. Linux only.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.servers import server
from benchmarks.table import Row, print_table
from gradcam_core.system.memory import TRIM_EVERY_S
from tests.support.explanations import LITE
from tests.support.photos import large_photo
from tests.support.processes import MEGABYTE, memory
from tests.support.visitors import LEAVING

GROWTH_TO_REACH = 0.03  # target: growth of memory from the second to the last quarter
SOAK_VISITORS = 8


@dataclass(frozen=True)
class Soaked:
    """The state after a quarter of the explanations. files: in the server's temporary folder."""

    explanations: int
    memory: int
    files: int
    file_bytes: int


def measure_soak(explanations: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server(folder, None) as (url, pid):
            pictures = [large_photo(seed, (800 + 16 * seed, 600)) for seed in range(40)]
            failed: list[str] = []
            quarters = []
            for quarter in range(4):
                _soak(url, pictures, explanations // 4, quarter, failed)
                time.sleep(TRIM_EVERY_S + 2)  # so that free memory is returned to the system
                files = [file for file in (folder / "gradio").rglob("*") if file.is_file()]
                quarters.append(
                    Soaked(
                        (quarter + 1) * (explanations // 4),
                        memory(pid),
                        len(files),
                        sum(file.stat().st_size for file in files),
                    )
                )
    growth = quarters[3].memory / quarters[1].memory - 1
    rows = [
        Row(
            str(one.explanations),
            f"{one.memory / MEGABYTE:.0f} MB",
            str(one.files),
            f"{one.file_bytes / MEGABYTE:.1f} MB",
        )
        for one in quarters
    ]
    print_table(
        f"Soak: {SOAK_VISITORS} visitors, random photos, networks, classes, views and methods",
        ["Explanations", "Memory", "Temporary files", "of"],
        rows,
    )
    print_table(
        "What it comes to",
        ["", "To reach", "Reached"],
        [
            Row("failed", "0", str(len(failed)), not failed),
            Row(
                "memory after the last quarter, against the second",
                f"≤ + {GROWTH_TO_REACH:.0%}",
                f"{growth:+.1%}",
                growth <= GROWTH_TO_REACH,
            ),
        ],
    )
    for error in failed[:5]:
        print(error, file=sys.stderr)


def _soak(
    url: str, pictures: list[bytes], explanations: int, quarter: int, failed: list[str]
) -> None:
    left = threading.Semaphore(explanations)

    def visitor(n: int) -> None:
        chance = random.Random(1000 * quarter + n)
        session = requests.Session()
        while left.acquire(blocking=False):
            try:
                _one(session, url, chance.choice(pictures), chance)
            except Exception as error:
                failed.append(repr(error))

    with ThreadPoolExecutor(SOAK_VISITORS) as pool:
        for n in range(SOAK_VISITORS):
            pool.submit(visitor, n)


def _one(session: requests.Session, url: str, picture: bytes, chance: random.Random) -> None:
    """Requests an explanation of a photo by one network, as the page does; sometimes a file."""
    uploaded = session.post(f"{url}gradio_api/upload", files={"files": ("a.jpg", picture)})
    uploaded.raise_for_status()
    model = chance.choice(LITE)
    detail = chance.choice([1, 1, 1, 1, 2])
    method = chance.choice(["gradcam", "gradcam", "layercam", "competitive", "eigencam"])
    cell = {"id": "one", "model": model, "method": method, "detail": detail}
    asked = {
        "upload": uploaded.json()[0],
        "view": chance.choice(["crop", "whole"]),
        "target": chance.choice([None, chance.randrange(1000)]),
        "maps": [cell],
    }
    if chance.random() < 0.05:
        file = chance.choice([f"{model}_output.png", f"{model}_heatmap.npy", "comparison.png"])
        asked["maps"] = [cell | {"id": model}]
        taken = session.post(f"{url}download", json=asked | {"file": file}, timeout=300)
        taken.raise_for_status()
        return
    with session.post(f"{url}explain-stream", json=asked, stream=True, timeout=300) as response:
        response.raise_for_status()
        if chance.random() < LEAVING:
            return  # closes the connection in the middle of the answer
        text = response.text
    if '"result"' not in text:
        raise RuntimeError(text[-300:])
