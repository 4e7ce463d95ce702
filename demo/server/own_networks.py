"""Users' own networks, dropped on the page: a network's file is examined, and the network is then
offered beside the others until the program ends. No code in a file is executed."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import threading
import uuid
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.middleware.cross_site_guard import is_renamed
from demo.middleware.error_answers import sentence_of
from demo.server.classes import all_classes
from demo.server.problems import first_problem, problem
from gradcam_core.errors import GradcamError
from gradcam_core.images.geometry import VIEW_TITLES, crop_title
from gradcam_core.models.custom import register_described
from gradcam_core.models.custom.description import Description, description_of
from gradcam_core.models.custom.resolve import resolve
from gradcam_core.models.registry import ModelInfo, classifiers

MAX_FILE_BYTES = 4 * 2**30
MAX_KEPT_BYTES = 3 * MAX_FILE_BYTES
"""Size of all dropped files together. Files that were only examined are removed first."""

MAX_LABELS_LETTERS = 2**20

OFF = (
    "This server does not accept networks. An app on your own machine does; the owner of this "
    "server can allow it with GRADCAM_NETWORK_DROPS=on."
)
TOO_LARGE = f"The file is larger than {MAX_FILE_BYTES // 2**30} GB."
FULL = (
    f"The networks dropped here take {MAX_KEPT_BYTES // 2**30} GB together, which is the limit. "
    "Restart the app to drop others."
)
GONE = "The file is no longer there. Drop it again."
VALUES = (
    "This network predicts values, but the page shows classes: explain photos with it on the "
    "command line."
)
BROKEN = "Something went wrong with this file. The server's log has the details."
FOREIGN = "Only the page itself may send networks."
RENAMED = (
    "Networks can be dropped at 127.0.0.1 or localhost, not under another name. The owner can "
    "allow it for others with GRADCAM_NETWORK_DROPS=on."
)

_LONGEST_STEM, _LONGEST_SUFFIX = 50, 12  # characters, of up to four bytes


class _NetworkRequest(BaseModel):
    """The description of a dropped network. file: the name that `OwnNetworks.take` gave it. labels:
    the class names, one a line; labels_file: a file with them; without both, the weights file must
    contain them. mean, std: one number, or one for each channel, separated by "/". keep: whether to
    offer the network beside the others, rather than only to examine it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: str = Field(pattern=r"^[0-9a-f]{32}$")
    title: str = Field(max_length=64)
    labels: str | None = Field(None, max_length=MAX_LABELS_LETTERS)
    labels_file: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    architecture: str | None = Field(None, max_length=200)
    prefix: str | None = Field(None, max_length=200)
    size: str | None = Field(None, max_length=12)
    mean: str | None = Field(None, max_length=60)
    std: str | None = Field(None, max_length=60)
    sigmoid: bool = False
    keep: bool = False


class OwnNetworks:
    """is_on: whether networks may be dropped on the page. is_only_here: whether they may only
    because no other machine reaches the page; requests under another host name are then refused.
    Files are kept until the program ends, up to `MAX_KEPT_BYTES`."""

    def __init__(self, is_on: bool = False, is_only_here: bool = False) -> None:
        self.is_on = is_on
        self.is_only_here = is_only_here
        self._bytes: dict[str, int] = {}  # of each file, including those still arriving
        self._standing: set[str] = set()  # files of networks in use
        self._folder: Path | None = None
        self._files: dict[str, Path] = {}
        self._one_at_a_time = threading.Lock()

    async def take(self, request: Request) -> Response:
        """Keeps the file in the request's body; answers with the name by which it is known here."""
        if (refused := self._refused(request)) is not None:
            return refused
        given = Path(request.query_params.get("name", "").replace("\0", "")).name
        suffix = Path(given).suffix[:_LONGEST_SUFFIX] or ".pth"
        name = uuid.uuid4().hex
        # The visitor's own file name is kept because errors and the notice quote it.
        path = self._place() / name / (Path(given).stem[:_LONGEST_STEM] + suffix)
        try:
            path.parent.mkdir()
            self._bytes[name] = 0
            with path.open("wb") as file:
                async for chunk in request.stream():
                    self._bytes[name] += len(chunk)
                    if self._bytes[name] > MAX_FILE_BYTES:
                        raise _TooLargeError(TOO_LARGE)
                    self._make_room()
                    await asyncio.to_thread(file.write, chunk)
        except BaseException as error:
            self._bytes.pop(name, None)
            shutil.rmtree(path.parent, ignore_errors=True)
            if isinstance(error, _TooLargeError):
                return problem(str(error))
            if isinstance(error, OSError):
                return problem(f"The file cannot be kept: {error.strerror or error}.")
            raise
        self._files[name] = path
        return JSONResponse({"file": name})

    async def answer(self, request: Request) -> Response:
        """Describes what a dropped file contains; if the network is to be kept, registers it and
        adds what the page needs to offer it."""
        if (refused := self._refused(request)) is not None:
            return refused
        try:
            wanted = _NetworkRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return problem(first_problem(error))
        path = self._files.get(wanted.file)
        labels = self._files.get(wanted.labels_file or "")
        if path is None or not path.is_file() or (wanted.labels_file and labels is None):
            return problem(GONE)
        try:
            return JSONResponse(await asyncio.to_thread(self._looked_into, wanted, path, labels))
        except Exception as error:
            return problem(sentence_of(error, BROKEN))

    async def standing(self, request: Request) -> Response:
        """What the page, which was built before them, needs to offer the networks dropped since the
        program started; empty if there are none."""
        if (refused := self._refused(request)) is not None:
            return refused
        return JSONResponse({"page": page_of_networks()} if self._standing else {})

    def _looked_into(
        self, wanted: _NetworkRequest, path: Path, labels: Path | None
    ) -> dict[str, Any]:
        described = _description(wanted, path, labels)
        with self._one_at_a_time:
            if not wanted.keep:
                return {"found": _found(_checked(resolve(described)))}
            _checked(resolve(described))  # a network that predicts values must not be registered
            self._standing |= {wanted.file, wanted.labels_file or ""}
            info = register_described(described)
        return {
            "found": _found(info),
            "network": info.name,
            "page": page_of_networks(),
            "toml": _toml(described, info, path.name),
        }

    def _make_room(self) -> None:
        """Removes the oldest files that are not in use until all fit. Raises _TooLargeError if the
        others do not fit."""
        for name in list(self._files):
            if sum(self._bytes.values()) <= MAX_KEPT_BYTES:
                return
            if name not in self._standing:
                shutil.rmtree(self._files.pop(name).parent, ignore_errors=True)
                del self._bytes[name]
        if sum(self._bytes.values()) > MAX_KEPT_BYTES:
            raise _TooLargeError(FULL)

    def _refused(self, request: Request) -> Response | None:
        if not self.is_on:
            return problem(OFF)
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return problem(FOREIGN)
        if self.is_only_here and is_renamed(request.headers):
            return problem(RENAMED)
        return None

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="gradcam-networks-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


class _TooLargeError(Exception):
    pass


def page_of_networks() -> dict[str, Any]:
    """The page data about networks and classes, see demo/ui/page_data.py."""
    labels = all_classes().labels
    return {
        "models": [
            {"name": info.name, "title": info.title, "crop": crop_of(info)}
            for info in classifiers()
        ],
        "classes": [label.full_name for label in labels],
        "names": {
            str(place): label.name
            for place, label in enumerate(labels)
            if label.name != label.full_name.split(",")[0]
        },
        "alphabetical": all_classes().alphabetical,
    }


def crop_of(info: ModelInfo) -> str:
    """The part of a photo that a network sees in the view "crop", as the text of a control."""
    found = VIEW_TITLES["crop"] if info.recipe is None else crop_title(info.recipe.preprocessing)
    return found.capitalize()


def _description(wanted: _NetworkRequest, path: Path, labels: Path | None) -> Description:
    given: dict[str, Any] = {"title": wanted.title.strip(), "weights": str(path)}
    for key in ("architecture", "prefix", "size"):
        if (value := getattr(wanted, key)) and value.strip():
            given[key] = value.strip()
    for key in ("mean", "std"):
        if value := getattr(wanted, key):
            given[key] = _numbers(value)
    if wanted.sigmoid:
        given["sigmoid"] = True
    if labels is not None:
        given["labels"] = str(labels)
    elif wanted.labels is not None and wanted.labels.strip():
        given["labels"] = [line.strip() for line in wanted.labels.strip().splitlines()]
    return description_of(given)


def _numbers(text: str) -> list[float] | str:
    """The numbers; a text that is not made of numbers is returned as it is, for a later error."""
    try:
        return [float(part) for part in text.split("/")]
    except ValueError:
        return text


def _checked(info: ModelInfo) -> ModelInfo:
    if info.unit is not None:
        raise GradcamError(VALUES)
    return info


def _found(info: ModelInfo) -> dict[str, Any]:
    preprocessing = info.recipe.preprocessing  # type: ignore[union-attr]
    height, width = preprocessing.size
    names = [label.name for label in list(info.labels)[:6]]
    return {
        "architecture": info.architecture,
        "classes": len(info.labels),
        "names": names,
        "channels": preprocessing.channels,
        "size": f"{height}x{width}",
        "layer": info.layer,
        "independent": info.independent,
        "notice": info.notice,
    }


def _toml(described: Description, info: ModelInfo, file: str) -> str:
    """The lines of networks.toml that describe the network. file: the name of its weights file; the
    page does not know its folder."""
    lines = [f"[{json.dumps(described.title, ensure_ascii=False)}]"]
    lines.append(f"architecture = {json.dumps(described.architecture or info.architecture)}")
    lines.append(f"weights = {json.dumps(file, ensure_ascii=False)}  # the path to it")
    if isinstance(described.labels, Path):
        lines.append(f"labels = {json.dumps(described.labels.name)}  # the path to it")
    elif described.labels is not None:
        lines.append(f"labels = {json.dumps(list(described.labels), ensure_ascii=False)}")
    if described.size is not None:
        lines.append(f'size = "{described.size.height}x{described.size.width}"')
    for key in ("mean", "std"):
        if (numbers := getattr(described, key)) is not None:
            lines.append(f"{key} = {list(numbers)}")
    if described.prefix is not None:
        lines.append(f"prefix = {json.dumps(described.prefix)}")
    if described.sigmoid:
        lines.append("sigmoid = true")
    return "\n".join(lines) + "\n"
