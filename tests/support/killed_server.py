"""A server that is killed while it works and downloads, and the one that is started in its place:
for the tests and `make faults`."""

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

PHOTOS = 4  # of each visitor: more than they are done with when the server is killed


@dataclass(frozen=True)
class Killed:
    """What came of a server that was killed.

    before, after: what it answered before, and the one that was started in its place. seconds:
    from the start of that one to its answer. children: its child processes; orphans: those that
    outlived it. left_in_cache: parts of downloads that the next server left where they were.
    """

    before: Any
    after: Any
    seconds: float
    children: list[int]
    orphans: list[int]
    left_in_cache: list[Path]


@contextmanager
def serving_resnet50(folder: Path) -> Iterator[Weights]:
    """A Hub that sends half of ResNet50's weights, and then nothing."""
    file = folder / "resnet50"
    file.write_bytes(bytes(2**21))
    with serving() as weights:
        weights.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = file
        weights.fault = "stall"
        yield weights


def kills(
    folder: Path, weights: Weights, rounds: int, seed: int, visitors: int = 8
) -> Iterator[Killed]:
    """Start the app, kill it at a random moment while visitors are there, and start it again, so
    many times, with the same folders and port. Nothing is tidied up between."""
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
                # The part that this server is at work on is the only one.
                parts = sorted(folder.rglob("*.incomplete"))[1:]
                yield Killed(before, after, seconds, children, orphans, parts)
            before = after
            if number < rounds:
                after_s = moments.uniform(0.1, 4)
                children = _kill_under_load(
                    app, [photos[n::visitors] for n in range(visitors)], after_s
                )


def _settings(weights: Weights) -> dict[str, str]:
    """The same port for every start, and no network but this server."""
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
    """photos: of each visitor. -> the child processes that the server had"""
    seen = [Seen() for _ in photos]
    with ThreadPoolExecutor(len(photos)) as visitors:
        ways_in = cycle(WAYS_IN.values())
        for n, (files, one) in enumerate(zip(photos, seen, strict=True)):
            visitors.submit(visit, next(ways_in), app.url, files, n, one, LITE)
        time.sleep(after_s)
        children = children_of(app.process.pid)
        app.process.kill()
        app.process.wait()
    assert any(one.errors for one in seen)  # visitors were there when it was killed
    return children
