"""The page: Gradio's controls, and the element that `demo/web` fills."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from demo.api.functions import NAMES
from demo.api.registration import register
from demo.examples import EXAMPLES, OPENING, examples_folder
from demo.gradio_internals import calm_queue
from demo.middleware.blocks import Page
from demo.middleware.cross_site_guard import CrossSiteGuard
from demo.middleware.error_answers import ErrorAnswers
from demo.middleware.headers import SecurityHeaders
from demo.middleware.root_path import RootPath
from demo.middleware.route_allow_list import RouteAllowList, open_paths
from demo.server.live import LiveFrames
from demo.server.own_networks import OwnNetworks
from demo.server.reachability import Reachability
from demo.server.remote_pictures import RemotePictures
from demo.server.result_files import FileMaker
from demo.server.routes import routes
from demo.server.talk import Talk
from demo.server.upload_folder import KEPT_S, SWEEP_INTERVAL_S
from demo.settings import Settings
from demo.ui import texts
from demo.ui.page_data import (
    AS_PUBLISHED,
    OWN_CHOICE,
    UPLOAD_LIMIT_MB,
    default_choices,
    page_component,
)
from demo.ui.theme import theme
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.explanation.presets import PRESETS
from gradcam_core.images.geometry import DETAILS
from gradcam_core.models.registry import classifiers

_DEFAULTS = Settings()


def build(
    maker: FileMaker | None = None, settings: Settings = _DEFAULTS, talk: Talk | None = None
) -> gr.Blocks:
    """Builds the page as Gradio's Blocks, to be launched with the arguments of `launch_options`.
    maker: makes the files of the API. talk: a talk, with whose first slide the page opens."""
    # For Gradio's own sweep, which at the end of the process removes everything.
    kept = int(SWEEP_INTERVAL_S), KEPT_S
    with Page(title=texts.TITLE, analytics_enabled=False, delete_cache=kept) as page:
        _html(texts.SKIP_LINK + texts.HEADER)
        with gr.Row(elem_classes="layout"):
            with gr.Column(elem_classes="side", min_width=300):
                controls = _controls(settings.has_addresses)
            with gr.Column(elem_classes="main-column", min_width=300):
                results = page_component(list(controls), settings, talk, elem_id="results")
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(texts.HOW_TO_READ, elem_classes="how-to")
        for name, control in controls.items():
            # `input` does not report a photo that is removed, nor models removed with Backspace.
            event = control.change if name in ("photo", "models") else control.input
            event(None, control, None, js=_REPORT.format(name=name))
        results.input(None, None, list(controls.values()), js="() => window.gradcam.controls()")
        register(page, maker)
    calm_queue(page)
    return page


# Choices made before the page's script has started are kept for it.
_REPORT = """(value) => {{
    if (!window.gradcam) (window.earlyChanges ??= []).push(["{name}", value]);
    window.dispatchEvent(new CustomEvent("control-change", {{ detail: ["{name}", value] }}));
}}"""


def _controls(has_addresses: bool) -> dict[str, Any]:
    """Gradio's controls by their ids, by which the page's script knows them, too."""
    photo = _photo_component()
    # demo/web/inputs/sources.js writes into it.
    _html('<p class="photo-note" role="status" hidden></p>', elem_classes="photo-note-block")
    _html(_examples())
    if has_addresses:
        _html(texts.ADDRESS_FORM)
    _html(texts.SETTINGS_BUTTON, elem_classes="unfold-block")
    defaults = default_choices()
    with gr.Column(elem_classes="settings"):
        _html(
            _class_field("target", "Class to explain", texts.TARGET, texts.OWN_TOP),
            elem_classes="class-fields",
        )
        models = gr.Dropdown(
            [(info.title, info.name) for info in classifiers()],
            value=defaults["models"],
            multiselect=True,
            filterable=False,  # on a phone, a text input would bring up the keyboard
            label="Models",
            elem_id="models",
        )
        view = gr.Radio(
            [("Centre crop", "crop"), ("Whole photo", "whole")],
            value=defaults["view"],
            label="What the networks see",
            elem_id="view",
        )
        kind = gr.Radio(
            _kinds(), value=defaults["kind"], label="Map", info=texts.KINDS, elem_id="kind"
        )
        with gr.Column(elem_classes="own-choice"):
            method = gr.Dropdown(
                [(known.title, known.name) for known in METHODS.values()],
                value=defaults["method"],
                label="Method",
                elem_id="method",
            )
            detail = gr.Radio(
                [(f"{times} ×", times) for times in DETAILS],
                value=defaults["detail"],
                label="Detail",
                elem_id="detail",
            )
            auto_contrast = gr.Checkbox(
                value=defaults["auto_contrast"],
                label="Contrast: rather than the most probable others",
                info=texts.AUTO_CONTRAST,
                elem_id="auto_contrast",
            )
        _html(
            _class_field("contrast", "Contrast: rather than …", texts.CONTRAST, texts.NO_OTHER),
            elem_classes="class-fields",
        )
    every = (photo, models, view, kind, method, detail, auto_contrast)
    return {str(control.elem_id): control for control in every}


def launch_options(
    maker: FileMaker | None = None,
    settings: Settings = _DEFAULTS,
    reachable: Reachability | None = None,
) -> dict:
    """The arguments of `launch` for this page. maker: makes the files to download. reachable: tells
    the address at which others reach the page."""
    pictures = RemotePictures(is_on=settings.has_addresses)
    ours = routes(
        pictures,
        maker,
        reachable,
        OwnNetworks(settings.takes_networks, settings.network_drops is None),
        LiveFrames(settings.takes_frames),
    )
    around = [  # the outermost first
        Middleware(RootPath, root_path=settings.root_path, is_open=open_paths(ours)),
        Middleware(SecurityHeaders, framed_by=settings.framed_by),
        Middleware(
            CrossSiteGuard,
            is_only_here=settings.is_only_here,
            is_behind_proxy=bool(settings.root_path),
        ),
        Middleware(ErrorAnswers),
        Middleware(RouteAllowList, ours=ours, functions=NAMES),
    ]
    return {
        "theme": theme,
        "head": texts.HEAD,
        "app_kwargs": {"routes": ours, "middleware": around, "openapi_url": None},
        "footer_links": ["api", "gradio", "settings"],
        "max_file_size": f"{UPLOAD_LIMIT_MB}mb",
        "root_path": settings.root_path,
        "quiet": True,  # we print the address ourselves, once signals are handled
        "ssr_mode": False,
        "show_error": False,
        "mcp_server": True,
        # API calls may wait at the same time, because they wait in our request queue.
        "max_threads": 256,
        # Gradio takes missing arguments from GRADIO_SHARE, …_ALLOWED_PATHS and so on.
        "share": False,
        "allowed_paths": [str(examples_folder())],
        "enable_monitoring": False,
        "run_history": False,
        "num_workers": 0,  # processes that would serve files and bypass the middleware
    }


def _html(markup: str, **settings: Any) -> None:
    gr.HTML(markup, apply_default_css=False, padding=False, js_on_load=None, **settings)


def _photo_component() -> gr.Image:
    return gr.Image(
        label="Photo",
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        height=200,
        elem_id="photo",
        buttons=[],
    )


def _examples() -> str:
    """The thumbnails of the examples; demo/web/inputs/examples.js handles clicks on them."""
    buttons = []
    for example in EXAMPLES:
        shows = example.name.split("_", 1)[1].replace("_", " ")
        label = html.escape(f"Example: {shows}. {example.title}")
        buttons.append(
            f'<button type="button" data-example="{example.name}" aria-pressed="false"'
            f' aria-label="{label}" title="{html.escape(example.title)}">'
            f'<img src="examples/{example.name}.jpg" alt=""></button>'
        )
    return (
        f'<div class="examples" role="group" aria-label="Examples">{"".join(buttons)}</div>'
        f'<p class="example-caption" role="status">{_caption()}</p>{texts.SKIP_SETTINGS}'
    )


def _caption() -> str:
    """The caption of the opening example, in the layout so that its space is reserved."""
    opening = next(example for example in EXAMPLES if example.name == OPENING)
    return f"<b>{html.escape(opening.title)}</b> {html.escape(opening.caption)}"


def _kinds() -> list[tuple[str, str]]:
    presets = [(preset.title, name) for name, preset in PRESETS.items()]
    return [(texts.AS_PUBLISHED, AS_PUBLISHED), *presets, (texts.OWN_CHOICE, OWN_CHOICE)]


def _class_field(name: str, label: str, info: str, none: str) -> str:
    """A field for a class; demo/web/inputs/class_field.js fills its list. none: its text if no
    class is chosen."""
    return f"""
<div class="class-field" data-class-field="{name}">
  <label for="{name}-class">{label}</label>
  <p class="info" id="{name}-info">{info}</p>
  <input type="text" id="{name}-class" role="combobox" aria-expanded="false"
    aria-autocomplete="list" aria-controls="{name}-list" aria-describedby="{name}-info"
    autocomplete="off" spellcheck="false" value="{html.escape(none)}">
  <p class="note" role="status"></p>
  <ul role="listbox" id="{name}-list" tabindex="-1" aria-label="Classes" hidden></ul>
</div>
"""
