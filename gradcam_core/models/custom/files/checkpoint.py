"""Reads files of weights, however they were saved, without running anything in them."""

from __future__ import annotations

import argparse
import errno
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from gradcam_core.errors import CheckpointError
from gradcam_core.models.custom.files.file_kinds import FIRST, JOIN, is_shard, kind_of
from gradcam_core.models.custom.files.numpy_values import NumpyArray
from gradcam_core.models.custom.files.pickles import (
    HostileError,
    Inert,
    is_torchscript,
    load_inertly,
    loaded,
    torchscript_values,
)

_WRAPPED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names that `torch.compile` and other wrappers of modules insert into the names of tensors."""

_OF_DENSENET = re.compile(r"(\.denselayer\d+\.)(?:layers\.)?(norm|conv)\.?([12])\.")
"""The layers of DenseNets as MONAI and torchvision before 0.3 named them."""

_SETTINGS = (
    *("args", "opt", "cfg", "config", "hparams", "hyper_parameters", "pretrained_cfg"),
    *("meta", "datamodule_hyper_parameters"),  # of OpenMMLab and Lightning
)
"""Keys under which training scripts keep a network's settings."""

_OF_TRAINING = re.compile(
    r"optim|sched|scaler|callback|^opt(_|$)|exp_avg|momentum_buffer|^loops$|^grad(s|ients?)?(_|$)"
)

_OF_AVERAGES = re.compile(r"ema|averag", re.IGNORECASE)
"""In the names of callbacks that keep averaged weights."""

_DEEPEST = 8  # levels of nested mappings

_SAVE = "save model.state_dict() alone, or as safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """tensors: all tensors in a file, by dotted path, in the file's order; mapped into memory where
    the file's format allows it. metadata: what else the file holds, such as "arch"."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a .safetensors file, a file that `torch.save` has written, or TorchScript.

    Nothing in the file is run. Raises CheckpointError, and OSError.
    """
    with path.open("rb") as file:
        begin = file.read(FIRST)
    if not begin:
        raise CheckpointError(f"{path.name} is empty")
    if is_shard(path):
        raise CheckpointError(f"{path.name} is one of several files: {JOIN}")
    if begin[8:9] == b"{":  # safetensors: a JSON header after its length in eight bytes
        try:
            with safe_open(path, "pt") as opened:
                said = opened.metadata() or {}
            metadata = _metadata_in(said, 0) | said
            return _checked(path, Checkpoint(_unwrapped(load_file(path)), metadata))
        except SafetensorError as error:
            raise CheckpointError(f"{path.name} is damaged ({error})") from error
    if is_torchscript(path):
        return _of_torchscript(path)
    found = _loaded(path, begin)
    if isinstance(found, Inert) and (found.is_module or not found):
        raise CheckpointError(_whole_module(path, found))
    if not isinstance(found, Mapping | list | tuple):
        kind = "one tensor" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise CheckpointError(f"{path.name} holds {kind} and no state dict")
    tensors = dict(_tensors_in(found, "", 0))
    if tensors and all(name.rpartition(".")[2].isdecimal() for name in tensors):
        raise CheckpointError(
            f"{path.name} holds {len(tensors)} tensors without names, so it is unknown which is "
            f"which: {_SAVE}"
        )
    if not any(tensor.ndim for tensor in tensors.values()):
        module = next(_modules_in(found), None)
        if module is not None:  # an empty one is false
            raise CheckpointError(_whole_module(path, module))
        if _has_arrays(found):
            raise CheckpointError(f"{path.name} holds NumPy arrays and no tensors: {_SAVE}")
        held = ", ".join(map(str, list(found)[:5]))
        raise CheckpointError(f"{path.name} holds no tensors, but: {held or 'nothing'}: {_SAVE}")
    beside: dict[str, Any] = {}
    for one in found if isinstance(found, list | tuple) else [found]:
        beside |= _metadata_in(one, 0)
    return _checked(path, Checkpoint(_unwrapped(tensors), beside))


def _of_torchscript(path: Path) -> Checkpoint:
    try:
        values = torchscript_values(path)
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path.name} is TorchScript that cannot be read ({error})"
        ) from error
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(
            f"{path.name} is frozen TorchScript, whose weights have no names: {_SAVE} before it is "
            "frozen"
        )
    beside = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
    return _checked(path, Checkpoint(_unwrapped(tensors), beside))


def _checked(path: Path, found: Checkpoint) -> Checkpoint:
    """Returns `found`. Raises CheckpointError if tensors have no values, or are quantised."""
    for name, tensor in found.tensors.items():
        if tensor.is_meta:
            raise CheckpointError(f"{path.name} has no values ({name} is on the meta device)")
        if tensor.is_quantized or "_packed_params" in name:
            raise CheckpointError(f"{path.name} is quantised ({name}): {_SAVE}, before that")
    return found


_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    AttributeError,
    IndexError,
    TypeError,
    ImportError,
    AssertionError,
    StopIteration,
    OverflowError,
    struct.error,
)


def _loaded(path: Path, begin: bytes) -> Any:
    # timm's training script saves its arguments as a Namespace.
    with (
        suppress(*_UNREADABLE, MemoryError, OSError),
        torch.serialization.safe_globals([argparse.Namespace]),
    ):
        return loaded(path, weights_only=True)
    try:
        return load_inertly(path)
    except HostileError as error:
        raise CheckpointError(
            f"{path.name} holds more than tensors ({error}), which is not loaded because it could "
            f"run code: {_SAVE}"
        ) from error
    except MemoryError as error:
        raise CheckpointError(
            f"{path.name} needs more memory than there is, or is damaged: save the state_dict() "
            "again"
        ) from error
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # such as a disk error; EINVAL is that of an archive that is cut off
        raise CheckpointError(f"{path.name} is not a file of weights{kind_of(path, begin)}") from (
            error
        )


def _whole_module(path: Path, found: Inert) -> str:
    return (
        f"{path.name} holds a whole object ({found.name}) instead of tensors, which is not loaded "
        f"because it could run code: {_SAVE}; or load it yourself and give it as "
        "gc.register(…, module=…)"
    )


def _items(found: Any) -> Iterator[tuple[str, Any]]:
    """Yields (key, value) from a mapping, a list of pairs or another list, by index; nothing from
    anything else."""
    if isinstance(found, list | tuple) and found and all(map(_is_pair, found)):
        found = dict(found)
    if isinstance(found, Mapping):
        yield from ((str(key), value) for key, value in found.items())
    elif isinstance(found, list | tuple):
        yield from ((str(n), value) for n, value in enumerate(found))


def _is_pair(given: Any) -> bool:
    is_pair = isinstance(given, list | tuple) and len(given) == 2
    return is_pair and isinstance(given[0], str)


def _tensors_in(found: Any, above: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(found, Mapping) and found.keys() >= {"state", "param_groups"}:
        return  # an optimiser
    for key, value in _items(found):
        if depth == 0 and _OF_TRAINING.search(key.lower()) and not isinstance(value, Tensor):
            averages = [one for one in _items(value) if _OF_AVERAGES.search(one[0])]
            if key == "callbacks":
                yield from _tensors_in(dict(averages), f"{key}.", 1)
            continue
        if isinstance(value, Tensor):
            if value.layout != torch.strided:
                raise CheckpointError(
                    f"{above}{key} is a sparse tensor: save what to_dense() makes of it"
                )
            yield above + key, value
        elif depth < _DEEPEST:
            yield from _tensors_in(value, f"{above}{key}.", depth + 1)


def _modules_in(found: Any, depth: int = 0) -> Iterator[Inert]:
    for _, value in _items(found):
        if isinstance(value, Inert) and value.is_module:
            yield value
        elif depth < _DEEPEST:
            yield from _modules_in(value, depth + 1)


def _has_arrays(found: Any, depth: int = 0) -> bool:
    if isinstance(found, NumpyArray):
        return True
    return depth < _DEEPEST and any(_has_arrays(one, depth + 1) for _, one in _items(found))


def _metadata_in(found: Any, depth: int) -> dict[str, Any]:
    """What a file holds besides tensors. Values in settings give way to those of the same key
    beside the tensors."""
    if not isinstance(found, Mapping):
        return {}
    of_settings: dict[str, Any] = {}
    of_parts: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in found.items():
        if not isinstance(key, str) or _OF_TRAINING.search(key.lower()):
            continue
        if key in _SETTINGS:
            held = attributes(value)
            of_settings |= _metadata_in(held, depth + 1) if depth < _DEEPEST else {}
        if (
            isinstance(value, Mapping)
            and depth < _DEEPEST
            and next(_tensors_in(value, "", 1), None)
        ):
            of_parts |= _metadata_in(value, depth + 1)
        elif not isinstance(value, Tensor):
            own[key] = value
    return of_settings | own | of_parts


def settings_in(
    found: Any, key: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yields (key, mapping) for each mapping in what a file holds besides tensors, outer ones
    first."""
    held = attributes(found)
    if not isinstance(held, Mapping) or depth > _DEEPEST:
        return
    yield key, held
    for name, value in held.items():
        yield from settings_in(value, str(name), depth + 1)


def attributes(value: Any) -> Any:
    """An object's attributes as a mapping, or the value of a text in JSON; other values as they
    are."""
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, Inert):
        return {**value.state, **value}
    if isinstance(value, str):  # some training scripts keep their settings as JSON
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = [part for part in name.split(".") if part not in _WRAPPED]
        found[_OF_DENSENET.sub(r"\1\2\3.", ".".join(parts))] = tensor
    return found
