"""The page: its layout, and which event leads to which work."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from demo import texts
from demo.panels import Shown, ShownPhoto, panels_component, shown_photo_component
from demo.theme import theme
from demo.work import Newest, PhotoFile, explain_step_by_step, start
from gradcam_core import (
    DEFAULT_MODELS,
    ImageError,
    Label,
    LabelError,
    find_label,
    imagenet_labels,
    list_models,
)
from gradcam_core.overlay import OPACITY
from gradcam_core.view import ViewName

log = logging.getLogger(__name__)

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"

OWN = -1
"""The class that stands for each network's own top prediction."""

UPLOAD_LIMIT = "64mb"

_newest = Newest()

# The last input is the ticket of the event: later events have higher ones.
_WITH_TICKET = "(...inputs) => [...inputs.slice(0, -1), Date.now()]"


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
    # cannot. Set on the object, because Gradio writes a file next to the source of a subclass.
    component.preprocess = _path_of  # type: ignore[method-assign]
    return component


def _path_of(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


def build() -> gr.Blocks:
    """The page as Gradio's Blocks; `launch` it with the arguments of `launch_options`."""
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False) as page:
        gr.HTML(texts.HEADER, apply_default_css=False, js_on_load=None)
        with gr.Row(elem_classes="choices"):
            with gr.Column(scale=5, min_width=300):
                photo = _photo_component()
                examples = sorted(EXAMPLES.glob("*.jpg"))
                gr.Examples(
                    [[str(path)] for path in examples],
                    inputs=[photo],
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
                    [(texts.OWN_TOP, OWN)],
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

        events: dict[str, Any] = {
            "outputs": [panels, target, under],
            "js": _WITH_TICKET,
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": 4,
            "concurrency_id": "explain",
            "trigger_mode": "multiple",
        }
        # Not when the page is built: the names come with libraries that take seconds to import.
        page.load(
            lambda: _class_selector(Shown(), OWN),
            None,
            target,
            show_progress="hidden",
            api_visibility="private",
        )
        photo.change(_new_photo, [photo, models, view, ticket], **events)
        gr.on(
            # Not `input` for the models: it does not tell of one removed with Backspace. Nor
            # `change` for the class: that is also set from here, after each new picture.
            [models.change, target.input, view.input],
            _new_choice,
            [photo, models, target, view, ticket],
            **events,
        )
        opacity.input(
            None,
            opacity,
            None,
            js="(value) => window.dispatchEvent(new CustomEvent('opacity', {detail: value}))",
            show_progress="hidden",
            api_visibility="private",
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


def _new_photo(
    path: str | None, models: Sequence[str], view: ViewName, ticket: float, request: gr.Request
) -> Iterator[tuple]:
    """Another picture: each network's own top prediction is explained first."""
    visitor = request.session_hash or ""
    _newest.enter(visitor, ticket)
    try:
        if path is None:
            yield _message(texts.NO_PHOTO, ticket), gr.update(value=OWN), gr.skip()
            return
        file = PhotoFile(path)
        under = asdict(ShownPhoto.of(file.id, file.picture))
    except ImageError as error:
        yield _message(str(error), ticket, problem=True), gr.update(value=OWN), gr.skip()
        return
    shown = start(ticket, file, models)
    yield asdict(shown), gr.update(value=OWN), under
    yield from _explain(visitor, file, models, OWN, view, shown)


def _new_choice(
    path: str | None,
    models: Sequence[str],
    target: int | str | None,
    view: ViewName,
    ticket: float,
    request: gr.Request,
) -> Iterator[tuple]:
    """Other networks, another class or view, for the same picture."""
    visitor = request.session_hash or ""
    _newest.enter(visitor, ticket)
    if path is None:
        yield _message(texts.NO_PHOTO, ticket), gr.skip(), gr.skip()
        return
    try:
        file = PhotoFile(path)
        index = OWN if target in (None, OWN) else find_label(target).index
        yield from _explain(visitor, file, models, index, view, start(ticket, file, models))
    except (ImageError, LabelError) as error:
        yield _message(str(error), ticket, problem=True), gr.skip(), gr.skip()


def _explain(
    visitor: str,
    file: PhotoFile,
    models: Sequence[str],
    target: int,
    view: ViewName,
    shown: Shown,
) -> Iterator[tuple]:
    if not models:
        yield _message(texts.NO_MODEL, shown.ticket), gr.skip(), gr.skip()
        return

    def is_wanted() -> bool:
        return _newest.is_newest(visitor, shown.ticket)

    wanted = None if target == OWN else target
    for step in explain_step_by_step(file, wanted, view, shown, is_wanted):
        yield asdict(step), gr.skip(), gr.skip()
        shown = step
    if is_wanted():
        yield gr.skip(), _class_selector(shown, target), gr.skip()


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
