"""The panels, one a network, side by side: what they show, as plain data for `panels.js`."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import gradio as gr
from PIL import Image

from gradcam_core import Explanation
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
    heading: str
    status: Status = "waiting"
    text: str = "Waiting"
    notice: str = ""
    box: tuple[float, float, float, float] | None = None
    heat: str = ""
    target: dict | None = None
    rank: int = 0
    top: list[dict] = field(default_factory=list)
    layer: str = ""

    def showing(self, e: Explanation) -> Panel:
        width, height = e.geometry.photo_size
        left, top, right, bottom = e.box
        return replace(
            self,
            heading=e.heading,
            status="ready",
            text="",
            notice=e.notice,
            box=(left / width, top / height, right / width, bottom / height),
            heat=_data_url(Image.fromarray(levels(e.heatmap_at(_raster(width, height)))), "PNG"),
            target=asdict(e.target),
            rank=e.rank,
            top=[asdict(prediction) for prediction in e.top],
            layer=e.layer,
        )


@dataclass(frozen=True)
class Shown:
    """All that the panels show. ticket: of the event that asked for it; a browser ignores what
    comes later with a lower one. photo_id: a panel that has nothing new yet keeps what it showed
    of the same photo. message: why there is nothing to show."""

    ticket: float = 0
    photo_id: str = ""
    panels: tuple[Panel, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class ShownPhoto:
    """The photo under the heat: a JPEG as a data URL, so that no file is left behind."""

    id: str = ""
    url: str = ""
    width: int = 3
    height: int = 2

    @classmethod
    def of(cls, id: str, photo: Image.Image) -> ShownPhoto:
        small = photo.copy()
        small.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
        return cls(id, _data_url(small, "JPEG"), small.width, small.height)

from gradio.events import Dependency

class Panels(gr.HTML):
    """The panels as a component. Its value is a `Shown`; a `ShownPhoto` comes once, as a prop."""

    def __init__(self, hint: str, **props) -> None:
        here = Path(__file__).parent
        super().__init__(
            value=asdict(Shown()),
            html_template='<div class="panels" aria-live="polite"></div>',
            js_on_load=(here / "panels.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            colors=colormap_table().tolist(),
            opacity=OPACITY,
            dimming=DIMMING,
            photo=asdict(ShownPhoto()),
            hint=hint,
            **props,
        )

    def get_block_name(self) -> str:
        return "html"
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


def _raster(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, HEAT / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _data_url(image: Image.Image, format: Literal["PNG", "JPEG"]) -> str:
    file = io.BytesIO()
    image.save(file, format, quality=88)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{format.lower()};base64,{data}"