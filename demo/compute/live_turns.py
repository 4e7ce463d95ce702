"""The turns of live visitors: one frame at a time, and at most half of the machine's time while
other visitors need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_CHECK_S = 0.02  # between two checks whether others are still served


class LiveTurns:
    """is_busy: tells whether a visitor who is not live waits or is served. For one event loop only.

    After a frame that took t seconds, no other frame begins for t seconds while others are served.
    The others thus have at least half of the time, however many live visitors there are.
    """

    def __init__(
        self, is_busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._free_at = 0.0
        self._one_at_a_time = asyncio.Lock()  # first come, first served

    @property
    def pause_s(self) -> float:
        """Seconds until another frame may begin, 0 if it may begin now."""
        return max(0.0, self._free_at - self._clock()) if self._is_busy() else 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A context for one frame: waits for its turn and for the pause after the last frame."""
        async with self._one_at_a_time:
            while pause_s := self.pause_s:
                await asyncio.sleep(min(pause_s, _CHECK_S))
            began = self._clock()
            try:
                yield
            finally:
                ended = self._clock()
                self._free_at = ended + (ended - began)
