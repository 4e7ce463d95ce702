"""What a visitor wants explained, computed step by step and shared with whoever wants the same."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import cachetools

from demo import budget
from demo.lanes import Lanes
from demo.line import Line, Ticket
from demo.photos import PhotoFile
from demo.shared_work import SharedWork
from gradcam_core import Examination, Explanation, Model
from gradcam_core.explain import Prepared, prepare
from gradcam_core.methods import DEFAULT_METHOD, method_named
from gradcam_core.models import loader
from gradcam_core.view import ViewName

if TYPE_CHECKING:
    from gradcam_core.trust import Trust

log = logging.getLogger(__name__)

HELD_BYTES = 384 * 2**20
"""Of forward passes held open, for the next class."""

PREPARED_BYTES = 16 * 2**20
"""Of inputs of networks that wait for their pass."""

SEEN = 10_000
"""Passes that are remembered to have run, also when they are no longer held."""

SLOW_LINE = 8
"""Visitors who may wait for a slow method, of which each takes up to minutes."""

TRUSTS = 1000
"""What has been found of explanations, that is kept: some kilobytes each."""

_POLL = 0.1  # seconds between two looks at what takes long

# A pass uses all cores: two at once take each other's time, and the first is not sooner ready.
_passes = Lanes("pass")
# One core's work, done for the next network during the pass of the one before.
_preparing = Lanes("prepare")
_maps = ThreadPoolExecutor(2, thread_name_prefix="map")
_slow = ThreadPoolExecutor(1, thread_name_prefix="slow method")
_slow_line = Line(at_once=1, longest=SLOW_LINE)

_line = Line()


def _size(examination: Examination) -> int:
    return examination.run.nbytes + 2**18


_held: SharedWork[Examination] = SharedWork(_passes, HELD_BYTES, _size)
_prepared: SharedWork[Prepared] = SharedWork(
    _preparing, PREPARED_BYTES, lambda prepared: prepared.batch.nbytes
)
_seen: cachetools.LRUCache[Hashable, None] = cachetools.LRUCache(SEEN)
_trusts: cachetools.LRUCache[Hashable, Trust] = cachetools.LRUCache(TRUSTS)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Wanted:
    """What is to be explained of a photo.

    model: the network's name. target: the class; None is the network's own top prediction, or the
    next one if it is `against`. against: a class that it is explained against; rivals: whether it
    is explained against those that the network holds most probable besides it. depth: in [0, 1],
    how far through the network's stages the layer lies that is looked at; 1 is the target layer of
    the paper.
    """

    model: str
    view: ViewName = "crop"
    target: int | None = None
    against: int | None = None
    rivals: bool = False
    method: str = DEFAULT_METHOD
    detail: int = 1
    depth: float = 1.0

    @property
    def contrast(self) -> bool | int:
        if not method_named(self.method).knows_class:
            return False
        return self.rivals if self.against is None else self.against

    @property
    def detail_run(self) -> int:
        """Score-CAM at detail 3 would keep all others waiting for an hour."""
        return 1 if method_named(self.method).needs == "scores of images" else self.detail


def entrance(photo: PhotoFile, wanted: Iterable[Wanted]) -> Ticket:
    """A place in the line of those whose photo the networks have not seen. With passes that have
    run before, as for another class, there is nothing to wait for. Raises BusyError."""
    return Ticket(_line) if all(_has_seen(photo, one) for one in wanted) else _line.join()


def _has_seen(photo: PhotoFile, wanted: Wanted) -> bool:
    loading = loader(wanted.model).request()
    if not loading.done() or loading.exception():
        return False
    model = loading.result()
    if wanted.depth < 1 and "stages" not in vars(model):
        return False
    layer = _layer(model, wanted.depth)
    return _key(photo, model, wanted.view, wanted.detail_run, layer) in _seen


async def explained(
    photo: PhotoFile, wanted: Wanted, on_looked: Callable[[], object] = lambda: None
) -> AsyncIterator[str | Model | Explanation]:
    """How far it is, in words for people, again and again; the network, once it is loaded; and the
    explanation at the end.

    on_looked: called once the photo is no longer needed, or cannot be used before weights have
    arrived. What has not begun when the iterator is closed is not done, unless others wait for it.
    Raises ImageError, WeightsError, CamError, BusyError or TooLargeError, whose messages are for
    people.
    """
    loading = loader(wanted.model).request()
    while not loading.done():
        on_looked()
        yield _loading_text(wanted.model)
        await asyncio.sleep(_POLL)
    model = loading.result()
    yield model
    yield "Looking …"
    key, held = await _examination(photo, model, wanted)
    on_looked()
    target = _own_top(held, wanted.against) if wanted.target is None else wanted.target
    explain = partial(held.explain, target, wanted.method, wanted.contrast)
    if not method_named(wanted.method).is_slow:
        yield await asyncio.get_running_loop().run_in_executor(_maps, explain)
        return
    async for step in _with_progress(explain, method_named(wanted.method).title):
        yield step
    _held.weigh_again(key)


async def trusted(photo: PhotoFile, wanted: Wanted, e: Explanation) -> AsyncGenerator[str | Trust]:
    """How far the checks of an explanation of `explained` are, in words, and what they have found.

    They take as much as a slow method and stand in the same line. Raises CamError, BusyError or
    TooLargeError, as `explained` does.
    """
    from gradcam_core.trust import trust

    model = await asyncio.wrap_future(loader(wanted.model).request())
    key = (photo.id, model.info.name, replace(wanted, target=e.target.index))
    found = _trusts.get(key)
    if found is None:
        budget.check(model, e.geometry, copies=1)
        check = partial(trust, photo.picture, model, e)
        async for step in _with_progress(check, "Checking"):
            if isinstance(step, str):
                yield step
            else:
                found = _trusts[key] = step
    assert found is not None
    yield found


def _own_top(held: Examination, against: int | None) -> int:
    return next(prediction.index for prediction in held.top if prediction.index != against)


async def explanation(
    photo: PhotoFile, wanted: Wanted, on_looked: Callable[[], object] = lambda: None
) -> Explanation:
    """The end of `explained`."""
    async for step in explained(photo, wanted, on_looked):
        if isinstance(step, Explanation):
            return step
    raise AssertionError("no explanation came")


async def _examination(photo: PhotoFile, model: Model, wanted: Wanted) -> tuple[tuple, Examination]:
    """The pass that `wanted` needs, held open, and its key."""
    layer = None
    if wanted.depth < 1:
        finding = _passes.submit(partial(_layer, model, wanted.depth), urgent=True)
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
        published = await _pass(key, lambda: prepared.examine(model))
    detail = wanted.detail_run
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


def _layer(model: Model, depth: float) -> str | None:
    """The layer at this depth, None for the target layer. The first time it takes a pass."""
    if depth == 1:
        return None
    stages = model.stages
    stage = round(depth * (len(stages) - 1))
    return None if stage == len(stages) - 1 else stages[stage].layer


def _key(photo: PhotoFile, model: Model, view: str, detail: int, layer: str | None) -> tuple:
    # Also by who stands in for whom: the examination carries the notice that says so.
    wanted = model.stands_in_for.name if model.stands_in_for else ""
    return photo.id, model.info.name, wanted, model.reason, view, detail, layer


class _PointlessError(Exception):
    """Nobody wants the result any more."""


async def _with_progress(work: Callable[..., _Result], title: str) -> AsyncIterator[str | _Result]:
    """A slow method, one at a time: each takes all cores for up to minutes."""
    done = [0.0]
    is_left = threading.Event()

    def note(share: float) -> None:
        if is_left.is_set():
            raise _PointlessError
        done[0] = share

    with _slow_line.join() as ticket:
        async for place in ticket.places():
            yield f"{title}: {place} before this one"
        future: Future[_Result] = _slow.submit(work, on_progress=note)
        try:
            while not future.done():
                yield f"{title}: {done[0]:.0%}"
                await asyncio.sleep(_POLL)
            yield future.result()
        finally:
            is_left.set()
            future.cancel()


def _loading_text(name: str) -> str:
    progress = loader(name).progress
    if progress is None:
        return "Loading the weights …"
    return f"Downloading the weights … {progress:.0%}"
