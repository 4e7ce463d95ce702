"""Explanations for many visitors: what is held open waits for nobody, and no new photo waits for
ever."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import gradcam_core as gc
from demo.compute.local import LocalBackend
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import PASSES_PER_REQUEST
from demo.compute.service import ComputeService
from demo.compute.worker import HELD_BYTES
from demo.examples import OPENING, example_path
from gradcam_core.cam import forward as cam
from gradcam_core.errors import BusyError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.prepare import PreparedInput, prepare
from tests.support.photos import fresh_photo

LITE0, LITE1 = "efficientnet_lite0", "efficientnet_lite1"
REQUEST = ExplanationRequest(LITE0)

_seeds = itertools.count(500)


class Gate:
    """Stops every forward pass until it may go on, and notes the inputs of those that began."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, ...]] = []
        self._may_go = threading.Semaphore(0)
        self._forward = cam.forward

    def __call__(self, module: Any, batch: Any, layer: str | None = None) -> Any:
        self.begun.append(tuple(batch.shape[2:]))
        assert self._may_go.acquire(timeout=60)
        return self._forward(module, batch, layer)

    def open(self, passes: int = 100_000) -> None:
        self._may_go.release(passes)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gc.load_model(LITE0)
    gate = Gate()
    monkeypatch.setattr(cam, "forward", gate)
    yield gate
    gate.open()


@asynccontextmanager
async def computing(held_bytes: int = HELD_BYTES) -> AsyncIterator[ComputeService]:
    service = ComputeService(LocalBackend(held_bytes=held_bytes))
    try:
        yield service
    finally:
        service.close()


def fresh(service: ComputeService) -> PhotoFile:
    return service.photos.from_bytes(fresh_photo(next(_seeds)))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def passes_until_done(gate: Gate, task: asyncio.Task, at_most: int) -> int:
    """How many passes run, one by one, before the task is done."""

    def goes_on(begun: int) -> bool:
        return task.done() or len(gate.begun) > begun

    for passes in range(at_most + 1):
        begun = len(gate.begun)
        gate.open(passes=1)
        await until(partial(goes_on, begun))
        await asyncio.sleep(0.05)  # what was ended by the pass goes on
        if task.done():
            return passes + 1
    raise AssertionError(f"it waited for more than {at_most} passes of others")


def test_another_class_of_a_held_pass_waits_for_nobody(gate: Gate):
    async def visits() -> None:
        async with computing() as service:
            mine = fresh(service)
            gate.open(passes=1)
            await service.explain_all(mine, [REQUEST])
            others = [
                asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
                for _ in range(4)
            ]
            await until(lambda: len(gate.begun) == 2)  # one has begun, and does not go on
            for target in (1, 2, 3):
                (e,) = await service.explain_all(mine, [replace(REQUEST, target=target)])
                assert e.target.index == target
            assert len(gate.begun) == 2
            assert not any(other.done() for other in others)
            gate.open()
            await asyncio.gather(*others)

    asyncio.run(visits())


def test_an_example_is_computed_once_and_waits_for_nobody_when_its_pass_is_no_longer_held(
    gate: Gate,
):
    async def visits() -> None:
        async with computing(held_bytes=0) as service:
            path = example_path(OPENING)

            def example() -> PhotoFile:
                return service.photos.open(path, path.parent, is_example=True)

            gate.open(passes=1)
            (first,) = await service.explain_all(example(), [REQUEST])
            others = [
                asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
                for _ in range(4)
            ]
            await until(lambda: len(gate.begun) == 2)  # one has begun, and does not go on
            for _ in range(3):
                asking = service.explain_all(example(), [REQUEST])
                (e,) = await asyncio.wait_for(asking, 60)
                assert np.array_equal(e.feature_map, first.feature_map)
            # A visitor's own photo is not kept, whatever it shows.
            with service.enter(service.photos.open(path, path.parent), [REQUEST]) as ticket:
                assert await anext(ticket.positions())
            gate.open()
            await asyncio.gather(*others)

    asyncio.run(visits())


def test_those_who_cycle_through_dropped_passes_let_a_new_photo_in_between(gate: Gate):
    async def visits() -> None:
        async with computing(held_bytes=0) as service:
            photos = [fresh(service) for _ in range(5)]
            gate.open(passes=len(photos))
            await asyncio.gather(*(service.explain_all(photo, [REQUEST]) for photo in photos))

            async def cycle(photo: PhotoFile) -> None:
                while True:
                    await service.explain_all(photo, [REQUEST])

            cycling = [asyncio.create_task(cycle(photo)) for photo in photos]
            await until(lambda: len(gate.begun) == len(photos) + 1)
            new = asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
            # Those that are served already, one more in turns, and itself; each may have its next
            # pass before it, because passes keep their order.
            served = LocalBackend.photos_at_once
            assert await passes_until_done(gate, new, at_most=2 * served + 4) > 1
            for task in cycling:
                task.cancel()
            gate.open()
            await asyncio.wait(cycling)

    asyncio.run(visits())


def test_a_pass_that_must_run_again_waits_but_goes_before_those_of_new_photos(gate: Gate):
    async def visits() -> None:
        async with computing(held_bytes=0) as service:
            mine = fresh(service)
            gate.open(passes=1)
            await service.explain_all(mine, [REQUEST])
            others = [
                asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
                for _ in range(6)
            ]
            await until(lambda: len(gate.begun) == 2)
            with service.enter(mine, [REQUEST]) as ticket:
                async for position in ticket.positions():
                    assert position == 1
                    break
                else:
                    raise AssertionError("it does not wait")
            again = asyncio.create_task(service.explain_all(mine, [REQUEST]))
            served = LocalBackend.photos_at_once
            assert await passes_until_done(gate, again, at_most=served + 2) > 1
            gate.open()
            await asyncio.gather(*others)

    asyncio.run(visits())


def test_a_request_for_many_passes_lets_others_in_between(gate: Gate):
    many = [replace(REQUEST, layer=n / 5) for n in range(6)]

    async def visits() -> None:
        async with computing() as service:
            large = asyncio.create_task(service.explain_all(fresh(service), many))
            await until(lambda: len(gate.begun) == 1)
            gate.open(passes=1)  # which all others of it need
            await until(lambda: len(gate.begun) == 2)
            await asyncio.sleep(0.5)  # those that may be queued are queued
            small = asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
            await passes_until_done(gate, small, at_most=2 * PASSES_PER_REQUEST + 2)
            assert not large.done()
            gate.open()
            await large

    asyncio.run(visits())


def test_without_a_service_that_was_started_there_is_an_error_and_none_starts_by_itself():
    program = "from demo.compute.service import service; service()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "RuntimeError: No service runs" in done.stderr


def test_a_full_queue_is_refused_at_once(gate: Gate):
    async def visits() -> None:
        backend = LocalBackend()
        backend.photos_at_once = 1
        service = ComputeService(backend, queue_length=1)
        others = [
            asyncio.create_task(service.explain_all(fresh(service), [REQUEST])) for _ in range(2)
        ]
        await until(lambda: len(gate.begun) == 1)
        with pytest.raises(BusyError):
            service.enter(fresh(service), [REQUEST])
        gate.open()
        await asyncio.gather(*others)
        with service.enter(fresh(service), [REQUEST]) as ticket:
            await ticket.turn()
        service.close()

    asyncio.run(visits())


def test_visitors_who_have_left_make_room_and_cost_no_pass(gate: Gate):
    async def visits() -> None:
        async with computing() as service:
            first = asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
            await until(lambda: len(gate.begun) == 1)
            *leaving, last = [
                asyncio.create_task(service.explain_all(fresh(service), [REQUEST]))
                for _ in range(6)
            ]
            await asyncio.sleep(0.3)  # the first of them wait for their pass
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
            gate.open()
            await asyncio.gather(first, last)
            assert len(gate.begun) == 2

    asyncio.run(visits())


def test_an_error_gives_the_place_up():
    async def visits() -> None:
        async with computing() as service:
            broken = service.photos.from_bytes(b"this is not a picture")
            for _ in range(LocalBackend.photos_at_once + 1):
                with pytest.raises(gc.ImageError, match="not a picture"):
                    await service.explain_all(broken, [REQUEST, replace(REQUEST, model=LITE1)])
            (e,) = await service.explain_all(fresh(service), [REQUEST])
            assert e.model == LITE0

    asyncio.run(visits())


def test_networks_with_the_same_preprocessing_share_one_input(monkeypatch: pytest.MonkeyPatch):
    models = {name: gc.load_model(name) for name in (LITE0, LITE1)}
    models[LITE1] = replace(models[LITE1], preprocessing=models[LITE0].preprocessing)
    prepared = []

    class Loaded:
        def __init__(self, name: str) -> None:
            self._model = models[name]

        def request(self, meanwhile: bool) -> Future[gc.Model]:
            future: Future[gc.Model] = Future()
            future.set_result(self._model)
            return future

    def counted(*arguments: Any) -> PreparedInput:
        prepared.append(arguments)
        return prepare(*arguments)

    monkeypatch.setattr("demo.compute.worker.loader", Loaded)
    monkeypatch.setattr("demo.compute.local.prepare", counted)

    async def visit() -> None:
        async with computing() as service:
            requests = [REQUEST, replace(REQUEST, model=LITE1)]
            found = await service.explain_all(fresh(service), requests)
            assert [e.model for e in found] == [LITE0, LITE1]

    asyncio.run(visit())
    assert len(prepared) == 1


def test_a_check_that_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch):
    begun, ended = threading.Event(), threading.Event()

    def endless(*_: object, on_progress: Callable[[float], None]) -> None:
        try:
            while True:
                begun.set()
                on_progress(0.1)
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("gradcam_core.analysis.trust.run_checks.run_checks", endless)

    async def leave() -> None:
        async with computing() as service:
            photo = fresh(service)
            (e,) = await service.explain_all(photo, [REQUEST])
            async with aclosing(service.check(photo, REQUEST, e)) as steps:
                async for _ in steps:
                    if begun.is_set():
                        break

    asyncio.run(leave())
    assert ended.wait(10)
