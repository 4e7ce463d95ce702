"""Computes in the page's own process, with all its cores."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

from PIL import Image

from demo.compute.backend import Backend, CheckResult, NetworkInfo, Turn
from demo.compute.memory_limit import default_limit_bytes
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import QueueTicket
from demo.compute.single_flight import SingleFlight
from demo.compute.worker import HELD_BYTES, Worker
from gradcam_core import Explanation, Model
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import ViewName
from gradcam_core.images.prepare import PreparedInput, prepare

PREPARED_BYTES = 16 * 2**20
"""Memory for networks' inputs that wait for their pass."""

PHOTOS_AT_ONCE = 4
"""One photo passes through the networks while the others are decoded."""


class LocalBackend(Backend):
    """models: networks to load in the background. memory_limit_bytes: for one forward pass; None
    derives it from the machine's memory. held_bytes: for all forward passes held open."""

    photos_at_once = PHOTOS_AT_ONCE
    slow_at_once = 1  # each takes all cores for up to minutes
    takes_frames = True

    def __init__(
        self,
        models: Iterable[str] = (),
        memory_limit_bytes: int | None = None,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        limit_bytes = memory_limit_bytes or default_limit_bytes()
        self.worker = Worker(limit_bytes, held_bytes=held_bytes, meanwhile=True)
        self._inputs = _Inputs()
        self.worker.preload(models)

    def is_held(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        return self.worker.is_held(photo.id, request)

    async def load(self, model: str) -> AsyncGenerator[float | NetworkInfo | None]:
        async for step in self.worker.load(model):
            yield NetworkInfo.of(step) if isinstance(step, Model) else step

    def arrival(self, model: str) -> AsyncGenerator[float | None]:
        return self.worker.arrival(model)

    async def hold(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> None:
        await self.worker.hold(photo.id, request, _PhotoInput(photo, ticket, self._inputs))

    def explain(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> AsyncGenerator[float | Explanation]:
        return self.worker.explain(photo.id, request, _PhotoInput(photo, ticket, self._inputs))

    async def check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | CheckResult]:
        checking = self.worker.check(await photo.decode(), request, e)
        async with aclosing(checking) as steps:
            async for step in steps:
                yield step

    async def explain_once(
        self, picture: Image.Image, requests: Sequence[ExplanationRequest], turn: Turn
    ) -> list[Explanation | Exception]:
        return await self.worker.explain_once(picture, requests, turn)

    def close(self) -> None:
        self.worker.close()
        self._inputs.pool.shutdown(wait=False, cancel_futures=True)


class _Inputs:
    """Prepares networks' inputs while the previous pass runs; networks with the same preprocessing
    share an input."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._shared: SingleFlight[PreparedInput] = SingleFlight(
            PREPARED_BYTES, lambda prepared: prepared.batch.nbytes
        )

    async def get(
        self, photo: PhotoFile, model: Model, view: ViewName, detail: int
    ) -> PreparedInput:
        def make() -> PreparedInput:
            return prepare(photo.picture, model.preprocessing, view, detail)

        key = photo.id, model.preprocessing, view, detail
        return await self._shared.get(key, lambda: self.pool.submit(make))


@dataclass(frozen=True)
class _PhotoInput:
    photo: PhotoFile
    ticket: QueueTicket
    inputs: _Inputs

    def slot(self) -> AbstractAsyncContextManager[None]:
        return self.ticket.pass_slot()

    async def prepared(self, model: Model, view: ViewName, detail: int) -> PreparedInput:
        return await self.inputs.get(self.photo, model, view, detail)
