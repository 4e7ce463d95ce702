"""Reads NumPy's arrays and numbers in a pickle from their bytes. NumPy's own functions are not
called, because they could also create objects."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np

_MOST_VALUES = 100_000
"""Size of the largest NumPy array that is read: settings and names of classes, but no weights."""

_NUMPY_TYPE = re.compile("b1|[iu][1248]|f[248]|U[0-9]+")


class NumpyArray(list):
    """Stands for a NumPy array: its values as a list if they are few numbers or texts, else []."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        with suppress(ValueError, TypeError):  # a subclass may have another state
            _, shape, dtype, is_fortran, data = state
            self[:] = _numpy_values(data, dtype, shape, "F" if is_fortran else "C")


class _NumpyType:
    """Stands for a NumPy dtype. code: such as "<f8"; "" if the type is not supported."""

    code = ""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = code if isinstance(code, str) and _NUMPY_TYPE.fullmatch(code) else ""

    def __setstate__(self, state: Any) -> None:
        if self.code and state[1] in ("<", ">"):
            self.code = state[1] + self.code


def _numpy_values(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    """An array's numbers or texts as nested lists; empty if it has too many, or no axis, as then it
    is a single number, such as a metric, and not one for each channel."""
    if isinstance(data, list):  # an array of objects, such as texts
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
    """Bytes, as pickles of protocol 2 have them."""
    is_bytes = isinstance(text, str) and encoding == "latin1"
    return text.encode("latin1") if is_bytes else b""


NUMPY = {
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
"""What is called instead of NumPy's functions, by (module, name) in a pickle."""
