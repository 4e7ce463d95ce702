"""The texts of an explanation for labels, captions and files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_core.cam.methods.registry import DEFAULT_METHOD, method_named
from gradcam_core.cam.passes.smoothing import TITLES, Smooth
from gradcam_core.images.apply_covers import covered_share, how_covered
from gradcam_core.images.cover import Cover
from gradcam_core.images.geometry import VIEW_TITLES, View, ViewName
from gradcam_core.images.rendering.metadata import SOFTWARE
from gradcam_core.models.model import parts_of_choice
from gradcam_core.version import __version__
from gradcam_core.wording import (
    amount,
    file_name,
    listed,
    percentage_in_sentence,
    whole_percentage_in_sentence,
)

_OTHERS_NAMED = 2

# Of a class: words that begin no clause, with signs between their letters; brackets at the end.
_PLAIN = re.compile(
    r"(?!(?:an?|the|no|not|none|and|or|all|both|neither)\b)\w+(?:[ '’/-]{1,2}\w+)*(?: \([\w ]+\))?",
    re.IGNORECASE,
)

_EVEN = 1e-4  # a map counts as even up to this spread, as a share of its maximum

NOT_NUMBERS = "The network's scores for this picture are not numbers."
NOTHING = "Nothing here is evidence for this class."
NOTHING_RAISES = "Nothing here raises this value."
NOTHING_HOT = "Nothing here is hot."
SAME_EVERYWHERE = "The heat is the same everywhere, so it points at no place."
ONE_CELL = "This layer has one cell, which points at no place; choose an earlier layer."
ONE_PIXEL = "The network saw one pixel, so the heat points at no place."


@dataclass(frozen=True)
class Prediction:
    """A class and the probability, in [0, 1], that a network gives it; or an output of a regression
    and its value."""

    index: int
    name: str
    probability: float

    @property
    def in_sentence(self) -> str:
        """The name; in quotation marks where it could be taken for other words of the sentence."""
        return self.name if _PLAIN.fullmatch(self.name) else f"“{self.name}”"


class ExplanationText:
    """The texts of an explanation, from its fields: see `Explanation`."""

    title: str
    target: Prediction
    rank: int
    method: str
    contrast: tuple[Prediction, ...]
    layer: str
    detail: int
    view: ViewName
    stands_in_for: str
    geometry: View
    feature_map: np.ndarray
    is_of_last_layer: bool
    tokens: bool
    classes: int
    unit: str | None
    signed_map: np.ndarray | None
    smooth: Smooth | None
    covers: tuple[Cover, ...]
    top: tuple[Prediction, ...]
    uncovered: ExplanationText | None

    @property
    def view_title(self) -> str:
        """What the network saw, for labels: "centre crop"."""
        return self.geometry.title if self.view == "crop" else VIEW_TITLES[self.view]

    def score(self, prediction: Prediction) -> str:
        """A probability or value, for a sentence: "39.1 %", "41.3 years"."""
        if self.unit is None:
            return percentage_in_sentence(prediction.probability)
        return amount(prediction.probability, self.unit)

    @property
    def heading(self) -> str:
        """The network's title and, for a stand-in, "for" and the title of the network replaced."""
        return f"{self.title} for {self.stands_in_for}" if self.stands_in_for else self.title

    @property
    def question(self) -> str:
        """The class explained and those in contrast: "tabby rather than lynx"."""
        return f"{self.target.name} {self.rather_than}".strip()

    @property
    def rather_than(self) -> str:
        """The classes in contrast, for labels: "rather than lynx"; empty if there are none."""
        if not self.contrast:
            return ""
        if len(self.contrast) > _OTHERS_NAMED:
            return f"rather than {len(self.contrast)} others"
        return f"rather than {self._contrast_named()}"

    @property
    def _rather_than_others(self) -> str:
        """The words " rather than “lynx”" or " rather than others"; empty without a contrast. Where
        nothing speaks for a class rather than others, something may speak for the class."""
        if not self.contrast:
            return ""
        only = len(self.contrast) == 1
        return f" rather than {self._contrast_named('“{}”') if only else 'others'}"

    @property
    def unusual(self) -> str:
        """Settings that labels must name, because they differ from Grad-CAM as published: how much
        of the photo is covered, method, detail, smoothing and layer. Empty if none differ."""
        share = covered_share(self.covers, self.geometry.photo_size) if self.covers else 0
        parts = [
            f"{whole_percentage_in_sentence(share)} covered" if self.covers else "",
            method_named(self.method).title if self.method != DEFAULT_METHOD else "",
            f"detail {self.detail} ×" if self.detail > 1 else "",
            TITLES[self.smooth] if self.smooth else "",
            "" if self.is_of_last_layer else self.layer_title,
        ]
        return ", ".join(filter(None, parts))

    def _contrast_named(self, form: str = "{}") -> str:
        names = [form.format(other.name) for other in self.contrast[:_OTHERS_NAMED]]
        more = len(self.contrast) - len(names)
        return listed([*names, f"{more} more"] if more else names)

    @property
    def how(self) -> str:
        """How the map was made, for people: the method, contrast, detail and smoothing."""
        method = method_named(self.method)
        parts = [method.title if method.knows_class else f"{method.title}, which ignores the class"]
        if self.contrast:
            parts.append(f"rather than {self._contrast_named()}")
        if self.detail > 1:
            parts.append(f"detail {self.detail} ×")
        if self.smooth is not None:
            parts.append(TITLES[self.smooth])
        return ", ".join(parts)

    @property
    def layer_title(self) -> str:
        """The layer, for labels: "layer features.35", or "layers a and b fused"."""
        names = parts_of_choice(self.layer)
        return f"layer {self.layer}" if len(names) == 1 else f"layers {listed(names)} fused"

    def caption(self, photo_name: str = "") -> str:
        """A caption for the map, in one line: photo, method, class and contrast, network,
        probability and rank, layer, view, and the meaning of the scale.

        photo_name: the file name of the photo, without folders; if empty, the caption names none.
        """
        method, name = method_named(self.method), f"“{self.target.name}”"
        pixels = "{} × {} pixels".format(*self.geometry.photo_size)
        photo = f"{file_name(photo_name)} ({pixels})" if photo_name else f"A photo of {pixels}"
        if self.covers:
            photo += f", {how_covered(self.covers, self.geometry.photo_size)}"
        contrast = f" rather than {self._contrast_named('“{}”')}" if self.contrast else ""
        of = f" for {name}{contrast}" if method.knows_class else ", which ignores the class"
        detail = f" at detail {self.detail} ×" if self.detail > 1 else ""
        mean = f", {TITLES[self.smooth]}" if self.smooth else ""
        layer = f"L{self.layer_title[1:]}{', tokens on a grid' if self.tokens else ''}"
        instead = f", which stands in for {self.stands_in_for}" if self.stands_in_for else ""
        share = self.score(self.target)
        before = ""
        if self.uncovered is not None and self.uncovered.has_scores:
            before = f", and {self.score(self.uncovered.target)} in the photo as it is"
        sure = f"{name} has {share} (rank {self.rank} of {self.classes} classes){before}."
        if self.unit is not None:
            sure = f"{name} is {share}{before}."
        ends = "none to the most"
        if method.knows_class:
            ends = f"nothing for the class{self._rather_than_others} to the most evidence"
            if self.unit is not None:
                ends = "what does not raise the value to what raises it most"
        scale = f"The heat goes from {ends} in this map"
        if self.signed_map is not None:
            other = self._contrast_named("“{}”") if self.contrast else ""
            opposite = f"for {other}" if other else "against it"
            scale = f"Orange speaks for {name}, blue {opposite}, on one scale for both"
            blue = f"Blue speaks {opposite}"
            if self.unit is not None:
                scale = f"Orange raises {name}, blue lowers it, on one scale for both"
                blue = "Blue lowers it"
            if self.is_only_against:
                scale = f"{self.degenerate} {blue}"
        sentences = (
            f"{photo}: {method.title}{detail}{of}{mean}, by {self.title}{instead}.",
            sure if self.has_scores else "",
            f"{layer}, {self.view_title}.",
            f"There is no map. {self.degenerate}"
            if self.degenerate and not self.is_only_against
            else f"{scale}: it compares places within this picture, not pictures or networks.",
        )
        return " ".join(" ".join(sentences).split())

    def metadata(self, photo_name: str = "") -> dict[str, str]:
        """The metadata for a picture of the map, by key: see
        `gradcam_core.images.rendering.metadata`.

        photo_name: the file name of the photo, without folders; if empty, there is no "Photo".
        """
        has_shares = self.has_scores and self.unit is None
        orange, blue = "what raises the value", "what lowers it"
        if self.unit is None:
            orange, blue = "for the class", "for the contrast" if self.contrast else "against it"
        given = {
            "Photo": file_name(photo_name) if photo_name else "",
            "Covered": "; ".join(cover.text for cover in self.covers),
            "Network": self.title,
            "Stands in for": self.stands_in_for,
            "Class": f"{self.target.name} ({self.target.index})",
            "Probability": f"{self.target.probability:.4g}" if has_shares else "",
            "Value": self.score(self.target) if self.has_scores and not has_shares else "",
            "Rank": str(self.rank) if has_shares else "",
            "Contrast": ", ".join(f"{other.name} ({other.index})" for other in self.contrast),
            "Method": method_named(self.method).title,
            "Detail": str(self.detail),
            "Mean": TITLES[self.smooth] if self.smooth else "",
            "Layer": self.layer,
            "View": self.view_title,
            "Scale": ""
            if self.degenerate and not self.is_only_against
            else "from 0 to the maximum of this map"
            if self.signed_map is None
            else f"{orange} orange, {blue} blue, as shares of the largest value of either",
            SOFTWARE: f"Grad-CAM, side by side {__version__}",
        }
        return {key: value for key, value in given.items() if value}

    @property
    def has_scores(self) -> bool:
        """Whether the network's scores for this photo are numbers. If not, a classifier's
        probabilities are all 0."""
        if self.unit is not None:
            return all(np.isfinite(one.probability) for one in self.top)
        return self.top[0].probability > 0

    @property
    def is_only_against(self) -> bool:
        """Whether there is no evidence for the class, but a signed map shows evidence against
        it."""
        is_nothing = self.degenerate.startswith((NOTHING.removesuffix("."), NOTHING_RAISES))
        return is_nothing and self.signed_map is not None and bool(self.signed_map.min() < 0)

    @cached_property
    def degenerate(self) -> str:
        """A sentence that says why the heatmap is 0 everywhere; empty if it is not."""
        if not self.has_scores or not np.isfinite(self.feature_map).all():
            return NOT_NUMBERS
        left, top, right, bottom = self.geometry.box
        if (right - left) * (bottom - top) <= 1:
            return ONE_PIXEL
        if self.geometry.peak(self.feature_map) <= 0:
            if not method_named(self.method).knows_class:
                return NOTHING_HOT
            if self.unit is not None:
                return NOTHING_RAISES
            return f"{NOTHING.removesuffix('.')}{self._rather_than_others}."
        if self.feature_map.size == 1:
            return ONE_CELL
        if np.ptp(self.feature_map) <= _EVEN * self.feature_map.max():
            return SAME_EVERYWHERE
        return ""
