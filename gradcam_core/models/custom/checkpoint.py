"""The tensors in a file of weights, however it was saved, and without running anything in it."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from gradcam_core.errors import CheckpointError

_NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    AttributeError,
    IndexError,
    TypeError,
)
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
"""Put before all names by DataParallel, `torch.compile`, Lightning and people."""


@dataclass(frozen=True)
class Checkpoint:
    """tensors: by name, without what was put before all names; not copied into memory where the
    file's form allows it. metadata: what else it holds, for instance "arch" or "class_to_idx"."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Tensors from a .safetensors file, or from one that `torch.save` has written: a state dict,
    also under "state_dict", "model" and the like, also with "module." before all names.

    Nothing in the file is run (`weights_only=True`). Raises CheckpointError, and OSError.
    """
    with path.open("rb") as file:
        begin = file.read(9)
    if not begin:
        raise CheckpointError(f"{path.name} is empty")
    if begin[8:] == b"{":  # after eight bytes with the length of this header
        try:
            with safe_open(path, "pt") as opened:
                metadata = opened.metadata() or {}
            return Checkpoint(_without_prefix(load_file(path)), metadata)
        except SafetensorError as error:
            raise CheckpointError(f"{path.name} is damaged ({error})") from error
    found = _loaded(path)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path.name} holds {_kind(found)} and no state dict")
    tensors, metadata = _tensors_in(found)
    if not tensors:
        held = ", ".join(map(str, list(found)[:5]))
        raise CheckpointError(f"{path.name} holds no tensors, but: {held or 'nothing'}")
    return Checkpoint(_without_prefix(tensors), metadata)


def _loaded(path: Path) -> Any:
    # timm's own training script saves its arguments, too.
    with torch.serialization.safe_globals([argparse.Namespace]):
        for mapped in (True, False):  # files from before 2020 cannot be mapped
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            except _UNREADABLE as error:
                if isinstance(error, pickle.UnpicklingError) and "lobal" in str(error):
                    raise CheckpointError(
                        f"{path.name} holds more than tensors, which is not loaded because it "
                        "could run code: save model.state_dict() alone, or as safetensors"
                    ) from error
                if not mapped:
                    raise CheckpointError(f"{path.name} is not a file of weights") from error
    raise AssertionError("a file is read or refused")


def _tensors_in(found: Mapping[Any, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of the outermost mapping that has any, and what stands beside them."""
    own = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    inner = [key for key in _NESTED if isinstance(found.get(key), Mapping)]
    inner += [
        key for key, value in found.items() if isinstance(value, Mapping) and key not in inner
    ]
    if len(own) > 1 or (own and not inner):
        return own, {key: value for key, value in found.items() if key not in own}
    for key in inner:
        tensors, inner_metadata = _tensors_in(found[key])
        if tensors:
            beside = {name: value for name, value in found.items() if name != key}
            args = beside.get("args")
            of_args = vars(args) if isinstance(args, argparse.Namespace) else {}
            return tensors, of_args | beside | inner_metadata
    return own, {}


def _without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = dict(tensors)
    while prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in names)), None):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names


def _kind(found: Any) -> str:
    return "one tensor" if isinstance(found, Tensor) else f"a {type(found).__name__}"
