"""The service that explains visitors' photos and checks the explanations for the page, the API and
downloads. It holds the request queue and the results of checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import TypeVar

import cachetools

from demo.compute.backend import Backend, CheckResult, NetworkInfo
from demo.compute.live_turns import LiveTurns
from demo.compute.memory_limit import affordable
from demo.compute.photo import PhotoFile, PhotoStore, read_frame
from demo.compute.request_queue import LENGTH, QueueTicket, RequestQueue
from demo.settings import Settings
from gradcam_core import Explanation
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.models.registry import model_info

SLOW_QUEUE_LENGTH = 8
"""Requests that may wait for a slow method; each takes up to minutes."""

CHECKS_KEPT = 500
"""Check results that are kept: some 40 kilobytes each, most of it the two pictures."""

CHECKS_KEPT_S = 3600
"""Seconds for which check results are kept: no longer than the photos they show."""

PHOTOS = 10_000
"""Photos that the service remembers as served before."""

OF_EXAMPLES = 200
"""Explanations of our examples that are kept: they are small, the same for everybody, and every
visitor begins with one."""

_DEFAULTS = Settings()

_Result = TypeVar("_Result", Explanation, CheckResult)


class ComputeService:
    """photos: opens and decodes visitors' photos. live: the turns of camera frames.

    Closing an iterator, or cancelling a call, drops the work that nobody else waits for. All
    methods raise GradcamError for errors that users can fix or wait out.
    """

    def __init__(self, backend: Backend, queue_length: int = LENGTH) -> None:
        self.photos = PhotoStore()
        self._backend = backend
        self._queue = RequestQueue(backend.photos_at_once, queue_length)
        self._slow_queue = RequestQueue(backend.slow_at_once, SLOW_QUEUE_LENGTH)
        self.live = LiveTurns(lambda: self._queue.is_busy or self._slow_queue.is_busy)
        self._checks: cachetools.TTLCache[Hashable, CheckResult]
        self._checks = cachetools.TTLCache(CHECKS_KEPT, CHECKS_KEPT_S)
        self._of_examples: cachetools.LRUCache[Hashable, Explanation]
        self._of_examples = cachetools.LRUCache(OF_EXAMPLES)
        self._networks: dict[str, NetworkInfo] = {}  # each as of its last request
        self._served: cachetools.LRUCache[str, None] = cachetools.LRUCache(PHOTOS)

    def enter(
        self, photo: PhotoFile, requests: Sequence[ExplanationRequest], others: int = 0
    ) -> QueueTicket:
        """One queue ticket for all these requests. It joins the queue unless all their passes are
        held open, as they usually are for another class of the same photo.

        others: further users of the photo that also release the ticket. Raises BusyError if the
        queue is full.
        """
        known = (photo.uncovered or photo).id in self._served
        ticket = self._queue.ticket(len(requests) + others, known)
        if not all(self._is_known(photo, affordable(one)) for one in requests):
            ticket.join()
        return ticket

    def _is_known(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        network = self._networks.get(request.model)
        is_kept = network is not None and self._kept(photo, network, request) is not None
        return is_kept or self._backend.is_held(photo, request)

    def _kept(
        self, photo: PhotoFile, network: NetworkInfo, request: ExplanationRequest
    ) -> Explanation | None:
        key = photo.id, network, request
        return self._of_examples.get(key) if photo.is_example else None

    async def arrival(self, model: str) -> AsyncGenerator[str]:
        """Yields in words, at each change, how much has been downloaded of the weights for which a
        stand-in computes; ends when the download has finished or failed."""
        title, said = model_info(model).title, ""
        async with aclosing(self._backend.arrival(model)) as shares:
            async for share in shares:
                how_far = " …" if share is None else f", {100 * share:.0f} %"
                if said != (said := f"{title} is arriving{how_far}"):
                    yield said

    async def explain(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> AsyncGenerator[str | NetworkInfo | Explanation]:
        """Yields progress in words for people, the network once it is loaded, and the explanation
        at the end. Releases the ticket once the photo is no longer needed, or when the network's
        weights must be loaded first.

        The class of a covered photo is that of the uncovered photo, which is explained first."""
        request = affordable(request)
        with ExitStack() as needs_photo:
            needs_photo.callback(ticket.release)
            async for progress in self._backend.load(request.model):
                if isinstance(progress, NetworkInfo):
                    self._networks[request.model] = network = progress
                    yield progress
                else:
                    needs_photo.close()
                    yield _loading_text(progress)
            if (kept := self._kept(photo, network, request)) is not None:
                yield kept
                return
            yield "Looking …"
            if request.is_slow:
                for one in filter(None, (photo.uncovered, photo)):
                    await self._backend.hold(one, request, ticket)
                needs_photo.close()
            uncovered: Explanation | None = None
            if photo.uncovered is not None:
                steps = self._explain(photo.uncovered, network, request, ticket, lambda: None)
                async with aclosing(steps):
                    async for step in steps:
                        if isinstance(step, Explanation):
                            uncovered = step
                            request = replace(request, target=step.target.index)
                        else:
                            yield step
            steps = self._explain(photo, network, request, ticket, needs_photo.close)
            async with aclosing(steps):
                async for step in steps:
                    if isinstance(step, Explanation) and _is_of_same_network(step, uncovered):
                        step = replace(step, uncovered=uncovered)
                    yield step

    async def _explain(
        self,
        photo: PhotoFile,
        network: NetworkInfo,
        request: ExplanationRequest,
        ticket: QueueTicket,
        on_held: Callable[[], None],
    ) -> AsyncGenerator[str | Explanation]:
        """on_held: called once the photo is no longer needed."""
        if (kept := self._kept(photo, network, request)) is not None:
            yield kept
            return
        method = method_named(request.method)
        explaining = self._backend.explain(photo, request, ticket)
        steps = self._slowly(explaining, method.title) if request.is_slow else explaining
        async with aclosing(steps):
            async for step in steps:
                on_held()
                if isinstance(step, Explanation):
                    self._served[photo.id] = None
                    notices = (await photo.notes()).notices
                    step = replace(step, photo_notices=notices, covers=photo.covers)
                    if photo.is_example and step.notice == network.notice:  # not changed meanwhile
                        self._of_examples[photo.id, network, request] = replace(step)
                if not isinstance(step, float):
                    yield step

    async def explain_all(
        self, photo: PhotoFile, requests: Sequence[ExplanationRequest]
    ) -> list[Explanation]:
        """Waits in the queue, then explains one photo: one explanation for each request."""
        with self.enter(photo, requests) as ticket:
            await ticket.turn()
            await photo.decode()  # an ImageError before weights are waited for
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._last(photo, one, ticket)) for one in requests]
            except* Exception as errors:
                raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def explain_frame(
        self, frame: bytes, requests: Sequence[ExplanationRequest]
    ) -> list[Explanation | Exception]:
        """Explains one camera frame, a JPEG: for each request its explanation, or the error that
        prevented it. Waits for its turn among live visitors and keeps nothing. Raises ImageError.
        """
        failed = [await self._why_not_loaded(one.model) for one in requests]
        picture = await self.photos.run(lambda: read_frame(frame))
        ready = [one for one, error in zip(requests, failed, strict=True) if error is None]
        found = iter(await self._backend.explain_once(picture, ready, self.live.turn))
        return [error or next(found) for error in failed]

    async def _why_not_loaded(self, model: str) -> Exception | None:
        try:
            async for _ in self._backend.load(model):
                pass
        except Exception as error:
            return error
        return None

    async def check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[str | CheckResult]:
        """Yields the progress of the trust checks in words, and their result at the end. They take
        as long as a slow method and wait in the same queue. e: an explanation of `explain`."""
        request = affordable(request)
        key = self._key_of_check(photo, request, e)
        found = self._checks.get(key)
        if found is None:
            async for progress in self._backend.load(request.model):
                if not isinstance(progress, NetworkInfo):
                    yield _loading_text(progress)
            checking = self._backend.check(photo, request, e)
            async with aclosing(self._slowly(checking, "Checking")) as steps:
                async for step in steps:
                    if isinstance(step, str):
                        yield step
                    else:
                        found = self._checks[key] = step
        assert found is not None
        yield found

    def known_check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> CheckResult | None:
        """The result of an earlier `check` of this explanation; None if it is not kept."""
        return self._checks.get(self._key_of_check(photo, request, e))

    @staticmethod
    def _key_of_check(
        photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> tuple[Hashable, ...]:
        of_class = replace(affordable(request), target=e.target.index)
        return photo.id, e.model, e.stands_in_for, of_class

    def close(self) -> None:
        """Starts no further work."""
        self._backend.close()
        self.photos.close()

    async def _last(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> Explanation:
        async for step in self.explain(photo, request, ticket):
            last = step
        assert isinstance(last, Explanation)
        return last

    async def _slowly(
        self, work: AsyncGenerator[float | _Result], title: str
    ) -> AsyncGenerator[str | _Result]:
        """Runs work of up to minutes in the queue for slow work. Yields the position and the
        progress in words, and the result at the end."""
        with self._slow_queue.ticket() as ticket:
            ticket.join()
            async for position in ticket.positions():
                yield f"{title}: number {position} in the queue"
            async with aclosing(work) as steps:
                async for step in steps:
                    yield f"{title}: {step:.0%}" if isinstance(step, float) else step


def _is_of_same_network(e: Explanation, other: Explanation | None) -> bool:
    """Whether the same network made both: between the two, arriving weights may have replaced a
    stand-in."""
    return other is not None and (e.model, e.layer) == (other.model, other.layer)


_running: ComputeService | None = None


def start(models: Iterable[str] = (), settings: Settings = _DEFAULTS) -> ComputeService:
    """Starts a new service on the backend of the settings, which `service` returns from now on, and
    closes an earlier one.

    models: networks to load in the background, so that the first visitor waits less. Raises
    BackendError if the backend cannot be started.
    """
    global _running
    if _running is not None:
        _running.close()
    _running = ComputeService(_backend(models, settings))
    return _running


def service() -> ComputeService:
    """The running service. Raises RuntimeError before `start`."""
    if _running is None:
        raise RuntimeError("No service runs: call demo.compute.service.start first.")
    return _running


def _backend(models: Iterable[str], settings: Settings) -> Backend:
    if settings.backend == "ray":
        from demo.compute.cluster.client import connect

        return connect(settings.ray_address)
    from demo.compute.local import LocalBackend

    return LocalBackend(models, settings.memory_bytes)


def _loading_text(progress: float | None) -> str:
    if progress is None:
        return "Loading the weights …"
    return f"Downloading the weights … {progress:.0%}"
