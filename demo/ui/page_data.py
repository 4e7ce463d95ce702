"""The data with which the page's script starts, and the element that it fills."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import gradio as gr
from PIL import Image

from demo.examples import EXAMPLES, OPENING, example_names, example_path
from demo.server.own_networks import page_of_networks
from demo.server.talk import Slide, Talk
from demo.settings import Settings
from demo.ui import texts
from gradcam_core.cam.methods.registry import DEFAULT_METHOD, METHODS
from gradcam_core.explanation.presets import PRESETS
from gradcam_core.images.cover import FILLS, MOST_COVERS, MOST_POINTS, MOST_RADIUS
from gradcam_core.images.formats.suffixes import NOT_READ, SUFFIXES
from gradcam_core.images.geometry import DETAILS, VIEWS
from gradcam_core.images.rendering.render import (
    COLORMAPS,
    DIMMING,
    FOR_AND_AGAINST,
    OPACITY,
    colormap_table,
)
from gradcam_core.models.registry import default_classifiers

AS_PUBLISHED, OWN_CHOICE = "published", "own"
"""Kinds of map other than the presets: Grad-CAM at detail 1, and the visitor's own settings."""

UPLOAD_LIMIT_MB = 64
"""Largest file of a photo."""

LAYER_STEPS = 5
"""Steps of the layer slider from the first stage of a network to the last."""

# Gradio runs this script as the body of a function, so it imports the modules dynamically. The data
# is one JSON text because, at every event, Gradio would watch and copy each value separately.
_START = """
const data = JSON.parse(props.page_data);
import(new URL("web/start.js", document.baseURI))
    .then(({ start }) => start({ element: element.querySelector(".page"), props: data, trigger }));
"""


def page_component(
    controls: list[str], settings: Settings, talk: Talk | None = None, **arguments: Any
) -> gr.HTML:
    """The part of the page that `demo/web` draws. controls: the names of Gradio's controls, in the
    order in which `window.gradcam.controls()` gives their values when this component triggers
    `input`. talk: the talk to step through. arguments: passed on to the component."""
    data = {
        "controls": controls,
        "hasAddresses": settings.has_addresses,
        "takesNetworks": settings.takes_networks,
        "isLive": settings.takes_frames,
        "talk": None if talk is None else [_slide(slide) for slide in talk.slides],
        **_props(),
    }
    return gr.HTML(
        html_template='<div class="page"></div>',
        js_on_load=_START,
        apply_default_css=False,
        padding=False,
        page_data=json.dumps(data, ensure_ascii=False),
        **arguments,
    )


def default_choices() -> dict[str, Any]:
    """The initial choices, with the names that the page's script uses."""
    return {
        "models": list(default_classifiers()),
        "view": VIEWS[0],
        "kind": AS_PUBLISHED,
        "method": DEFAULT_METHOD,
        "detail": DETAILS[0],
        "auto_contrast": False,
    }


def _props() -> dict[str, Any]:
    presets = {name: _map(preset.method, preset.detail) for name, preset in PRESETS.items()}
    return {
        "defaults": default_choices(),
        "methods": [
            {
                "name": known.name,
                "title": known.title,
                "knows_class": known.knows_class,
                "is_common": known.is_common,
                "passes_per_channel": known.passes_per_channel,
                "needs_tokens": known.needs == "attention",
                "can_be_signed": known.can_be_signed,
                "formula": known.weights and known.weights.formula,
            }
            for known in METHODS.values()
        ],
        "details": list(DETAILS),
        "views": list(VIEWS),
        "severalCrops": texts.SEVERAL_CROPS,
        "kinds": {AS_PUBLISHED: _map(DEFAULT_METHOD, 1), **presets, OWN_CHOICE: None},
        "own": OWN_CHOICE,
        "layers": LAYER_STEPS,
        "examples": _examples(),
        "exampleNames": example_names(),
        "opening": OPENING,
        **page_of_networks(),
        "colormaps": [
            [name, title, colormap_table(name).tolist()] for name, title in COLORMAPS.items()
        ],
        "signedColors": colormap_table(FOR_AND_AGAINST).tolist(),
        "uploadLimitMb": UPLOAD_LIMIT_MB,
        "pictureSuffixes": [*SUFFIXES, *NOT_READ],
        "coverLimits": {
            "fills": list(FILLS),
            "covers": MOST_COVERS,
            "points": MOST_POINTS,
            "radius": MOST_RADIUS,
        },
        "opacity": OPACITY,
        "dimming": DIMMING,
        "hint": texts.NO_PHOTO,
        "noModel": texts.NO_MODEL,
        "ownTop": texts.OWN_TOP,
        "noOther": texts.NO_OTHER,
    }


def _slide(slide: Slide) -> dict[str, Any]:
    state = {"photo": {"example": slide.example}, **slide.state}
    return {"state": state, "title": slide.title, "caption": slide.caption}


def _examples() -> list[dict[str, Any]]:
    """The examples that the page offers, with their sizes in pixels."""
    found = []
    for example in EXAMPLES:
        with Image.open(example_path(example.name)) as picture:
            size = {"width": picture.width, "height": picture.height}
        found.append(asdict(example) | size)
    return found


def _map(method: str, detail: int) -> dict[str, Any]:
    return {"method": method, "detail": detail}
