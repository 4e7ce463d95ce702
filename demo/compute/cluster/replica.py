"""A worker of a cluster: a process of its own, which Serve starts, and restarts if it dies. Passes
that several visitors wait for run as one batch."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from ray import serve

from demo.compute.backend import CheckResult, NetworkInfo
from demo.compute.cluster.messages import (
    CheckRequest,
    Failed,
    ModelRequest,
    NetworkInput,
    NotHeld,
    PhotoRequest,
)
from demo.compute.memory_limit import default_limit_bytes
from demo.compute.worker import PassRequest, Worker
from demo.logs import keep_visitors_out_of_the_log
from gradcam_core import Examination, Explanation, Model
from gradcam_core.errors import CamError, GradcamError, WeightsError
from gradcam_core.images.geometry import ViewName, view_of
from gradcam_core.images.prepare import PreparedInput, prepare_pixels
from gradcam_core.models.custom import register_described
from gradcam_core.models.custom.description import Description
from gradcam_core.models.registry import list_models
from gradcam_core.system.memory import keep_freed_memory, start_trimming

PHOTOS_PER_PASS = {"cpu": 2, "cuda": 16}
"""The most photos that share one pass. On one core, two take 0.97 of the time of two passes."""

LARGE_BYTES = 2**28
"""Bytes of weights from which each photo has a pass of its own on a CPU. VGG19 is mostly dense
layers, through which the gradient for one photo passes for all: 51 ms with four, 22 with one."""

QUEUED_PASSES = 16
"""The most waiting passes that are taken at once and then grouped by what can run as one batch."""

GATHERING_S = 0.03
"""Seconds for which passes are gathered while another pass runs; otherwise a pass runs at once."""

NOT_HERE = "the replicas have no such network; start them with the same --network as the page"

_Steps = AsyncGenerator[Any, None]


class _NotHeldError(Exception):
    """The pass is not held, and no input was sent for it."""


def _answers(steps: Callable[..., _Steps]) -> Callable[..., _Steps]:
    """Wraps a method so that an error meant for people becomes its last answer."""

    @functools.wraps(steps)
    async def answering(self: Replica, request: Any) -> _Steps:
        try:
            async for step in steps(self, request):
                yield step
        except GradcamError as error:
            yield Failed(error)
        except _NotHeldError:
            yield NotHeld()

    return answering


class Replica:
    """replicas: their number; threads: of each replica; memory_limit_bytes: for one forward pass,
    None derives it from the machine's memory; models: networks to load at the start; described:
    users' own networks."""

    def __init__(
        self,
        replicas: int,
        threads: int,
        memory_limit_bytes: int | None,
        models: Iterable[str],
        described: Iterable[Description] = (),
    ) -> None:
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        keep_visitors_out_of_the_log()
        keep_freed_memory()  # for the next pass
        start_trimming()  # returns memory that stays free for longer
        torch.set_num_threads(threads)
        self._replicas = replicas
        # Assumes that all replicas share the memory of one machine.
        limit_bytes = memory_limit_bytes or default_limit_bytes(shared_by=replicas)
        self._worker = Worker(limit_bytes, map_threads=1, submit=self._submit)
        self._passes = 0  # passes that run or wait
        for one in described:
            register_described(one)
        self._worker.preload(models)

    def replicas(self) -> int:
        return self._replicas

    async def last(self, request: Any, method: str) -> Any:
        """The last answer of one of the methods below."""
        last = None
        async with aclosing(getattr(self, method)(request)) as steps:
            async for step in steps:
                last = step
        return last

    @_answers
    async def load(self, request: ModelRequest) -> AsyncGenerator[float | NetworkInfo | None]:
        if request.name not in {info.name for info in list_models()}:
            raise WeightsError(NOT_HERE)
        async for step in self._worker.load(request.name):
            yield NetworkInfo.of(step) if isinstance(step, Model) else step

    @_answers
    async def hold(self, message: PhotoRequest) -> AsyncGenerator[NetworkInfo | bool]:
        """Yields True, or the network that the replica now has if it differs from the message's."""
        network = await self._network(message.request.model)
        if network == message.network:
            await self._worker.hold(message.photo, message.request, _SentInput(message.input))
        yield network == message.network or network

    @_answers
    async def explain(
        self, message: PhotoRequest
    ) -> AsyncGenerator[NetworkInfo | float | Explanation]:
        """Yields the progress of the method (0 to 1) and the explanation, or only the network that
        the replica now has if it differs from the message's."""
        network = await self._network(message.request.model)
        if network != message.network:
            yield network
            return
        source = _SentInput(message.input)
        async with aclosing(self._worker.explain(message.photo, message.request, source)) as steps:
            async for step in steps:
                yield step

    @_answers
    async def check(self, message: CheckRequest) -> AsyncGenerator[float | CheckResult]:
        network, e = await self._network(message.request.model), message.explanation
        if network.info.name != e.model:
            raise CamError("The network has changed since this map was made. Ask for it again.")
        photo = _SentPhoto(message)
        async with aclosing(self._worker.check(photo, message.request, e)) as steps:
            async for step in steps:
                yield step

    async def _network(self, name: str) -> NetworkInfo:
        return NetworkInfo.of(await self._worker.loaded(name))

    def _submit(self, request: PassRequest) -> Future[Examination]:
        return asyncio.run_coroutine_threadsafe(self._in_batch(request), asyncio.get_running_loop())

    async def _in_batch(self, request: PassRequest) -> Examination:
        # A pass that is alone need not wait for others.
        Replica._run.set_batch_wait_timeout_s(GATHERING_S if self._passes else 0)
        self._passes += 1
        try:
            return await self._run(request)
        finally:
            self._passes -= 1

    @serve.batch(max_batch_size=QUEUED_PASSES, batch_wait_timeout_s=0)
    async def _run(self, passes: list[PassRequest]) -> list[Examination]:
        """Runs the passes that Serve has gathered, all of one network."""
        held: dict[int, Examination] = {}
        for numbers in _alike(passes):
            ran = await self._worker.run_together([passes[n] for n in numbers])
            held |= dict(zip(numbers, ran, strict=True))
        return [held[n] for n in range(len(passes))]


@dataclass(frozen=True)
class _SentInput:
    """The input of a pass, as sent by the page."""

    sent: NetworkInput | None

    def slot(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # the request has already waited in the page's queue

    async def prepared(self, model: Model, view: ViewName, detail: int) -> PreparedInput:
        if self.sent is None:
            raise _NotHeldError
        geometry = view_of(self.sent.photo_size, model.preprocessing, view, detail)
        pixels = self.sent.pictures[detail]
        return prepare_pixels(pixels, geometry, view, detail, model.preprocessing)


class _SentPhoto:
    """A photo at the sizes that the page has sent."""

    def __init__(self, message: CheckRequest) -> None:
        self.size = message.photo_size
        self._sent = {size: Image.fromarray(pixels) for size, pixels in message.resized.items()}

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image:
        whole = self._sent.get(self.size)
        return self._sent[size] if whole is None else whole.resize(size, resample, box)


def _alike(passes: list[PassRequest]) -> list[list[int]]:
    """Groups the passes that can run as one batch; gives their indices."""
    kinds: dict[tuple, list[int]] = {}
    for n, one in enumerate(passes):
        kind = id(one.model.module), one.layer, one.prepared.batch.shape, one.probabilities is None
        kinds.setdefault(kind, []).append(n)
    groups = []
    for numbers in kinds.values():
        most = _photos_per_pass(passes[numbers[0]])
        groups += [numbers[i : i + most] for i in range(0, len(numbers), most)]
    return groups


def _photos_per_pass(one: PassRequest) -> int:
    parameters = list(one.model.module.parameters())
    device = parameters[0].device.type
    is_large = device == "cpu" and sum(part.nbytes for part in parameters) > LARGE_BYTES
    if is_large or one.prepared.geometry.size != one.model.preprocessing.size.width_height:
        return 1
    return PHOTOS_PER_PASS[device]
