"""Visitors with a new photo take their turn; another class waits for none of them."""

from __future__ import annotations

import asyncio
import gc as garbage
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from starlette.testclient import TestClient

import demo.compute.local
import demo.compute.service
import gradcam_core as gc
from demo.api import functions as api
from demo.compute import memory_limit as budget
from demo.compute.photo import PhotoFile
from demo.compute.priority_executor import Lanes
from demo.compute.service import SLOW_LINE
from demo.compute.visitor_queue import Line, Ticket
from gradcam_core.cam import forward as cam
from gradcam_core.errors import BusyError
from gradcam_core.images.geometry import view_of
from gradcam_core.request import ExplanationRequest
from tests.support.app_server import running_app
from tests.support.photos import fresh_photo
from tests.support.stream import ask, cells, look, results, stream_in_this_process
from tests.support.uploads import upload

LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with stream_in_this_process() as running:
        yield running


# The line


def places(ticket: Ticket) -> int:
    return ticket._line._place(ticket)


def test_some_are_served_at_once_and_the_others_in_their_order():
    line = Line(at_once=2, longest=10)
    tickets = [line.join() for _ in range(5)]
    assert [places(ticket) for ticket in tickets] == [0, 0, 1, 2, 3]
    tickets[3].leave()  # who goes away makes room for those behind
    assert [places(ticket) for ticket in (tickets[2], tickets[4])] == [1, 2]
    tickets[1].leave()
    tickets[1].leave()
    assert [places(ticket) for ticket in (tickets[0], tickets[2], tickets[4])] == [0, 0, 1]


def test_a_ticket_of_nobody_s_line_waits_for_nobody():
    line = Line(at_once=1, longest=0)
    with line.join(), Ticket(line) as free:
        assert places(free) == 0


def test_who_waits_is_told_every_place_and_then_it_is_their_turn():
    async def wait() -> list[int]:
        line = Line(at_once=1, longest=10)
        before = [line.join() for _ in range(3)]
        told: list[int] = []
        with line.join() as ticket:
            async for place in ticket.places():
                told.append(place)
                before.pop(0).leave()
            assert places(ticket) == 0
        assert line.join() in line._served
        return told

    assert asyncio.run(wait()) == [3, 2, 1]


def test_who_is_cancelled_while_waiting_leaves_the_line():
    async def wait() -> None:
        line = Line(at_once=1, longest=1)
        served = line.join()

        async def visitor() -> None:
            with line.join() as ticket:
                await ticket.turn()

        waiting = asyncio.create_task(visitor())
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError):
            line.join()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert places(line.join()) == 1
        served.leave()

    asyncio.run(wait())


def test_a_full_line_says_when_to_try_again(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = Line(at_once=2, longest=40)
    for _ in range(200):  # photos that need 10 seconds each
        ticket = line.join()
        now[0] += 10
        ticket.leave()
    for _ in range(42):
        line.join()
    with pytest.raises(BusyError) as busy:
        line.join()
    assert 15 <= busy.value.seconds <= 25  # four more are served, two at a time
    assert str(busy.value) == (
        f"There are too many visitors at the moment. Try again in about {busy.value.seconds} s."
    )


# The lanes


def test_urgent_work_comes_before_other_and_both_keep_their_order():
    lanes, may_go = Lanes("test"), threading.Event()
    done: list[str] = []
    first = lanes.submit(lambda: may_go.wait(30))
    usual = [lanes.submit(partial(done.append, f"usual {n}")) for n in range(2)]
    urgent = [lanes.submit(partial(done.append, f"urgent {n}"), urgent=True) for n in range(2)]
    may_go.set()
    assert first.result(30)
    for future in [*usual, *urgent]:
        future.result(30)
    assert done == ["urgent 0", "urgent 1", "usual 0", "usual 1"]


def test_an_error_reaches_who_waits_and_cancelled_work_is_not_done():
    lanes, may_go, done = Lanes("test"), threading.Event(), []
    first = lanes.submit(lambda: may_go.wait(30))
    cancelled = lanes.submit(lambda: done.append("cancelled"))
    broken = lanes.submit(lambda: 1 / 0)
    assert cancelled.cancel()
    may_go.set()
    assert first.result(30)
    with pytest.raises(ZeroDivisionError):
        broken.result(30)
    with pytest.raises(CancelledError):
        cancelled.result()
    assert lanes.submit(lambda: "goes on").result(30) == "goes on"
    assert done == []


def test_no_result_is_held_while_there_is_nothing_to_do():
    class Large: ...

    lanes = Lanes("test")
    future = lanes.submit(Large)
    held = weakref.ref(future.result(30))
    lanes.submit(lambda: None).result(30)
    del future
    garbage.collect()
    assert held() is None


# The engine behind them


class HeldUp:
    """Stops every forward pass until it may go on, and notes how many have begun."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, ...]] = []
        self.may_go = threading.Semaphore(0)
        self._forward = cam.forward

    def __call__(self, module, batch, layer=None):
        self.begun.append(tuple(batch.shape))
        assert self.may_go.acquire(timeout=60)
        return self._forward(module, batch, layer)

    def let_all_go(self) -> None:
        self.may_go.release(10_000)


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldUp]:
    stopped = HeldUp()
    monkeypatch.setattr(cam, "forward", stopped)
    yield stopped
    stopped.let_all_go()


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def uploaded(folder: Path, seed: int) -> str:
    path = folder / f"{seed}.png"
    path.write_bytes(fresh_photo(seed))
    return str(path)


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_another_class_waits_for_none_who_bring_a_new_photo(
    client: TestClient, held_up: HeldUp, uploads: Path
):
    held_up.may_go.release()
    mine = {"upload": uploaded(uploads, 500), "cells": cells(LITE0)}
    assert results(ask(client, **mine))
    with ThreadPoolExecutor(8) as visitors:
        others = [
            visitors.submit(ask, client, upload=uploaded(uploads, seed), cells=cells(LITE0))
            for seed in range(501, 509)
        ]
        until(lambda: len(held_up.begun) == 2)  # one of them has begun, and does not go on
        for target in (1, 2, 3):
            changed = ask(client, **mine, target=target)
            assert results(changed)[LITE0]["target"]["index"] == target
        assert not any(other.done() for other in others)
        held_up.let_all_go()
        answers = [other.result() for other in others]
    assert all(results(told) for told in answers)
    told_places = [answer["waiting"] for told in answers for answer in told if "waiting" in answer]
    assert max(told_places) == 8 - demo.compute.service._line.at_once


def test_a_pass_that_is_no_longer_held_comes_before_those_of_new_photos(
    client: TestClient, held_up: HeldUp, uploads: Path, monkeypatch: pytest.MonkeyPatch
):
    mine = {"upload": uploaded(uploads, 520), "cells": cells(LITE0)}
    held_up.may_go.release()
    assert results(ask(client, **mine))
    kept = demo.compute.local._held._kept
    for key in list(kept):
        del kept[key]
    with ThreadPoolExecutor(4) as visitors:
        others = [
            visitors.submit(ask, client, upload=uploaded(uploads, seed), cells=cells(LITE0))
            for seed in range(521, 524)
        ]
        until(lambda: len(held_up.begun) == 2 and len(demo.compute.local._passes._usual) == 2)
        changing = visitors.submit(ask, client, **mine, target=5)
        until(lambda: len(demo.compute.local._passes._urgent) == 1)
        held_up.may_go.release(2)  # of the other that has begun, and this one
        assert results(changing.result(60))[LITE0]["target"]["index"] == 5
        assert sum(other.done() for other in others) <= 1
        held_up.let_all_go()
        assert all(results(other.result()) for other in others)


def test_a_full_line_is_told_at_once(
    client: TestClient, held_up: HeldUp, uploads: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo.compute.service, "_line", Line(at_once=1, longest=1))
    with ThreadPoolExecutor(2) as visitors:
        others = [
            visitors.submit(ask, client, upload=uploaded(uploads, seed), cells=cells(LITE0))
            for seed in (540, 541)
        ]
        until(lambda: len(demo.compute.service._line._waiting) == 1)
        (refused,) = ask(client, upload=uploaded(uploads, 542), cells=cells(LITE0))
        assert refused["problem"].startswith("There are too many visitors at the moment.")
        assert refused["again"] >= 1
        photo = PhotoFile(fresh_photo(543))
        with pytest.raises(BusyError):
            demo.compute.service.entrance(photo, [ExplanationRequest(LITE0)])
        held_up.let_all_go()
        assert all(results(other.result()) for other in others)
    assert results(ask(client, upload=uploaded(uploads, 542), cells=cells(LITE0)))


def test_visitors_who_have_left_make_room_and_cost_no_pass(
    client: TestClient, held_up: HeldUp, uploads: Path
):
    """In threads of the test's own, which the channel's tests do with the page's requests."""

    async def visits() -> None:
        photos = [PhotoFile(fresh_photo(seed)) for seed in range(560, 566)]
        wanted = ExplanationRequest(LITE0)

        async def visitor(photo: PhotoFile) -> gc.Explanation:
            with demo.compute.service.entrance(photo, [wanted]) as ticket:
                await ticket.turn()
                return await demo.compute.service.explanation(photo, wanted, ticket.leave)

        tasks = [asyncio.create_task(visitor(photo)) for photo in photos]
        while not held_up.begun:
            await asyncio.sleep(0.01)
        for task in tasks[1:5]:
            task.cancel()
        await asyncio.wait(tasks[1:5])
        held_up.let_all_go()
        first, last = await asyncio.gather(tasks[0], tasks[5])
        assert first.target is not None
        assert last.target is not None
        assert len(held_up.begun) == 2

    asyncio.run(visits())


# Memory


def test_a_pass_that_would_take_too_much_memory_is_refused_before_it_begins(
    app: str, tmp_path: Path, lite0: gc.Model
):
    wide = view_of((1500, 500), lite0.preprocessing, "whole", 3)
    most = budget.needed_bytes(lite0, wide)
    least = budget.needed_bytes(lite0, view_of((1500, 500), lite0.preprocessing, "crop"))
    assert most > 20 * least
    setting = {budget.SETTING: str((most // 2) / 2**20)}
    asked = {"example": "7_wide_strip", "cells": cells(LITE0, detail=3)}
    with running_app(tmp_path, **setting) as url:
        refused = look(url, asked | {"view": "whole"})
        (sentence,) = [answer["failed"] for answer in refused if "failed" in answer]
        assert "of memory, more than the" in sentence
        assert "Choose less detail or the centre crop." in sentence
        assert results(look(url, asked))  # the centre of it fits
    assert "Traceback" not in (tmp_path / "app.log").read_text()


def test_the_budget_is_of_this_machine_or_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(budget.SETTING, raising=False)
    budget.budget.cache_clear()
    monkeypatch.setattr(budget, "_machine", lambda: 16 * 2**30)
    assert budget.budget() == 7 * 2**30
    budget.budget.cache_clear()
    monkeypatch.setattr(budget, "_machine", lambda: 2**30)
    assert budget.budget() == 512 * 2**20
    budget.budget.cache_clear()
    monkeypatch.setenv(budget.SETTING, "1500")
    assert budget.budget() == 1500 * 2**20
    budget.budget.cache_clear()
    monkeypatch.undo()
    assert budget._machine() > 2**29


# Clients of the API


LEAVES = """
import sys, time
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
client.submit(
    handle_file(sys.argv[2]), method="scorecam", models=["xception"], api_name="/explain"
)
print("asked", flush=True)
time.sleep(600)
"""


def test_who_leaves_the_api_takes_the_work_along(app: str, tmp_path: Path):
    """A slow method, which would keep the next one waiting for minutes."""
    path = tmp_path / "photo.png"
    path.write_bytes(fresh_photo(580))
    command = [sys.executable, "-c", LEAVES, app, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as leaving:
        assert leaving.stdout
        assert leaving.stdout.readline() == "asked\n"
        time.sleep(1)
        leaving.kill()
    # More of them than may wait, without Gradio's queue: they do not wait for their answers.
    photo = {"path": upload(app, path), "meta": {"_type": "gradio.FileData"}}
    choices = [["xception"], None, None, False, "scorecam", 1, "crop", 1.0, [], False]

    def leave(_: int) -> None:
        with suppress(requests.Timeout):
            url = f"{app}gradio_api/run/explain"
            requests.post(url, json={"data": [photo, *choices]}, timeout=2)

    with ThreadPoolExecutor(SLOW_LINE + 2) as visitors:
        list(visitors.map(leave, range(SLOW_LINE + 2)))
    time.sleep(1)
    staying = Client(app, verbose=False)
    findings, _ = staying.predict(
        handle_file(str(path)),
        method="ablationcam",
        models=[LITE0],
        outputs=[],
        api_name="/explain",
    )
    assert findings["explanations"][0]["method"] == "ablationcam"
    staying.close()


def test_a_call_is_ended_once_its_client_has_gone(monkeypatch: pytest.MonkeyPatch):
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def has_left() -> bool:
        return True

    monkeypatch.setattr(api, "_has_left", has_left)

    async def call() -> None:
        with pytest.raises(Exception, match=api.LEFT):
            await api._unless_left(work())
        await asyncio.sleep(0)

    asyncio.run(call())
    assert ended == ["cancelled"]
