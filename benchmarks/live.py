"""Camera frames per second that a real browser shows with their maps, compared with the networks'
own rate.

The page's server runs in its own process; Chromium shows its live view, with a file as the camera.
Server and browser share the cores. Before and after every stretch of frames, this process runs the
bare networks, so that both meet the machine in the same state: on a shared machine, the ratios say
more than the frames. `make bench` prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright

import gradcam_core as gc
from benchmarks.page import FOLDER, VIEWPORT, load, make_weights
from benchmarks.table import Row, print_table, print_versions
from gradcam_core import DEFAULT_MODELS
from scripts.chromium import ARGUMENTS, find
from tests.support.app_server import running_app
from tests.support.camera import camera_arguments, film, passing
from tests.support.photos import EXAMPLES

LITE = ("efficientnet_lite2", "efficientnet_lite0", "efficientnet_lite1")
FRAME_SIZE = 1280, 720
OWN_S = 1.5  # duration of the bare networks, before and after each stretch
LIVE_S = 6.0
LEAST_FRAMES = 10  # of a stretch
MOST_S = 120.0  # of the stretches of one server: after that, none of another round begins
LATENCY_TO_REACH_S = 0.2  # from light to map, beside the networks' own time
AROUND_S = 1 / 30 + 1 / 60  # before a frame is taken, and until what is drawn is on the screen

IN_BROWSER = """
window.taken = [];
new PerformanceObserver((list) => {
    for (const { name, startTime, duration } of list.getEntries())
        if (name === "live frame") window.taken.push([startTime + duration, duration]);
}).observe({ entryTypes: ["measure"] });
"""


@dataclass
class Measured:
    """The measurements of a set of networks, a value for each stretch: frames a second, frames a
    second of the networks alone, seconds from light to map."""

    live: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        return statistics.median(a / b for a, b in zip(self.live, self.own, strict=True))

    @property
    def beside_s(self) -> float:
        """Seconds from light to map, less the networks' own time."""
        pairs = zip(self.latency_s, self.own, strict=True)
        return statistics.median(latency - 1 / own for latency, own in pairs)


def own_seconds(networks: Sequence[gc.Model]) -> tuple[int, float]:
    """Runs the bare networks one after the other; returns the rounds and their seconds."""
    rounds, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < OWN_S:
        for network in networks:
            with torch.no_grad():
                network.module(torch.zeros(1, 3, *network.preprocessing.size))
        rounds += 1
    return rounds, took


def stretch(page: Page, networks: Sequence[gc.Model], measured: Measured) -> None:
    before = own_seconds(networks)
    page.keyboard.press("l")
    page.wait_for_function("taken.length > 2", timeout=60_000)
    page.evaluate("taken.length = 0")
    page.wait_for_timeout(LIVE_S * 1000)
    page.wait_for_function(f"taken.length >= {LEAST_FRAMES}", timeout=60_000)
    taken = page.evaluate("taken")
    page.keyboard.press("Escape")
    page.evaluate("taken.length = 0")
    after = own_seconds(networks)
    ends = [end for end, _ in taken]
    measured.live.append(1000 * (len(ends) - 1) / (ends[-1] - ends[0]))
    measured.own.append((before[0] + after[0]) / (before[1] + after[1]))
    latency = statistics.median(duration for _, duration in taken) / 1000
    measured.latency_s.append(latency + AROUND_S)


def measure(
    url: str, camera: Path, sets: dict[str, list[gc.Model]], asked: Sequence[str], rounds: int
) -> dict[str, Measured]:
    """The measurements by set of networks. asked: the `models` in the page's address for each."""
    found = {name: Measured() for name in sets}
    with sync_playwright() as playwright:
        arguments = [*ARGUMENTS, *camera_arguments(camera)]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        end = time.monotonic() + MOST_S
        for n in range(rounds):
            if n and time.monotonic() > end:
                break
            for (name, networks), models in zip(sets.items(), asked, strict=True):
                page = browser.new_page(viewport=VIEWPORT)
                page.add_init_script(IN_BROWSER)
                page.goto(f"{url}?models={models}")
                page.wait_for_selector("section.panel[data-model][data-status=ready]:not(.empty)")
                page.wait_for_timeout(500)
                stretch(page, networks, found[name])
                page.close()
        browser.close()
    return found


def rows_of(
    found: dict[str, Measured], targets: Sequence[str], least: Sequence[float]
) -> list[Row]:
    """The rows of the table. least: for each set, the target in frames a second, or, below 1, as a
    share of the networks' own rate."""
    rows = []
    for (name, one), target, needed in zip(found.items(), targets, least, strict=True):
        live, own = statistics.median(one.live), statistics.median(one.own)
        is_reached = (one.share if needed < 1 else live) >= needed
        is_quick = one.beside_s <= LATENCY_TO_REACH_S
        cells = f"{own:.1f}", target, f"{live:.1f}, {one.share:.2f} ×"
        latency = f"{statistics.median(one.latency_s) * 1000:.0f} ms"
        beside = f"{one.beside_s * 1000:.0f} ms" + ("" if is_quick else " (missed)")
        reached = cells[2] + ("" if is_reached else " (missed)")
        rows.append(Row(name, cells[0], target, reached, latency, beside))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="most stretches of each set")
    rounds = parser.parse_args().rounds
    print_versions("torch", "timm", "gradio", "playwright")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = passing(EXAMPLES / "2_coffee.jpg", FRAME_SIZE)
        camera = film(frames, folder / "camera.mjpeg")
        lite = [gc.load_model(model) for model in LITE]
        with running_app(folder) as url:
            stand_ins = measure(
                url,
                camera,
                {"three stand-ins": lite, "one stand-in": lite[1:2]},
                [",".join(DEFAULT_MODELS), DEFAULT_MODELS[1]],
                rounds,
            )
        make_weights(folder)
        networks = [load(model, folder) for model in DEFAULT_MODELS]
        served = [sys.executable, "-c", "from benchmarks.page import serve; serve()"]
        with running_app(folder, command=served, **{FOLDER: name}) as url:
            large = measure(
                url, camera, {"the large three": networks}, [",".join(DEFAULT_MODELS)], rounds
            )
    targets = ["≥ 8", "≥ 15", "≥ 0.8 × their own"]
    print_table(
        f"Frames a second of the live view, medians of up to {rounds} stretches of {LIVE_S:.0f} s",
        [
            "",
            "Networks alone",
            "To reach",
            "Live, share",
            "From light to map",
            f"of it beside the networks, ≤ {LATENCY_TO_REACH_S} s",
        ],
        rows_of(stand_ins | large, targets, [8, 15, 0.8]),
    )


if __name__ == "__main__":
    main()
