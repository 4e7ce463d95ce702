"""The figure of what checks have found: that it is of the map that was checked."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

import gradcam_core as gc
from gradcam_core.export import trust_figure
from gradcam_core.export.trust_figure import Checked, trust_png

CURVE = {"shares": [0.0, 0.5, 1.0], "probabilities": [0.5, 0.2, 0.0]}
ALTERED = {"share": 0.2, "probability": 0.1, "top": [{"name": "lynx", "probability": 0.3}]}

RECORD: dict[str, Any] = {
    "verdict": "unclear",
    "sentence": "It is not clear whether this map holds: a reason.",
    "reasons": [{"check": "deletion_insertion", "outcome": "unclear", "text": "a reason"}],
    "lead": {"count": 5},
    "probability": 0.5,
    **dict.fromkeys(("without", "alone"), ALTERED),
    **dict.fromkeys(("deletion", "insertion"), CURVE),
    **{
        f"random_{name}": CURVE | {"lowest": [0.5, 0.1, 0.0], "highest": [0.5, 0.3, 0.0]}
        for name in ("deletion", "insertion")
    },
}
UNTESTABLE = RECORD | {"lead": None, "random_deletion": None, "random_insertion": None}
"""Of a class that is too improbable: there is no map elsewhere."""


@pytest.mark.parametrize(
    ("record", "contrast", "question"),
    [
        (RECORD, False, "tabby"),
        (UNTESTABLE, "lynx", "tabby rather than lynx"),
        (RECORD, ["lynx", "cougar"], "tabby rather than lynx and cougar"),
    ],
)
def test_it_names_class_and_contrast_as_a_panel_does(
    monkeypatch: pytest.MonkeyPatch, cat, lite0: gc.Model, record, contrast, question: str
):
    made: list[Figure] = []

    def figure(**options: Any) -> Figure:
        made.append(Figure(**options))
        return made[-1]

    monkeypatch.setattr(trust_figure, "Figure", figure)
    e = gc.explain(cat, lite0, "tabby", contrast=contrast)
    picture = Image.new("RGB", (224, 224))
    assert trust_png(e, Checked(record, {"without": picture, "alone": picture}))
    written = " ".join(text.get_text() for text in made[0].texts)
    assert question in written
    assert ("rather than" in written) == bool(contrast)
