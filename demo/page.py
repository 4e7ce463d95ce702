"""The page: its layout, and which event leads to which work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from demo import texts
from demo.panels import Shown, ShownPhoto, panels_component, shown_photo_component
from demo.theme import theme
from demo.work import PhotoFile, Turn, Turns, explain_step_by_step, start
from gradcam_core import (
    DEFAULT_MODELS,
    ImageError,
    Label,
    imagenet_labels,
    list_models,
)
from gradcam_core.overlay import OPACITY
from gradcam_core.view import ViewName

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"

OWN = -1
"""The class that stands for each network's own top prediction."""

UPLOAD_LIMIT = "64mb"

UPLOADS_KEPT = 3600
"""Seconds that an uploaded photo is kept on the server."""

_SWEEP = 600  # seconds between two looks for older ones

_turns = Turns()

_SETTLE = 0.5  # seconds in which the last word of an overtaken event has arrived

# The last input is the ticket of the event: later events have higher ones.
_WITH_TICKET = """(...inputs) => {
    window.ticket = Math.max(Date.now(), (window.ticket ?? 0) + 1);
    return [...inputs.slice(0, -1), window.ticket];
}"""


def _photo_component() -> gr.Image:
    component = gr.Image(
        label="Photo",
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        height=260,
        elem_id="photo",
        buttons=[],
    )
    # The file is handed on as it is: `gradcam_core` reads it, and says in plain words why it
    # cannot. Set on the object, because Gradio writes a file next to the source of a subclass. For
    # the same reason nothing may send this component a `gr.update`, which makes a new one.
    component.preprocess = partial(_uploaded, component.GRADIO_CACHE)  # type: ignore[method-assign]
    return component


def _uploaded(folder: str, payload: ImageData | None) -> str | None:
    """The path of an uploaded file or an example; None for any other file of this machine, which
    Gradio lets through where a request does not declare it as a file."""
    if payload is None or payload.path is None:
        return None
    path = Path(payload.path).resolve()
    return str(path) if path.is_relative_to(Path(folder).resolve()) else None


def build() -> gr.Blocks:
    """The page as Gradio's Blocks; `launch` it with the arguments of `launch_options`."""
    with gr.Blocks(
        title=texts.TITLE, analytics_enabled=False, delete_cache=(_SWEEP, UPLOADS_KEPT)
    ) as page:
        gr.HTML(texts.HEADER, apply_default_css=False, js_on_load=None)
        with gr.Row(elem_classes="choices"):
            with gr.Column(scale=5, min_width=300):
                photo = _photo_component()
                examples = gr.Dataset(
                    samples=[[str(path)] for path in _example_paths()],
                    components=[photo],
                    type="index",
                    label="Examples",
                    elem_id="examples",
                )
            with gr.Column(scale=6, min_width=300):
                models = gr.Dropdown(
                    [(info.title, info.name) for info in list_models()],
                    value=list(DEFAULT_MODELS),
                    multiselect=True,
                    label="Models",
                    elem_id="models",
                )
                target = gr.Dropdown(
                    _choices(Shown()),
                    value=OWN,
                    label="Class to explain",
                    info="Type to search all 1000 classes.",
                    elem_id="target",
                )
                with gr.Row():
                    view = gr.Radio(
                        [("Centre crop", "crop"), ("Whole photo", "whole")],
                        value="crop",
                        label="What the networks see",
                        elem_id="view",
                        min_width=240,
                    )
                    opacity = gr.Slider(
                        0,
                        1,
                        value=OPACITY,
                        step=0.05,
                        label="Opacity",
                        elem_id="opacity",
                        min_width=200,
                        buttons=[],
                    )
        ticket = gr.Number(0, visible=False)
        panels = panels_component(texts.NO_PHOTO, elem_id="panels")
        under = shown_photo_component()
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(texts.HOW_TO_READ, elem_classes="how-to")

        private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        events = private | {
            "outputs": [panels, target, under],
            "js": _WITH_TICKET,
            # Most of the time of a request is waiting, for a download or for its turn to compute.
            "concurrency_limit": 32,
            "concurrency_id": "explain",
            "trigger_mode": "multiple",
        }
        photo.change(_new_photo, [photo, models, view, ticket], **events)
        gr.on(
            # Not `input` for the models: it does not tell of one removed with Backspace.
            [models.change, view.input],
            _new_networks,
            [photo, models, target, view, ticket],
            **events,
        )
        # Not `change` for the class: that is also set from here, after each new picture.
        target.input(_new_class, [photo, models, target, view, ticket], **events)
        examples.click(_example, examples, photo, **private)
        opacity.input(
            None,
            opacity,
            None,
            js="(value) => window.dispatchEvent(new CustomEvent('opacity', {detail: value}))",
            **private,
        )
    return page


def launch_options() -> dict:
    """The arguments of `launch` that belong to this page."""
    return {
        "theme": theme,
        "css_paths": [Path(__file__).parent / "page.css"],
        "footer_links": ["gradio", "settings"],
        "max_file_size": UPLOAD_LIMIT,
        "ssr_mode": False,
        "show_error": False,
    }


def _example_paths() -> list[Path]:
    return sorted(EXAMPLES.glob("*.jpg"))


def _example(index: int) -> str:
    return str(_example_paths()[index])


def _new_photo(
    path: str | None, models: Sequence[str], view: ViewName, ticket: float, request: gr.Request
) -> Iterator[tuple]:
    """Another picture: each network's own top prediction is explained first."""
    own = gr.update(value=OWN)
    with _turns.turn(request.session_hash or "", ticket) as turn:
        try:
            if path is None:
                yield from _said(_message(texts.NO_PHOTO, ticket), own, gr.skip(), turn)
                return
            file = PhotoFile(path)
            under = asdict(ShownPhoto.of(ticket, file.id, file.picture))
        except ImageError as error:
            message = _message(str(error), ticket, problem=True)
            yield from _said(message, own, gr.skip(), turn)
            return
        if not turn.is_wanted():
            # Not nothing at all: Gradio takes a generator without a value for one that gave None.
            yield gr.skip(), gr.skip(), gr.skip()
            return
        shown = start(ticket, file, models)
        yield asdict(shown), own, under
        for shown, is_new in _explain(ticket, file, models, OWN, view, turn):
            selector = _class_selector(shown, OWN) if is_new else gr.skip()
            yield asdict(shown), selector, gr.skip()
        yield from _settled(asdict(shown), under, turn)


def _new_networks(
    path: str | None,
    models: Sequence[str],
    target: int,
    view: ViewName,
    ticket: float,
    request: gr.Request,
) -> Iterator[tuple]:
    """Other networks or another view for the same picture: their top classes are others, too."""
    shown = Shown()
    with _turns.turn(request.session_hash or "", ticket) as turn:
        for shown in _again(path, models, target, view, ticket, turn):
            yield asdict(shown), gr.skip(), gr.skip()
        if shown.panels and turn.is_wanted():
            yield gr.skip(), _class_selector(shown, target), gr.skip()
        yield from _settled(asdict(shown), gr.skip(), turn)


def _new_class(
    path: str | None,
    models: Sequence[str],
    target: int,
    view: ViewName,
    ticket: float,
    request: gr.Request,
) -> Iterator[tuple]:
    """Another class of the same picture."""
    shown = Shown()
    with _turns.turn(request.session_hash or "", ticket) as turn:
        for shown in _again(path, models, target, view, ticket, turn):
            yield asdict(shown), gr.skip(), gr.skip()
        yield from _settled(asdict(shown), gr.skip(), turn)


def _again(
    path: str | None,
    models: Sequence[str],
    target: int,
    view: ViewName,
    ticket: float,
    turn: Turn,
) -> Iterator[Shown]:
    """What the panels show of the same picture, step by step."""
    if path is None:
        yield Shown(ticket, message=texts.NO_PHOTO)
        return
    try:
        file = PhotoFile(path)
        yield start(ticket, file, models)
        for shown, _ in _explain(ticket, file, models, target, view, turn):
            yield shown
    except ImageError as error:
        yield Shown(ticket, message=str(error), problem=True)


def _said(panels: dict, selector: dict, under: dict, turn: Turn) -> Iterator[tuple]:
    yield panels, selector, under
    yield from _settled(panels, under, turn)


def _settled(panels: dict, under: dict, turn: Turn) -> Iterator[tuple]:
    """The end of an event once more, if it overtook another one of the same visitor.

    A component shows the value that arrived last, and the last word of the other event may arrive
    together with ours or after it, so that the browser never sees ours.
    """
    if turn.overlaps:
        time.sleep(_SETTLE)
        if turn.is_wanted():
            yield panels, gr.skip(), under


def _explain(
    ticket: float,
    file: PhotoFile,
    models: Sequence[str],
    target: int,
    view: ViewName,
    turn: Turn,
) -> Iterator[tuple[Shown, bool]]:
    """What the panels show, step by step, and whether a network has just become ready."""
    if not models:
        yield Shown(ticket, message=texts.NO_MODEL), False
        return
    wanted = None if target == OWN else target
    ready = 0
    first = start(ticket, file, models)
    for shown in explain_step_by_step(file, wanted, view, first, turn.is_wanted):
        before, ready = ready, sum(panel.status == "ready" for panel in shown.panels)
        yield shown, ready > before


def _message(text: str, ticket: float, problem: bool = False) -> dict:
    return asdict(Shown(ticket, message=text, problem=problem))


def _class_selector(shown: Shown, value: int) -> dict:
    return gr.update(choices=_choices(shown), value=value)


def _choices(shown: Shown) -> list[tuple[str, int]]:
    """All classes by name with their synonyms, those that the networks named for this picture
    first, the most probable on top."""
    labels = imagenet_labels()
    tops = [prediction for panel in shown.panels for prediction in panel.top]
    tops.sort(key=lambda prediction: -prediction.probability)
    first = dict.fromkeys(prediction.index for prediction in tops)
    rest = sorted((label for label in labels if label.index not in first), key=_by_name)
    ordered = [labels[index] for index in first] + rest
    return [(texts.OWN_TOP, OWN), *((label.full_name, label.index) for label in ordered)]


def _by_name(label: Label) -> str:
    return label.name.casefold()
