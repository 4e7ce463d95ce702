"""How the page's server bears many visitors at once, and what a long day leaves behind.

The server runs in a process of its own, on this machine alone, with seeded random weights of the
three networks (for speed; never for a picture). The visitors are sessions of `gradio_client`: each
uploads photos that nobody has asked for before, has all networks explain them, asks for other
classes, and now and then leaves in the middle. The soak, which follows, gives few visitors many
explanations in random order, with the networks whose weights are embedded, over the page's own
stream. The same visitors come to a page whose networks two replicas of Ray Serve run, on the same
cores. `benchmarks.visitor_cost` follows. `make load` prints its tables in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from benchmarks.page import FOLDER, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.memory import TRIM_EVERY_S
from tests.support.app_server import ROOT, started_app
from tests.support.explanations import LITE
from tests.support.photos import large_photo
from tests.support.processes import MEGABYTE, cpu_seconds, memory, watched
from tests.support.visitors import CLASSES_CHANGED, LEAVING, Seen, visit

THROUGHPUT_TO_REACH = 0.9  # of one busy visitor's, with 32
REPLICAS_TO_REACH = 1.0  # of the throughput in the page's own process, with 32
MOST_WITH_REPLICAS = 32  # visitors
GROWTH_TO_REACH = 0.03  # of memory, from the second to the last quarter of the soak
SOAK_VISITORS = 8


def percentiles(waited: list[float]) -> tuple[str, str, str]:
    if len(waited) < 2:
        return ("–",) * 3
    cuts = statistics.quantiles(waited, n=100, method="inclusive")
    p50, p95, p99 = (f"{cuts[at - 1]:.2f}" for at in (50, 95, 99))
    return p50, p95, p99


@contextmanager
def server(folder: Path, weights: Path | None, **settings: str) -> Iterator[tuple[str, int]]:
    """The address and the number of the process of a server; with random weights, if there are."""
    settings["PYTHONUNBUFFERED"] = "1"
    command = [sys.executable, "app.py"]
    if weights is not None:
        command = [sys.executable, "-c", "from benchmarks.page import serve; serve()"]
        settings[FOLDER] = str(weights)
    with started_app(folder, command=command, **settings) as started:
        yield started.url, started.process.pid


@contextmanager
def cluster(weights: Path) -> Iterator[tuple[dict[str, str], int]]:
    """The settings of a page that uses it, and the number of its process: replicas with random
    weights, 2 of one thread each."""
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
        "GRADCAM_REPLICAS": "2",
        "GRADCAM_THREADS": "1",
        FOLDER: str(weights),
    }
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-uc", "from benchmarks.cluster import serve; serve()"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment | settings, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        told = iter(process.stdout)
        address = next(filter(None, (re.search(r"RAY_ADDRESS=(\S+)", line) for line in told)))[1]
        try:
            yield settings | {"GRADCAM_BACKEND": "ray", "RAY_ADDRESS": address}, process.pid
        finally:
            process.terminate()


@dataclass
class Engine:
    """Something that computes, with a page before it. By the number of visitors: rates, photos a
    second; rounds, the same of each round; and own, seconds of a core that the page's process took
    for a photo."""

    title: str
    url: str
    pid: int
    rates: dict[int, float] = field(default_factory=dict)
    rounds: dict[int, list[float]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    own: dict[int, float] = field(default_factory=dict)
    seed: int = 0


def measure_load(visitors: list[int], photos_each: int) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        for part in ("weights", "local", "ray"):
            (folder / part).mkdir()
        weights = folder / "weights"
        make_weights(weights)
        settings, cluster_pid = running.enter_context(cluster(weights))
        two = {"OMP_NUM_THREADS": "2"}
        engines = [
            Engine(
                "this process", *running.enter_context(server(folder / "local", weights, **two))
            ),
            Engine("2 replicas", *running.enter_context(server(folder / "ray", None, **settings))),
        ]
        for engine in engines:
            _warm_up(engine.url, folder)
        replicas = memory(cluster_pid)
        for count in visitors:
            measured = engines if count <= MOST_WITH_REPLICAS else engines[:1]
            seen = {engine.title: [Seen() for _ in range(_rounds(count))] for engine in measured}
            took = dict.fromkeys(seen, 0.0)
            before = {engine.title: cpu_seconds(engine.pid) for engine in measured}
            most = dict.fromkeys(seen, 0)
            for n in range(_rounds(count)):
                # There and back, because the machine may be busy with something else meanwhile.
                for engine in measured if n % 2 == 0 else measured[::-1]:
                    begun, peak = _visits(engine, folder, count, photos_each, seen[engine.title][n])
                    took[engine.title] += begun
                    rate = len(seen[engine.title][n].photos) / begun
                    engine.rounds.setdefault(count, []).append(rate)
                    most[engine.title] = max(most[engine.title], peak)
            for engine in measured:
                all_seen = Seen.of(seen[engine.title])
                engine.rates[count] = len(all_seen.photos) / took[engine.title]
                own = cpu_seconds(engine.pid) - before[engine.title]
                engine.own[count] = own / max(1, len(all_seen.photos))
                engine.rows.append(_load_row(engine, count, all_seen, most[engine.title]))
                for error in all_seen.errors[:5]:
                    print(f"error with {count} visitors, {engine.title}: {error}", file=sys.stderr)
        more = memory(cluster_pid) - replicas
    print_table(
        f"Visitors at once; of each photo all three networks, then {CLASSES_CHANGED} other classes",
        [
            "Computed by",
            "Visitors",
            "Photos",
            "Left in the middle",
            "Failed",
            "Photos a second",
            "of one visitor's",
            "New photo: p50, p95, p99 s",
            "Another class: p50, p95, p99 s",
            "Most memory of the page above the idle one's",
        ],
        [row for engine in engines for row in engine.rows],
    )
    local, ray = (engine.rates.get(32) for engine in engines)
    if local and ray:
        pairs = zip(*(engine.rounds[32] for engine in engines), strict=True)
        each = ", ".join(f"{other / own:.2f}" for own, other in pairs)
        print_table(
            "What it comes to",
            ["", "To reach", "Reached"],
            [
                Row(
                    "throughput at 32 visitors, 2 replicas of one thread against this process's 2",
                    f"≥ {REPLICAS_TO_REACH:.1f}",
                    f"{ray / local:.2f} (round by round: {each})",
                    ray / local >= REPLICAS_TO_REACH,
                ),
                Row(
                    "of a core, that the page takes for a photo and its changes, with replicas",
                    "",
                    f"{engines[1].own[32]:.2f} s",
                ),
                Row(
                    "memory of Ray and the replicas: at first, and more after the visitors",
                    "",
                    f"{replicas / MEGABYTE:.0f} MB, {more / MEGABYTE:.0f} MB",
                ),
            ],
        )


def _rounds(count: int) -> int:
    return 4 if count == 32 else 1


def _visits(
    engine: Engine, folder: Path, count: int, photos_each: int, seen: Seen
) -> tuple[float, int]:
    """Seconds that the visitors took, and the most memory that the page's process took more."""
    # One visitor alone asks for as many photos as make a figure of it.
    each = photos_each if count > 1 else 12 * photos_each
    files = _files(folder, range(engine.seed, engine.seed + count * each))
    engine.seed += count * each
    before = memory(engine.pid)
    start = time.monotonic()
    with watched(engine.pid, every=0.2) as peak, ThreadPoolExecutor(count) as pool:
        for n in range(count):
            pool.submit(visit, engine.url, files[n * each : (n + 1) * each], n, seen)
    return time.monotonic() - start, peak.bytes - before


def _load_row(engine: Engine, count: int, seen: Seen, more: int) -> Row:
    rate = engine.rates[count]
    share = rate / next(iter(engine.rates.values()))
    cells = (
        engine.title,
        str(count),
        str(len(seen.photos)),
        str(seen.left),
        str(len(seen.errors)),
        f"{rate:.2f}",
        f"{share:.2f}" + (f" (to reach: {THROUGHPUT_TO_REACH})" if count == 32 else ""),
        ", ".join(percentiles(seen.photos)),
        ", ".join(percentiles(seen.changes)),
        f"{more / MEGABYTE:.0f} MB",
    )
    missed = bool(seen.errors) or (count == 32 and share < THROUGHPUT_TO_REACH)
    return Row(*cells, False) if missed else Row(*cells)


def _files(folder: Path, seeds: range) -> list[Path]:
    files = []
    for seed in seeds:
        files.append(folder / f"{seed}.jpg")
        files[-1].write_bytes(large_photo(seed))
    return files


def _warm_up(url: str, folder: Path) -> None:
    client = Client(url, verbose=False)
    for file in _files(folder, range(10_000, 10_003)):
        client.predict(handle_file(str(file)), outputs=[], api_name="/explain")
    client.close()


@dataclass(frozen=True)
class Soaked:
    """After a quarter of the explanations. files: under the server's temporary folder."""

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
                time.sleep(TRIM_EVERY_S + 2)  # so that what is free is given back
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
    """One explanation of one photo by one network, as the page asks for it."""
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
        "cells": [cell],
    }
    if chance.random() < 0.05:
        file = chance.choice([f"{model}_output.png", f"{model}_heatmap.npy", "comparison.png"])
        asked["cells"] = [cell | {"id": model}]
        taken = session.post(f"{url}download", json=asked | {"file": file}, timeout=300)
        taken.raise_for_status()
        return
    with session.post(f"{url}explain-stream", json=asked, stream=True, timeout=300) as response:
        response.raise_for_status()
        if chance.random() < LEAVING:
            return  # the connection is closed in the middle
        text = response.text
    if '"result"' not in text:
        raise RuntimeError(text[-300:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", default="1,8,32,64", help="comma-separated counts")
    parser.add_argument("--photos", type=int, default=2, help="of each visitor")
    parser.add_argument("--soak", type=int, default=2000, help="explanations")
    parser.add_argument("--cost", type=int, default=12, help="photos of one visitor, each way in")
    options = parser.parse_args()
    print_versions("torch", "timm", "gradio", "gradio_client", "ray")
    parts: list[Callable[[], object]] = []
    if options.visitors:
        visitors = [int(count) for count in options.visitors.split(",")]
        parts.append(lambda: measure_load(visitors, options.photos))
    if options.soak:
        parts.append(lambda: measure_soak(options.soak))
    if options.cost:
        # In a process of its own, with one thread.
        cost = [sys.executable, "-m", "benchmarks.visitor_cost", "--photos", str(options.cost)]
        parts.append(lambda: subprocess.run(cost, cwd=ROOT, check=True))
    for part in parts:
        part()


if __name__ == "__main__":
    main()
