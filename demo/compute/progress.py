"""Work in a thread that tells how far it is, and ends where nobody wants it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")

POLL = 0.1
"""Seconds between two looks at what takes long."""


class _PointlessError(Exception):
    """Nobody wants the result any more."""


async def with_progress(pool: Executor, work: Callable[..., T]) -> AsyncGenerator[float | T]:
    """The share of the work that is done, again and again, and what it gives. work: takes
    `on_progress`. Once the iterator is closed, the work ends at its next report."""
    done = [0.0]
    is_left = threading.Event()

    def note(share: float) -> None:
        if is_left.is_set():
            raise _PointlessError
        done[0] = share

    future: Future[T] = pool.submit(work, on_progress=note)
    try:
        while not future.done():
            yield done[0]
            await asyncio.sleep(POLL)
        yield future.result()
    finally:
        is_left.set()
        future.cancel()
