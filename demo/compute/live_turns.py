"""Turns of live visitors: one frame at a time, and half of the machine while others need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_CHECK_S = 0.02  # between two looks at whether others are still served


class LiveTurns:
    """is_busy: whether anybody else waits or is served. It belongs to one event loop.

    After a frame that took t, none begins for t while others are served: so they have half of the
    time at least, however many live visitors there are.
    """

    def __init__(
        self, is_busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._free_at = 0.0
        self._one_at_a_time = asyncio.Lock()  # those who wait are served in their order

    @property
    def pause_s(self) -> float:
        """Time before another frame may begin."""
        return max(0.0, self._free_at - self._clock()) if self._is_busy() else 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For one frame: waits for its turn, and for the pause after the frame before."""
        async with self._one_at_a_time:
            while pause_s := self.pause_s:
                await asyncio.sleep(min(pause_s, _CHECK_S))
            began = self._clock()
            try:
                yield
            finally:
                ended = self._clock()
                self._free_at = ended + (ended - began)
