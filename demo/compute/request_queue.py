"""The request queue: a few requests are served at a time, the others wait for their turn.

We wrote our own because waiting visitors see their position, and two groups take turns: the
limiters and semaphores of anyio and asyncio give no position and have a single order.
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
"""Passes of one request that are queued at the same time: the usual three networks. A request with
more passes, such as many layers at detail 3, lets other requests in between."""

_FIRST_GUESS_S = 1.0  # for the duration of a request, before any has been served
_NEWEST_WEIGHT = 0.1  # of the newest request in the mean duration


class QueueTicket:
    """A request's place in the queue. Requests queue only for forward passes: if all passes of a
    request are held open, its ticket never joins.

    users: how many parts of the request need the ticket. It leaves the queue at the last `release`,
    or at the end of the `with` block. is_returning: whether the photo was served before.
    """

    def __init__(self, queue: RequestQueue, users: int = 1, is_returning: bool = False) -> None:
        self.is_returning = is_returning
        self._queue = queue
        self._users = users
        self._passes = asyncio.Semaphore(PASSES_PER_REQUEST)

    def join(self) -> None:
        """Joins the queue. Raises BusyError if it is full."""
        self._queue._join(self)

    async def positions(self) -> AsyncIterator[int]:
        """Yields the position in the queue, from 1, whenever it has changed. Ends when it is this
        ticket's turn; at once if the ticket has not joined."""
        last = 0
        while position := self._queue._position(self):
            changed = self._queue._changed
            if position != last:
                yield position
            last = position
            await changed.wait()

    async def turn(self) -> None:
        """Waits until it is this ticket's turn."""
        async for _ in self.positions():
            pass

    @asynccontextmanager
    async def pass_slot(self) -> AsyncIterator[None]:
        """A context for one forward pass: joins the queue if the ticket has not joined yet, and
        waits for the turn, and for other passes of this request if there are many. Raises
        BusyError."""
        self._users += 1
        try:
            self.join()
            await self.turn()
            async with self._passes:
                yield
        finally:
            self.release()

    def release(self) -> None:
        """Notes that one part of the request no longer needs the ticket."""
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
    """at_once: requests served at the same time; length: further requests that may wait.

    Requests with new photos take turns with those whose photo was served before, so that neither
    group keeps the other waiting for ever. For one event loop only.
    """

    def __init__(self, at_once: int, length: int = LENGTH) -> None:
        self._at_once = at_once
        self._length = length
        self._waiting: list[QueueTicket] = []  # in the order in which they are served
        self._served: dict[QueueTicket, float] = {}  # since when
        self._returning_was_last = False
        self._mean_s = _FIRST_GUESS_S  # duration of a request
        self._changed = asyncio.Event()

    def ticket(self, users: int = 1, is_returning: bool = False) -> QueueTicket:
        """The ticket of a new request, which has not joined yet. Arguments: see `QueueTicket`."""
        return QueueTicket(self, users, is_returning)

    @property
    def is_busy(self) -> bool:
        """Whether any request waits or is served."""
        return bool(self._served or self._waiting)

    def _join(self, ticket: QueueTicket) -> None:
        if ticket in self._served or ticket in self._waiting:
            return
        if len(self._served) >= self._at_once and len(self._waiting) >= self._length:
            raise BusyError(self._retry_after_s())
        self._waiting.append(ticket)
        self._update()

    def _retry_after_s(self) -> int:
        """The time in which a tenth of the queue will be served."""
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
        """Serves as many requests as possible, orders the others, and wakes all that wait."""
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
