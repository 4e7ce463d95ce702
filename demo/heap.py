"""Gives memory that is free back to the machine.

The GNU C library keeps what threads have freed, for the next time. After some large photos that was
more than half a gigabyte for good.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

EVERY = 10.0  # seconds


def _of_c_library() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another library, another system
        return None


_trim = _of_c_library()


def trim() -> None:
    """At once, where the C library can do it. Takes some thousandths of a second."""
    if _trim is not None:
        _trim(0)


def keep_trimmed() -> None:
    """Again and again, in the background."""

    def run() -> None:
        while True:
            time.sleep(EVERY)
            trim()

    threading.Thread(target=run, daemon=True, name="trim").start()
