"""The time and memory that bad pictures cost the real server and the command line.

Part of `make fuzz`. Every picture of `tests/support/bad_pictures` is sent to `/explain-stream` and
`/explain` of a server in its own process, with one network, and given to the command line. Time is
from the request to the end of the answer. Memory is the peak of the process and its children,
measured a hundred times a second, less what they held before. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from benchmarks.table import Row, print_table, print_versions
from tests.support.api import posted
from tests.support.app_server import ROOT, started_app
from tests.support.bad_pictures.bad_picture import BadPicture
from tests.support.bad_pictures.corpus import corpus
from tests.support.processes import MEGABYTE, memory, watched
from tests.support.stream import map_requests
from tests.support.uploads import DECLARED, upload

LONGEST = 5.0  # seconds
MOST_MEMORY = 400  # MB
MODEL = "efficientnet_lite0"
GIVEN_UP = 120  # seconds

COMMAND_LINE = """
import json, sys
from gradcam_core.cli.photo import main
for line in sys.stdin:
    try:
        status = main(json.loads(line))
    except SystemExit as stopped:
        status = stopped.code
    print(f"ready {status}", file=sys.__stdout__, flush=True)
"""


@dataclass(frozen=True)
class Cost:
    """The cost of a picture: its kind and name, seconds, and MB more than before."""

    kind: str
    name: str
    seconds: float
    megabytes: float


def cost_of(picture: BadPicture, ask: Callable[[BadPicture], object], pid: int) -> Cost:
    before = settled(pid)
    start = time.perf_counter()
    with watched(pid) as peak:
        ask(picture)
    seconds = time.perf_counter() - start
    return Cost(picture.kind, picture.name, seconds, (peak.bytes - before) / MEGABYTE)


def settled(pid: int) -> int:
    """The bytes that the process holds once the previous picture has been freed, and a replaced
    child process has started."""
    before = memory(pid)
    while True:
        time.sleep(0.15)
        now = memory(pid)
        if abs(now - before) < MEGABYTE:
            return now
        before = now


def look(url: str, picture: BadPicture) -> None:
    """Uploads a picture and has it explained, as the page does."""
    path = upload(url, picture.data)
    body = {"upload": path, "maps": map_requests(MODEL)}
    requests.post(f"{url}explain-stream", json=body, timeout=GIVEN_UP)


def explain(url: str, picture: BadPicture) -> None:
    posted(url, {"path": upload(url, picture.data), **DECLARED}, outputs=["comparison", "overlay"])


@contextmanager
def command_line(folder: Path) -> Iterator[tuple[Callable[[BadPicture], None], int]]:
    """A function that runs the command line on a picture, and the id of its process, which is
    started only once, so that the start of Python is not measured."""
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "TORCH_HOME": "/nowhere"}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND_LINE],
        cwd=ROOT,
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask(picture: BadPicture) -> None:
            assert process.stdin
            assert process.stdout
            path = folder / "photo.jpg"
            path.write_bytes(picture.data)
            arguments = [str(path), "--models", MODEL, "--out", str(folder / "out")]
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            while not (line := process.stdout.readline()).startswith("ready"):
                if not line:
                    raise RuntimeError(f"the command line has ended itself at {picture.name}")

        try:
            yield ask, process.pid
        finally:
            process.kill()


def print_costs(title: str, costs: list[Cost], names_all: bool = False) -> bool:
    """Prints the costs, and with `names_all` each picture beyond the bounds. Returns whether all
    are within the bounds."""
    rows = []
    for kind in dict.fromkeys(cost.kind for cost in costs):
        rows.append(_row(kind, [cost for cost in costs if cost.kind == kind]))
    rows.append(_row("**all**", costs))
    headings = ["Kind", "Pictures", "Longest", "Most memory", f"To be ≤ {LONGEST:.0f} s and "
                f"≤ {MOST_MEMORY} MB; the worst"]  # fmt: skip
    print_table(title, headings, rows)
    for cost in costs:
        if names_all and not is_within(cost):
            print(f"{cost.name}: {cost.seconds:.1f} s, {cost.megabytes:.0f} MB")
    sys.stdout.flush()
    return all(is_within(cost) for cost in costs)


def is_within(cost: Cost) -> bool:
    return cost.seconds <= LONGEST and cost.megabytes <= MOST_MEMORY


def _row(kind: str, costs: list[Cost]) -> Row:
    slowest = max(costs, key=lambda cost: cost.seconds)
    largest = max(costs, key=lambda cost: cost.megabytes)
    beyond = [cost for cost in costs if not is_within(cost)]
    worst = f"{len(beyond)} beyond: {beyond[0].name}" if beyond else "all within"
    return Row(
        kind,
        str(len(costs)),
        f"{slowest.seconds:.1f} s",
        f"{largest.megabytes:.0f} MB",
        worst,
        not beyond,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", help="only the pictures of this kind")
    parser.add_argument("--all", action="store_true", help="name every one beyond the bounds")
    options = parser.parse_args()
    pictures = [picture for picture in corpus() if options.kind in (None, picture.kind)]
    for picture in pictures:
        picture.data  # noqa: B018  # made now, so that making it is not measured
    warm = next(picture for picture in corpus() if picture.kind == "colours")
    print_versions("Pillow", "pi-heif", "gradio")
    is_well = True
    with tempfile.TemporaryDirectory() as name, started_app(Path(name)) as started:
        for title, way in (("The page (/explain-stream)", look), ("The API (/explain)", explain)):
            ask = partial(way, started.url)
            ask(warm)
            costs = [cost_of(picture, ask, started.process.pid) for picture in pictures]
            is_well &= print_costs(title, costs, options.all)
    with tempfile.TemporaryDirectory() as name, command_line(Path(name)) as (program, pid):
        program(warm)
        costs = [cost_of(picture, program, pid) for picture in pictures]
        is_well &= print_costs("The command line", costs, options.all)
    if not is_well:
        sys.exit(1)


if __name__ == "__main__":
    main()
