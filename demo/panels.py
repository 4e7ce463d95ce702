"""The panels, one a network, side by side: what they show, as plain data for `panels.js`."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from PIL import Image

from gradcam_core import Explanation, Prediction
from gradcam_core.overlay import DIMMING, OPACITY, colormap_table, levels

SHOWN = 1280
"""Longest side, in pixels, of the photo as the page shows it."""

HEAT = 640
"""Longest side, in pixels, of the heat's raster: it is smooth, the browser enlarges it."""

Status = Literal["waiting", "loading", "looking", "ready", "failed"]


@dataclass(frozen=True)
class Panel:
    """What one panel shows. box: as shares of the photo's sides. heat: an 8-bit grey PNG.

    Everything about a result is replaced at once, so a map never stands beside another's labels.
    """

    model: str
    title: str
    stands_in_for: str = ""
    status: Status = "waiting"
    text: str = "Waiting"
    notice: str = ""
    box: tuple[float, float, float, float] | None = None
    heat: str = ""
    target: Prediction | None = None
    rank: int = 0
    how: str = ""
    degenerate: str = ""
    top: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class Shown:
    """All that the panels show. ticket: of the event that asked for it; a browser ignores what
    comes later with a lower one. photo_id: a panel that has nothing new yet keeps what it showed
    of the same photo. message: why there is nothing to show; problem: whether that is an error.
    """

    ticket: float = 0
    photo_id: str = ""
    panels: tuple[Panel, ...] = ()
    message: str = ""
    problem: bool = False

    def with_panel(self, model: str, **changes: Any) -> Shown:
        """The same with changes to one network's panel."""
        panels = (
            replace(panel, **changes) if panel.model == model else panel for panel in self.panels
        )
        return replace(self, panels=tuple(panels))


def result_of(e: Explanation) -> dict[str, Any]:
    """What a panel shows of an explanation, as changes to it."""
    width, height = e.geometry.photo_size
    left, top, right, bottom = e.box
    return {
        "title": e.title,
        "stands_in_for": e.stands_in_for,
        "status": "ready",
        "text": "",
        "notice": e.notice,
        "box": (left / width, top / height, right / width, bottom / height),
        "heat": _data_url(Image.fromarray(levels(e.heatmap_at(_raster(width, height)))), "PNG"),
        "target": e.target,
        "rank": e.rank,
        "how": e.how,
        "degenerate": e.degenerate,
        "top": e.top,
    }


@dataclass(frozen=True)
class ShownPhoto:
    """The photo under the heat: a JPEG as a data URL, so that no file is left behind. ticket: as in
    `Shown`."""

    ticket: float = 0
    id: str = ""
    url: str = ""
    width: int = 3
    height: int = 2

    @classmethod
    def of(cls, ticket: float, id: str, photo: Image.Image) -> ShownPhoto:
        small = photo.copy()
        small.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
        return cls(ticket, id, _data_url(small, "JPEG"), small.width, small.height)


def panels_component(hint: str, **settings) -> gr.HTML:
    """The panels. The component's value is a `Shown` as a dictionary; hint: stands there at first.

    The heat comes as grey levels and is coloured in the browser, where its opacity is set, too.
    """
    return gr.HTML(
        value=asdict(Shown(message=hint)),
        html_template='<div class="panels"></div>',
        js_on_load=_script("panels.js"),
        apply_default_css=False,
        colors=colormap_table().tolist(),
        opacity=OPACITY,
        dimming=DIMMING,
        **settings,
    )


def shown_photo_component() -> gr.HTML:
    """Hands a `ShownPhoto` as a dictionary to the panels, once a photo and not once a result.

    A component of its own, because a later value replaces one that the browser has not yet seen.
    """
    return gr.HTML(
        value=asdict(ShownPhoto()),
        html_template="",
        js_on_load=_script("photo.js"),
        apply_default_css=False,
        visible="hidden",
    )


def _script(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _raster(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, HEAT / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _data_url(image: Image.Image, format: Literal["PNG", "JPEG"]) -> str:
    file = io.BytesIO()
    image.save(file, format, quality=88)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{format.lower()};base64,{data}"
