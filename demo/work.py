"""From what a visitor chose to what the panels show, step by step as results become ready."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from cachetools import TTLCache
from PIL import Image

from demo.held import HeldExaminations
from demo.panels import Panel, Shown, result_of
from gradcam_core import (
    Examination,
    Explanation,
    ImageError,
    Model,
    WeightsError,
    examine,
    read_image,
)
from gradcam_core.methods import DEFAULT_METHOD, method_named
from gradcam_core.models import loader, model_info
from gradcam_core.view import ViewName

log = logging.getLogger(__name__)

_held = HeldExaminations()

# A forward pass uses all cores: more than two at once only take each other's memory and time.
_computing = threading.Semaphore(2)

_slow = threading.Lock()  # a slow method takes all cores for up to minutes

_ON_ITS_WAY = 1.0  # seconds in which the browser has seen the last value of an event

_POLL = 0.1  # seconds between two looks at the networks that are still loading


@dataclass
class _Visit:
    """The events of one visitor that run now, and the newest ticket, also of one that ended."""

    running: int = 0
    newest: float = 0


class Turns:
    """Whose turn it is among a visitor's events: the newest one's, the others are pointless.

    An event's ticket says how new it is: a later event of the same visitor has a higher one.
    """

    def __init__(self) -> None:
        self._visits: dict[str, _Visit] = {}  # of the visitors with an event that runs
        # Of those with an event that has just ended: its last value may still be on its way.
        self._recent: TTLCache[str, bool] = TTLCache(4096, ttl=_ON_ITS_WAY)
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, visitor: str, ticket: float) -> Iterator[Turn]:
        with self._lock:
            visit = self._visits.setdefault(visitor, _Visit())
            overlaps = visit.running > 0 or visitor in self._recent
            visit.running += 1
            visit.newest = max(visit.newest, ticket)
        try:
            yield Turn(lambda: visit.newest <= ticket, overlaps)
        finally:
            with self._lock:
                visit.running -= 1
                self._recent[visitor] = True
                if not visit.running:
                    self._visits.pop(visitor, None)


@dataclass(frozen=True)
class Turn:
    """is_wanted: whether no newer event has come. overlaps: whether an older one was running or had
    just ended."""

    is_wanted: Callable[[], bool]
    overlaps: bool


class PhotoFile:
    """An uploaded file, read and decoded only when that is needed.

    `id` is the SHA-256 of its bytes. Raises ImageError where the picture cannot be used.
    """

    def __init__(self, path: str) -> None:
        try:
            self._data = Path(path).read_bytes()
        except OSError as error:
            raise ImageError("The picture is no longer on the server. Choose it again.") from error
        self.id = hashlib.sha256(self._data).hexdigest()

    @cached_property
    def picture(self) -> Image.Image:
        return read_image(self._data)


def start(ticket: float, photo: PhotoFile, models: Sequence[str]) -> Shown:
    """The panels of these networks for this photo, before anything is known."""
    panels = tuple(Panel(name, model_info(name).title) for name in models)
    return Shown(ticket, photo.id, panels)


@dataclass(frozen=True)
class Wanted:
    """How a visitor wants a photo explained.

    target: the class; None is each network's own top prediction. against_rivals: whether that is
    explained against the classes that each network holds most probable besides it.
    """

    target: int | None = None
    view: ViewName = "crop"
    method: str = DEFAULT_METHOD
    detail: int = 1
    against_rivals: bool = False


def explain_step_by_step(
    photo: PhotoFile, wanted: Wanted, shown: Shown, is_wanted: Callable[[], bool]
) -> Iterator[Shown]:
    """What the panels show, again and again until all are ready, each as soon as its network is.

    shown: what `start` gave. is_wanted: asked between the steps; when it says no, there is nothing
    more. Raises ImageError if the photo cannot be used.
    """
    loading = {panel.model: loader(panel.model).request() for panel in shown.panels}
    while loading:
        for name in [name for name, future in loading.items() if future.done()]:
            if not is_wanted():
                return
            future = loading.pop(name)
            for step in _explained(shown, name, future, photo, wanted, is_wanted):
                yield step
                shown = step
            if not is_wanted():
                return
        before = shown
        for name in loading:
            shown = shown.with_panel(name, status="loading", text=_loading_text(name))
        if not is_wanted():
            return
        if shown != before:
            yield shown
        if loading:
            time.sleep(_POLL)


def _explained(
    shown: Shown,
    name: str,
    loaded: Future[Model],
    photo: PhotoFile,
    wanted: Wanted,
    is_wanted: Callable[[], bool],
) -> Iterator[Shown]:
    looking = shown.with_panel(name, status="looking", text="Looking …")
    yield looking
    try:
        held = _examine(photo, loaded.result(), wanted, is_wanted)
        explain = partial(held.explain, wanted.target, wanted.method, wanted.against_rivals)
        if method_named(wanted.method).is_slow:
            for step in _in_background(explain, is_wanted):
                if isinstance(step, str):
                    text = f"{method_named(wanted.method).title} … {step}"
                    yield looking.with_panel(name, text=text)
                else:
                    yield shown.with_panel(name, **result_of(step))
            _held.weigh_again(photo.id, held)
        else:
            yield shown.with_panel(name, **result_of(explain()))
    except _PointlessError:
        return
    except ImageError:
        raise
    except WeightsError as error:
        yield shown.with_panel(name, status="failed", text=f"No weights: {error}.")
    except Exception:
        log.exception("explaining with %s failed", name)
        text = "Something went wrong with this network. The server's log has the details."
        yield shown.with_panel(name, status="failed", text=text)


class _PointlessError(Exception):
    """Nobody wants the result any more."""


def _in_background(
    explain: Callable[..., Explanation], is_wanted: Callable[[], bool]
) -> Iterator[str | Explanation]:
    """How far it is, again and again, then the explanation; nothing once nobody wants it any more.
    One at a time: each takes all cores for up to minutes."""
    done = [0.0]
    is_left = threading.Event()

    def note(share: float) -> None:
        if is_left.is_set() or not is_wanted():
            raise _PointlessError
        done[0] = share

    future: Future[Explanation] = Future()

    def work() -> None:
        while not _slow.acquire(timeout=_POLL):
            if is_left.is_set():
                return
        try:
            future.set_running_or_notify_cancel()
            future.set_result(explain(on_progress=note))
        except Exception as error:
            future.set_exception(error)
        finally:
            _slow.release()

    # A daemon, so that Ctrl-C does not wait for it.
    threading.Thread(target=work, daemon=True, name="slow method").start()
    try:
        while not future.done():
            if not is_wanted():
                return
            yield f"{done[0]:.0%}" if future.running() else "waits for its turn"
            wait([future], timeout=2 * _POLL)
        yield future.result()
    finally:
        is_left.set()


def _examine(
    photo: PhotoFile, model: Model, wanted: Wanted, is_wanted: Callable[[], bool]
) -> Examination:
    """Raises _PointlessError if nobody wants it any more once it is its turn."""

    @contextmanager
    def turn() -> Iterator[None]:
        with _computing:
            if not is_wanted():
                raise _PointlessError
            yield

    def make() -> Examination:
        with turn():
            return examine(photo.picture, model, wanted.view)

    published = _held.get(photo.id, model, wanted.view, 1, make)
    if wanted.detail == 1:
        return published

    def enlarge() -> Examination:
        with turn():
            return published.at_detail(photo.picture, wanted.detail)

    return _held.get(photo.id, model, wanted.view, wanted.detail, enlarge)


def _loading_text(name: str) -> str:
    progress = loader(name).progress
    if progress is None:
        return "Loading the weights …"
    return f"Downloading the weights … {progress:.0%}"
