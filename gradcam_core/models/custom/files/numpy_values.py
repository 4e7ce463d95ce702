"""NumPy's arrays and numbers in a pickle, as lists and numbers of Python, from their bytes alone:
NumPy's own reader would also make objects."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_MOST = 10_000  # values; those of a normalisation and of classes are fewer

_PLAIN = re.compile("[fiubU][0-9]+")


class _Kind:
    """In place of a dtype."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name = name
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def values(self, data: Any) -> Any:
        """An array of what these bytes hold. Raises ValueError."""
        if not isinstance(self.name, str) or not _PLAIN.fullmatch(self.name):
            raise ValueError
        return np.frombuffer(data, np.dtype(f"{self.order}{self.name}"))


class Array(list):
    """In place of an array: its values as lists of lists; empty if it has many, or others than
    numbers and texts."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_transposed, data = state
        if isinstance(data, list):  # of objects
            self.extend(data)
            return
        try:
            if math.prod(shape) <= _MOST:
                found = kind.values(data).reshape(shape, order="F" if is_transposed else "C")
                self.extend(np.atleast_1d(found).tolist())
        except (AttributeError, TypeError, ValueError):
            return


def _number(kind: Any, data: Any = b"") -> Any:
    try:
        return kind.values(data)[0].item()
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _bytes(text: str, _: str = "") -> bytes:
    return text.encode("latin1")


_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")

NUMPY: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _bytes,
    **{(module, "scalar"): _number for module in _MODULES},
    **{(module, "_reconstruct"): lambda *_: Array() for module in _MODULES},
}
"""What is called in place of NumPy's functions, by module and name."""
