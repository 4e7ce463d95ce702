"""The worker: loads networks, runs their passes one after the other, holds them open, and makes and
checks explanations. Either the page's process has a worker, or each replica of a cluster has one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from demo.compute.backend import AbandonedError, CheckResult, Turn
from demo.compute.memory_limit import check_memory
from demo.compute.paired_passes import PairedPasses
from demo.compute.single_flight import SingleFlight
from gradcam_core import Examination, Explanation, Model
from gradcam_core.explanation.examination import run_passes
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import ViewName
from gradcam_core.images.prepare import PreparedInput, prepare
from gradcam_core.images.preprocessing import ResizablePhoto
from gradcam_core.models.loading import loader
from gradcam_core.models.model import parts_of_choice

T = TypeVar("T")

HELD_BYTES = 384 * 2**20
"""Memory for forward passes held open, for the next class."""

PROGRESS_INTERVAL_S = 0.1
"""Seconds between two reports of progress."""

_OVERHEAD_BYTES = 2**18  # of an examination, in addition to its pass


@dataclass(frozen=True)
class PassKey:
    """The key of a forward pass. network: its name, the name of the network that it stands in for
    ("" for none), and the reason."""

    photo_id: str
    network: tuple[str, str, str]
    view: ViewName
    detail: int
    layer: str | None


@dataclass(frozen=True, eq=False)
class PassRequest:
    """A forward pass to run. layer: None is the target layer. probabilities: those of the pass at
    detail 1, if that pass has run."""

    model: Model
    layer: str | None
    prepared: PreparedInput
    probabilities: np.ndarray | None = None


class InputSource(Protocol):
    """Provides the input of a pass that is not held."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """The context in which the pass runs; entering it waits for the request's turn."""

    async def prepared(self, model: Model, view: ViewName, detail: int) -> PreparedInput: ...


class Worker:
    """memory_limit_bytes: for one pass. map_threads: threads that make maps from passes held open.
    submit: starts a pass; None runs each pass by itself. held_bytes: for all passes held open.
    meanwhile: whether a stand-in computes while the weights of a network are being downloaded."""

    def __init__(
        self,
        memory_limit_bytes: int,
        map_threads: int = 2,
        submit: Callable[[PassRequest], Future[Examination]] | None = None,
        held_bytes: int = HELD_BYTES,
        meanwhile: bool = False,
    ) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._meanwhile = meanwhile
        self._submit = submit or self._run_alone
        # A pass uses all cores: two at once would slow each other down.
        self._passes = ThreadPoolExecutor(1, thread_name_prefix="pass")
        self._paired = PairedPasses()
        self._maps = ThreadPoolExecutor(map_threads, thread_name_prefix="map")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="slow method")
        self.held: SingleFlight[Examination] = SingleFlight(
            held_bytes, lambda held: held.run.nbytes + _OVERHEAD_BYTES
        )

    def preload(self, models: Iterable[str]) -> None:
        """Starts loading these networks in the background."""
        for name in models:
            self._request(name)

    async def load(self, name: str) -> AsyncGenerator[float | Model | None]:
        """Yields the progress of the download (0 to 1; None if nothing is being downloaded), and
        the network at the end. Raises WeightsError."""
        loading = self._request(name)
        while not loading.done():
            yield loader(name).progress
            await asyncio.sleep(PROGRESS_INTERVAL_S)
        yield loading.result()

    async def arrival(self, name: str) -> AsyncGenerator[float | None]:
        """Yields the progress of the download of a network's weights (0 to 1; None before the first
        byte) for as long as a stand-in computes in its place."""
        while loader(name).is_arriving:
            yield loader(name).progress
            await asyncio.sleep(PROGRESS_INTERVAL_S)

    def _request(self, name: str) -> Future[Model]:
        return loader(name).request(meanwhile=self._meanwhile)

    async def loaded(self, name: str) -> Model:
        """The network. Raises WeightsError."""
        # All callers share one future: a caller that is cancelled must not cancel it.
        return await asyncio.shield(asyncio.wrap_future(self._request(name)))

    def is_held(self, photo_id: str, request: ExplanationRequest) -> bool:
        """Whether the pass that this request needs is held."""
        loading = self._request(request.model)
        if not loading.done() or loading.exception():
            return False
        model = loading.result()
        if _must_find_layer(model, request):
            return False
        return (
            self.held.kept(_key(photo_id, model, request, model.layer_named(request.layer)))
            is not None
        )

    async def hold(
        self, photo_id: str, request: ExplanationRequest, source: InputSource
    ) -> tuple[PassKey, Examination]:
        """The key of the pass that the request needs, and the pass, held open. Raises
        MemoryLimitError, WeightsError, and BusyError if the queue is full."""
        model = await self.loaded(request.model)
        if _must_find_layer(model, request):
            async with source.slot():
                layer = await asyncio.wrap_future(
                    self._passes.submit(model.layer_named, request.layer)
                )
        else:
            layer = model.layer_named(request.layer)
        key = _key(photo_id, model, request, layer)
        held = self.held.kept(key)
        if held is None:
            held = await self._run(key, model, source)
        return key, held

    async def explain(
        self, photo_id: str, request: ExplanationRequest, source: InputSource
    ) -> AsyncGenerator[float | Explanation]:
        """Yields the progress of the method (0 to 1) once the pass is held, and the explanation at
        the end."""
        key, held = await self.hold(photo_id, request, source)
        yield 0.0
        work = partial(held.answer, request)
        if not request.is_slow:
            yield await asyncio.get_running_loop().run_in_executor(self._maps, work)
            return
        async with aclosing(_with_progress(self._slow, work)) as steps:
            async for step in steps:
                yield step
        self.held.weigh_again(key)

    async def check(
        self, photo: ResizablePhoto, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | CheckResult]:
        """Yields the progress of the trust checks (0 to 1), and their result at the end."""
        from gradcam_core.analysis.trust.run_checks import run_checks

        model = await self.loaded(request.model)
        check_memory(model, e.geometry, self._memory_limit_bytes, copies=1)

        def check(on_progress: Callable[[float], None]) -> CheckResult:
            return CheckResult.of(run_checks(photo, model, e, on_progress=on_progress))

        async with aclosing(_with_progress(self._slow, check)) as steps:
            async for step in steps:
                yield step

    async def explain_once(
        self, picture: Image.Image, requests: Sequence[ExplanationRequest], turn: Turn
    ) -> list[Explanation | Exception]:
        """Explains an RGB picture by the last feature map: for each request its explanation, or the
        error that prevented it. Nothing is kept. Other passes may run between those of one picture.
        """
        # Before the turn, so that inputs are prepared while the passes of the last frame run.
        inputs = [self._input_once(picture, one) for one in requests]
        prepared = await asyncio.gather(*map(_or_why_not, inputs))
        passes = [
            (ready.model.info.name, lambda ready=ready, one=one: _run_one(ready).answer(one))
            for one, ready in zip(requests, prepared, strict=True)
            if isinstance(ready, PassRequest)
        ]
        answers: list[Explanation | Exception] = []
        async with turn():
            for job in self._paired.jobs(passes):
                answers += await asyncio.wrap_future(self._passes.submit(job))
        found = iter(answers)
        return [one if isinstance(one, Exception) else next(found) for one in prepared]

    async def _input_once(self, picture: Image.Image, request: ExplanationRequest) -> PassRequest:
        model = await self.loaded(request.model)
        work = partial(prepare, picture, model.preprocessing, request.view)
        prepared = await asyncio.get_running_loop().run_in_executor(self._maps, work)
        check_memory(model, prepared.geometry, self._memory_limit_bytes)
        return PassRequest(model, None, prepared)

    async def run_together(self, passes: Sequence[PassRequest]) -> list[Examination]:
        """Runs passes of one network and layer over inputs of equal size as one batch."""
        return await asyncio.wrap_future(self._passes.submit(_run_together, passes))

    def close(self) -> None:
        """Starts no further work."""
        for pool in (self._passes, self._maps, self._slow):
            pool.shutdown(wait=False, cancel_futures=True)
        self._paired.close()

    async def _run(self, key: PassKey, model: Model, source: InputSource) -> Examination:
        async with source.slot():
            published = None
            if key.detail > 1 or key.layer is not None:
                # Classes and probabilities are those that the network gives as published.
                published_key = PassKey(key.photo_id, key.network, key.view, 1, None)
                published = await self._once(published_key, model, source)
            return await self._once(key, model, source, published)

    async def _once(
        self,
        key: PassKey,
        model: Model,
        source: InputSource,
        published: Examination | None = None,
    ) -> Examination:
        held = self.held.kept(key)
        if held is not None:
            return held
        prepared = await source.prepared(model, key.view, key.detail)
        check_memory(model, prepared.geometry, self._memory_limit_bytes)
        probabilities = None if published is None else published.probabilities
        request = PassRequest(model, key.layer, prepared, probabilities)
        return await self.held.get(key, lambda: self._submit(request))

    def _run_alone(self, request: PassRequest) -> Future[Examination]:
        return self._passes.submit(_run_one, request)


async def _or_why_not(work: Awaitable[T]) -> T | Exception:
    try:
        return await work
    except Exception as error:
        return error


def _run_together(passes: Sequence[PassRequest]) -> list[Examination]:
    first, inputs = passes[0], [one.prepared for one in passes]
    known = [one.probabilities for one in passes if one.probabilities is not None]
    return run_passes(first.model, inputs, first.layer, known or None)


def _run_one(one: PassRequest) -> Examination:
    return _run_together([one])[0]


def _key(photo_id: str, model: Model, request: ExplanationRequest, layer: str | None) -> PassKey:
    # A stand-in has passes of its own: the examination carries the notice that it is one.
    replaced = model.stands_in_for.name if model.stands_in_for else ""
    network = model.info.name, replaced, model.reason
    return PassKey(photo_id, network, request.view, request.detail, layer)


def _must_find_layer(model: Model, request: ExplanationRequest) -> bool:
    """Whether a pass has to run before the layer is known."""
    has_number = any(
        not isinstance(one, str) and one != 1 for one in parts_of_choice(request.layer)
    )
    return has_number and "stages" not in vars(model)


async def _with_progress(
    pool: ThreadPoolExecutor, work: Callable[..., T]
) -> AsyncGenerator[float | T]:
    """Runs work in the pool; yields its progress (0 to 1), and its result at the end. work: takes
    `on_progress`. Once the iterator is closed, the work ends at its next report.

    Not anyio's `from_thread.check_cancelled`, which does not see that an asyncio task was
    cancelled.
    """
    done = [0.0]
    is_abandoned = threading.Event()

    def note(share: float) -> None:
        if is_abandoned.is_set():
            raise AbandonedError
        done[0] = share

    future = pool.submit(work, on_progress=note)
    try:
        while not future.done():
            yield done[0]
            await asyncio.sleep(PROGRESS_INTERVAL_S)
        yield future.result()
    finally:
        is_abandoned.set()
        future.cancel()
