"""Switches off, for the time of a pass, what disturbs hooks and gradients: compiled code, gradient
checkpointing, and tensors made in inference mode."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils import checkpoint

from gradcam_core.cam.network.parts import parts_of

_lock = threading.Lock()
_compilers_off = 0
_stances: list[Any] = []
_without_checkpoints: set[int] = set()
_CheckpointFunction = checkpoint.CheckpointFunction


def run_eagerly(module: nn.Module, undo: ExitStack) -> None:
    """Makes the network run eagerly and differentiably until `undo` is closed. Results in other
    threads stay right meanwhile, although compiled networks run eagerly there, too."""
    if "torch._dynamo.eval_frame" in sys.modules:  # compiling anything imports it
        undo.enter_context(_without_compiler())
    undo.enter_context(_without_checkpoints_here())
    _with_gradients(module, undo)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Compiled code skips hooks and frees what a second backward pass needs. All threads share the
    compiler's stance, so the first pass sets it and the last one restores it."""
    global _compilers_off
    with _lock:
        if not _compilers_off:
            _stances.append(torch.compiler.set_stance("force_eager"))
        _compilers_off += 1
    try:
        yield
    finally:
        with _lock:
            _compilers_off -= 1
            if not _compilers_off:
                _stances.pop().__exit__(None, None, None)


class _DirectlyHere(checkpoint.CheckpointFunction):
    """Reentrant checkpointing computes without gradients unless its input requires some, and
    before the target layer no input does."""

    @classmethod
    def apply(cls, function: Any, preserve: bool, *inputs: Any) -> Any:
        if threading.get_ident() in _without_checkpoints:
            return function(*inputs)
        return _CheckpointFunction.apply(function, preserve, *inputs)


@contextmanager
def _without_checkpoints_here() -> Iterator[None]:
    own = threading.get_ident()
    with _lock:
        is_first = own not in _without_checkpoints
        _without_checkpoints.add(own)
        checkpoint.CheckpointFunction = _DirectlyHere  # type: ignore[misc]
    try:
        yield
    finally:
        with _lock:
            if is_first:
                _without_checkpoints.discard(own)
            if not _without_checkpoints:
                checkpoint.CheckpointFunction = _CheckpointFunction  # type: ignore[misc]


def _with_gradients(module: nn.Module, undo: ExitStack) -> None:
    """Replaces parameters and buffers made in inference mode, which autograd cannot save, by copies
    until `undo` is closed."""
    copies: dict[int, torch.Tensor] = {}

    def put_back(tensors: dict[str, Any], name: str, own: torch.Tensor) -> None:
        tensors[name] = own

    parts = parts_of(module)
    of_all = [one for part in parts for one in (part._parameters, part._buffers) if one]
    # A quick search first: this runs before each pass, and almost no network has such tensors.
    if not [
        1
        for tensors in of_all
        for one in tensors.values()
        if one is not None and one.is_inference()
    ]:
        return
    for part in parts:
        for tensors in (part._parameters, part._buffers):
            for name, own in list(tensors.items()):
                if own is None or not own.is_inference():
                    continue
                with torch.inference_mode(False):
                    copy = copies.setdefault(id(own), own.clone())
                is_parameter = isinstance(own, nn.Parameter)
                new = nn.Parameter(copy, requires_grad=False) if is_parameter else copy
                vars(part)["_parameters" if is_parameter else "_buffers"][name] = new
                undo.callback(put_back, tensors, name, own)
