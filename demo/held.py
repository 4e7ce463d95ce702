"""Forward passes held open between events, shared by all visitors, bounded in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import cachetools

from gradcam_core import Examination, Model

HELD_BYTES = 256 * 2**20


class HeldExaminations:
    """Examinations by (photo, network, view, detail); one that is missing is made once, whoever
    asks."""

    def __init__(self, held_bytes: int = HELD_BYTES) -> None:
        cache: cachetools.LRUCache = cachetools.LRUCache(held_bytes, getsizeof=_size)
        self._cache = cache
        self._condition = threading.Condition()
        self._get = cachetools.cached(cache, key=_key, condition=self._condition)(
            lambda photo, model, view, detail, make: make()
        )

    def get(
        self, photo: str, model: Model, view: str, detail: int, make: Callable[[], Examination]
    ) -> Examination:
        """photo: the digest of the photo's file. make: runs if nothing is held for these."""
        return self._get(photo, model, view, detail, make)

    def weigh_again(self, photo: str, held: Examination) -> None:
        """Count what an examination holds now: slow methods keep what they have computed."""
        key = _key(photo, held.model, held.view, held.detail, None)
        with self._condition:
            if self._cache.pop(key, None) is not None:
                with suppress(ValueError):  # larger than all that may be held
                    self._cache[key] = held


def _key(photo: str, model: Model, view: str, detail: int, make: object) -> tuple:
    # Also by who stands in for whom: the examination carries the notice that says so.
    wanted = model.stands_in_for.name if model.stands_in_for else ""
    return photo, model.info.name, f"{wanted} {model.reason}", view, detail


def _size(examination: Examination) -> int:
    return examination.run.nbytes + 2**18
