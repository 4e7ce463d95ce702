"""Runs the passes of several networks over one picture, two at a time where that is faster."""

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
"""The busier of the two threads may take this many times half of the whole work."""


class PairedPasses:
    """Two threads, each with half of the cores.

    A pass on all cores waits at each layer for the slowest core, which other programs use as well.
    With a browser drawing on the same two cores, three small networks process 10 frames a second
    this way, and 6 one after the other (`benchmarks/live.py`). If one network takes most of the
    time, half of the cores would idle, so the networks run one after the other on all cores.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}  # each network's shortest time so far
        self._halves = ThreadPoolExecutor(2, thread_name_prefix="half", initializer=_take_half)

    def jobs(self, passes: Sequence[tuple[str, Callable[[], T]]]) -> list[Job[T]]:
        """The jobs to run, one after the other. Each returns its passes' results in their order,
        with the exception in place of a pass that raised. passes: one pass for each network name.
        """
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
        """Starts no further work."""
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
    """Limits this thread to half of the cores; `torch.set_num_threads` would limit later threads,
    too."""
    half = max(1, torch.get_num_threads() // 2)
    ThreadpoolController().select(user_api="openmp").limit(limits=half)
