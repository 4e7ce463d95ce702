"""Processes that are killed, disks that are full, a server that is told to stop: the next start
finds nothing that has to be cleaned by hand, and nobody's work is cut off without need."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.server.shutdown import STOPPING
from tests.support import faults as breaking
from tests.support.app_server import Started, started_app
from tests.support.faults import KINDS, Disk, Machine, Place
from tests.support.photos import EXAMPLES
from tests.support.uploads import upload


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with Machine(breaking.own_mounts()) as one, Machine() as other:
        yield one, other


@pytest.fixture(params=KINDS)
def place(request, tmp_path: Path) -> Iterator[Place]:
    with breaking.place(request.param, tmp_path) as made:
        yield made


def test_two_processes_that_download_at_once_both_end_with_the_right_weights(
    place: Place, machines: tuple[Machine, Machine]
):
    started = breaking.at_once(place, machines)
    assert all(place.is_right(one) for one in started)
    assert len([asked for asked in place.server.requests if asked.startswith("GET")]) == 1
    assert place.leftovers() == []


def test_a_full_and_a_read_only_disk_lead_to_the_stand_in_and_heal(
    place: Place, machines: tuple[Machine, Machine], tmp_path: Path
):
    is_real = bool(breaking.own_mounts())  # else, writing is refused without a disk
    machine = machines[0 if is_real else 1]
    disk = Disk(machine, tmp_path / "disk", is_real)
    for fault, words in (("ENOSPC", "the disk is full"), ("EROFS", "cannot be written to")):
        disk.become(fault)
        started = machine.start(place, disk.folder)
        assert started.title == "EfficientNet-Lite0"
        assert words in started.reason
        disk.become("")
        assert disk.weights() == []
    assert place.is_right(machine.start(place, disk.folder))
    disk.become("EROFS")  # what is there needs no writing
    assert place.is_right(machine.start(place, disk.folder))
    disk.become("")


def test_an_app_that_is_killed_in_a_download_takes_it_along_and_the_next_start_heals(place: Place):
    with Machine() as machine:
        downloads = breaking.with_the_app_killed(place, machine)
    assert len(downloads) == 1
    breaking.until(lambda: not any(map(breaking.is_alive, downloads)))
    assert place.leftovers() != []
    assert place.is_right(place.start())
    assert place.leftovers() == []


def test_a_killed_server_serves_again_with_nothing_cleaned_by_hand(tmp_path: Path):
    # Downloads are under way, too.
    with breaking.serving_resnet50(tmp_path) as weights:
        rounds = list(breaking.kills(tmp_path, weights, rounds=1, seed=5))
    assert len(rounds) == 1  # `make faults` has more
    for killed in rounds:
        assert killed.before == killed.after
        assert killed.children
        assert killed.orphans == []
        assert killed.left_in_cache == []


class Asked(threading.Thread):
    """A request that runs while something else happens."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self._answer: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:
            self.error = error

    def result(self) -> Any:
        self.join(120)
        if self.error:
            raise self.error
        return self._answer


def take(app: Started, asked: dict[str, Any]) -> bytes:
    answer = requests.post(f"{app.url}download", json=asked, timeout=120)
    answer.raise_for_status()
    return answer.content


FILE = {"_type": "gradio.FileData"}


def call(app: Started, photo: dict[str, Any]) -> Any:
    """What the endpoint `explain` of the API gives."""
    arguments = [
        photo,
        ["efficientnet_lite0", "efficientnet_lite2"],
        None,
        None,
        False,
        "gradcam",
        3,
        "crop",
        1,
        ["comparison"],
        False,
    ]
    answer = requests.post(
        f"{app.url}gradio_api/run/explain", json={"data": arguments}, timeout=120
    )
    answer.raise_for_status()
    return answer.json()["data"]


def test_sigterm_lets_running_requests_finish_and_refuses_new_ones(tmp_path: Path):
    with started_app(tmp_path, GRADCAM_STOP_WITHIN="120") as app:
        breaking.explain_stream(app.url, breaking.CAT)
        # An MCP client listens for as long as it is there. The page does not.
        events = {"Accept": "text/event-stream"}
        listening = requests.get(
            f"{app.url}gradio_api/mcp/", headers=events, stream=True, timeout=60
        )
        assert listening.status_code == 200
        assert not requests.get(f"{app.url}config", timeout=30).json()["connect_heartbeat"]
        cells = [
            {"id": f"{size} {detail} {depth}", "model": f"efficientnet_lite{size}",
             "detail": detail, "depth": depth}
            for size in (1, 2) for detail in (3, 2) for depth in (1, 0.9, 0.8)
        ]  # fmt: skip
        looking = Asked(
            lambda: breaking.explain_stream(app.url, {"example": "5_rocket", "cells": cells})
        )
        photo = {"path": upload(app.url, EXAMPLES / "2_coffee.jpg"), "meta": FILE}
        calling = Asked(lambda: call(app, photo))
        wanted = {"example": "6_astronaut", "file": "comparison.png", "cells": cells[:1]}
        taking = Asked(lambda: take(app, wanted))
        time.sleep(1)
        app.process.send_signal(signal.SIGTERM)
        breaking.until(lambda: "Stopping" in app.log.read_text())
        is_running = [asked.is_alive() for asked in (looking, calling, taking)]
        refused = requests.post(f"{app.url}explain-stream", json=breaking.CAT, timeout=30)
        assert (refused.status_code, refused.json()) == (503, {"problem": STOPPING})
        assert requests.get(app.url, timeout=30).status_code == 503
        assert looking.result().keys() == {cell["id"] for cell in cells}
        assert taking.result().startswith(b"\x89PNG")
        figure = calling.result()[1]["path"]  # which clients fetch when the call is done
        fetched = requests.get(f"{app.url}gradio_api/file={figure}", timeout=30)
        assert fetched.status_code == 200
        assert len(fetched.content) > 10_000
        assert app.process.wait(60) == 0
        assert all(is_running)
        listening.close()
    assert "Traceback" not in app.log.read_text()
    assert not list(tmp_path.joinpath("gradio").rglob("*.jpg"))  # what was uploaded


@pytest.fixture
def slow_app(tmp_path: Path) -> Iterator[Started]:
    """The app at work on what takes minutes."""
    with started_app(tmp_path, GRADCAM_STOP_WITHIN="2") as app:
        cell = {"id": "one", "model": "efficientnet_lite2", "method": "scorecam"}
        asked = {"example": "1_cat", "cells": [cell]}
        with requests.post(
            f"{app.url}explain-stream", json=asked, timeout=120, stream=True
        ) as answer:
            assert any(b"Score-CAM: 0%" in line for line in answer.iter_lines())
            yield app
    assert "Traceback" not in app.log.read_text()


def test_a_slow_method_holds_the_end_up_no_longer_than_it_may(slow_app: Started):
    slow_app.process.send_signal(signal.SIGTERM)
    # Not a measure of speed: the method would take longer.
    assert slow_app.process.wait(15) == 0


def test_a_second_sigterm_ends_it_at_once(slow_app: Started):
    slow_app.process.send_signal(signal.SIGTERM)
    breaking.until(lambda: "Stopping" in slow_app.log.read_text())
    slow_app.process.send_signal(signal.SIGTERM)
    assert slow_app.process.wait(10) == 128 + signal.SIGTERM


def test_ctrl_c_ends_it_at_once_without_a_traceback(slow_app: Started):
    slow_app.process.send_signal(signal.SIGINT)
    assert slow_app.process.wait(10) == 128 + signal.SIGINT
    assert "Stopping" not in slow_app.log.read_text()
