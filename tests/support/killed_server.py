"""Kills a server while it works and downloads, and starts another in its place, for the tests and
`make faults`."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.support.app_server import Started, started_app
from tests.support.download_faults import downloads_of
from tests.support.explanations import LITE
from tests.support.photos import large_photo
from tests.support.processes import children_of, command_of
from tests.support.stream import CAT, explain_stream, map_requests, results
from tests.support.visitors import WAYS_IN, Seen, visit
from tests.support.waiting import until
from tests.support.weights_server import Weights, serving

PHOTOS = 4  # of each visitor: more than are explained before the server is killed


@dataclass(frozen=True)
class Killed:
    """The outcome of killing a server.

    before, after: the answers of this server and of its successor. seconds: from the successor's
    start to its answer. children: the killed server's child processes; orphans: those that outlived
    it. left_in_cache: partial downloads that the successor did not remove.
    """

    before: Any
    after: Any
    seconds: float
    children: list[int]
    orphans: list[int]
    left_in_cache: list[Path]


@contextmanager
def serving_resnet50(folder: Path) -> Iterator[Weights]:
    """Serves a Hub that sends half of ResNet50's weights, and then nothing."""
    file = folder / "resnet50"
    file.write_bytes(bytes(2**21))
    with serving() as weights:
        weights.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = file
        weights.fault = "stall"
        yield weights


def kills(
    folder: Path, weights: Weights, rounds: int, seed: int, visitors: int = 8
) -> Iterator[Killed]:
    """Starts the app, kills it at a random moment while visitors use it, and starts it again, with
    the same folders and port, without cleaning up. rounds: how often; seed: of the moments."""
    moments = random.Random(seed)
    photos = []
    for n in range(visitors * PHOTOS):
        photos.append(folder / f"{n}.jpg")
        photos[-1].write_bytes(large_photo(n))
    settings = _settings(weights)
    before, children = None, list[int]()
    for number in range(rounds + 1):
        began = time.monotonic()
        with started_app(folder, **settings) as app:
            answers = explain_stream(app.url, {"example": CAT, "maps": map_requests(LITE[0])})
            after = results(answers)[LITE[0]]
            seconds = time.monotonic() - began
            until(lambda: downloads_of(app.process.pid))
            if number:
                orphans = [pid for pid in children if command_of(pid)]
                # One partial file is allowed: the one that this server is downloading.
                parts = sorted(folder.rglob("*.incomplete"))[1:]
                yield Killed(before, after, seconds, children, orphans, parts)
            before = after
            if number < rounds:
                after_s = moments.uniform(0.1, 4)
                children = _kill_under_load(
                    app, [photos[n::visitors] for n in range(visitors)], after_s
                )


def _settings(weights: Weights) -> dict[str, str]:
    """Environment variables: the same port for every start, and no network but this server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    dead = "http://127.0.0.1:9"
    return {
        "GRADIO_SERVER_PORT": port,
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": weights.url,
        "HTTPS_PROXY": dead,
        "HTTP_PROXY": dead,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _kill_under_load(app: Started, photos: list[list[Path]], after_s: float) -> list[int]:
    """Kills the app after some seconds of load. photos: of each visitor. Returns the ids of the
    app's child processes."""
    seen = [Seen() for _ in photos]
    with ThreadPoolExecutor(len(photos)) as visitors:
        ways_in = cycle(WAYS_IN.values())
        for n, (files, one) in enumerate(zip(photos, seen, strict=True)):
            visitors.submit(visit, next(ways_in), app.url, files, n, one, LITE)
        time.sleep(after_s)
        children = children_of(app.process.pid)
        app.process.kill()
        app.process.wait()
    assert any(one.errors for one in seen)  # visitors used the app when it was killed
    return children
