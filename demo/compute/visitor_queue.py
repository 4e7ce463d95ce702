"""The line of visitors with a new photo: a few are served at a time, the others in their turn."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator
from types import TracebackType

from gradcam_core.errors import BusyError

AT_ONCE = 4
"""Photos that are worked on: one passes through the networks, others are decoded meanwhile."""

LONGEST = 128
"""Visitors who may wait. The last of them does so for about a minute on two cores."""

_POLL = 0.1  # seconds between two looks at one's place

_AT_FIRST = 1.0  # seconds that a photo is taken to need before one has been served

_NEWEST = 0.1  # weight of the newest photo in the mean of what photos need


class Ticket:
    """A place in the line, given up at the end of its `with` block at the latest. One that was not
    got from `Line.join` has nobody before it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def places(self) -> AsyncIterator[int]:
        """How many are to be served before, whenever that has changed; ends when it is one's
        turn."""
        told = 0
        while place := self._line._place(self):
            if place != told:
                yield place
            told = place
            await asyncio.sleep(_POLL)

    async def turn(self) -> None:
        """Waits for one's turn."""
        async for _ in self.places():
            pass

    def leave(self) -> None:
        """Lets the next one in. May be called again."""
        self._line._leave(self)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()


class Line:
    """at_once: how many are served at a time; longest: how many may wait besides."""

    def __init__(self, at_once: int = AT_ONCE, longest: int = LONGEST) -> None:
        self.at_once = at_once
        self._longest = longest
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._served: dict[Ticket, float] = {}  # since when
        self._needed = _AT_FIRST  # seconds for one photo, mean

    def join(self) -> Ticket:
        """A place at the end of the line. Raises BusyError if there is none."""
        with self._lock:
            if len(self._served) >= self.at_once and len(self._waiting) >= self._longest:
                raise BusyError(self._seconds())
            ticket = Ticket(self)
            self._waiting.append(ticket)
            self._let_in()
        return ticket

    def _seconds(self) -> int:
        """Until a place is free again in a line that is full, about: a tenth of it is served."""
        gone = math.ceil(len(self._waiting) / 10)
        return max(1, math.ceil(gone * self._needed / self.at_once))

    def _place(self, ticket: Ticket) -> int:
        with self._lock:
            return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            since = self._served.pop(ticket, None)
            if since is not None:
                needed = time.monotonic() - since
                self._needed += _NEWEST * (needed - self._needed)
            elif ticket in self._waiting:
                self._waiting.remove(ticket)
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and len(self._served) < self.at_once:
            self._served[self._waiting.pop(0)] = time.monotonic()
