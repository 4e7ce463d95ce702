"""Hooks on a network that others share: one pass at a time, and everything undone at its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from weakref import WeakKeyDictionary

from torch import nn

_locks: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextmanager
def exclusive(module: nn.Module) -> Iterator[ExitStack]:
    """The network for one thread alone, because two passes at once would see each other's hooks.

    Gives a stack for what puts hooks and other changes back; it does so before others may enter.
    """
    with _locks_lock:
        lock = _locks.setdefault(module, threading.Lock())
    with lock, ExitStack() as undo:
        yield undo
