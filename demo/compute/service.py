"""What a visitor wants explained, step by step, computed by the backend that the environment names;
the line in which visitors wait, and what has been found for them, are here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

import cachetools

from demo.compute.backend import Checked, Network, backend
from demo.compute.photo import PhotoFile
from demo.compute.visitor_queue import Line, Ticket
from gradcam_core import Explanation
from gradcam_core.cam.methods import method_named
from gradcam_core.request import ExplanationRequest

__all__ = ["entrance", "explained", "explanation", "start", "trusted"]

SLOW_LINE = 8
"""Visitors who may wait for a slow method, of which each takes up to minutes."""

TRUSTS = 1000
"""What has been found of explanations, that is kept: some kilobytes each."""

_line = Line()
_slow_line = Line(at_once=1, longest=SLOW_LINE)
_trusts: cachetools.LRUCache[Hashable, Checked] = cachetools.LRUCache(TRUSTS)

_Result = TypeVar("_Result", Explanation, Checked)


def start(models: Iterable[str]) -> None:
    """Have these networks loaded in the background, so that the first visitor waits less. Raises
    BackendError, an OSError, if there is nothing that could compute."""
    backend().start(models)
    _line.at_once = backend().photos_at_once()
    _slow_line.at_once = backend().slow_at_once()


def entrance(photo: PhotoFile, wanted: Iterable[ExplanationRequest]) -> Ticket:
    """A place in the line of those whose photo the networks have not seen. With passes that have
    run before, as for another class, there is nothing to wait for. Raises BusyError."""
    is_seen = backend().is_seen
    return Ticket(_line) if all(is_seen(photo, one) for one in wanted) else _line.join()


async def explained(
    photo: PhotoFile, wanted: ExplanationRequest, on_looked: Callable[[], object] = lambda: None
) -> AsyncIterator[str | Network | Explanation]:
    """How far it is, in words for people, again and again; the network, once it is loaded; and the
    explanation at the end.

    on_looked: called once the photo is no longer needed, or cannot be used before weights have
    arrived. What has not begun when the iterator is closed is not done, unless others wait for it.
    Raises GradcamError.
    """
    network = None
    async for progress in backend().loaded(wanted.model):
        if isinstance(progress, Network):
            network = progress
        else:
            on_looked()
            yield _loading_text(progress)
    assert network is not None
    yield network
    yield "Looking …"
    method = method_named(wanted.method)
    if method.is_slow:
        await backend().look(photo, network, wanted)
        on_looked()
        making = backend().explain(photo, network, wanted)
        async with aclosing(_in_slow_line(making, method.title)) as steps:
            async for step in steps:
                yield step
        return
    async with aclosing(backend().explain(photo, network, wanted)) as making:
        async for done in making:
            on_looked()
            if isinstance(done, Explanation):
                yield done


async def trusted(
    photo: PhotoFile, wanted: ExplanationRequest, e: Explanation
) -> AsyncGenerator[str | Checked]:
    """How far the checks of an explanation of `explained` are, in words, and what they have found.

    They take as much as a slow method and stand in the same line. Raises GradcamError.
    """
    key = (photo.id, e.model, e.stands_in_for, replace(wanted, target=e.target.index))
    found = _trusts.get(key)
    if found is None:
        async for progress in backend().loaded(wanted.model):
            if isinstance(progress, Network):
                checking = backend().check(photo, progress, wanted, e)
        async with aclosing(_in_slow_line(checking, "Checking")) as steps:
            async for step in steps:
                if isinstance(step, str):
                    yield step
                else:
                    found = _trusts[key] = step
    assert found is not None
    yield found


async def explanation(
    photo: PhotoFile, wanted: ExplanationRequest, on_looked: Callable[[], object] = lambda: None
) -> Explanation:
    """The end of `explained`."""
    async for step in explained(photo, wanted, on_looked):
        if isinstance(step, Explanation):
            return step
    raise AssertionError("no explanation came")


async def _in_slow_line(
    work: AsyncGenerator[float | _Result], title: str
) -> AsyncGenerator[str | _Result]:
    """What takes up to minutes, in the line of those who wait for such."""
    with _slow_line.join() as ticket:
        async for place in ticket.places():
            yield f"{title}: {place} before this one"
        async with aclosing(work) as steps:
            async for step in steps:
                yield f"{title}: {step:.0%}" if isinstance(step, float) else step


def _loading_text(progress: float | None) -> str:
    if progress is None:
        return "Loading the weights …"
    return f"Downloading the weights … {progress:.0%}"
