"""The figure for a slide: the photo and what each network found in it, exactly 16:9."""

from __future__ import annotations

import base64
import io
import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import matplotlib
import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import Affine2D
from PIL import Image

from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation.result import Explanation
from gradcam_core.explanation.text import Prediction
from gradcam_core.export.fonts import drawable, name_or_number
from gradcam_core.export.grid import Place
from gradcam_core.export.layout import HEIGHT_PX, WIDTH_PX, best_plan
from gradcam_core.export.text import PIXELS_A_POINT, draw_line
from gradcam_core.images.rendering.metadata import SOFTWARE, lines, png_info
from gradcam_core.images.rendering.render import COLORMAP, FOR_AND_AGAINST, OPACITY, colormap_table

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)

_SHARPER = 2  # pixels of a picture per pixel of the slide, for large screens and the SVG
_DPI = 72 * PIXELS_A_POINT


@dataclass(frozen=True)
class _Colours:
    background: str
    text: str
    subdued: str
    line: str


_COLOURS: dict[Theme, _Colours] = {
    "light": _Colours(background="#ffffff", text="#14171f", subdued="#555c6b", line="#c9cdd6"),
    "dark": _Colours(background="#0f1116", text="#f3f4f7", subdued="#a9b0be", line="#3d4350"),
}


_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML forbids (XML 1.0, section 2.2). A person's class names may contain them."""


class Slide(Figure):
    """matplotlib's figure with the metadata of its files: see `images.rendering.metadata`."""

    metadata: dict[str, str]


def figure(
    photo: Image.Image,
    explanations: Sequence[Explanation],
    theme: Theme = "light",
    colormap: str = COLORMAP,
    opacity: float = OPACITY,
    photo_name: str = "",
) -> Slide:
    """The photo and each network's overlay, with its name, the class explained and how sure it is;
    below them as many sentences of `summary` as there is room for.

    photo: RGB. explanations: of this photo, at least one. The photo is as large as the overlays, or
    small beside the footer if that makes the overlays much larger. Labels have at least 20 points
    for up to three networks and 13 for more, and fewer only where these do not fit. photo_name: of
    the photo's file, for the metadata. See `png` and `svg`. Raises ChoiceError for an unknown
    theme, or if there is no room for so many networks.
    """
    if theme not in THEMES:
        raise ChoiceError(f"There is no theme {theme!r}. Choose one of: {', '.join(THEMES)}.")
    colours = _COLOURS[theme]
    slide = Slide(
        figsize=(WIDTH_PX / _DPI, HEIGHT_PX / _DPI),
        dpi=_DPI,
        facecolor=colours.background,
    )
    title = ", ".join(e.heading for e in explanations)
    slide.set_label(title)
    every = [e.metadata(photo_name) for e in explanations]
    slide.metadata = {
        "Title": title,
        "Description": "\n\n".join(map(lines, every)),
        SOFTWARE: every[0][SOFTWARE],
    }
    named = [with_drawable_names(e) for e in explanations]
    plan = best_plan(photo.width / photo.height, named, summary(named))
    resized, larger = {}, photo
    for size in sorted({plan.photo.size, plan.overlays[0].size}, reverse=True):
        resized[size] = larger = _resized(larger, size)
    _draw_picture(slide, np.asarray(resized[plan.photo.size]), plan.photo, "photo")
    for e, place in zip(explanations, plan.overlays, strict=True):
        overlay = e.overlay(resized[place.size], colormap, opacity)
        _draw_picture(slide, np.asarray(overlay), place, e.heading)
    scale = colormap if explanations[0].signed_map is None else FOR_AND_AGAINST
    _draw_picture(slide, _bar(scale, colours, plan.bar), plan.bar, "colour bar")
    for text in plan.texts:
        colour = colours.subdued if text.subdued else colours.text
        draw_line(slide, text.text, text.x, text.y, text.font, colour)
    return slide


def with_drawable_names(e: Explanation) -> Explanation:
    """The explanation with other names where no character of a name can be drawn: its index for a
    class, its registered name for a network."""

    def named(one: Prediction) -> Prediction:
        return replace(one, name=name_or_number(one.name, one.index))

    return replace(
        e,
        title=e.title if drawable(e.title).strip() else e.model,
        target=named(e.target),
        top=tuple(map(named, e.top)),
        contrast=tuple(map(named, e.contrast)),
    )


def _resized(photo: Image.Image, size: tuple[int, int]) -> Image.Image:
    sharper = size[0] * _SHARPER, size[1] * _SHARPER
    return photo.resize(sharper, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _bar(colormap: str, colours: _Colours, place: Place) -> np.ndarray:
    """The colours from no heat to full heat, faded out as they are over a photo: uint8
    [H, W, 3]."""
    background, line = (
        255 * np.array(to_rgb(colour)) for colour in (colours.background, colours.line)
    )
    across = np.linspace(0, 255, place.width * _SHARPER).round().astype(int)
    table = colormap_table(colormap)[across]
    opaque = table[:, 3:] / 255
    row = table[:, :3] * opaque + background * (1 - opaque)
    pixels = np.repeat(row[None], place.height * _SHARPER, axis=0)
    for edges in (pixels, pixels.swapaxes(0, 1)):  # framed: an end may look like the background
        edges[:_SHARPER] = edges[-_SHARPER:] = line
    return pixels.round().astype(np.uint8)


def _draw_picture(slide: Figure, pixels: np.ndarray, place: Place, name: str) -> None:
    """Draws pixels, uint8 [H, W, 3], at a place. name: of the new axes."""
    bottom = HEIGHT_PX - place.y - place.height
    rectangle = (
        place.x / WIDTH_PX,
        bottom / HEIGHT_PX,
        place.width / WIDTH_PX,
        place.height / HEIGHT_PX,
    )
    axes = slide.add_axes(rectangle, label=name)
    axes.set_axis_off()
    picture = _Picture(axes, interpolation="none", origin="upper")
    picture.set_data(pixels)
    picture.set_extent(picture.get_extent())  # also sets the limits of the axes
    picture.set_clip_path(axes.patch)
    axes.add_image(picture)


class _Picture(AxesImage):
    """An image that is drawn unchanged if it has as many pixels as its place.

    matplotlib would resample it anyway, which takes a hundred times its memory and three times as
    long as everything else. In an SVG, it would also compress images as much as it can, and forbid
    viewers to scale them smoothly.
    """

    def draw(self, renderer: RendererBase) -> None:
        writer = getattr(renderer, "writer", None)
        if writer is None:
            return super().draw(renderer)
        pixels, file = np.asarray(self.get_array()), io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
        data = base64.b64encode(file.getvalue()).decode()
        place, (_, top) = self.get_window_extent(renderer), renderer.get_canvas_width_height()
        writer.element(
            "image",
            x=f"{place.x0:g}",
            y=f"{top - place.y1:g}",
            width=f"{place.width:g}",
            height=f"{place.height:g}",
            attrib={"preserveAspectRatio": "none", "xlink:href": f"data:image/png;base64,{data}"},
        )
        return None

    def make_image(
        self, renderer: RendererBase, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[np.ndarray, float, float, Affine2D]:
        pixels = np.asarray(self.get_array())
        place = self.get_window_extent(renderer)
        if unsampled or not np.allclose(place.size, pixels.shape[1::-1], atol=0.01):
            return super().make_image(renderer, magnification, unsampled)
        opaque = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
        return np.dstack([pixels, opaque])[::-1], place.x0, place.y0, Affine2D()


_rendering = threading.Lock()  # matplotlib's settings belong to the whole process

_SETTINGS: dict[Any, Any] = {
    "savefig.bbox": None,
    "savefig.transparent": False,
    "svg.fonttype": "path",  # looks the same where the font is missing
    "svg.hashsalt": "gradcam",
    "svg.image_inline": True,
}


def png(figure: Slide) -> bytes:
    """The figure as a PNG of 1920 x 1080 pixels. Thread-safe."""
    canvas = _Canvas()
    with _rendering, matplotlib.rc_context(_SETTINGS):
        figure.savefig(canvas, format="rgba", dpi=_DPI * _SHARPER)
    file = io.BytesIO()
    info = png_info(figure.metadata)
    # The level of overlays: 2 % larger than at Pillow's default, in little more than half the time.
    canvas.reduced.save(file, format="PNG", dpi=(_DPI, _DPI), pnginfo=info, compress_level=4)
    return file.getvalue()


class _Canvas(io.BytesIO):
    """A file that matplotlib writes its drawing to in one piece, and that keeps it at the size of
    the slide. This avoids a copy of the drawing, of 33 MB."""

    reduced: Image.Image

    def write(self, drawn: Any) -> int:
        size = WIDTH_PX * _SHARPER, HEIGHT_PX * _SHARPER
        # Everything is opaque, and applying the alpha would take a third of the time of a PNG.
        whole = Image.frombuffer("RGBX", size, drawn, "raw", "RGBX", 0, 1)
        self.reduced = whole.reduce(_SHARPER).convert("RGB")
        return len(drawn)


def svg(figure: Slide) -> bytes:
    """The figure as a self-contained SVG. Thread-safe.

    Text is drawn as paths, and is readable in the metadata.
    """
    texts = "\n".join(text.get_text() for text in figure.texts)
    metadata = {
        **dict.fromkeys(("Date", "Format", "Type")),  # left out; the date would change each time
        "Title": figure.metadata["Title"],
        "Description": f"{texts}\n\n{figure.metadata['Description']}",
        "Creator": figure.metadata[SOFTWARE],
    }
    metadata = {key: value and _NO_XML.sub("\ufffd", value) for key, value in metadata.items()}
    file = io.BytesIO()
    with _rendering, matplotlib.rc_context(_SETTINGS):
        figure.savefig(file, format="svg", metadata=metadata)
    # Some readers fetch the document type from its address.
    return re.sub(rb"<!DOCTYPE[^>]*>\s*", b"", file.getvalue())
