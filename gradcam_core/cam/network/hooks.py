"""Hooks on a network that other threads share: one hooked pass at a time, invisible to other
threads, and everything undone at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from gradcam_core.cam.network.eager import run_eagerly

_locks: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextmanager
def exclusive(module: nn.Module) -> Iterator[ExitStack]:
    """Locks the network for one hooked pass, because two at once would see each other's changes.

    Yields a stack for the callbacks that undo hooks and other changes; they run before the lock is
    released. Code that calls the network directly does not wait: see `on_this_thread`.
    """
    with _locks_lock:
        lock = _locks.setdefault(module, threading.Lock())
    with lock, ExitStack() as undo:
        run_eagerly(module, undo)
        yield undo


def in_place_of(output: Tensor, new: Tensor, *, has_graph: bool = False) -> Tensor:
    """What a hook returns to replace a module's output. The new values are written into the output
    itself, because the network may hold that tensor elsewhere, too: as the input of an in-place
    ReLU or a dropout, or kept by another hook. Returns a clone of `new` where the output cannot be
    written to. has_graph: write also into an output that already has an autograd graph."""
    is_fixed = isinstance(output, nn.Parameter) or output.is_inference() or output._is_view()
    if is_fixed or (output.requires_grad and (output.is_leaf or not has_graph)):
        return new.clone()
    return output.copy_(new)


def on_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, but without effect in other threads, which may run the same module meanwhile."""
    owner = threading.get_ident()

    def in_this_thread(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == owner else None

    return in_this_thread
