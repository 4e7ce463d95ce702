"""The engine of one machine: threads that decode ahead, and threads that compute.

Each computing thread takes a few photos through all networks on one core. Two such threads give
more photos a second than one pass on two cores, which waits for the slower one at each layer, and
they lose nothing to the decoders that run beside them.
"""

from __future__ import annotations

import copy
import itertools
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradcam_core.batch.pictures import Item
from gradcam_core.batch.rows import (
    Done,
    Ready,
    Settings,
    StoppedError,
    explained,
    one_core_each,
    ready,
)
from gradcam_core.images.sandbox import Reader
from gradcam_core.models.loading import Model

MOST = 4
"""Computing threads; each needs some hundred megabytes. With more cores, each has several."""

_TICK = 0.2  # seconds after which a thread that waits looks whether it is still wanted


def explained_here(
    items: Iterator[Item],
    models: Sequence[Model],
    settings: Settings,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Done]:
    """A `gradcam_core.batch.store.Engine`; is_stopped: asked while there is no result yet."""
    device = next(models[0].module.parameters()).device.type
    cores = torch.get_num_threads()
    computing = 1 if device != "cpu" else min(cores, MOST)
    work = _Work(items, models, settings, settings.at_once(device), computing)
    try:
        with one_core_each():
            if device == "cpu":
                torch.set_num_threads(max(1, cores // computing))  # of threads that begin after
            work.start()
            try:
                yield from work.results(is_stopped)
            finally:
                work.stop()
    finally:
        torch.set_num_threads(cores)


@dataclass(frozen=True)
class _End:
    """In a queue: of what one of the threads before it had to say."""


_END = _End()


class _Work:
    def __init__(
        self,
        items: Iterator[Item],
        models: Sequence[Model],
        settings: Settings,
        at_once: int,
        computing: int,
    ) -> None:
        self._items, self._models, self._settings = items, models, settings
        self._at_once, self._computing = at_once, computing
        self._reading = max(2, computing)
        self._stopped = threading.Event()
        self._items_lock, self._take_lock = threading.Lock(), threading.Lock()
        # Twice what is computed now, so that the last photos can be shared fairly; but one alone
        # where each has a pass of its own: for the checks its whole photo is held.
        self._ready: queue.Queue[Any] = queue.Queue(2 * computing * at_once if at_once > 1 else 1)
        self._done: queue.Queue[Any] = queue.Queue(computing)
        self._ended_reading = 0
        self._is_over = False  # nothing will be ready any more
        self._threads = [
            *(self._thread(self._read, n) for n in range(self._reading)),
            *(self._thread(self._compute, n) for n in range(computing)),
        ]

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        def run() -> None:
            try:
                work(number)
            except StoppedError:
                pass
            except BaseException as error:  # the thread that waits for results raises it
                self._give(self._done, error, even_if_stopped=True)

        return threading.Thread(target=run, daemon=True, name=f"batch {work.__name__} {number}")

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def results(self, is_stopped: Callable[[], bool]) -> Iterator[Done]:
        ended = 0
        while ended < self._reading + self._computing:
            try:
                found = self._done.get(timeout=_TICK)
            except queue.Empty:
                if is_stopped():
                    return
                continue
            if isinstance(found, BaseException):
                raise found
            if isinstance(found, _End):
                ended += 1
            else:
                yield from found

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError

    def _give(self, to: queue.Queue[Any], what: object, even_if_stopped: bool = False) -> None:
        while True:
            try:
                return to.put(what, timeout=_TICK)
            except queue.Full:
                if self._stopped.is_set():
                    if even_if_stopped:
                        return None
                    raise StoppedError from None

    def _take(self) -> Any:
        while True:
            self._check()
            try:
                return self._ready.get(timeout=_TICK)
            except queue.Empty:
                continue

    def _read(self, _: int) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # Processes that this thread starts inherit it: a Ctrl-C is not for them.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        reader = Reader()
        try:
            while (item := self._next()) is not None:
                self._check()
                found = ready(item, self._models, self._settings, reader.read)
                if isinstance(found, Done):
                    self._give(self._done, [found])
                else:
                    self._give(self._ready, found)
        finally:
            reader.stop()
        with self._items_lock:
            self._ended_reading += 1
            is_last = self._ended_reading == self._reading
        if is_last:
            self._give(self._ready, _END)
        self._give(self._done, _END)

    def _next(self) -> Item | None:
        with self._items_lock:
            return next(self._items, None)

    def _compute(self, number: int) -> None:
        models = [_own(model) if number else model for model in self._models]
        while chunk := self._chunk():
            self._give(self._done, explained(chunk, models, self._settings, self._check))
        self._give(self._done, _END)

    def _chunk(self) -> list[Ready]:
        """The next photos: as many as go through at once, but fewer where no more are ready yet,
        and a fair share of the last ones."""
        found: list[Ready] = []
        most = self._at_once
        with self._take_lock:
            while len(found) < most and not self._is_over:
                if found and self._ready.empty():
                    break
                one = self._take()
                if isinstance(one, _End):
                    self._is_over = True
                    break
                found.append(one)
                if self._ended_reading == self._reading:
                    left = len(found) + self._ready.qsize()
                    most = min(most, max(len(found), -(-left // self._computing)))
        return found


def _own(model: Model) -> Model:
    """The same network as other modules with the same weights: only one pass at a time can go
    through a module, because of its hooks."""
    module = model.module
    shared = {
        id(tensor): tensor for tensor in itertools.chain(module.parameters(), module.buffers())
    }
    return replace(model, module=copy.deepcopy(module, shared))
