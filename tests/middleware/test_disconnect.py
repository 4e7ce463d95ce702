"""Work ends when the client that it is for has left."""

from __future__ import annotations

import asyncio

import pytest

from demo.middleware.disconnect import DisconnectedError, until


def test_work_is_cancelled_once_its_client_has_left():
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def call() -> None:
        with pytest.raises(DisconnectedError):
            await until(asyncio.sleep(0.01), work())

    asyncio.run(call())
    assert ended == ["cancelled"]


def test_work_for_a_client_that_waits_gives_its_result_or_its_error():
    async def fails() -> None:
        raise ZeroDivisionError

    async def call() -> None:
        assert await until(asyncio.sleep(60), asyncio.sleep(0.01, "result")) == "result"
        with pytest.raises(ZeroDivisionError):
            await until(asyncio.sleep(60), fails())

    asyncio.run(call())


def test_whoever_cancels_a_call_takes_its_work_along():
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    async def call() -> None:
        waiting = asyncio.create_task(until(asyncio.sleep(60), work()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended == ["ended"]

    asyncio.run(call())
