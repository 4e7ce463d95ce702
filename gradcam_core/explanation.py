"""An explanation: where one network found the evidence for one class in one photo."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gradcam_core.cam.methods import DEFAULT_METHOD, method_named
from gradcam_core.cam.smoothing import TITLES, Smooth
from gradcam_core.errors import ChoiceError
from gradcam_core.images.cover import Cover
from gradcam_core.images.covering import covered, covered_share, how_covered
from gradcam_core.images.decoded import Window
from gradcam_core.images.geometry import VIEW_TITLES, View, ViewName
from gradcam_core.images.metadata import SOFTWARE, png_info
from gradcam_core.images.read import Photo, read_picture
from gradcam_core.images.render import (
    COLORMAP,
    FOR_AND_AGAINST,
    OPACITY,
    overlay_bands,
    shrunk,
)
from gradcam_core.models.model import parts_of_choice
from gradcam_core.models.weights import Weights
from gradcam_core.old_names import warn
from gradcam_core.version import __version__
from gradcam_core.wording import (
    amount,
    as_whole,
    file_name,
    listed,
    percentage_in_sentence,
    whole_percentage_in_sentence,
)

if TYPE_CHECKING:
    from gradcam_core.cam.steps import Steps

_OTHERS_NAMED = 2

BAND_PIXELS = 2**18
_BANDS_KEPT = 4  # at most, to save computing them again

_MOST_PLACES = 2**30
"""Of a raster of heat, which takes 4 GB then."""

_EVEN = 1e-4  # spread of a map, as share of its maximum, below which it is the same everywhere

NOTEBOOK_MAX_SIDE_PX = 768
"""Long side of the overlay that a notebook shows."""

NOT_NUMBERS = "The network's scores for this picture are not numbers."
NOTHING = "Nothing here speaks for this class."
NOTHING_RAISES = "Nothing here raises this value."
SAME_EVERYWHERE = "The heat is the same everywhere, so it points at no place."
ONE_CELL = "The map of this layer has one cell, so it points at no place: choose an earlier layer."
ONE_PIXEL = "The network saw one pixel, so the heat points at no place."


@dataclass(frozen=True)
class Prediction:
    """One class and the probability, in [0, 1], that a network gives it; or what a regression gives
    and its value."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Explanation:
    """Where one network found the evidence for one class in one photo.

    target: the class explained, rank: its place among all classes by probability, from 1.
    top: the five most probable classes, or all if there are fewer. model, title: the network that
    ran; stands_in_for: the title of the network it replaces, if it does, and notice: the sentence
    to show with it. layer, method, detail, weights: how the map was made; contrast: the classes
    rather than which it explains the target.
    Classes and probabilities are those of detail 1, the network as published. view: the name of the
    view; geometry: what it is in the photo's pixels. feature_map: float32 [h, w], >= 0, not
    normalised: the map as the method gives it. tokens: whether its cells are the tokens of a
    transformer, laid out on their grid. is_of_last_layer: whether `layer` is that of the
    paper, the last feature map. classes: how many the network knows; independent: whether each has
    a probability of its own instead of a share of one. unit: None for a classifier; of a regression
    that of its values, which stand in the place of probabilities, and whose rise is explained.
    photo_notices: sentences to show beside the photo, about what was chosen in reading it, such as
    a range of brightness or the first of several pages. window: the range that was asked for.
    signed_map: float32 [h, w], with what speaks against the class below 0, where it was asked for:
    overlays and figures then show both. smooth: the copies of the picture whose maps this is the
    mean of; None if it is that of the picture alone. Of several layers, whose maps are joined,
    `layer` has all names with "+" between them. steps: how the map is made, where that was asked
    for. covers: the places of the photo that were covered; uncovered: of the same network, class
    and photo before that, where it was made, too.
    photo: the RGB picture, for notebooks, where `gc.explain` or `gc.examine` was given it; it is no
    part of what is compared, pickled or recorded.
    """

    model: str
    title: str
    target: Prediction
    rank: int
    top: tuple[Prediction, ...]
    method: str
    contrast: tuple[Prediction, ...]
    layer: str
    detail: int
    view: ViewName
    weights: Weights
    stands_in_for: str
    notice: str
    geometry: View
    feature_map: np.ndarray
    is_of_last_layer: bool = True
    tokens: bool = False
    classes: int = 1000
    independent: bool = False
    unit: str | None = None
    photo_notices: tuple[str, ...] = ()
    window: Window | None = None
    signed_map: np.ndarray | None = None
    smooth: Smooth | None = None
    steps: Steps | None = None
    covers: tuple[Cover, ...] = ()
    uncovered: Explanation | None = field(default=None, repr=False)
    photo: Image.Image | None = field(default=None, compare=False, repr=False)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in the photo's pixels: what the network saw."""
        return self.geometry.box

    @property
    def view_title(self) -> str:
        """What the network saw, for labels: "centre crop"."""
        return self.geometry.title if self.view == "crop" else VIEW_TITLES[self.view]

    @property
    def value(self) -> float | None:
        """What a regression gives, in `unit`; None for a classifier."""
        return None if self.unit is None else self.target.probability

    def score(self, prediction: Prediction) -> str:
        """The probability or value of one class, for a sentence: "39.1 %", "41.3 years"."""
        if self.unit is None:
            return percentage_in_sentence(prediction.probability)
        return amount(prediction.probability, self.unit)

    @property
    def heading(self) -> str:
        """The network's title, with that of the network it stands in for."""
        return f"{self.title} for {self.stands_in_for}" if self.stands_in_for else self.title

    @property
    def question(self) -> str:
        """The class explained, and rather than which: "tabby rather than lynx"."""
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
    def unusual(self) -> str:
        """What else labels have to say: the method, detail and layer, where they are not Grad-CAM's
        as published, and how much of the photo is covered; else empty."""
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
    def rivals(self) -> tuple[Prediction, ...]:
        """The old name of `contrast`."""
        warn("rivals", "contrast")
        return self.contrast

    @property
    def how(self) -> str:
        """How the map was made, for people: the method, and what is not as published."""
        method = method_named(self.method)
        parts = [method.title if method.knows_class else f"{method.title}, which knows no class"]
        if self.contrast:
            parts[0] += f" in contrast to {self._contrast_named()}"
        if self.detail > 1:
            parts.append(f"detail {self.detail} ×")
        if self.smooth is not None:
            parts.append(TITLES[self.smooth])
        return ", ".join(parts)

    @property
    def layer_title(self) -> str:
        """The layer, for labels: "layer features.35", or "layers a and b joined"."""
        names = parts_of_choice(self.layer)
        return f"layer {self.layer}" if len(names) == 1 else f"layers {listed(names)} joined"

    def record(self) -> dict[str, object]:
        """All but the maps, in types that JSON has. Where the scores are not numbers there are no
        probabilities, no rank and no most probable classes."""
        target = self._recorded(self.target)
        if not self.has_scores:
            target["probability"] = None
        return {
            "model": self.model,
            "title": self.title,
            "stands_in_for": self.stands_in_for or None,
            "notice": self.notice or None,
            "photo_notices": list(self.photo_notices),
            "covers": [cover.record() for cover in self.covers],
            "target": target,
            "rank": self.rank if self.has_scores else None,
            "degenerate": self.degenerate or None,
            "top": [self._recorded(one) for one in self.top if self.has_scores],
            "classes": self.classes,
            "method": self.method,
            "contrast": [asdict(prediction) for prediction in self.contrast],
            "rivals": [asdict(prediction) for prediction in self.contrast],  # the old name
            "layer": self.layer,
            "smooth": self.smooth,
            "tokens": self.tokens,
            "signed": self.signed_map is not None,
            "steps": self.steps and self.steps.record(),
            "detail": self.detail,
            "view": self.view,
            "photo_size": self.geometry.photo_size,
            "box": self.box,
            "weights": {"source": self.weights.source, "sha256": self.weights.sha256},
        }

    def _recorded(self, prediction: Prediction) -> dict[str, Any]:
        if self.unit is None:
            return asdict(prediction)
        value = prediction.probability if self.has_scores else None
        return {**asdict(prediction), "probability": None, "value": value, "unit": self.unit}

    def caption(self, photo_name: str = "") -> str:
        """What stands under this map in a text, in one line: photo, method, class and contrast,
        network, probability and rank, layer, view, and what the scale means.

        photo_name: of the photo's file, without its folders; empty if it is not to be said.
        """
        method, name = method_named(self.method), f"“{self.target.name}”"
        pixels = "{} × {} pixels".format(*self.geometry.photo_size)
        photo = f"{file_name(photo_name)} ({pixels})" if photo_name else f"A photo of {pixels}"
        if self.covers:
            photo += f", {how_covered(self.covers, self.geometry.photo_size)}"
        contrast = f" rather than {self._contrast_named('“{}”')}" if self.contrast else ""
        of = f" for {name}{contrast}" if method.knows_class else ", which knows no class"
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
            ends = "nothing for the class to the most evidence"
            if self.unit is not None:
                ends = "what does not raise the value to what raises it most"
        scale = f"The heat goes from {ends} in this map"
        if self.signed_map is not None:
            other = self._contrast_named("“{}”") if self.contrast else ""
            opposite = f"for {other}" if other else "against it"
            scale = f"Orange speaks for {name}, blue {opposite}, on one scale for both"
        sentences = (
            f"{photo}: {method.title}{detail}{of}{mean}, by {self.title}{instead}.",
            sure if self.has_scores else "",
            f"{layer}, {self.view_title}.",
            f"There is no map. {self.degenerate}"
            if self.degenerate
            else f"{scale}: it compares places within this picture, not pictures or networks.",
        )
        return " ".join(" ".join(sentences).split())

    def metadata(self, photo_name: str = "") -> dict[str, str]:
        """What a picture of the map says of itself, by key: see `gradcam_core.images.metadata`.

        photo_name: of the photo's file, without its folders; empty if it is not to be said.
        """
        has_shares = self.has_scores and self.unit is None
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
            "Scale": "from 0 to the most of this map"
            if self.signed_map is None
            else "from the most against the class (blue) to the most for it (orange), 0 between",
            SOFTWARE: f"Grad-CAM, side by side {__version__}",
        }
        return {key: value for key, value in given.items() if value}

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 [H, W] of the original photo, in [0, 1]; 0 outside `box`."""
        return self.heatmap_at(self.geometry.photo_size)

    @property
    def identity(self) -> tuple[object, ...]:
        """The same for two explanations that are one, as where a network stands in for two."""
        return self.model, self.target.index, self.how, self.layer, self.feature_map.tobytes()

    @property
    def has_scores(self) -> bool:
        """Whether the network's scores for this photo are numbers; else all probabilities are 0."""
        if self.unit is not None:
            return all(np.isfinite(one.probability) for one in self.top)
        return self.top[0].probability > 0

    @cached_property
    def degenerate(self) -> str:
        """Why the heatmap is 0 everywhere, in a sentence; empty if it is not."""
        if not self.has_scores or not np.isfinite(self.feature_map).all():
            return NOT_NUMBERS
        left, top, right, bottom = self.box
        if (right - left) * (bottom - top) <= 1:
            return ONE_PIXEL
        if self.geometry.peak(self.feature_map) <= 0:
            return NOTHING if self.unit is None else NOTHING_RAISES
        if self.feature_map.size == 1:
            return ONE_CELL
        if np.ptp(self.feature_map) <= _EVEN * self.feature_map.max():
            return SAME_EVERYWHERE
        return ""

    def overlay_bands(
        self, photo: Image.Image, colormap: str = COLORMAP, opacity: float = OPACITY
    ) -> Iterator[np.ndarray]:
        """The heat over its photo, which may have been resized: RGB of that size, from the top
        down, some rows at a time, uint8 [rows, width, 3]."""
        width, height = photo.size
        full_width, full_height = self.geometry.photo_size
        left, top, right, bottom = self.box
        # Every pixel that shows any of the box, as in `View.to_photo`.
        box = (
            left * width // full_width,
            top * height // full_height,
            -(-right * width // full_width),
            -(-bottom * height // full_height),
        )
        if self.signed_map is None:
            return overlay_bands(photo, self.heatmap_bands(photo.size), box, opacity, colormap)
        shares = ((heat + 1) / 2 for heat in self.signed_bands(photo.size))
        return overlay_bands(photo, shares, box, opacity, FOR_AND_AGAINST)

    def overlay(
        self, photo: Photo, colormap: str = COLORMAP, opacity: float = OPACITY
    ) -> Image.Image:
        """The heat over its photo, which may have been resized: RGB of that size. What the network
        did not see is darkened. With a `signed_map`, what speaks for the class is orange and what
        speaks against it blue, whatever the colormap. Raises ChoiceError for an unknown colormap or
        opacity, ImageError for no picture."""
        bands = self.overlay_bands(self.read_photo(photo), colormap, opacity)
        return Image.fromarray(np.concatenate(list(bands)))

    def read_photo(self, photo: Photo) -> Image.Image:
        """This explanation's photo, RGB: its own picture as it is, any other through its window and
        with the same places covered. Raises ImageError."""
        if self.photo is not None and photo is self.photo:
            return self.photo
        decoded = read_picture(photo, self.window)
        return (decoded if decoded.covers else covered(decoded, self.covers)).image

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        if self.photo is None:
            return None
        file = io.BytesIO()
        photo = shrunk(self.photo, NOTEBOOK_MAX_SIDE_PX, Image.Resampling.LANCZOS)
        self.overlay(photo).save(file, "PNG", pnginfo=png_info(self.metadata()))
        return file.getvalue()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"photo": None}

    def heatmap_at(self, size: tuple[int, int]) -> np.ndarray:
        """The heatmap on a raster of (width, height) that covers the whole photo.

        float32 [height, width], its maximum 1; all 0 if the map is `degenerate`. Raises ChoiceError
        for another size.
        """
        size = _valid_size(size)
        heat = np.empty((size[1], size[0]), dtype=np.float32)
        filled = 0
        for band in self.heatmap_bands(size):
            heat[filled : filled + len(band)] = band
            filled += len(band)
        return heat

    def heatmap_bands(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """`heatmap_at` from the top down, some rows at a time: float32 [rows, width] each.

        A heatmap of 48 megapixels takes 195 MB, and nobody needs all of it at once.
        """
        feature_map = np.zeros_like(self.feature_map) if self.degenerate else self.feature_map
        return self._bands(feature_map, size)

    @cached_property
    def signed_heatmap(self) -> np.ndarray:
        """float32 [H, W] of the original photo, in [-1, 1], divided by the largest absolute value:
        above 0 what speaks for the class, below 0 what speaks against it, 0 outside `box`. Raises
        ChoiceError where `signed` was not asked for."""
        return np.concatenate(list(self.signed_bands(self.geometry.photo_size)))

    def signed_bands(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """`signed_heatmap` on a raster of (width, height), as `heatmap_bands` gives the heatmap."""
        if self.signed_map is None:
            raise ChoiceError("This explanation has no signed map: explain with signed=True.")
        signed = self.signed_map
        return self._bands(signed if np.isfinite(signed).all() else np.zeros_like(signed), size)

    def _bands(self, cells: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """Cells [h, w] laid over the photo and divided by their largest absolute value there."""
        rows = max(1, BAND_PIXELS // size[0])

        def bands() -> Iterable[np.ndarray]:
            return self.geometry.bands_to_photo(cells, size, rows)

        once: Iterable[np.ndarray] = bands()
        if size[1] <= _BANDS_KEPT * rows:
            once = list(once)
        peak = max(float(np.abs(band).max()) for band in once)
        for band in once if isinstance(once, list) else bands():
            if peak > 0:
                band /= peak
            yield band


def _valid_size(size: object) -> tuple[int, int]:
    sides = [as_whole(side) for side in size] if isinstance(size, tuple | list) else []
    if len(sides) != 2 or any(side is None or side < 1 for side in sides):
        raise ChoiceError(
            f"The size must be (width, height) in whole pixels from 1 on, not {size!r}."
        )
    width, height = (side or 0 for side in sides)
    if width * height > _MOST_PLACES:
        raise ChoiceError(f"{width} × {height} pixels are too many: the most are {_MOST_PLACES}.")
    return width, height
