"""What computes in a cluster: loads the networks, runs passes and holds them open.

Each replica is a process of its own on one core. Serve starts it, and starts another where it dies.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from ray import serve

from demo.compute import memory_limit as budget
from demo.compute.backend import Checked, Network
from demo.compute.cluster.messages import AskedNetwork, Failed, Shown, ShownToCheck, Unseen
from demo.compute.local import HELD_BYTES
from demo.compute.priority_executor import Lanes
from demo.compute.progress import POLL, with_progress
from demo.compute.single_flight import SharedWork
from demo.compute.trimming import keep_trimmed
from demo.logs import keep_visitors_out_of_the_log
from gradcam_core import Examination, Explanation, Model
from gradcam_core.analysis.trust import trust
from gradcam_core.cam.methods import method_named
from gradcam_core.errors import CamError, ImageError, MemoryLimitError, WeightsError
from gradcam_core.examination import PreparedInput, device_of, prepare_pixels, run_passes
from gradcam_core.images.geometry import view_of
from gradcam_core.memory import keep_freed
from gradcam_core.models.custom import register_described
from gradcam_core.models.description import Description
from gradcam_core.models.loading import loader
from gradcam_core.models.registry import list_models

AT_ONCE = {"cpu": 2, "cuda": 16}
"""Photos in one pass at most. On one core two take 0.97 of the time that each alone takes."""

LARGE = 2**28
"""Bytes of weights from which on each photo has a pass of its own on a CPU. VGG19's dense layers
are most of it, and a map of one photo goes back through them for all: 51 ms of four, 22 of one."""

QUEUED = 16
"""Passes that are taken together from those that wait, and sorted by what can run in one."""

GATHERING = 0.03
"""Seconds in which passes that wait for another one are gathered; one that could run does not
wait."""

NOT_HERE = "the replicas have no such network; start them with the same --network as the page"

_LEAST_MEGABYTES = 512  # of a pass, enough for every published input

_Steps = AsyncGenerator[Any, None]


@dataclass(frozen=True)
class _Pass:
    """A pass to run. probabilities: at detail 1, where that is known."""

    model: Model
    layer: str | None
    prepared: PreparedInput
    probabilities: np.ndarray | None

    @property
    def alike(self) -> tuple:
        is_known = self.probabilities is not None
        return id(self.model.module), self.layer, self.prepared.batch.shape, is_known


class _UnseenError(Exception):
    """The pass is not held, and the photo was not sent."""


class _Photo:
    """What the checks need of a photo: its size, and itself in the sizes that were sent."""

    def __init__(self, shown: ShownToCheck) -> None:
        self.size = shown.size
        self._sent = {size: Image.fromarray(pixels) for size, pixels in shown.resized.items()}

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image:
        whole = self._sent.get(self.size)
        return self._sent[size] if whole is None else whole.resize(size, resample, box)


def _told(steps: Callable[..., _Steps]) -> Callable[..., _Steps]:
    """The steps, and of an error for people its sentence."""

    @functools.wraps(steps)
    async def telling(self: Replica, asked: Any) -> _Steps:
        try:
            async for step in steps(self, asked):
                yield step
        except (CamError, ImageError, WeightsError, MemoryLimitError) as error:
            yield Failed(type(error).__name__, str(error))
        except _UnseenError:
            yield Unseen()

    return telling


class Replica:
    """replicas: how many there are; threads: of each; models: those that are loaded at once;
    described: networks of one's own."""

    def __init__(
        self,
        replicas: int,
        threads: int,
        models: Iterable[str],
        described: Iterable[Description] = (),
    ) -> None:
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        keep_visitors_out_of_the_log()
        keep_freed()  # from pass to pass
        keep_trimmed()  # what is free for longer goes back
        torch.set_num_threads(threads)
        if not os.environ.get(budget.SETTING):
            # As if all were on one machine, whose memory they then share.
            share = max(_LEAST_MEGABYTES, budget.budget() / replicas / 2**20)
            os.environ[budget.SETTING] = str(share)
            budget.budget.cache_clear()
        self._replicas = replicas
        self._core = Lanes("pass")
        self._maps = ThreadPoolExecutor(1, thread_name_prefix="map")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="slow method")
        self._held: SharedWork[Examination] = SharedWork(
            self._core, HELD_BYTES, lambda held: held.run.nbytes + 2**18
        )
        self._running = 0
        for one in described:
            register_described(one)
        for name in models:
            loader(name).request()

    def replicas(self) -> int:
        return self._replicas

    async def last(self, asked: Any, method: str) -> Any:
        """The last step of one of the methods below."""
        last = None
        async with aclosing(getattr(self, method)(asked)) as steps:
            async for step in steps:
                last = step
        return last

    @_told
    async def loaded(self, asked: AskedNetwork) -> AsyncGenerator[float | Network | None]:
        if asked.name not in {info.name for info in list_models()}:
            raise WeightsError(NOT_HERE)
        loading = loader(asked.name).request()
        while not loading.done():
            yield loader(asked.name).progress
            await asyncio.sleep(POLL)
        yield Network.of(loading.result())

    @_told
    async def look(self, shown: Shown) -> AsyncGenerator[Network | bool]:
        """Ends with True, or with the network that is there now."""
        model = await self._model(shown)
        if (now := Network.of(model)) != shown.network:
            yield now
            return
        await self._examination(shown, model)
        yield True

    @_told
    async def explain(self, shown: Shown) -> AsyncGenerator[Network | float | Explanation]:
        """Ends with the explanation, or with the network that is there now."""
        model = await self._model(shown)
        if (now := Network.of(model)) != shown.network:
            yield now
            return
        key, held = await self._examination(shown, model)
        work = partial(held.answer, shown.wanted)
        if not method_named(shown.wanted.method).is_slow:
            yield await asyncio.get_running_loop().run_in_executor(self._maps, work)
            return
        async for step in with_progress(self._slow, work):
            yield step
        self._held.weigh_again(key)

    @_told
    async def check(self, shown: ShownToCheck) -> AsyncGenerator[float | Checked]:
        model, e = await self._model(shown), shown.explanation
        if model.info.name != e.model:
            raise CamError("The network has changed since this map was made. Ask for it again.")
        budget.check(model, e.geometry, copies=1)
        photo = cast(Image.Image, _Photo(shown))
        async for step in with_progress(self._slow, partial(trust, photo, model, e)):
            yield step if isinstance(step, float) else Checked.of(step)

    async def _model(self, shown: Shown | ShownToCheck) -> Model:
        return await asyncio.wrap_future(loader(shown.wanted.model).request())

    async def _examination(self, shown: Shown, model: Model) -> tuple[tuple, Examination]:
        """The pass that is wanted, held open, and its key. Raises _UnseenError."""
        wanted, layer = shown.wanted, None
        if wanted.depth < 1:
            finding = self._core.submit(partial(wanted.layer_of, model), urgent=True)
            layer = await asyncio.wrap_future(finding)
        key, published = await self._pass(shown, model, 1, None)
        if wanted.detail > 1 or layer is not None:
            return await self._pass(shown, model, wanted.detail, layer, published)
        return key, published

    async def _pass(
        self,
        shown: Shown,
        model: Model,
        detail: int,
        layer: str | None,
        published: Examination | None = None,
    ) -> tuple[tuple, Examination]:
        key = (*shown.home, shown.network, detail, layer)
        kept = self._held.kept(key)
        if kept is not None:
            return key, kept
        if shown.sight is None:
            raise _UnseenError
        view = shown.wanted.view
        geometry = view_of(shown.sight.size, model.preprocessing, view, detail)
        budget.check(model, geometry)
        pixels = shown.sight.pictures[detail]
        prepared = prepare_pixels(pixels, geometry, view, detail, model.preprocessing)
        wanted = _Pass(
            model, layer, prepared, None if published is None else published.probabilities
        )

        async def run() -> Examination:
            # Alone it has nothing to wait for.
            Replica._run.set_batch_wait_timeout_s(GATHERING if self._running else 0)
            self._running += 1
            try:
                return await self._run(wanted)
            finally:
                self._running -= 1

        loop = asyncio.get_running_loop()

        def make() -> Examination:
            raise AssertionError("passes run in batches")

        def submit(_: object) -> Future[Examination]:
            return asyncio.run_coroutine_threadsafe(run(), loop)

        return key, await self._held.get(key, make, submit)

    @serve.batch(max_batch_size=QUEUED, batch_wait_timeout_s=0)
    async def _run(self, passes: list[_Pass]) -> list[Examination]:
        """Passes that Serve has put together, which are of one network, run on the core."""
        found: dict[int, Examination] = {}
        for some in _alike(passes):
            work = partial(_forward, [passes[n] for n in some])
            held = await asyncio.wrap_future(self._core.submit(work))
            found |= zip(some, held, strict=True)
        return [found[n] for n in range(len(passes))]


def _alike(passes: list[_Pass]) -> list[list[int]]:
    """The numbers of those that can run in one pass."""
    kinds: dict[tuple, list[int]] = {}
    for n, one in enumerate(passes):
        kinds.setdefault(one.alike, []).append(n)
    pieces = []
    for numbers in kinds.values():
        at_once = _at_once(passes[numbers[0]])
        pieces += [numbers[i : i + at_once] for i in range(0, len(numbers), at_once)]
    return pieces


def _at_once(one: _Pass) -> int:
    parameters = one.model.module.parameters()
    device = device_of(one.model).type
    is_large = device == "cpu" and sum(part.nbytes for part in parameters) > LARGE
    if is_large or one.prepared.geometry.size != (one.model.preprocessing.size,) * 2:
        return 1
    return AT_ONCE[device]


def _forward(passes: list[_Pass]) -> list[Examination]:
    first = passes[0]
    known = [one.probabilities for one in passes if one.probabilities is not None]
    return run_passes(first.model, [one.prepared for one in passes], first.layer, known or None)
