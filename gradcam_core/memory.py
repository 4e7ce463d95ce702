"""What becomes of memory that has been freed: for the GNU C library, and nothing where there is
another one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
_LARGE = 2**30


def _of_c_library(name: str) -> Callable[..., int]:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return lambda *_: 0


_set_option, _trim = _of_c_library("mallopt"), _of_c_library("malloc_trim")


def keep_freed() -> None:
    """From now on, for as long as this process lives: keep it, and use it again.

    For programs that pass many photos, one after the other, through networks. Large blocks, as the
    activations of a few photos are, would go back to the machine at once, and at every layer it
    would clear new ones: 5 % of a pass of four photos.
    """
    _set_option(_MMAP_THRESHOLD, _LARGE)
    _set_option(_TRIM_THRESHOLD, _LARGE)
    # What threads get from arenas of their own is limited to 64 MB in one piece.
    _set_option(_ARENA_MAX, 1)


def trim() -> None:
    """Give it back to the machine at once. Takes some thousandths of a second.

    What threads have freed is kept for the next time: after some large photos more than half a
    gigabyte, for good.
    """
    _trim(0)
