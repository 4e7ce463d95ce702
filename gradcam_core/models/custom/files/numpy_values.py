"""NumPy's arrays and numbers in a pickle, read from their bytes. NumPy's own functions for that are
not called, because they would also make objects."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np

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


class _NumpyType:
    """In place of a type of NumPy's numbers. code: such as "<f8"; "" where it is none we read."""

    code = ""

    def __init__(self, code: Any = "", *_: Any) -> None:
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
"""How NumPy's arrays and numbers are read, without its own functions for that."""
