"""Results of a map's trust checks as a picture: the verdict, the photo without the hottest places
and with only them, and the curves of deletion and insertion."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from gradcam_core.analysis.trust.verdict import HEADINGS, Outcome
from gradcam_core.explanation.result import Explanation
from gradcam_core.export.figure import with_drawable_names
from gradcam_core.export.fonts import FAMILY, drawable, families, in_order, name_or_number
from gradcam_core.export.text import PIXELS_A_POINT, Font, draw_line
from gradcam_core.images.rendering.metadata import png_info
from gradcam_core.wording import percentage

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.result import Trust

_WIDTH_PX, _HEIGHT_PX = 1440, 810
_DPI = 72 * PIXELS_A_POINT
_MARGIN_PX, _TEXT_WIDTH_PX = 40, 410
_TEXT, _SUBDUED, _BY_HEAT = "#14171f", "#555c6b", "#4f46e5"

_COLOURS: dict[Outcome, str] = {"holds": "#047857", "unclear": "#854d0e", "fails": "#b91c1c"}
_SIGNS: dict[Outcome, str] = {"holds": "✓", "unclear": "?", "fails": "✗"}

_ALTERED = {"without": "Without its hottest", "alone": "Only its hottest"}
_CURVES = {"deletion": "Hottest places blurred", "insertion": "Only hottest places shown"}
"""Titles, by the names of the record's fields."""


@dataclass(frozen=True)
class Checked:
    """The part of a `Trust` that files need, and that survives being sent or stored.

    record: `Trust.record()`. pictures: "without", the photo without its hottest places, and
    "alone", only these.
    """

    record: Mapping[str, Any]
    pictures: Mapping[str, Image.Image]

    @classmethod
    def of(cls, found: Trust) -> Checked:
        pictures = {"without": found.without.picture, "alone": found.alone.picture}
        return cls(found.record(), pictures)


def trust_png(e: Explanation, found: Checked, photo_name: str = "") -> bytes:
    """A PNG of the verdict with each check's reason, the two altered photos with the network's
    predictions for them, and both curves beside the mean and range of the same map laid elsewhere.

    e: the explanation that was checked. photo_name: of the photo's file, for the metadata, which is
    that of the explanation with the verdict and its sentence.
    """
    record, e = found.record, with_drawable_names(e)
    size = _WIDTH_PX / _DPI, _HEIGHT_PX / _DPI
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    _write_verdict(figure, e, record)
    left = (2 * _MARGIN_PX + _TEXT_WIDTH_PX + 30) / _WIDTH_PX
    grid = figure.add_gridspec(
        2, 2, left=left, right=0.975, top=0.92, bottom=0.085, wspace=0.28, hspace=0.42
    )
    for column, (kind, title) in enumerate(_ALTERED.items()):
        axes = figure.add_subplot(grid[0, column])
        _draw_altered(axes, e.target.name, record, found.pictures[kind], kind, title)
    for column, (kind, title) in enumerate(_CURVES.items()):
        _draw_curves(figure.add_subplot(grid[1, column]), record, kind, title)
    said = {"Verdict": record["verdict"], "Description": record["sentence"]}
    info = png_info(e.metadata(photo_name) | said)
    file = io.BytesIO()
    figure.savefig(file, format="png", pil_kwargs={"pnginfo": info})
    return file.getvalue()


def _write_verdict(figure: Figure, e: Explanation, record: Mapping[str, Any]) -> None:
    """Writes the left column: network, class, verdict and reasons."""
    y = float(_MARGIN_PX)

    def write(text: str, font: Font, colour: str, indent: float = 0, after: float = 0) -> None:
        nonlocal y
        for line in font.wrapped(drawable(text), _TEXT_WIDTH_PX - indent)[0]:
            y += 1.3 * font.pixels
            draw_line(figure, line, _MARGIN_PX + indent, y, font, colour)
        y += after

    write(e.heading, Font(11, bold=True), _TEXT)
    write(f"{e.question} {percentage(e.target.probability)}", Font(11), _SUBDUED, after=26)
    outcome: Outcome = record["verdict"]
    verdict = f"{_SIGNS[outcome]}  {HEADINGS[outcome]}"
    write(verdict, Font(15, bold=True), _COLOURS[outcome], after=22)
    for reason in record["reasons"]:
        outcome, font = reason["outcome"], Font(9.5)
        bold = Font(font.size, bold=True)
        baseline = y + 1.3 * font.pixels
        draw_line(figure, _SIGNS[outcome], _MARGIN_PX, baseline, bold, _COLOURS[outcome])
        text = reason["text"][0].upper() + reason["text"][1:]
        write(text, font, _TEXT, indent=30, after=14)


def _draw_altered(
    axes: Axes, name: str, record: Mapping[str, Any], picture: Image.Image, kind: str, title: str
) -> None:
    """Draws the picture with the class's probability before and after, and its top class."""
    altered = record[kind]
    first = altered["top"][0]
    change = f"{percentage(record['probability'])} → {percentage(altered['probability'])}"
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title(
        f"{title} {100 * altered['share']:.0f} %", size=10, weight="bold", pad=6, family=FAMILY
    )
    lines = "\n".join(
        in_order(drawable(line))
        for line in (
            f"{name} {change}",
            f"top class: {name_or_number(first['name'], first.get('index'))} "
            f"{percentage(first['probability'])}",
        )
    )
    axes.text(
        0.5, -0.04, lines, size=8.5, ha="center", va="top", linespacing=1.3,
        family=families(lines), color=_TEXT, transform=axes.transAxes, parse_math=False,
    )  # fmt: skip


def _draw_curves(axes: Axes, record: Mapping[str, Any], kind: str, title: str) -> None:
    own, elsewhere = record[kind], record[f"random_{kind}"]
    if elsewhere:
        shares = elsewhere["shares"]
        lowest, highest = elsewhere["lowest"], elsewhere["highest"]
        axes.fill_between(shares, lowest, highest, color=_SUBDUED, alpha=0.22, linewidth=0)
        label = f"laid elsewhere, {record['lead']['count']} places"
        mean = elsewhere["probabilities"]
        axes.plot(shares, mean, "--", color=_SUBDUED, linewidth=1.2, label=label)
    probabilities = own["probabilities"]
    axes.plot(own["shares"], probabilities, "o-", color=_BY_HEAT, markersize=4, label="this map")
    axes.set_title(title, size=10, weight="bold", family=FAMILY)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03), xlabel="of the picture", ylabel="probability")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axis.label.set_fontsize(8.5)
        axis.set_tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
