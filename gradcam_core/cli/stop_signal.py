"""A signal that asks a batch to stop. It takes effect between two pictures: none is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal(threading.Event):
    """Set when a signal asks this process to stop; a second signal ends it at once.

    signal: the signal's number. is_polled: whether the program checks the event regularly. Until
    then, a signal raises KeyboardInterrupt instead.
    """

    signal: int = 0
    is_polled = False

    def note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self.is_polled:
            raise KeyboardInterrupt
        self.signal = number
        self.set()
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """While this is open, Ctrl-C and SIGTERM set the event that it yields. Outside the main thread,
    nothing sets it."""
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
