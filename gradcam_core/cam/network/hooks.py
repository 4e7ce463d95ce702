"""Hooks on a network that others share: one pass of ours at a time, which no other thread notices,
and everything undone at its end."""

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
    """The network for one pass of ours, because two at once would see each other's changes.

    Gives a stack for what puts hooks and other changes back; it does so before others may enter.
    Who runs the network without us does not wait: see `on_this_thread`.
    """
    with _locks_lock:
        lock = _locks.setdefault(module, threading.Lock())
    with lock, ExitStack() as undo:
        run_eagerly(module, undo)
        yield undo


def in_place_of(output: Tensor, new: Tensor, *, has_graph: bool = False) -> Tensor:
    """What a hook gives instead of a module's output: the new values, written into it, because the
    network may have it from elsewhere, too. It is the input of an in-place ReLU or a dropout, and
    other hooks may have kept it. has_graph: also where it depends on what requires gradients."""
    is_fixed = isinstance(output, nn.Parameter) or output.is_inference() or output._is_view()
    if is_fixed or (output.requires_grad and (output.is_leaf or not has_graph)):
        return new.clone()
    return output.copy_(new)


def on_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that does nothing in other threads, which may run the same module meanwhile."""
    owner = threading.get_ident()

    def in_this_thread(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == owner else None

    return in_this_thread
