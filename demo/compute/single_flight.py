"""Work that several visitors may want: done once, kept within a bound of bytes, and dropped where
nobody waits for it any more."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import cachetools

T = TypeVar("T")


@dataclass
class _Running(Generic[T]):
    future: Future[T]
    waiters: int = 0


class SharedWork(Generic[T]):
    """Results by key; one that is missing is made once in `pool`, whoever asks.

    held_bytes: how much is kept; size: the bytes of a result; held_seconds: how long.
    """

    def __init__(
        self,
        pool: Executor,
        held_bytes: int,
        size: Callable[[T], int],
        held_seconds: float = math.inf,
    ) -> None:
        self._pool = pool
        # Of those whose time has not come, the one that was not asked for longest goes first.
        self._kept: cachetools.TTLCache[Hashable, T] = cachetools.TTLCache(
            held_bytes, held_seconds, getsizeof=size
        )
        self._running: dict[Hashable, _Running[T]] = {}
        # Reentrant, because a future that is cancelled or done at once calls back from here.
        self._lock = threading.RLock()

    def kept(self, key: Hashable) -> T | None:
        """The result if it is kept."""
        with self._lock:
            return self._kept.get(key)

    async def get(
        self,
        key: Hashable,
        make: Callable[[], T],
        submit: Callable[[Callable[[], T]], Future[T]] | None = None,
    ) -> T:
        """The result of `make`, which runs only if there is none. Whoever is cancelled while
        waiting takes the work along if it has not begun and nobody else waits for it. submit: the
        way into the pool, if it has several."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                return kept
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = _Running((submit or self._pool.submit)(make))
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
        """Count what a result holds now."""
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
