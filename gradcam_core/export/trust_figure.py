"""The curves of deletion and insertion as a picture."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from gradcam_core.analysis.verdict import Trust

_SIZE = (9.6, 5.4)  # inches
_DPI = 150
_BY_HEAT, _BY_CHANCE = "#4f46e5", "#6b7280"


def trust_png(found: Trust) -> bytes:
    """Both curves beside those of a random order, with their areas and what it all comes to."""
    e = found.explanation
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained", facecolor="white")
    figure.suptitle(
        f"{e.heading}: {e.target.name}\n{textwrap.fill(found.sentence, 100)}", fontsize=11
    )
    curves = (
        ("Hottest places taken out", found.deletion, found.random_deletion),
        ("Hottest places put in", found.insertion, found.random_insertion),
    )
    for axes, (title, by_heat, by_chance) in zip(figure.subplots(1, 2), curves, strict=True):
        changed = np.linspace(0, 1, len(by_heat.probabilities))
        axes.plot(
            changed, by_chance.probabilities, "--", color=_BY_CHANCE,
            label=f"at random: area {by_chance.area:.2f}",
        )  # fmt: skip
        axes.plot(
            changed, by_heat.probabilities, color=_BY_HEAT, linewidth=2.5,
            label=f"by heat: area {by_heat.area:.2f}",
        )  # fmt: skip
        axes.set(title=title, xlabel="of the picture", ylabel="probability", ylim=(-0.02, 1.02))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
