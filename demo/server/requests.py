"""The requests that the page sends, checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
)

from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.examples import example_folder, example_path
from demo.gradio_internals import get_upload_folder
from demo.server.classes import all_classes
from gradcam_core.cam.methods.registry import DEFAULT_METHOD, METHODS
from gradcam_core.errors import ChoiceError, LabelError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.cover import MOST_COVERS, Cover, Fill, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import DETAILS, ViewName
from gradcam_core.images.remote.fetch import MAX_ADDRESS_LENGTH
from gradcam_core.images.rendering.render import COLORMAP, COLORMAPS, OPACITY
from gradcam_core.models.registry import classifiers

if TYPE_CHECKING:
    from demo.server.remote_pictures import RemotePictures

MAX_MAPS = 24


def _known(names: Callable[[], Iterable[str]]) -> AfterValidator:
    def check(name: str) -> str:
        known = list(names())
        if name not in known:
            raise ValueError(f"choose one of: {', '.join(known)}")
        return name

    return AfterValidator(check)


def _is_class(place: int) -> int:
    last = len(all_classes().labels) - 1
    if not 0 <= place <= last:
        raise ValueError(f"choose a class from 0 to {last}")
    return place


def _is_cover(text: str) -> str:
    return covers_of(text)[0].text


_CoverText = Annotated[str, Field(max_length=8000), AfterValidator(_is_cover)]
_ModelName = Annotated[str, _known(lambda: (info.name for info in classifiers()))]
_MethodName = Annotated[str, _known(lambda: METHODS)]
_Class = Annotated[int, AfterValidator(_is_class)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class MapRequest(_Strict):
    """One map. id: how the answer names it. contrast: whether the class is explained rather than
    the most probable others. trust: whether to check it, too. See `ExplanationRequest` for the
    rest. Aliases are the names of version 1.0, of which pages may still be open."""

    id: str = Field(max_length=80)
    model: _ModelName
    method: _MethodName = DEFAULT_METHOD
    detail: int = Field(1, ge=min(DETAILS), le=max(DETAILS))
    contrast: bool = Field(False, validation_alias=AliasChoices("contrast", "rivals"))
    layer: float = Field(1, ge=0, le=1, validation_alias=AliasChoices("layer", "depth"))
    signed: bool = False
    steps: bool = False
    trust: bool = False


class HottestPlace(_Strict):
    """The hottest place, to be covered, too. model: of whose map; None for all together."""

    model: _ModelName | None = None
    fill: Fill = "blur"


def open_upload(path: str, window: Window | None = None) -> PhotoFile:
    """The photo in an uploaded file, by the path that the server gave it. window: the range of
    values that is shown of it. Raises ImageError."""
    return service().photos.open(Path(path), Path(get_upload_folder()), window)


class PageRequest(_Strict):
    """A photo, a class and the maps to make.

    upload: the path that the server gave an uploaded file; example: the name of an example;
    address: where it is on the web; may_fetch: whether it may be fetched from there, or only used
    if it is still kept.
    target, contrast: their places in `all_classes`.
    window: the range of the photo's values that is shown, [low, high]; None as its file says.
    shown_photo_id: the id of the photo that the page already shows.
    compare: whether to say, at the end, what the maps have in common.
    covers: the places that are covered. hottest: one more, of the maps with those; elsewhere:
    whether not these are covered but as many cold places that are as large. The answer begins with
    the places, where they had to be found.
    """

    upload: str | None = Field(None, max_length=1000)
    example: str | None = Field(None, max_length=100)
    address: str | None = Field(None, max_length=MAX_ADDRESS_LENGTH)
    may_fetch: bool = True
    window: Annotated[Window | None, PlainValidator(window_of)] = None
    shown_photo_id: str = Field("", max_length=64)
    view: ViewName = "crop"
    target: _Class | None = None
    contrast: _Class | None = Field(None, validation_alias=AliasChoices("contrast", "against"))
    maps: list[MapRequest] = Field(
        min_length=1, max_length=MAX_MAPS, validation_alias=AliasChoices("maps", "cells")
    )
    compare: bool = False
    covers: list[_CoverText] = Field(default=[], max_length=MOST_COVERS)
    hottest: HottestPlace | None = None
    elsewhere: bool = False

    async def open(self, pictures: RemotePictures) -> PhotoFile:
        """The photo, nothing of it covered; fetched, if an address is given. Raises ImageError if
        there is none."""
        if self.address is not None:
            data = await pictures.fetch(self.address, self.may_fetch)
            return await asyncio.to_thread(service().photos.from_bytes, data, self.window)
        return await asyncio.to_thread(self._open_file)

    def _open_file(self) -> PhotoFile:
        if self.example is not None:
            path, folder = example_path(self.example), example_folder(self.example)
            return service().photos.open(path, folder, self.window, is_example=True)
        return open_upload(self.upload or "", self.window)

    @property
    def given_covers(self) -> tuple[Cover, ...]:
        """The places that are covered, as far as the request says where they are."""
        return covers_of(self.covers)

    @property
    def photo_name(self) -> str:
        """What pictures may call the photo: an example by its file. The name of an upload, or the
        address of a picture, is the visitor's own."""
        return "" if self.example is None else f"{self.example}.jpg"

    @property
    def answerable(self) -> list[MapRequest]:
        """The maps whose network has the class, and whose method can do what is asked for."""
        found = []
        for one in self.maps:
            with suppress(LabelError, ChoiceError):
                self.explanation_request(one)
                found.append(one)
        return found

    def explanation_request(self, one: MapRequest) -> ExplanationRequest:
        """Raises LabelError if the network does not have the class, ChoiceError if the method has
        no signed map or no steps."""
        target, contrast = (
            place if place is None else all_classes().index(one.model, place)
            for place in (self.target, self.contrast)
        )
        return ExplanationRequest(
            one.model,
            self.view,
            target,
            one.contrast if contrast is None else (contrast,),
            one.method,
            one.detail,
            one.layer,
            one.signed,
            one.steps,
        )


class LiveRequest(BaseModel):
    """A frame of a camera that the networks are to look at, as the address of a request says it;
    the frame is its body. visitor: a name that the page has given itself. frame: its number, which
    the answer repeats. target: as of `PageRequest`."""

    model_config = ConfigDict(extra="forbid")

    visitor: str = Field(pattern=r"^[\w-]{8,64}$")
    frame: int = Field(0, ge=0, lt=2**53)
    models: list[_ModelName] = Field(min_length=1, max_length=MAX_MAPS)
    view: ViewName = "crop"
    target: _Class | None = None


class DownloadRequest(PageRequest):
    """A file made of the maps. file: its name if each network were the one that was asked for, or
    "everything.zip" for all of them."""

    file: str = Field(pattern=r"^[\w.-]{1,120}$")
    theme: Literal["light", "dark"] = "light"
    colormap: Annotated[str, _known(lambda: COLORMAPS)] = COLORMAP
    opacity: float = Field(OPACITY, ge=0, le=1)
