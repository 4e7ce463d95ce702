"""Shares work that several requests need: it runs once, its result is kept within a memory bound,
and it is dropped when nobody waits for it any more.

We wrote our own because cachetools-async also shares running work, but neither drops it when all
who waited have left nor counts the bytes that it keeps.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import cachetools

T = TypeVar("T")


@dataclass
class _Running(Generic[T]):
    future: Future[T]
    waiters: int = 0


class SingleFlight(Generic[T]):
    """Results by key; a missing result is made once, however many callers need it. Safe for all
    threads and event loops.

    max_bytes: for the results that are kept; the least recently used go first. size: gives the
    bytes of a result. max_age_s: how long a result is kept.
    """

    def __init__(
        self, max_bytes: int, size: Callable[[T], int], max_age_s: float = math.inf
    ) -> None:
        self._kept: cachetools.TTLCache[Hashable, T] = cachetools.TTLCache(
            max_bytes, max_age_s, getsizeof=size
        )
        self._running: dict[Hashable, _Running[T]] = {}
        # Reentrant: a future that is cancelled or done at once calls back while we hold the lock.
        self._lock = threading.RLock()

    def kept(self, key: Hashable) -> T | None:
        """The result; None if it is not kept."""
        with self._lock:
            return self._kept.get(key)

    async def get(self, key: Hashable, start: Callable[[], Future[T]]) -> T:
        """The result; `start` starts the work if it is neither kept nor running.

        If all who wait are cancelled before the work has begun, it is cancelled, too.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                return kept
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = _Running(start())
                running.future.add_done_callback(lambda done: self._keep(key, done))
            running.waiters += 1
        try:
            return await asyncio.shield(asyncio.wrap_future(running.future))
        finally:
            with self._lock:
                running.waiters -= 1
                if not running.waiters:
                    running.future.cancel()  # does nothing once it runs

    def weigh_again(self, key: Hashable) -> None:
        """Recounts the bytes of a result that has grown."""
        with self._lock:
            result = self._kept.pop(key, None)
            if result is not None:
                self._put(key, result)

    def _keep(self, key: Hashable, done: Future[T]) -> None:
        with self._lock:
            self._running.pop(key, None)
            if not done.cancelled() and done.exception() is None:
                self._put(key, done.result())

    def _put(self, key: Hashable, result: T) -> None:
        with suppress(ValueError):  # larger than all that may be kept
            self._kept[key] = result
