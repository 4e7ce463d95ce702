"""The passes of several networks over one picture, two at a time where that is faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias, TypeVar

import torch
from threadpoolctl import ThreadpoolController

T = TypeVar("T")

Job: TypeAlias = "Callable[[], list[T | Exception]]"

MOST_UNEVEN = 1.2
"""How much longer than half of the whole work one of the two threads may take."""


class PairedPasses:
    """Two threads, each with half of the cores.

    A pass on all cores waits at each layer for the slowest of them, which others use as well: where
    a browser draws on the same two cores, three small networks see 10 frames a second this way, and
    6 one after the other (`benchmarks/live.py`). Where one of them takes most of the time, half of
    the cores would have nothing to do, and they run one after the other on all.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}  # the shortest that each network has taken
        self._halves = ThreadPoolExecutor(2, thread_name_prefix="half", initializer=_take_half)

    def jobs(self, passes: Sequence[tuple[str, Callable[[], T]]]) -> list[Job[T]]:
        """passes: one of each network, by its name. -> what is to be run, one after the other; each
        job gives what its passes give, or raise."""
        if not self._is_even([name for name, _ in passes]):
            return [partial(self._alone, one) for one in passes]
        return [partial(self._two_at_a_time, passes)]

    def _alone(self, one: tuple[str, Callable[[], T]]) -> list[T | Exception]:
        return [self._timed(one)]

    def _two_at_a_time(self, passes: Sequence[tuple[str, Callable[[], T]]]) -> list[T | Exception]:
        longest_first = sorted(passes, key=lambda one: -self._seconds[one[0]])
        begun = {name: self._halves.submit(self._timed, (name, run)) for name, run in longest_first}
        return [begun[name].result() for name, _ in passes]

    def close(self) -> None:
        """Begin nothing more."""
        self._halves.shutdown(wait=False, cancel_futures=True)

    def _is_even(self, names: Sequence[str]) -> bool:
        if len(names) < 2 or torch.get_num_threads() < 2:
            return False
        if any(name not in self._seconds for name in names):
            return False
        halves = [0.0, 0.0]
        for seconds in sorted((self._seconds[name] for name in names), reverse=True):
            halves[halves.index(min(halves))] += seconds
        return max(halves) <= MOST_UNEVEN * sum(halves) / 2

    def _timed(self, one: tuple[str, Callable[[], T]]) -> T | Exception:
        name, run = one
        began = self._clock()
        try:
            found = run()
        except Exception as error:
            return error
        took = self._clock() - began
        self._seconds[name] = min(took, self._seconds.get(name, took))
        return found


def _take_half() -> None:
    """Of the cores, for this thread alone; `torch.set_num_threads` is for threads to come, too."""
    half = max(1, torch.get_num_threads() // 2)
    ThreadpoolController().select(user_api="openmp").limit(limits=half)
