"""A signal that asks a batch to stop: noticed between two pictures, so that none is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal(threading.Event):
    """Set when a signal asks this process to stop; a second one ends it at once.

    is_polled: whether somebody looks at it from time to time. Until then a signal raises
    KeyboardInterrupt.
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
    """For as long as this is open, Ctrl-C and SIGTERM set what it gives."""
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
