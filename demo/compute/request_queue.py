"""The request queue: a few requests are served at a time, the others wait in their turn.

Our own, because waiting visitors see their position, and two groups take turns: the limiters and
semaphores of anyio and asyncio give no position and have a single order.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import zip_longest
from types import TracebackType

from gradcam_core.errors import BusyError

LENGTH = 128
"""Requests that may wait. The last of them does so for about a minute on two cores."""

PASSES_PER_REQUEST = 3
"""Passes of one request that are queued at the same time: the usual three networks. A request for
more, as of many layers at detail 3, lets others in between."""

_FIRST_GUESS_S = 1.0  # that a request needs, before one has been served
_NEWEST_WEIGHT = 0.1  # of the newest request in the mean of what requests need


class QueueTicket:
    """What a request needs of the queue. It waits only for forward passes: with passes that are
    held open it never joins.

    users: how many parts of the request need the ticket; it is given up with the last `release`,
    and at the end of the `with` block at the latest. is_returning: whether the photo was served
    before.
    """

    def __init__(self, queue: RequestQueue, users: int = 1, is_returning: bool = False) -> None:
        self.is_returning = is_returning
        self._queue = queue
        self._users = users
        self._passes = asyncio.Semaphore(PASSES_PER_REQUEST)

    def join(self) -> None:
        """Stand in the queue from now on. Raises BusyError if it is full."""
        self._queue._join(self)

    async def positions(self) -> AsyncIterator[int]:
        """The position in the queue, from 1, whenever it has changed. Ends when it is this one's
        turn; at once if it has not joined."""
        last = 0
        while position := self._queue._position(self):
            changed = self._queue._changed
            if position != last:
                yield position
            last = position
            await changed.wait()

    async def turn(self) -> None:
        """Waits for one's turn."""
        async for _ in self.positions():
            pass

    @asynccontextmanager
    async def pass_slot(self) -> AsyncIterator[None]:
        """For one forward pass: joins if that has not been done, waits for the turn, and for other
        passes of this request if there are many. Raises BusyError."""
        self._users += 1
        try:
            self.join()
            await self.turn()
            async with self._passes:
                yield
        finally:
            self.release()

    def release(self) -> None:
        """One part of the request needs the ticket no longer."""
        self._users -= 1
        if self._users <= 0:
            self._queue._leave(self)

    def __enter__(self) -> QueueTicket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._queue._leave(self)


class RequestQueue:
    """at_once: requests served at the same time; length: how many may wait besides.

    Those whose photo was served before go first, but only in turns with new photos, so that neither
    keeps the other waiting for ever. It belongs to one event loop.
    """

    def __init__(self, at_once: int, length: int = LENGTH) -> None:
        self._at_once = at_once
        self._length = length
        self._waiting: list[QueueTicket] = []  # in the order in which they are served
        self._served: dict[QueueTicket, float] = {}  # since when
        self._returning_was_last = False
        self._mean_s = _FIRST_GUESS_S  # that a request needs
        self._changed = asyncio.Event()

    def ticket(self, users: int = 1, is_returning: bool = False) -> QueueTicket:
        """For a new request, which has not joined yet."""
        return QueueTicket(self, users, is_returning)

    @property
    def is_busy(self) -> bool:
        """Whether anybody is served, or waits."""
        return bool(self._served or self._waiting)

    def _join(self, ticket: QueueTicket) -> None:
        if ticket in self._served or ticket in self._waiting:
            return
        if len(self._served) >= self._at_once and len(self._waiting) >= self._length:
            raise BusyError(self._retry_after_s())
        self._waiting.append(ticket)
        self._update()

    def _retry_after_s(self) -> int:
        """Until a tenth of a full queue is served."""
        served = math.ceil(len(self._waiting) / 10)
        return max(1, math.ceil(served * self._mean_s / self._at_once))

    def _position(self, ticket: QueueTicket) -> int:
        return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    def _leave(self, ticket: QueueTicket) -> None:
        since = self._served.pop(ticket, None)
        if since is not None:
            took = time.monotonic() - since
            self._mean_s += _NEWEST_WEIGHT * (took - self._mean_s)
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        else:
            return
        self._update()

    def _update(self) -> None:
        """Serve who can be served, put the others in their order, and wake all who wait."""
        groups: dict[bool, list[QueueTicket]] = {True: [], False: []}
        for ticket in self._waiting:
            groups[ticket.is_returning].append(ticket)
        first = not self._returning_was_last
        pairs = zip_longest(groups[first], groups[not first])
        self._waiting = [ticket for pair in pairs for ticket in pair if ticket is not None]
        while self._waiting and len(self._served) < self._at_once:
            ticket = self._waiting.pop(0)
            self._served[ticket] = time.monotonic()
            self._returning_was_last = ticket.is_returning
        self._changed.set()
        self._changed = asyncio.Event()
