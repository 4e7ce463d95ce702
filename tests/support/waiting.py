"""Waits for what another thread, process or task does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(is_so: Callable[[], Any], seconds: float = 30) -> Any:
    """The result of `is_so` once it is true. Fails if it is still false after this many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s")
        time.sleep(0.05)
    return answer
