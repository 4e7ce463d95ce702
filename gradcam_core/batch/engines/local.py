"""The engine for one machine: threads that decode ahead, and threads that explain.

Each explaining thread takes a few pictures through all networks on one core. Two such threads
process more pictures a second than one pass on two cores, which waits for the slower core at each
layer, and decoders that run beside them do not slow them down.
"""

from __future__ import annotations

import copy
import itertools
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import torch

from gradcam_core.batch.engines.compute import (
    PreparedPicture,
    StoppedError,
    explain_pictures,
    prepare_picture,
    single_threaded_blas,
)
from gradcam_core.batch.listing.source import PictureSource
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.images.sandbox import Reader
from gradcam_core.models.forward_pass import device_of
from gradcam_core.models.model import Model

MOST_EXPLAINING = 4
"""The most explaining threads. Each needs some hundred megabytes, so further cores are shared among
them instead."""

_POLL_S = 0.2  # interval of checks for a request to stop

_Resource = TypeVar("_Resource")
_Explaining: TypeAlias = "dict[Future[list[PictureResult]], int]"


def explain_locally(
    sources: Iterator[PictureSource],
    models: Sequence[Model],
    settings: BatchSettings,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[PictureResult]:
    """A `gradcam_core.batch.run.Engine`. is_stopped: polled; the work ends once it is true."""
    device = device_of(models[0]).type
    cores = torch.get_num_threads()
    workers = 1 if device != "cpu" else min(cores, MOST_EXPLAINING)
    with ExitStack() as undo:
        undo.enter_context(single_threaded_blas())
        undo.callback(torch.set_num_threads, cores)
        if device == "cpu":
            torch.set_num_threads(max(1, cores // workers))  # applies to threads started later
        work = _Work(models, settings, settings.at_once(device), workers)
        undo.callback(work.stop)
        yield from work.results(sources, is_stopped)


class _Work:
    def __init__(
        self, models: Sequence[Model], settings: BatchSettings, at_once: int, workers: int
    ) -> None:
        self._settings, self._at_once, self._workers = settings, at_once, workers
        self._stopped = threading.Event()
        decoders = max(2, workers)
        # Twice as many as are explained at a time, so that no thread waits while results are
        # written. Pictures that are run one by one may keep their whole photo, for trust checks,
        # so only one waits there.
        ahead = 2 * workers * at_once if at_once > 1 else decoders + 1
        self._most = workers * at_once + ahead
        self._models = models
        self._idle_models = _idle([models, *(_copies(models) for _ in range(workers - 1))])
        self._readers = [Reader() for _ in range(decoders)]
        self._idle_readers = _idle(self._readers)
        self._decoding = ThreadPoolExecutor(decoders, "batch decoding", _ignore_ctrl_c)
        self._explaining = ThreadPoolExecutor(workers, "batch explaining")

    def stop(self) -> None:
        """Cancels waiting work, makes running work stop, and waits for the threads to end."""
        self._stopped.set()
        for pool in (self._decoding, self._explaining):
            pool.shutdown(cancel_futures=True)
        for reader in self._readers:
            reader.stop()

    def results(
        self, sources: Iterator[PictureSource], is_stopped: Callable[[], bool]
    ) -> Iterator[PictureResult]:
        preparing: set[Future[PreparedPicture | PictureResult]] = set()
        explaining: _Explaining = {}
        ready: deque[PreparedPicture] = deque()
        while not is_stopped():
            room = self._most - len(preparing) - len(ready) - sum(explaining.values())
            for source in itertools.islice(sources, max(0, room)):
                preparing.add(self._decoding.submit(self._prepare, source))
            while count := self._chunk(len(ready), bool(preparing), explaining):
                chunk = [ready.popleft() for _ in range(count)]
                explaining[self._explaining.submit(self._explain, chunk)] = count
            if not (preparing or explaining):
                return
            begun: set[Future[Any]] = {*preparing, *explaining}
            done, _ = wait(begun, _POLL_S, FIRST_COMPLETED)
            for future in done & preparing:
                preparing.remove(future)
                if isinstance(found := future.result(), PictureResult):
                    yield found
                else:
                    ready.append(found)
            for future in done & explaining.keys():
                del explaining[future]
                yield from future.result()

    def _chunk(self, ready: int, more_to_come: bool, explaining: _Explaining) -> int:
        """How many ready pictures go through the networks next; 0 to wait for more."""
        if (
            len(explaining) < self._workers
        ):  # all that are ready; of the last pictures, a fair share for each thread
            return min(self._at_once, ready if more_to_come else -(-ready // self._workers))
        # One chunk per thread may wait, so that no thread is idle while results are written.
        is_waiting_long = ready >= self._at_once and len(explaining) < 2 * self._workers
        is_last = not more_to_come and ready <= self._workers * self._at_once
        return self._at_once if is_waiting_long and not is_last else 0

    def _prepare(self, source: PictureSource) -> PreparedPicture | PictureResult:
        reader = self._idle_readers.get()
        try:
            return prepare_picture(source, self._models, self._settings, reader.read_picture)
        finally:
            self._idle_readers.put(reader)

    def _explain(self, pictures: list[PreparedPicture]) -> list[PictureResult]:
        models = self._idle_models.get()
        try:
            return explain_pictures(pictures, models, self._settings, self._check_stopped)
        finally:
            self._idle_models.put(models)

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise StoppedError


def _idle(resources: Iterable[_Resource]) -> queue.SimpleQueue[_Resource]:
    """A queue of idle resources, from which each thread borrows one and puts it back."""
    idle: queue.SimpleQueue[_Resource] = queue.SimpleQueue()
    for one in resources:
        idle.put(one)
    return idle


def _ignore_ctrl_c() -> None:
    """Blocks SIGINT in this thread and the processes that it starts; the main thread ends those."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _copies(models: Sequence[Model]) -> list[Model]:
    """Copies of the networks that share their weights. Each thread needs its own modules, because
    hooks allow only one pass at a time through a module."""
    copies = []
    for model in models:
        module = model.module
        tensors = itertools.chain(module.parameters(), module.buffers())
        shared = {id(tensor): tensor for tensor in tensors}
        copies.append(replace(model, module=copy.deepcopy(module, shared)))
    return copies
