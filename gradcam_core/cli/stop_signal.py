"""A signal that asks a batch to stop. It takes effect between two pictures: none is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """Whether a signal has asked this process to stop; a second signal ends it at once. No
    `threading.Event`, whose lock may be held where a signal comes in.

    signal: the signal's number, 0 before. is_polled: whether the program calls `is_set` regularly.
    Until then, a signal raises KeyboardInterrupt instead.
    """

    signal: int = 0
    is_polled = False

    def is_set(self) -> bool:
        return self.signal != 0

    def note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self.is_polled:
            raise KeyboardInterrupt
        self.signal = number
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """While this is open, Ctrl-C and SIGTERM set what it yields. Outside the main thread, nothing
    sets it."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop.note) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
