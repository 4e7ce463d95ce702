"""Forward passes held open between events, shared by all visitors, bounded in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cachetools

from gradcam_core import Examination, Model

HELD_BYTES = 256 * 2**20


class HeldExaminations:
    """Examinations by (photo, network, view); one that is missing is made once, whoever asks."""

    def __init__(self, held_bytes: int = HELD_BYTES) -> None:
        cache: cachetools.LRUCache = cachetools.LRUCache(held_bytes, getsizeof=_size)
        self._get = cachetools.cached(cache, key=_key, condition=threading.Condition())(
            lambda photo, model, view, make: make()
        )

    def get(
        self, photo: str, model: Model, view: str, make: Callable[[], Examination]
    ) -> Examination:
        """photo: the digest of the photo's file. make: runs if nothing is held for these."""
        return self._get(photo, model, view, make)


def _key(photo: str, model: Model, view: str, make: object) -> tuple[str, str, str, str]:
    # Also by who stands in for whom: the examination carries the notice that says so.
    wanted = model.stands_in_for.name if model.stands_in_for else ""
    return photo, model.info.name, f"{wanted} {model.reason}", view


def _size(examination: Examination) -> int:
    """Bytes held: the activation twice, and about as much again in the graph of the head."""
    return 3 * examination.run.activation.nbytes + 2**18
