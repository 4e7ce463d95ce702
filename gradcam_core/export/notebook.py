"""Several explanations of one photo in a notebook: the labelled figure, not a list of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, SupportsIndex, overload

from gradcam_core.cam.methods.registry import DEFAULT_METHOD
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation.explain import explain
from gradcam_core.explanation.result import Explanation
from gradcam_core.export.figure import Slide, Theme, figure, png
from gradcam_core.images.cover import Covers, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import ViewName
from gradcam_core.images.read import Photo, read_picture
from gradcam_core.images.rendering.render import COLORMAP, OPACITY
from gradcam_core.models.class_names.labels import find_in_all
from gradcam_core.models.loading import loader
from gradcam_core.models.registry import default_models, model_info
from gradcam_core.wording import kind_of


class Explanations(list[Explanation]):
    """Explanations of one photo, as returned by `compare`. A notebook shows the labelled figure."""

    def figure(
        self, theme: Theme = "light", colormap: str = COLORMAP, opacity: float = OPACITY
    ) -> Slide:
        """The labelled figure, for `gradcam_core.export.figure.png` and `svg`, or for matplotlib.

        Raises ChoiceError if an explanation lacks its photo, or if photos differ in size.
        """
        photos = [e.photo for e in self if e.photo is not None]
        if not photos or len(photos) < len(self) or len({photo.size for photo in photos}) > 1:
            raise ChoiceError(
                "A figure needs explanations of one photo, made by compare, explain or examine."
            )
        return figure(photos[0], self, theme, colormap, opacity)

    def _repr_png_(self) -> bytes | None:
        """The figure as PNG, which a notebook shows; None if there is no figure."""
        try:
            return png(self.figure())
        except ChoiceError:
            return None

    @overload
    def __getitem__(self, at: SupportsIndex) -> Explanation: ...

    @overload
    def __getitem__(self, at: slice) -> Explanations: ...

    def __getitem__(self, at: SupportsIndex | slice) -> Explanation | Explanations:
        found = super().__getitem__(at)
        return Explanations(found) if isinstance(found, list) else found


def compare(
    image: Photo,
    models: Sequence[str] | str | None = None,
    target: int | str | None = None,
    method: str = DEFAULT_METHOD,
    detail: int = 1,
    view: ViewName = "crop",
    contrast: bool | int | str | Sequence[int | str] = False,
    preset: str | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    window: Window | tuple[float, float] | str | None = None,
    cover: Covers = None,
) -> Explanations:
    """Where several networks find the evidence for a class in a photo: one explanation each.

    models: one name or several; None means your own networks, or else the three that the page
    shows. The other arguments are those of `explain`. on_progress: called with the share of all
    work that is done. Raises ImageError, LabelError or ChoiceError for arguments that cannot be
    used.
    """
    limits, covers = window_of(window), covers_of(cover)
    photo, names = read_picture(image, limits), _names(models)
    infos = [model_info(name) for name in names]
    if target is not None:
        find_in_all(target, [(info.title, info.labels) for info in infos])
    for name in names:
        loader(name).request()  # all load at once, in the background
    found = Explanations()
    for number, name in enumerate(names):

        def report(share: float, done: int = number) -> None:
            on_progress((done + share) / len(names))

        e = explain(
            photo,
            name,
            target,
            method,
            detail,
            view,
            contrast,
            preset,
            on_progress=report,
            cover=covers,
        )
        found.append(replace(e, window=limits))
        report(1)
    return found


def _names(models: Sequence[str] | str | None) -> Sequence[str]:
    if models is None:
        return default_models()
    if isinstance(models, str):
        return [models]
    if not isinstance(models, Iterable):
        raise ChoiceError(f"{kind_of(models)} is not a list of networks. Give their names.")
    if not (names := list(models)):
        raise ChoiceError("No network is named. Give one or more names.")
    return names


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext gradcam_core`: a notebook shows the figure of any list of explanations."""
    ipython.display_formatter.formatters["image/png"].for_type(list, _png_of)


def _png_of(values: list) -> bytes | None:
    if values and all(isinstance(value, Explanation) for value in values):
        return Explanations(values)._repr_png_()
    return None
