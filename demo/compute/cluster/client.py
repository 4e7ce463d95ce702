"""Computes on a Ray cluster: the page's process decodes photos, but neither loads networks nor
imports PyTorch. A request whose replica has died is sent to another replica."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import cachetools
import numpy as np
from PIL import Image

from demo.compute.backend import Backend, CheckResult, NetworkInfo, Turn
from demo.compute.cluster.connection import connected_handle
from demo.compute.cluster.messages import (
    CheckRequest,
    Failed,
    ModelRequest,
    NetworkInput,
    NotHeld,
    PhotoRequest,
    Request,
)
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import QueueTicket
from demo.compute.single_flight import SingleFlight
from gradcam_core import Explanation
from gradcam_core.errors import RemoteError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import RESIZE_MAX_PIXELS, view_of

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Replicas that may fail on one request before it is given up."""

NO_REPLICA_TIMEOUT_S = 60.0
"""Seconds that a request waits while there is no replica at all."""

INPUT_BYTES = 64 * 2**20
"""Memory for the networks' inputs, kept for the next class: half a megabyte for a photo and three
networks."""

PASSES = 10_000
"""Passes that the page remembers as held by a replica."""

_FIRST_PAUSE_S = 0.2  # before the request goes to another replica; doubled each time
_REPLICA_CHECK_S = 1.0  # at most, between two checks whether there are replicas

NO_REPLICA = (
    "The replicas that compute the maps do not answer at the moment. Try again in a minute."
)
TOO_OFTEN = "The replicas that compute the maps failed repeatedly on this request. Try again later."


def connect(address: str) -> ClusterBackend:
    """The backend on the cluster at this address. Raises BackendError if there is none."""
    return ClusterBackend(*connected_handle(address))


class ClusterBackend(Backend):
    """handle: Serve's handle of the replicas. replicas: their number."""

    takes_frames = False

    def __init__(
        self, handle: Any, replicas: int, no_replica_timeout_s: float = NO_REPLICA_TIMEOUT_S
    ) -> None:
        self.photos_at_once = max(4, 2 * replicas)  # so that each replica has its next photo ready
        self.slow_at_once = replicas
        self._handle = handle
        self._no_replica_timeout_s = no_replica_timeout_s
        self._networks: dict[str, NetworkInfo] = {}
        self._held: cachetools.LRUCache[Hashable, None] = cachetools.LRUCache(PASSES)
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._inputs: SingleFlight[NetworkInput] = SingleFlight(
            INPUT_BYTES, lambda one: sum(picture.nbytes for picture in one.pictures.values())
        )

    def is_held(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        """Whether a replica has held the pass; the replica may have dropped it since."""
        network = self._networks.get(request.model)
        return network is not None and _key(photo, network, request) in self._held

    async def load(self, model: str) -> AsyncGenerator[float | NetworkInfo | None]:
        if model not in self._networks:
            async with aclosing(self._answers("load", ModelRequest(model))) as steps:
                async for step in steps:
                    if isinstance(step, NetworkInfo):
                        self._networks[model] = step
                    else:
                        yield step
        yield self._networks[model]

    async def arrival(self, model: str) -> AsyncGenerator[float | None]:
        """Yields nothing: a replica waits for its weights, and no stand-in computes meanwhile."""
        for _ in ():
            yield _

    async def hold(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> None:
        await self._answer("hold", photo, request, ticket)

    async def explain(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> AsyncGenerator[float | Explanation]:
        if not request.is_slow:
            yield await self._answer("explain", photo, request, ticket)
            return
        while True:
            # Sent without the input, which would need the ticket for as long as the method takes.
            message = PhotoRequest(photo.id, self._networks[request.model], request)
            is_missing = False
            async with aclosing(self._answers("explain", message)) as steps:
                async for step in steps:
                    is_missing = self._is_missing(step, photo, request)
                    if not is_missing:
                        yield step
            if not is_missing:
                return
            await self.hold(photo, request, ticket)

    async def check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | CheckResult]:
        network = self._networks[request.model]
        preparing = self._preparing.submit(_check_request, photo, network, request, e)
        message = await asyncio.wrap_future(preparing)
        async with aclosing(self._answers("check", message)) as steps:
            async for step in steps:
                yield step

    async def explain_once(
        self, picture: Image.Image, requests: Sequence[ExplanationRequest], turn: Turn
    ) -> list[Explanation | Exception]:
        raise NotImplementedError

    def close(self) -> None:
        self._preparing.shutdown(wait=False, cancel_futures=True)

    async def _answer(
        self, method: str, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> Any:
        """The last answer of a replica. If the replica does not hold the pass, the request waits
        for its turn and then sends the network's input along."""
        while True:
            network = self._networks[request.model]
            if self.is_held(photo, request):
                answer = await self._last(method, PhotoRequest(photo.id, network, request))
            else:
                async with ticket.pass_slot():
                    inputs = await self._input(photo, network, request)
                    message = PhotoRequest(photo.id, network, request, inputs)
                    answer = await self._last(method, message)
            if not self._is_missing(answer, photo, request):
                self._held[_key(photo, network, request)] = None
                return answer

    def _is_missing(self, answer: Any, photo: PhotoFile, request: ExplanationRequest) -> bool:
        """Whether the replica lacks the input, or needs one for the network that it now has."""
        if isinstance(answer, NetworkInfo):
            self._networks[request.model] = answer
        elif isinstance(answer, NotHeld):
            self._held.pop(_key(photo, self._networks[request.model], request), None)
        return isinstance(answer, NetworkInfo | NotHeld)

    async def _input(
        self, photo: PhotoFile, network: NetworkInfo, request: ExplanationRequest
    ) -> NetworkInput:
        details = sorted({1, request.detail})
        inputs = [await self._input_at(photo, network, request, detail) for detail in details]
        pictures = {detail: picture for one in inputs for detail, picture in one.pictures.items()}
        return NetworkInput(inputs[0].photo_size, pictures)

    async def _input_at(
        self, photo: PhotoFile, network: NetworkInfo, request: ExplanationRequest, detail: int
    ) -> NetworkInput:
        preprocessing = network.preprocessing

        def make() -> NetworkInput:
            picture = photo.picture
            geometry = view_of(picture.size, preprocessing, request.view, detail)
            pixels = np.asarray(geometry.picture(picture, preprocessing))
            return NetworkInput(picture.size, {detail: pixels})

        key = photo.id, preprocessing, request.view, detail
        return await self._inputs.get(key, lambda: self._preparing.submit(make))

    async def _last(self, method: str, message: Request) -> Any:
        """The last answer of a replica; costs less than the stream of all answers."""
        last = None
        async with aclosing(self._answers(method, message, only_last=True)) as steps:
            async for step in steps:
                last = step
        return last

    async def _answers(
        self, method: str, message: Request, only_last: bool = False
    ) -> AsyncGenerator[Any]:
        """Yields the answers of a replica; if it dies, those of another one from the start. Cancels
        the request when closed. Raises the error of a `Failed` answer, and RemoteError."""
        from ray.exceptions import RayError, RayTaskError
        from ray.serve.exceptions import RayServeException

        for attempt in range(ATTEMPTS):
            again = replace(message, attempt=attempt)
            handle = self._handle.options(
                method_name="last" if only_last else method,
                stream=not only_last,
                multiplexed_model_id=message.batch_key,
            )
            answering = handle.remote(again, method) if only_last else handle.remote(again)
            has_ended = False
            try:
                answers = _once(answering) if only_last else answering
                async with aclosing(self._while_replicas(answers)) as steps:
                    async for step in steps:
                        if isinstance(step, Failed):
                            raise step.error
                        yield step
                has_ended = True
                return
            except RayTaskError:
                raise  # an error in the code
            except (RayError, RayServeException) as error:
                log.warning("a replica failed: %s", type(error).__name__)
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
            finally:
                if not has_ended:
                    answering.cancel()
        raise RemoteError(TOO_OFTEN)

    async def _while_replicas(self, answers: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        """Yields the answers. Raises RemoteError if there has been no replica for too long."""
        from demo.compute.cluster.router import alive

        last_alive = time.monotonic()
        while True:
            step = asyncio.ensure_future(anext(answers))
            try:
                while not step.done():
                    timeout = min(_REPLICA_CHECK_S, self._no_replica_timeout_s)
                    await asyncio.wait([step], timeout=timeout)
                    if alive:
                        last_alive = time.monotonic()
                    elif time.monotonic() > last_alive + self._no_replica_timeout_s:
                        raise RemoteError(NO_REPLICA)
                try:
                    answer = step.result()
                except StopAsyncIteration:
                    return
            finally:
                step.add_done_callback(_retrieve)
                step.cancel()
            yield answer


def _key(photo: PhotoFile, network: NetworkInfo, request: ExplanationRequest) -> Hashable:
    return photo.id, network, request.view, request.detail, request.layer


def _check_request(
    photo: PhotoFile, network: NetworkInfo, request: ExplanationRequest, e: Explanation
) -> CheckRequest:
    picture, resample = photo.picture, network.preprocessing.resample
    published = view_of(picture.size, network.preprocessing, e.view)
    sizes = {published.resized, e.geometry.resized}
    if max(width * height for width, height in sizes) > RESIZE_MAX_PIXELS:
        sizes = {picture.size}
    resized = {size: np.asarray(picture.resize(size, resample)) for size in sizes}
    return CheckRequest(photo.id, picture.size, request, resized, e)


async def _once(answering: Any) -> AsyncGenerator[Any]:
    yield await answering


def _retrieve(step: asyncio.Future) -> None:
    """Keeps asyncio from logging the error of a step that nobody waits for any more."""
    if not step.cancelled():
        step.exception()
