"""Files are work like any other: they wait in the queue, are refused when it is full, and end when
nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import gradcam_core as gc
from demo.compute.service import service
from demo.server.requests import open_upload
from demo.server.result_files import FileMaker
from gradcam_core.errors import BusyError
from gradcam_core.explanation.request import ExplanationRequest
from tests.support.forward_passes import HeldPasses, counted_passes
from tests.support.photos import fresh_photo
from tests.support.stream import MODELS, LeavingClient, map_requests, stream_in_this_process

MAPS = {"maps": map_requests(*MODELS), "file": "comparison.png"}


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[TestClient]:
    with stream_in_this_process() as running:
        yield running


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Uploads that nobody has asked for before."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    paths = [tmp_path / f"{seed}.png" for seed in (900, 901)]
    for seed, path in zip((900, 901), paths, strict=True):
        path.write_bytes(fresh_photo(seed))
    return list(map(str, paths))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return counted_passes(monkeypatch)


def fill_the_queue(others: ExitStack, path: str) -> None:
    photo = open_upload(path)
    new = [ExplanationRequest(MODELS[0], "whole", detail=3)]
    with suppress(BusyError):
        while True:
            others.enter_context(service().enter(photo, new))


def test_a_download_is_told_at_once_when_the_queue_is_full(
    client: TestClient, passes: list[Any], photos: list[str]
):
    file = MAPS | {"upload": photos[0]}
    with ExitStack() as others:
        fill_the_queue(others, photos[1])
        refused = client.post("/download", json=file)
        assert refused.status_code == 503
        answer = refused.json()
        assert answer["again"] > 0
        assert refused.headers["Retry-After"] == str(answer["again"])
        assert answer["problem"].startswith("There are too many visitors")
        assert passes == []
    assert client.post("/download", json=file).content.startswith(b"\x89PNG")
    passes.clear()
    # What is held open already waits for nobody.
    with ExitStack() as others:
        fill_the_queue(others, photos[1])
        assert client.post("/download", json=file).status_code == 200
    assert passes == []


def test_a_download_ends_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch, photos: list[str]):
    for name in MODELS:
        gc.load_model(name)
    passes = HeldPasses(monkeypatch)

    async def visit() -> None:
        body = MAPS | {"upload": photos[1], "view": "whole"}
        leaving = LeavingClient("/download", body)
        asking = asyncio.create_task(leaving.ask())
        await asyncio.to_thread(passes.have_begun.wait, 60)
        leaving.leave()
        await asyncio.wait([asking], timeout=20)
        passes.may_end.set()
        await asking
        assert leaving.received == b""

    asyncio.run(visit())
    assert len(passes.modules) == 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_files_are_made_one_at_a_time_and_a_bounded_number_waits():
    maker = FileMaker(queue_length=1)
    begun: list[str] = []
    may_end = threading.Event()

    def make(name: str) -> Callable[[Callable[[], None]], str]:
        def made(check: Callable[[], None]) -> str:
            begun.append(name)
            assert may_end.wait(60)
            return name

        return made

    async def visits() -> None:
        first = asyncio.create_task(maker.run(make("first")))
        await until(lambda: bool(begun))
        second = asyncio.create_task(maker.run(make("second")))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await maker.run(make("third"))
        assert begun == ["first"]
        may_end.set()
        assert await first == "first"
        assert await second == "second"

    asyncio.run(visits())
    assert begun == ["first", "second"]


def test_a_file_that_nobody_waits_for_is_given_up():
    maker = FileMaker()
    ended: list[str] = []
    begun, is_left = threading.Event(), threading.Event()

    def endless(check: Callable[[], None]) -> None:
        begun.set()
        assert is_left.wait(60)
        while True:
            check()

    async def visit() -> None:
        leaving = asyncio.create_task(maker.run(endless))
        await asyncio.to_thread(begun.wait, 60)
        waiting = asyncio.create_task(maker.run(lambda check: ended.append("never")))
        await asyncio.sleep(0)
        leaving.cancel()
        waiting.cancel()
        await asyncio.wait([leaving, waiting])
        is_left.set()
        assert await maker.run(lambda check: "next") == "next"

    asyncio.run(visit())
    assert ended == []
