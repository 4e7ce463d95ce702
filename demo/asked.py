"""What the page's script asks the server for, checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from demo.address import LONGEST_ADDRESS, fetch_picture
from demo.engine import Wanted
from demo.photos import PhotoFile, open_photo, open_upload
from gradcam_core import imagenet_labels, list_models
from gradcam_core.methods import DEFAULT_METHOD, METHODS
from gradcam_core.overlay import COLORMAP, COLORMAPS, OPACITY
from gradcam_core.view import DETAILS, ViewName

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"

MOST_CELLS = 24


def _known(names: list[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"choose one of: {', '.join(names)}")
        return name

    return AfterValidator(check)


_ModelName = Annotated[str, _known([info.name for info in list_models()])]
_MethodName = Annotated[str, _known(list(METHODS))]
_ClassIndex = Annotated[int, Field(ge=0, lt=len(imagenet_labels()))]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Cell(_Strict):
    """One map. id: how the answer names it. trust: whether it is to be checked, too. See `Wanted`
    for the rest."""

    id: str = Field(max_length=80)
    model: _ModelName
    method: _MethodName = DEFAULT_METHOD
    detail: int = Field(1, ge=min(DETAILS), le=max(DETAILS))
    rivals: bool = False
    depth: float = Field(1, ge=0, le=1)
    trust: bool = False


class Asked(_Strict):
    """A photo, a class and the maps that are wanted of it.

    upload: the path that the server gave an uploaded file; example: the name of one of ours;
    address: where it is on the web; may_fetch: whether it may be fetched from there, or only shown
    if it is still kept.
    has_photo: the id of the photo that the page shows already. compare: whether to say, at the end,
    what the maps have in common.
    """

    upload: str | None = Field(None, max_length=1000)
    example: str | None = Field(None, max_length=100)
    address: str | None = Field(None, max_length=LONGEST_ADDRESS)
    may_fetch: bool = True
    has_photo: str = Field("", max_length=64)
    view: ViewName = "crop"
    target: _ClassIndex | None = None
    against: _ClassIndex | None = None
    cells: list[Cell] = Field(min_length=1, max_length=MOST_CELLS)
    compare: bool = False

    async def open(self) -> PhotoFile:
        """The photo; fetched, if an address is given. Raises ImageError if there is none."""
        if self.address is not None:
            data = await fetch_picture(self.address, self.may_fetch)
            return await asyncio.to_thread(PhotoFile, data)
        return await asyncio.to_thread(self._open_file)

    def _open_file(self) -> PhotoFile:
        if self.example is not None:
            return open_photo(EXAMPLES / f"{self.example}.jpg", EXAMPLES)
        return open_upload(self.upload or "")

    def wanted(self, cell: Cell) -> Wanted:
        return Wanted(
            cell.model,
            self.view,
            self.target,
            self.against,
            cell.rivals,
            cell.method,
            cell.detail,
            cell.depth,
        )


class AskedFile(Asked):
    """Something to take along of the maps asked for. file: its name, or all of them as a zip."""

    file: str = Field(pattern=r"^[\w.-]{1,120}$")
    theme: Literal["light", "dark"] = "light"
    colormap: Annotated[str, _known(list(COLORMAPS))] = COLORMAP
    opacity: float = Field(OPACITY, ge=0, le=1)
