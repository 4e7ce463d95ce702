"""How the page's server performs with many visitors at once, and after a long day.

The server runs in its own process, on this machine only, with seeded random weights of the three
networks (for speed; never for a picture). The visitors use the page's own requests or
`gradio_client`, in turns: each uploads new photos, has all networks explain them, requests other
classes, and now and then leaves before the answer. The same visitors use a page whose networks run
in two replicas of Ray Serve, on the same cores. `benchmarks.soak` and `benchmarks.visitor_cost`
follow. `make load` prints its tables in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.page import make_weights
from benchmarks.servers import cluster, server
from benchmarks.soak import measure_soak
from benchmarks.table import Row, print_table, print_versions
from tests.support.app_server import ROOT
from tests.support.photos import large_photo
from tests.support.processes import MEGABYTE, cpu_seconds, memory, watched
from tests.support.visitors import CLASSES_CHANGED, WAYS_IN, PageVisitor, Seen, visit

CROWD = 32  # visitors for which the targets hold
THROUGHPUT_TO_REACH = 0.9  # target with a crowd, as a share of one busy visitor's throughput
REPLICAS_TO_REACH = 1.0  # target with a crowd, as a share of the throughput in the page's process
ROUNDS = 2  # of a crowd, for each kind of visitor


@dataclass
class Engine:
    """A page with its backend. pid: of the page's process."""

    title: str
    url: str
    pid: int
    photos: int = 0  # made for it so far


@dataclass
class Crowd:
    """`count` visitors of one kind who use one engine, and the results of each round.

    seconds: durations; rates: photos a second; cpu: seconds of a core that the page's process took;
    most_memory: the peak of memory above that before, in bytes.
    """

    engine: Engine
    way_in: str
    count: int
    seen: list[Seen] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: float = 0.0
    most_memory: int = 0

    def come(self, folder: Path, photos_each: int) -> None:
        """Runs one round."""
        # A single visitor sends more photos, for a reliable number.
        each = photos_each if self.count > 1 else 6 * photos_each
        files = _files(folder, self.engine, self.count * each)
        seen = [Seen() for _ in range(self.count)]
        pid, url, way_in = self.engine.pid, self.engine.url, WAYS_IN[self.way_in]
        memory_before, cpu_before = memory(pid), cpu_seconds(pid)
        start = time.monotonic()
        with watched(pid, every=0.2) as peak, ThreadPoolExecutor(self.count) as pool:
            for n, one in enumerate(seen):
                pool.submit(visit, way_in, url, files[n :: self.count], n, one)
        self.seconds.append(time.monotonic() - start)
        self.cpu += cpu_seconds(pid) - cpu_before
        self.most_memory = max(self.most_memory, peak.bytes - memory_before)
        self.seen.append(Seen.of(seen))
        self.rates.append(len(self.seen[-1].photos) / self.seconds[-1])

    @property
    def all_seen(self) -> Seen:
        return Seen.of(self.seen)

    @property
    def rate(self) -> float:
        """Photos a second over all rounds."""
        return len(self.all_seen.photos) / sum(self.seconds)

    def row(self, alone: Crowd) -> Row:
        """The crowd's row of the table. alone: the smallest crowd of the same kind of visitors."""
        seen, share = self.all_seen, self.rate / alone.rate
        is_target = self.count == CROWD
        cells = (
            self.engine.title,
            self.way_in,
            str(self.count),
            str(len(seen.photos)),
            str(seen.left),
            str(len(seen.errors)),
            f"{self.rate:.2f}",
            f"{share:.2f}" + (f" (to reach: {THROUGHPUT_TO_REACH})" if is_target else ""),
            _percentiles(seen.photos),
            _percentiles(seen.changes),
            f"{self.cpu / max(1, len(seen.photos)):.2f} s",
            f"{self.most_memory / MEGABYTE:.0f} MB",
        )
        missed = bool(seen.errors) or (is_target and share < THROUGHPUT_TO_REACH)
        return Row(*cells, False) if missed else Row(*cells)


def _percentiles(waited: list[float]) -> str:
    if len(waited) < 2:
        return "–"
    cuts = statistics.quantiles(waited, n=100, method="inclusive")
    return ", ".join(f"{cuts[at - 1]:.2f}" for at in (50, 95, 99))


def measure_load(visitors: list[int], photos_each: int) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        for part in ("weights", "local", "ray"):
            (folder / part).mkdir()
        weights = folder / "weights"
        make_weights(weights)
        settings, cluster_pid = running.enter_context(cluster(weights))
        own = server(folder / "local", weights, OMP_NUM_THREADS="2")
        before_ray = server(folder / "ray", None, **settings)
        local = Engine("this process", *running.enter_context(own))
        ray = Engine("2 replicas", *running.enter_context(before_ray))
        for engine in (local, ray):
            visitor = PageVisitor(engine.url)
            for file in _files(folder, engine, 3):  # warms up all processes
                visitor.bring(file)
        memory_at_first = memory(cluster_pid)
        crowds = []
        for count in visitors:
            engines = (local, ray) if count <= CROWD else (local,)
            those = [Crowd(engine, way_in, count) for engine in engines for way_in in WAYS_IN]
            each = photos_each if count <= CROWD else max(1, photos_each // 2)
            for n in range(ROUNDS if count == CROWD else 1):
                # In alternating order, because the machine's other load may change meanwhile.
                for crowd in those if n % 2 == 0 else those[::-1]:
                    crowd.come(folder, each)
            crowds += those
        memory_more = memory(cluster_pid) - memory_at_first
    _print_crowds(crowds)
    for way_in in WAYS_IN:
        many = [one for one in crowds if (one.way_in, one.count) == (way_in, CROWD)]
        if many:
            _print_replicas(*many)
    print(
        f"\nMemory of Ray and the replicas: {memory_at_first / MEGABYTE:.0f} MB at first, "
        f"{memory_more / MEGABYTE:.0f} MB more after the visitors."
    )


def _print_crowds(crowds: Sequence[Crowd]) -> None:
    alone: dict[tuple[str, str], Crowd] = {}
    rows = []
    for crowd in crowds:
        first = alone.setdefault((crowd.engine.title, crowd.way_in), crowd)
        rows.append(crowd.row(first))
        for error in crowd.all_seen.errors[:5]:
            title = f"{crowd.count} visitors, way in {crowd.way_in}, {crowd.engine.title}"
            print(f"error with {title}: {error}", file=sys.stderr)
    print_table(
        f"Visitors at once; of each photo all three networks, then {CLASSES_CHANGED} other classes",
        [
            "Computed by",
            "Interface",
            "Visitors",
            "Photos",
            "Abandoned",
            "Failed",
            "Photos a second",
            "Relative to one visitor",
            "New photo: p50, p95, p99 s",
            "Another class: p50, p95, p99 s",
            "Core time of the page's process per photo and its class changes",
            "Most memory of the page above the idle one's",
        ],
        rows,
    )


def _print_replicas(local: Crowd, ray: Crowd) -> None:
    share = ray.rate / local.rate
    each = ", ".join(
        f"{other / own:.2f}" for own, other in zip(local.rates, ray.rates, strict=True)
    )
    print_table(
        f"{CROWD} visitors, way in {local.way_in}: 2 replicas of one thread, and 2 threads here",
        ["", "To reach", "Reached"],
        [
            Row(
                "throughput",
                f"≥ {REPLICAS_TO_REACH:.1f}",
                f"{share:.2f} (round by round: {each})",
                share >= REPLICAS_TO_REACH,
            )
        ],
    )


def _files(folder: Path, engine: Engine, count: int) -> list[Path]:
    """Writes photos that this engine has never seen."""
    files = []
    for seed in range(engine.photos, engine.photos + count):
        files.append(folder / f"{seed}.jpg")
        files[-1].write_bytes(large_photo(seed))
    engine.photos += count
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", default="1,8,32,64", help="comma-separated counts")
    parser.add_argument("--photos", type=int, default=2, help="of each visitor")
    parser.add_argument("--soak", type=int, default=2000, help="explanations")
    parser.add_argument("--cost", type=int, default=12, help="photos of one visitor, each way in")
    options = parser.parse_args()
    print_versions("torch", "timm", "gradio", "gradio_client", "ray")
    if options.visitors:
        measure_load([int(count) for count in options.visitors.split(",")], options.photos)
    if options.soak:
        measure_soak(options.soak)
    if options.cost:
        # In its own process, because it needs a single thread.
        cost = [sys.executable, "-m", "benchmarks.visitor_cost", "--photos", str(options.cost)]
        subprocess.run(cost, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
