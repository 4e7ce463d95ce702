"""Reading what `torch.save` and `torch.jit.save` have written without running anything in it.

PyTorch's own reader (`weights_only=True`) refuses a file with a single object of another library,
such as the hyperparameters of Lightning or a NumPy number beside the weights. Here every such
object becomes an inert one, which holds what the file says of it and does nothing.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
}
"""All that is called while a file is read. None of it does more than hold values."""

_TYPES = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "getattr", "int", "list"),
    *("object", "range", "slice", "str", "tuple", "type"),
)
_HOSTILE = (
    *("builtins", "ctypes", "importlib", "nt", "os", "pickle", "posix", "pty", "runpy"),
    *("shutil", "socket", "subprocess", "sys", "webbrowser"),
)


class Inert(dict):
    """In place of an object of a class that is not known. name: of that class. state: what its
    attributes were."""

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


_MOST_VALUES = 100_000
"""Of NumPy's arrays that are read: numbers of settings and names of classes, no weights."""

_NUMPY_TYPE = re.compile("b1|[iu][1248]|f[248]|U[0-9]+")


class NumpyArray(list):
    """In place of an array of NumPy: its values as a list, if they are numbers or texts and few."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        with suppress(ValueError, TypeError):  # a class made from it may have a state of its own
            _, shape, dtype, is_fortran, data = state
            self[:] = _numpy_values(data, dtype, shape, "F" if is_fortran else "C")


class _NumpyType(Inert):
    """In place of a type of NumPy's numbers. code: such as "<f8"; "" where it is none we read."""

    code = ""

    def __init__(self, code: Any = "", *_: Any) -> None:
        super().__init__()
        self.code = code if isinstance(code, str) and _NUMPY_TYPE.fullmatch(code) else ""

    def __setstate__(self, state: Any) -> None:
        if self.code and state[1] in ("<", ">"):
            self.code = state[1] + self.code


def _numpy_values(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    """Lists in lists, of numbers or texts. Empty for an array without an axis, which holds one
    number, such as a metric, and none for each channel."""
    if isinstance(data, list):  # of objects, such as texts of any length
        return data if len(shape) == 1 and len(data) <= _MOST_VALUES else []
    code = getattr(dtype, "code", "")
    if not code or not shape or not 0 < len(data) <= _MOST_VALUES * np.dtype(code).itemsize:
        return []
    return np.frombuffer(data, code).reshape(shape, order=order).tolist()


def _numpy_number(dtype: Any, data: Any = None) -> Any:
    values = _numpy_values(data, dtype, (1,)) if isinstance(data, bytes) else []
    return values[0] if values else NumpyArray()


def _numpy_array(*given: Any) -> NumpyArray:
    made = NumpyArray()
    made[:] = _numpy_values(*given)
    return made


def _encoded(text: Any, encoding: Any = "latin1") -> Any:
    """Bytes, as pickles before Python 3 have them."""
    is_bytes = isinstance(text, str) and encoding == "latin1"
    return text.encode("latin1") if is_bytes else Inert()


_NUMPY = {
    ("numpy", "ndarray"): NumpyArray,
    ("numpy", "dtype"): _NumpyType,
    ("_codecs", "encode"): _encoded,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", NumpyArray),
            ("multiarray", "scalar", _numpy_number),
            ("numeric", "_frombuffer", _numpy_array),
        )
    },
}
"""How NumPy's arrays and numbers are read, without its own functions for that."""


class HostileError(pickle.UnpicklingError):
    """The file would call something that nobody needs for weights."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "__builtin__":  # Python 2's name, which `torch.save` writes
            module, name = "builtins", {"long": "int", "unicode": "str"}.get(name, name)
        known = _PLAIN.get((module, name)) or _NUMPY.get((module, name))
        if known is not None:
            return known
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module.split(".")[0] in _HOSTILE and not (module == "builtins" and name in _TYPES):
            raise HostileError(f"{module}.{name}")
        return type("Inert", (Inert,), {"name": f"{module}.{name}"})


def load_inertly(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU. Raises HostileError, and almost anything for a file that
    is damaged."""
    reader = SimpleNamespace(
        __name__="inert",
        Unpickler=_Unpickler,
        load=lambda file, **given: _Unpickler(file, **given).load(),
    )
    return loaded(path, weights_only=False, pickle_module=reader)


def loaded(path: Path, **given: Any) -> Any:
    """What `torch.load` gives, whatever the file is called: by the suffix .safetensors alone it
    would take it for one. Mapped into memory, if it is none from before 2020."""
    if path.suffix.lower() == ".safetensors":
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", **given)
    try:
        return torch.load(path, map_location="cpu", mmap=True, **given)
    except RuntimeError:
        return torch.load(path, map_location="cpu", **given)


_CONSTANT = re.compile(r"^  (\w+) : Final\[bool\] = (True|False)$", re.MULTILINE)
"""In the code of TorchScript. What a class names as its constants is no attribute there:
torchvision's GoogLeNet has `transform_input` so, its Inception v3 has it as an attribute."""


def is_torchscript(path: Path) -> bool:
    """Whether it is what `torch.jit.save` writes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        parts = {name.partition("/")[2] for name in archive.namelist()}
    return "constants.pkl" in parts


def torchscript_values(path: Path) -> dict[str, Any]:
    """The tensors and other attributes of a scripted or traced network, by dotted name, and what
    its code declares to be on or off. A frozen network has no tensors."""
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
