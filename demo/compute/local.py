"""Computes in the page's own process, with all its cores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import cachetools

from demo.compute import memory_limit as budget
from demo.compute.backend import Checked, Network
from demo.compute.priority_executor import Lanes
from demo.compute.progress import POLL, with_progress
from demo.compute.single_flight import SharedWork
from gradcam_core import Examination, Explanation, Model
from gradcam_core.cam.methods import method_named
from gradcam_core.examination import PreparedInput, prepare, run_passes
from gradcam_core.models.loading import loader
from gradcam_core.request import ExplanationRequest

if TYPE_CHECKING:
    from demo.compute.photo import PhotoFile

HELD_BYTES = 384 * 2**20
"""Of forward passes held open, for the next class."""

PREPARED_BYTES = 16 * 2**20
"""Of inputs of networks that wait for their pass."""

SEEN = 10_000
"""Passes that are remembered to have run, also when they are no longer held."""

PHOTOS_AT_ONCE = 4
"""One passes through the networks, others are decoded meanwhile."""

# A pass uses all cores: two at once take each other's time, and the first is not sooner ready.
_passes = Lanes("pass")
# One core's work, done for the next network during the pass of the one before.
_preparing = Lanes("prepare")
_maps = ThreadPoolExecutor(2, thread_name_prefix="map")
_slow = ThreadPoolExecutor(1, thread_name_prefix="slow method")


def _size(examination: Examination) -> int:
    return examination.run.nbytes + 2**18


_held: SharedWork[Examination] = SharedWork(_passes, HELD_BYTES, _size)
_prepared: SharedWork[PreparedInput] = SharedWork(
    _preparing, PREPARED_BYTES, lambda prepared: prepared.batch.nbytes
)
_seen: cachetools.LRUCache[Hashable, None] = cachetools.LRUCache(SEEN)


def start(models: Iterable[str]) -> None:
    for name in models:
        loader(name).request()


def photos_at_once() -> int:
    return PHOTOS_AT_ONCE


def slow_at_once() -> int:
    return 1  # each takes all cores for up to minutes


def is_seen(photo: PhotoFile, wanted: ExplanationRequest) -> bool:
    loading = loader(wanted.model).request()
    if not loading.done() or loading.exception():
        return False
    model = loading.result()
    if wanted.depth < 1 and "stages" not in vars(model):
        return False
    layer = wanted.layer_of(model)
    return _key(photo, model, wanted.view, wanted.detail, layer) in _seen


async def loaded(name: str) -> AsyncGenerator[float | Network | None]:
    loading = loader(name).request()
    while not loading.done():
        yield loader(name).progress
        await asyncio.sleep(POLL)
    yield Network.of(loading.result())


async def look(photo: PhotoFile, network: Network, wanted: ExplanationRequest) -> None:
    await _examination(photo, await _model(wanted.model), wanted)


async def explain(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest
) -> AsyncGenerator[float | Explanation]:
    key, held = await _examination(photo, await _model(wanted.model), wanted)
    yield 0.0
    work = partial(held.answer, wanted)
    if not method_named(wanted.method).is_slow:
        yield await asyncio.get_running_loop().run_in_executor(_maps, work)
        return
    async for step in with_progress(_slow, work):
        yield step
    _held.weigh_again(key)


async def check(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest, e: Explanation
) -> AsyncGenerator[float | Checked]:
    from gradcam_core.analysis.trust import trust

    model = await _model(wanted.model)
    budget.check(model, e.geometry, copies=1)
    async for step in with_progress(_slow, partial(trust, photo.picture, model, e)):
        yield step if isinstance(step, float) else Checked.of(step)


async def _model(name: str) -> Model:
    return await asyncio.wrap_future(loader(name).request())


async def _examination(
    photo: PhotoFile, model: Model, wanted: ExplanationRequest
) -> tuple[tuple, Examination]:
    """The pass that `wanted` needs, held open, and its key."""
    layer = None
    if wanted.depth < 1:
        finding = _passes.submit(partial(wanted.layer_of, model), urgent=True)
        layer = await asyncio.wrap_future(finding)
    key = _key(photo, model, wanted.view, 1, None)
    published = _held.kept(key)
    if published is None:
        # ResNet50 and VGG19 are shown the same.
        prepared = await _prepared.get(
            (photo.id, model.preprocessing, wanted.view),
            lambda: prepare(photo.picture, model.preprocessing, wanted.view),
            partial(_preparing.submit, urgent=key in _seen),
        )
        budget.check(model, prepared.geometry)
        published = await _pass(key, lambda: run_passes(model, [prepared])[0])
    detail = wanted.detail
    if detail == 1 and layer is None:
        return key, published
    budget.check(model, published.geometry.enlarged(detail))
    key = _key(photo, model, wanted.view, detail, layer)
    return key, await _pass(key, lambda: published.at(photo.picture, detail, layer))


async def _pass(key: tuple, run: Callable[[], Examination]) -> Examination:
    """The pass held open. One that ran before and is no longer held is for a visitor who goes on,
    and comes first."""
    held = await _held.get(key, run, partial(_passes.submit, urgent=key in _seen))
    _seen[key] = None
    return held


def _key(photo: PhotoFile, model: Model, view: str, detail: int, layer: str | None) -> tuple:
    # Also by who stands in for whom: the examination carries the notice that says so.
    wanted = model.stands_in_for.name if model.stands_in_for else ""
    return photo.id, model.info.name, wanted, model.reason, view, detail, layer
