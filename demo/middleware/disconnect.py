"""Cancels work when the client that waits for it disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class DisconnectedError(Exception):
    """The client has closed its connection."""


async def until_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled if the client of this request disconnects. The
    request's body must have been read. Raises as `until` does."""
    return await until(_disconnect(request), work)


async def until(left: Coroutine[Any, Any, object], work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled once `left` returns. Raises DisconnectedError
    then, otherwise what the work raises."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(left)
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise DisconnectedError
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait([working, leaving])


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
