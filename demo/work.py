"""From what a visitor chose to what the panels show, step by step as results become ready."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import cachetools
from PIL import Image

from demo.held import HeldExaminations
from demo.panels import Panel, Shown
from gradcam_core import Examination, ImageError, Model, Prediction, WeightsError, examine, read_image
from gradcam_core.models import loader, model_info
from gradcam_core.view import ViewName

log = logging.getLogger(__name__)

_held = HeldExaminations()

_POLL = 0.1  # seconds between two looks at the networks that are still loading


class Newest:
    """The newest ticket of each visitor: older work of the same visitor is pointless."""

    def __init__(self, visitors: int = 10_000) -> None:
        self._tickets: cachetools.LRUCache[str, float] = cachetools.LRUCache(visitors)

    def enter(self, visitor: str, ticket: float) -> None:
        self._tickets[visitor] = max(ticket, self._tickets.get(visitor, ticket))

    def is_newest(self, visitor: str, ticket: float) -> bool:
        return self._tickets.get(visitor, ticket) <= ticket


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


def explain_step_by_step(
    photo: PhotoFile,
    models: Sequence[str],
    target: int | None,
    view: ViewName,
    shown: Shown,
    is_wanted: Callable[[], bool],
) -> Iterator[tuple[Shown, list[Prediction]]]:
    """What the panels show, again and again until all are ready, and all networks' top classes.

    shown: what `start` gave. is_wanted: asked between the steps; when it says no, there is nothing
    more.
    """
    loading: dict[str, Future[Model]] = {name: loader(name).request() for name in models}
    tops: list[Prediction] = []
    while True:
        for name in [name for name in models if name in loading and loading[name].done()]:
            shown = _with(shown, _panel(shown, name, status="looking", text="Looking …"))
            yield shown, tops
            if not is_wanted():
                return
            panel, top = _explained(photo, _panel(shown, name), loading.pop(name), target, view)
            tops += top
            shown = _with(shown, panel)
            yield shown, tops
        if not loading:
            return
        before = shown
        for name in loading:
            shown = _with(
                shown, _panel(shown, name, status="loading", text=_loading_text(name))
            )
        if shown != before:
            yield shown, tops
        if not is_wanted():
            return
        time.sleep(_POLL)


def start(ticket: float, photo: PhotoFile, models: Sequence[str]) -> Shown:
    """The panels of these networks for this photo, before anything is known."""
    panels = tuple(Panel(name, model_info(name).title) for name in models)
    return Shown(ticket, photo.id, panels)


def _explained(
    photo: PhotoFile, panel: Panel, loaded: Future[Model], target: int | None, view: ViewName
) -> tuple[Panel, list[Prediction]]:
    try:
        model = loaded.result()
        held = _examine(photo, model, view)
        return panel.showing(held.explain(target)), list(held.top)
    except WeightsError as error:
        return replace(panel, status="failed", text=f"No weights: {error}."), []
    except ImageError:
        raise
    except Exception:
        log.exception("explaining with %s failed", panel.model)
        text = "Something went wrong with this network. The server's log has the details."
        return replace(panel, status="failed", text=text), []


def _examine(photo: PhotoFile, model: Model, view: ViewName) -> Examination:
    return _held.get(photo.id, model, view, lambda: examine(photo.picture, model, view))


def _loading_text(name: str) -> str:
    progress = loader(name).progress
    if progress is None:
        return "Loading the weights …"
    return f"Downloading the weights … {progress:.0%}"


def _panel(shown: Shown, name: str, **changes) -> Panel:
    panel = next(panel for panel in shown.panels if panel.model == name)
    return replace(panel, **changes)


def _with(shown: Shown, panel: Panel) -> Shown:
    panels = tuple(panel if panel.model == old.model else old for old in shown.panels)
    return replace(shown, panels=panels)

