"""The page: its layout, and which event leads to which work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from demo import texts
from demo.panels import Shown, ShownPhoto, panels_component, shown_photo_component
from demo.theme import theme
from demo.work import PhotoFile, Turn, Turns, Wanted, explain_step_by_step, start
from gradcam_core import (
    DEFAULT_MODELS,
    ImageError,
    Label,
    imagenet_labels,
    list_models,
)
from gradcam_core.explain import PRESETS
from gradcam_core.methods import DEFAULT_METHOD, METHODS, method_named
from gradcam_core.overlay import OPACITY
from gradcam_core.view import DETAILS, ViewName

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"

OWN = -1
"""The class that stands for each network's own top prediction."""

AS_PUBLISHED, OWN_CHOICE = "published", "own"
"""Kinds of map besides the presets: Grad-CAM at detail 1, and what the visitor sets."""

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
                kind = gr.Radio(
                    _kinds(),
                    value=AS_PUBLISHED,
                    label="Map",
                    info=texts.KINDS,
                    elem_id="kind",
                    min_width=280,
                )
                with gr.Row(visible=False) as own_choice:
                    method = gr.Dropdown(
                        [(known.title, known.name) for known in METHODS.values()],
                        value=DEFAULT_METHOD,
                        label="Method",
                        elem_id="method",
                        min_width=160,
                    )
                    detail = gr.Radio(
                        [(f"{times} ×", times) for times in DETAILS],
                        value=1,
                        label="Detail",
                        elem_id="detail",
                        min_width=230,
                    )
                    rivals = gr.Checkbox(
                        label="Against its rivals",
                        info=texts.RIVALS,
                        elem_id="rivals",
                        min_width=160,
                    )
        ticket = gr.Number(0, visible=False)
        panels = panels_component(texts.NO_PHOTO, elem_id="panels")
        under = shown_photo_component()
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(texts.HOW_TO_READ, elem_classes="how-to")

        private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        events = private | {
            "inputs": [photo, models, target, view, kind, method, detail, rivals, ticket],
            "outputs": [panels, target, under],
            "js": _WITH_TICKET,
            # Most of the time of a request is waiting, for a download or for its turn to compute.
            "concurrency_limit": 32,
            "concurrency_id": "explain",
            "trigger_mode": "multiple",
        }
        photo.change(_handler(_new_photo), **events)
        # Not `input` for the models: it does not tell of one removed with Backspace.
        gr.on([models.change, view.input], _handler(_new_networks), **events)
        # Not `change` for the class: that is also set from here, after each new picture.
        gr.on(
            [target.input, kind.input, method.input, detail.input, rivals.input],
            _handler(_new_class),
            **events,
        )
        kind.input(
            lambda chosen: gr.update(visible=chosen == OWN_CHOICE),
            kind,
            own_choice,
            queue=False,
            **private,
        )
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


@dataclass(frozen=True)
class _Chosen:
    """The values of the page's controls, as they come with every event."""

    path: str | None
    models: Sequence[str]
    target: int
    view: ViewName
    kind: str
    method: str
    detail: int
    rivals: bool
    ticket: float

    @property
    def wanted(self) -> Wanted:
        target = None if self.target == OWN else self.target
        if self.kind in PRESETS:
            preset = PRESETS[self.kind]
            return Wanted(target, self.view, preset.method, preset.detail)
        if self.kind == OWN_CHOICE:
            method = method_named(self.method)
            # At detail 3 it would keep all others waiting for an hour.
            detail = 1 if method.needs == "scores of images" else self.detail
            against = self.rivals and method.knows_class
            return Wanted(target, self.view, self.method, detail, against)
        return Wanted(target, self.view)


def _handler(answer: Callable[[_Chosen, Turn], Iterator[tuple]]) -> Callable[..., Iterator[tuple]]:
    """What Gradio calls; it reads the parameters of a plain function."""

    def handle(
        path: str | None,
        models: Sequence[str],
        target: int,
        view: ViewName,
        kind: str,
        method: str,
        detail: int,
        rivals: bool,
        ticket: float,
        request: gr.Request,
    ) -> Iterator[tuple]:
        chosen = _Chosen(path, models, target, view, kind, method, detail, rivals, ticket)
        with _turns.turn(request.session_hash or "", ticket) as turn:
            yield from answer(chosen, turn)

    return handle


def _new_photo(chosen: _Chosen, turn: Turn) -> Iterator[tuple]:
    """Another picture: each network's own top prediction is explained first."""
    own = gr.update(value=OWN)
    try:
        if chosen.path is None:
            yield from _said(_message(texts.NO_PHOTO, chosen), own, gr.skip(), turn)
            return
        file = PhotoFile(chosen.path)
        under = asdict(ShownPhoto.of(chosen.ticket, file.id, file.picture))
    except ImageError as error:
        message = _message(str(error), chosen, problem=True)
        yield from _said(message, own, gr.skip(), turn)
        return
    if not turn.is_wanted():
        # The newer event may be one that brings no photo.
        yield gr.skip(), gr.skip(), under
        return
    chosen = replace(chosen, target=OWN)
    shown = start(chosen.ticket, file, chosen.models)
    yield asdict(shown), own, under
    try:
        for shown, is_new in _explain(chosen, file, turn):
            selector = _class_selector(shown, OWN) if is_new else gr.skip()
            yield asdict(shown), selector, gr.skip()
    except ImageError as error:
        yield _message(str(error), chosen, problem=True), gr.skip(), gr.skip()
        return
    yield from _settled(asdict(shown), under, turn)


def _new_networks(chosen: _Chosen, turn: Turn) -> Iterator[tuple]:
    """Other networks or another view for the same picture: their top classes are others, too."""
    yield from _same_photo(chosen, turn, new_classes=True)


def _new_class(chosen: _Chosen, turn: Turn) -> Iterator[tuple]:
    """Another class or method for the same picture."""
    # An event that this one overtakes does not get to say which classes the networks name.
    yield from _same_photo(chosen, turn, new_classes=turn.overlaps)


def _same_photo(chosen: _Chosen, turn: Turn, new_classes: bool) -> Iterator[tuple]:
    shown = Shown()
    for shown in _again(chosen, turn):
        yield asdict(shown), gr.skip(), gr.skip()
    if new_classes and shown.panels and turn.is_wanted():
        yield gr.skip(), _class_selector(shown, chosen.target), gr.skip()
    yield from _settled(asdict(shown), gr.skip(), turn)


def _again(chosen: _Chosen, turn: Turn) -> Iterator[Shown]:
    """What the panels show of the same picture, step by step."""
    if chosen.path is None:
        yield Shown(chosen.ticket, message=texts.NO_PHOTO)
        return
    try:
        file = PhotoFile(chosen.path)
        yield start(chosen.ticket, file, chosen.models)
        for shown, _ in _explain(chosen, file, turn):
            yield shown
    except ImageError as error:
        yield Shown(chosen.ticket, message=str(error), problem=True)


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


def _explain(chosen: _Chosen, file: PhotoFile, turn: Turn) -> Iterator[tuple[Shown, bool]]:
    """What the panels show, step by step, and whether a network has just become ready."""
    if not chosen.models:
        yield Shown(chosen.ticket, message=texts.NO_MODEL), False
        return
    ready = 0
    first = start(chosen.ticket, file, chosen.models)
    for shown in explain_step_by_step(file, chosen.wanted, first, turn.is_wanted):
        before, ready = ready, sum(panel.status == "ready" for panel in shown.panels)
        yield shown, ready > before


def _message(text: str, chosen: _Chosen, problem: bool = False) -> dict:
    return asdict(Shown(chosen.ticket, message=text, problem=problem))


def _kinds() -> list[tuple[str, str]]:
    presets = [(preset.title, name) for name, preset in PRESETS.items()]
    return [(texts.AS_PUBLISHED, AS_PUBLISHED), *presets, (texts.OWN_CHOICE, OWN_CHOICE)]


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
