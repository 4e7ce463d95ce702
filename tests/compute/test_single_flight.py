"""Work that several requests need is done once, kept in bounds, and dropped if nobody waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from demo.compute.single_flight import SingleFlight


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as running:
        yield running


class Maker:
    """Makes a value, counts how often, and ends only when it may."""

    def __init__(self, value: bytes | Exception = b"value", waits: bool = False) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self._value = value
        if not waits:
            self.may_end.set()

    def __call__(self) -> bytes:
        self.calls += 1
        self.begun.set()
        assert self.may_end.wait(30)
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


async def begun(maker: Maker) -> None:
    await asyncio.to_thread(maker.begun.wait, 30)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_several_who_ask_at_once_share_one_result(pool):
    async def ask() -> None:
        make = Maker(waits=True)
        work = SingleFlight[bytes](100, len)
        asking = [
            asyncio.create_task(work.get("key", partial(pool.submit, make))) for _ in range(5)
        ]
        await begun(make)
        make.may_end.set()
        results = await asyncio.gather(*asking)
        assert all(result is results[0] for result in results)
        assert make.calls == 1

    asyncio.run(ask())


def test_visitors_in_loops_of_their_own_share_it_too(pool):
    make = Maker(waits=True)
    work = SingleFlight[bytes](100, len)
    with ThreadPoolExecutor(3) as visitors:
        asking = [
            visitors.submit(lambda: asyncio.run(work.get("key", partial(pool.submit, make))))
            for _ in range(3)
        ]
        assert make.begun.wait(30)
        make.may_end.set()
        assert [one.result(30) for one in asking] == [b"value"] * 3
    assert make.calls == 1


def test_what_is_kept_is_not_made_again(pool):
    async def ask() -> None:
        make = Maker()
        work = SingleFlight[bytes](100, len)
        assert work.kept("key") is None
        first = await work.get("key", partial(pool.submit, make))
        assert await work.get("key", partial(pool.submit, make)) is first
        assert work.kept("key") is first
        assert await work.get("other", partial(pool.submit, make)) == first
        assert make.calls == 2

    asyncio.run(ask())


def test_work_that_has_not_begun_is_dropped_when_nobody_waits_any_more(pool):
    async def ask() -> None:
        first, second = Maker(waits=True), Maker()
        work = SingleFlight[bytes](100, len)
        running = asyncio.create_task(work.get("first", partial(pool.submit, first)))
        await begun(first)  # the only thread is taken
        waiting = [
            asyncio.create_task(work.get("second", partial(pool.submit, second))) for _ in range(2)
        ]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        first.may_end.set()
        await running
        await asyncio.to_thread(pool.submit(lambda: None).result)
        assert second.calls == 0
        assert (
            await work.get("second", partial(pool.submit, second)) == b"value"
        )  # whoever comes later has it made
        assert second.calls == 1

    asyncio.run(ask())


def test_whoever_leaves_does_not_take_it_from_another(pool):
    async def ask() -> None:
        first, second = Maker(waits=True), Maker()
        work = SingleFlight[bytes](100, len)
        running = asyncio.create_task(work.get("first", partial(pool.submit, first)))
        await begun(first)
        leaving, staying = (
            asyncio.create_task(work.get("second", partial(pool.submit, second))) for _ in range(2)
        )
        await asyncio.sleep(0)
        leaving.cancel()
        first.may_end.set()
        assert await staying == b"value"
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await running == b"value"

    asyncio.run(ask())


def test_work_that_has_begun_ends_and_is_kept_though_nobody_waits(pool):
    async def ask() -> None:
        make = Maker(waits=True)
        work = SingleFlight[bytes](100, len)
        asking = asyncio.create_task(work.get("key", partial(pool.submit, make)))
        await begun(make)
        asking.cancel()
        await asyncio.wait([asking])
        make.may_end.set()
        await until(lambda: work.kept("key") is not None)
        assert await work.get("key", partial(pool.submit, make)) == b"value"
        assert make.calls == 1

    asyncio.run(ask())


def test_an_error_reaches_all_who_wait_and_is_not_kept(pool):
    async def ask() -> None:
        make = Maker(ValueError("broken"), waits=True)
        work = SingleFlight[bytes](100, len)
        asking = [
            asyncio.create_task(work.get("key", partial(pool.submit, make))) for _ in range(3)
        ]
        await begun(make)
        make.may_end.set()
        errors = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(error) for error in errors] == ["broken"] * 3
        assert work.kept("key") is None
        assert await work.get("key", partial(pool.submit, Maker())) == b"value"

    asyncio.run(ask())


def test_no_more_bytes_are_kept_than_allowed_and_the_oldest_go_first(pool):
    async def ask() -> None:
        work = SingleFlight[bytes](100, len)
        for key in range(4):
            await work.get(key, partial(pool.submit, Maker(bytes(40))))
        assert [key for key in range(4) if work.kept(key) is not None] == [2, 3]
        await work.get(2, partial(pool.submit, Maker()))
        await work.get(4, partial(pool.submit, Maker(bytes(40))))
        assert [key for key in range(5) if work.kept(key) is not None] == [2, 4]
        # What is larger than all that may be kept is given, and takes nothing else's place.
        assert len(await work.get("large", partial(pool.submit, Maker(bytes(101))))) == 101
        assert work.kept("large") is None
        assert [key for key in range(5) if work.kept(key) is not None] == [2, 4]

    asyncio.run(ask())


def test_what_has_grown_is_counted_again(pool):
    async def ask() -> None:
        work = SingleFlight[bytearray](100, len)
        grown = await work.get("grown", partial(pool.submit, lambda: bytearray(40)))
        await work.get("other", partial(pool.submit, lambda: bytearray(40)))
        grown.extend(bytes(40))
        work.weigh_again("grown")
        assert work.kept("grown") is grown
        assert work.kept("other") is None
        grown.extend(bytes(40))
        work.weigh_again("grown")
        assert work.kept("grown") is None
        work.weigh_again("never kept")

    asyncio.run(ask())
