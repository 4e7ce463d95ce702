"""Reads files of `torch.save` and `torch.jit.save` without running anything in them.

PyTorch's own reader (`weights_only=True`) refuses a file with a single object of another library,
such as Lightning's hyperparameters or a NumPy number beside the weights. Here, every such object
becomes an `Inert`, which holds what the file says about it and does nothing.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from gradcam_core.models.custom.files.numpy_values import NUMPY

_PLAIN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    **NUMPY,
}
"""Everything that is called while a file is read. None of it does more than hold values."""

_TYPES = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "getattr", "int", "list"),
    *("object", "range", "slice", "str", "tuple", "type"),
)
_HOSTILE = (
    *("builtins", "ctypes", "importlib", "nt", "os", "pickle", "posix", "pty", "runpy"),
    *("shutil", "socket", "subprocess", "sys", "webbrowser"),
)


class Inert(dict):
    """Stands for an object of an unknown class. name: of that class. state: its attributes."""

    name = ""

    state: Mapping[str, Any]

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        made = super().__new__(cls)
        made.state = {}
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        self.state = {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}

    def append(self, value: Any) -> None:
        self[len(self)] = value

    def extend(self, values: Any) -> None:
        for value in values:
            self.append(value)

    add = append
    __hash__ = object.__hash__  # type: ignore[assignment]

    @property
    def is_module(self) -> bool:
        """Whether it was a network or a part of one."""
        return "_modules" in self.state and "_parameters" in self.state


class HostileError(pickle.UnpicklingError):
    """The file would call something that no weights need."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "__builtin__":  # Python 2's name, which `torch.save` writes
            module, name = "builtins", {"long": "int", "unicode": "str"}.get(name, name)
        known = _PLAIN.get((module, name))
        if known is not None:
            return known
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module.split(".")[0] in _HOSTILE and not (module == "builtins" and name in _TYPES):
            raise HostileError(f"{module}.{name}")
        return type("Inert", (Inert,), {"name": f"{module}.{name}"})


def load_inertly(path: Path) -> Any:
    """Reads what `torch.save` wrote, to the CPU. Raises HostileError, and almost anything for a
    damaged file."""
    reader = SimpleNamespace(
        __name__="inert",
        Unpickler=_Unpickler,
        load=lambda file, **given: _Unpickler(file, **given).load(),
    )
    return loaded(path, weights_only=False, pickle_module=reader)


def loaded(path: Path, **given: Any) -> Any:
    """The result of `torch.load`, which by itself would take any file with the suffix .safetensors
    for one. Mapped into memory, unless the suffix or a format from before 2020 prevents it."""
    if path.suffix.lower() == ".safetensors":
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", **given)
    try:
        return torch.load(path, map_location="cpu", mmap=True, **given)
    except RuntimeError:
        return torch.load(path, map_location="cpu", **given)


_CONSTANT = re.compile(r"^  (\w+) : Final\[bool\] = (True|False)$", re.MULTILINE)
"""Constants of a class in TorchScript's code, where they are no attributes: `transform_input` is a
constant in torchvision's GoogLeNet, and an attribute in its Inception v3."""


def is_torchscript(path: Path) -> bool:
    """Whether `torch.jit.save` has written the file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        parts = {name.partition("/")[2] for name in archive.namelist()}
    return "constants.pkl" in parts


def torchscript_values(path: Path) -> dict[str, Any]:
    """The tensors and other attributes of a scripted or traced network, by dotted name, and the
    boolean constants in its code. A frozen network has no tensors."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        top = next(name for name in names if name.endswith("/data.pkl")).removesuffix("data.pkl")
        root = _ScriptUnpickler(
            io.BytesIO(archive.read(f"{top}data.pkl")),
            lambda key: bytearray(archive.read(f"{top}data/{key}")),
        ).load()
        code = [archive.read(name).decode() for name in names if name.endswith(".py")]
    found: dict[str, Any] = {
        f"code.{number}.{name}": value == "True"
        for number, text in enumerate(code)
        for name, value in _CONSTANT.findall(text)
    }

    def walk(part: Any, name: str) -> None:
        for key, value in part.state.items():
            if isinstance(value, Inert):
                walk(value, f"{name}{key}.")
            else:
                found[f"{name}{key}"] = value

    if isinstance(root, Inert):
        walk(root, "")
    return found


class _ScriptUnpickler(_Unpickler):
    def __init__(self, file: io.BytesIO, read: Callable[[str], bytearray]) -> None:
        super().__init__(file)
        self._read = read
        self._storages: dict[str, Tensor] = {}

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, _, count = pid
        if key not in self._storages:
            dtype = kind.dtype
            data = self._read(key)
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if count and data else empty
        return self._storages[key]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda values, offset, size, stride, *_: values.as_strided(size, stride, offset)
        if module == "torch" and name.endswith("Storage"):
            return getattr(torch, name)
        return super().find_class(module, name)
