"""The app without its page: four functions for `gradio_client`, `curl` and MCP clients.

Gradio makes everything that they are told of these functions from their signatures and docstrings.
It reads annotations as they are, so there are no postponed ones in this module.
"""

import asyncio
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypedDict, TypeGuard, TypeVar, get_args
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.components.api_component import Api
from gradio.context import LocalContext
from gradio.data_classes import FileData
from gradio.events import api
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_function_description, get_upload_folder
from PIL import Image
from starlette.requests import Request

from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.logs import sentence_of
from demo.server.downloads import LONGEST
from gradcam_core import (
    Explanation,
    imagenet_labels,
    list_models,
)
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.captions import summary, where
from gradcam_core.cam.methods import DEFAULT_METHOD, METHODS, method_named
from gradcam_core.export.files import File, files
from gradcam_core.images.geometry import DETAILS, VIEWS, ViewName
from gradcam_core.memory import trim
from gradcam_core.models.labels import find_in_all
from gradcam_core.models.registry import default_models, model_info
from gradcam_core.request import ExplanationRequest

log = logging.getLogger(__name__)

NO_PICTURE = 'Give a picture: handle_file("photo.jpg") with gradio_client.'
NO_ADDRESSES = (
    "The API fetches no picture from an address. Save it and give the file; an MCP client may also "
    "give a data: URI."
)
LEFT = "The client has gone."
BROKEN = "Something went wrong. The server's log has the details."

_SERVED = "/gradio_api/file="
"""What stands before a file's path in the address that this app serves it at."""

_LONGEST_NAME = 80  # characters of a class, method, … that is looked for and told in an error

_NAMES = [info.name for info in list_models()]
_USUAL = list(default_models())

if TYPE_CHECKING:
    ModelName = str
    MethodName = str
else:
    ModelName = Literal[*_NAMES]
    MethodName = Literal[*METHODS]
Output = Literal["comparison", "overlay", "heatmap"]

_USUAL_OUTPUTS: list[Output] = ["comparison", "overlay"]

_JPEG_QUALITY = 90

_LEFT_POLL = 0.2  # seconds between two looks whether the client has gone

# One at a time: each takes a core and, for a large photo, a few hundred megabytes.
_making = ThreadPoolExecutor(1, thread_name_prefix="file of the API")


class ModelRecord(TypedDict):
    name: str
    title: str
    architecture: str
    layer: str
    stand_in: str | None
    default: bool


class ClassRecord(TypedDict):
    index: int
    name: str
    synonyms: list[str]


class PredictionRecord(TypedDict):
    index: int
    name: str
    probability: float


class Predicted(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    top: list[PredictionRecord]


class WeightsRecord(TypedDict):
    source: str
    sha256: str


class CurveRecord(TypedDict):
    probabilities: list[float]
    area: float


class RandomisedRecord(TypedDict):
    part: str
    correlation: float | None


class ReasonRecord(TypedDict):
    check: str
    passed: bool
    text: str


class TrustRecord(TypedDict):
    verdict: str
    reasons: list[ReasonRecord]
    sentence: str
    deletion: CurveRecord
    insertion: CurveRecord
    random_deletion: CurveRecord
    random_insertion: CurveRecord
    probability: float
    shown_alone: float
    average_drop: float
    has_increased: bool
    sanity: list[RandomisedRecord]
    survives: bool
    shifts: list[float | None]
    noises: list[float | None]


class Explained(TypedDict):
    asked_for: str
    model: str
    title: str
    stands_in_for: str | None
    notice: str | None
    target: PredictionRecord
    rank: int
    degenerate: str | None
    top: list[PredictionRecord]
    method: str
    rivals: list[PredictionRecord]
    layer: str
    detail: int
    view: str
    photo_size: list[int]
    box: list[int]
    weights: WeightsRecord
    how: str
    where: str
    overlay: FileData | None
    heatmap: FileData | None
    trust: TrustRecord | None


class LookedAt(TypedDict):
    name: str
    from_heat: float | None


class PairRecord(TypedDict):
    names: list[str]
    overlap: float
    rank_correlation: float | None


class AgreementRecord(TypedDict):
    region: list[int]
    hottest: float
    looked_at: list[LookedAt]
    pairs: list[PairRecord]
    shares: list[float]


class Findings(TypedDict):
    explanations: list[Explained]
    agreement: AgreementRecord | None
    sentences: list[str]


class _MistakeError(gr.Error):
    """What a person is told of a mistake of theirs; not for the log."""

    def __init__(self, message: str) -> None:
        super().__init__(message, print_exception=False)

    def __str__(self) -> str:  # what MCP clients get; Gradio's is the message's `repr`
        return self.message


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _endpoint(
    function: Callable[_Parameters, Coroutine[Any, Any, _Result]],
) -> Callable[_Parameters, Coroutine[Any, Any, _Result]]:
    """A function whose errors are all sentences for people, with a docstring for Gradio."""

    @wraps(function)
    async def called(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return await _unless_left(function(*args, **kwargs))
        except _MistakeError:
            raise
        except Exception as error:
            raise _MistakeError(sentence_of(error, BROKEN)) from error

    # Gradio takes only the first line of what is said of an argument.
    called.__doc__ = re.sub(r"\n {12,}", " ", function.__doc__ or "")
    return called


@_endpoint
async def models() -> list[ModelRecord]:
    """The networks that can be asked. One whose weights cannot be had is replaced by a smaller one,
    its stand-in, and results then say so in their notice.

    Returns:
        Of each network its name for the other functions, its title, timm's name of its
            architecture and weights, the layer that is looked at, the name of its stand-in, and
            whether it is one of those that are asked by default.
    """
    return [
        {
            "name": info.name,
            "title": info.title,
            "architecture": info.architecture,
            "layer": info.layer,
            "stand_in": info.stand_in,
            "default": info.name in _USUAL,
        }
        for info in list_models()
    ]


@_endpoint
async def classes(search: str = "", limit: int = 1000, model: str = "") -> list[ClassRecord]:
    """The classes that a network knows, or those that a text is found in.

    Args:
        search: A part of a class's name or of one of its synonyms; upper and lower case do not
            matter. Names that start with it come first. Empty gives all classes by their index.
        limit: The most classes to give, from 1 on.
        model: The name of the network. Empty gives the 1000 classes of ImageNet, which all
            networks have but those that the app's owner has added.

    Returns:
        Of each class its index, its name and all its synonyms. Index, name and synonyms all do as
            a class in the other functions.
    """
    labels = imagenet_labels() if model == "" else model_info(_models([model])[0]).labels
    if not _is_number(limit) or limit not in range(1, max(len(labels), 1000) + 1):
        raise _MistakeError(f"limit is a whole number from 1 to {max(len(labels), 1000)}.")
    word = _short(search).strip().casefold()
    found = [label for label in labels if word in label.full_name.casefold()]
    if word:
        found.sort(key=lambda label: not label.name.casefold().startswith(word))
    return [
        {"index": label.index, "name": label.name, "synonyms": list(label.synonyms)}
        for label in found[: int(limit)]
    ]


@_endpoint
async def predict(
    image: FileData, models: list[ModelName] = _USUAL, view: ViewName = "crop"
) -> list[Predicted]:
    """What networks see in a photo: the five most probable classes of each.

    Args:
        image: The photo (JPEG, PNG, WebP, GIF, …): a file, which the client uploads, the address
            that this app gave to an uploaded file, or a data: URI. No other address.
        models: The names of the networks to ask.
        view: What they see of the photo. "crop" is its centre, as in the published preprocessing,
            "whole" is all of it.

    Returns:
        Of each network the name it was asked for by, the name and title of the one that ran, its
            notice if it is a stand-in, and its five most probable classes with their probabilities.
    """
    wanted = [ExplanationRequest(model, _view(view)) for model in _models(models)]
    _, explanations = await _explanations(image, wanted)
    return [
        {
            "asked_for": asked.model,
            "model": e.model,
            "title": e.title,
            "stands_in_for": e.stands_in_for or None,
            "notice": e.notice or None,
            "top": [
                {"index": top.index, "name": top.name, "probability": top.probability}
                for top in e.top
            ],
        }
        for asked, e in zip(wanted, explanations, strict=True)
    ]


@_endpoint
async def explain(
    image: FileData,
    models: list[ModelName] = _USUAL,
    target: int | str | None = None,
    against: int | str | None = None,
    rivals: bool = False,
    method: MethodName = DEFAULT_METHOD,
    detail: int = 1,
    view: ViewName = "crop",
    depth: float = 1.0,
    outputs: list[Output] = _USUAL_OUTPUTS,
    trust: bool = False,
) -> tuple[Findings, FileData | None]:
    """Where in a photo networks find the evidence for a class (Grad-CAM), what they predict, and
    how far they look at the same place.

    Args:
        image: The photo (JPEG, PNG, WebP, GIF, …): a file, which the client uploads, the address
            that this app gave to an uploaded file, or a data: URI. No other address.
        models: The names of the networks to ask.
        target: The class to explain: its index, its name or a synonym. None explains each
            network's own top prediction.
        against: A class that the target is explained against: why this rather than that? None
            explains it by itself.
        rivals: Whether it is explained against the classes that the network holds most probable
            besides it. `against` goes before it.
        method: The CAM method. "gradcam" is the paper's; "competitive" with detail 2 locates best;
            "scorecam" and "ablationcam" take minutes; "eigencam" knows no class.
        detail: How many times its own input size a network sees the photo at, for a finer map: 1,
            2 or 3. Predictions are those of 1.
        view: What they see of the photo. "crop" is its centre, as in the published preprocessing,
            "whole" is all of it.
        depth: How far through the network the layer lies that is looked at, from 0, its first
            feature map, to 1, its last one as in the paper.
        outputs: The files to make. "comparison" is one labelled figure of all networks, "overlay"
            the heat over the photo (PNG), "heatmap" the heat (NumPy, float32 in [0, 1], 1 where
            it is hottest). Overlays and heatmaps have the photo's size, up to 3072 pixels a side.
        trust: Whether to check how far each map can be trusted, which takes some seconds a network:
            deletion and insertion, maps with random weights, of a shifted and of a noisy photo, and
            what the network says where only the heat is seen.

    Returns:
        First the findings. Of each network: the name it was asked for by, the name and title of the
            one that ran, the class explained with its probability and rank, the five most probable
            classes, how the map was made, where the heat lies, the box (left, top, right, bottom)
            of the photo that the network saw, its weights, its files, and what the checks have
            found, or null. Of all of them: how far they look at the same place, and what there is
            to say in sentences. Then the labelled figure, or None.
    """
    names = _models(models)
    wanted = [
        ExplanationRequest(
            model,
            _view(view),
            one,
            () if other is None else (other,),
            _is_true("rivals", rivals),
            _method(method),
            _detail(detail),
            _depth(depth),
        )
        for model, one, other in zip(
            names, _class(target, names), _class(against, names), strict=True
        )
    ]
    made = _outputs(outputs)
    photo, explanations = await _explanations(image, wanted)
    named = [(one.model, e) for one, e in zip(wanted, explanations, strict=True)]
    checked = await _checked(photo, wanted, explanations) if _is_true("trust", trust) else {}
    loop = asyncio.get_running_loop()
    findings = await loop.run_in_executor(_making, _findings, photo, named, made, checked)
    trim()
    return findings


_ENDPOINTS: list[Callable] = [models, classes, predict, explain]
FUNCTIONS = [function.__name__ for function in _ENDPOINTS]


def register(page: gr.Blocks) -> None:
    """Add the endpoints to a page that is being built."""
    for function in _ENDPOINTS:
        # The engine bounds the work. Through Gradio's queue an MCP call would be a second request
        # of the server to itself, its picture a second file that nobody deletes, and its figure
        # not shown.
        endpoint = api(function, api_name=function.__name__, queue=False, concurrency_limit=None)
        _, meanings, _ = get_function_description(function)
        for place, (name, meaning) in zip(endpoint["inputs"], meanings.items(), strict=True):
            argument = page.blocks[place]
            assert isinstance(argument, Api)
            argument.api_info()["additional_description"] = meaning
            if name == "image":
                argument.example_payload = _example  # type: ignore[method-assign]
            _take_address(argument)  # of the others, too: anything can be given for them


def _take_address(argument: Api) -> None:
    """Let an address that is given as a file for this argument reach the function.

    Gradio would download it before it asks the function: never from a private network, but of any
    size, and whatever goes wrong would be logged as an error of ours.
    """
    move = argument.async_move_resource_to_block_cache

    async def move_files(url_or_file_path: str | Path | None) -> str | None:
        if isinstance(url_or_file_path, str) and _is_address(url_or_file_path):
            return url_or_file_path
        return await move(url_or_file_path)

    # Of a component of our own, Gradio would write an interface file beside this one.
    argument.async_move_resource_to_block_cache = move_files  # type: ignore[method-assign]


def _example() -> dict[str, Any]:
    """With a url in it the page writes handle_file("photo.jpg")."""
    return _file_data("photo.jpg") | {"url": "photo.jpg"}


async def _unless_left(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What the work gives; ended where the client has gone, which Gradio itself does not do."""
    running = asyncio.create_task(work)
    try:
        while not running.done():
            await asyncio.wait([running], timeout=_LEFT_POLL)
            if not running.done() and await _has_left():
                raise _MistakeError(LEFT)
        return running.result()
    finally:
        running.cancel()


async def _has_left() -> bool:
    """Whether nobody waits for the call that is being answered."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is not None and event_id is not None:
        event = blocks._queue.event_ids_to_events.get(event_id)
        return event is not None and not event.alive
    asked = LocalContext.request.get(None)
    request = getattr(asked, "request", None)
    return isinstance(request, Request) and await request.is_disconnected()


async def _explanations(
    image: object, requests: Sequence[ExplanationRequest]
) -> tuple[PhotoFile, list[Explanation]]:
    photo = await asyncio.to_thread(_photo, image)
    return photo, await service().explain_all(photo, requests)


def _photo(image: object) -> PhotoFile:
    path = image.get("path") if isinstance(image, dict) else None
    if not isinstance(path, str) or not path:
        raise _MistakeError(NO_PICTURE)
    if _is_address(path):
        # Gradio's own tool for MCP clients uploads a file to this app and gives its address.
        _, served, path = urlsplit(path).path.partition(_SERVED)
        if not served:
            raise _MistakeError(NO_ADDRESSES)
        path = unquote(path)
    return service().photos.open(Path(path), Path(get_upload_folder()))


def _is_address(path: str) -> bool:
    return path.startswith(("http://", "https://"))


async def _checked(
    photo: PhotoFile, wanted: Sequence[ExplanationRequest], explanations: Sequence[Explanation]
) -> dict[str, dict[str, object]]:
    """What checks have found, by the networks' names as they were asked for; of maps that can be
    checked."""
    found = {}
    for one, e in zip(wanted, explanations, strict=True):
        if e.degenerate:
            continue
        async for step in service().check(photo, one, e):
            if not isinstance(step, str):
                found[one.model] = step
    return found


def _findings(
    photo: PhotoFile,
    named: Sequence[tuple[str, Explanation]],
    outputs: Sequence[str],
    checked: Mapping[str, dict[str, object]],
) -> Any:
    """What `explain` gives. Files are dictionaries, where Gradio finds them though nested."""
    names, explanations = [name for name, _ in named], [e for _, e in named]
    made = {file.name: file for file in files(photo.picture, named, longest=LONGEST)}
    records = [
        {
            "asked_for": name,
            **e.record(),
            "how": e.how,
            "where": where(e),
            "overlay": _kept(made[f"{name}_output.png"]) if "overlay" in outputs else None,
            "heatmap": _kept(made[f"{name}_heatmap.npy"]) if "heatmap" in outputs else None,
            "trust": checked.get(name),
        }
        for name, e in named
    ]
    found = agreement(explanations)
    findings = {
        "explanations": records,
        "agreement": found and found.record(names),
        "sentences": list(summary(explanations)),
    }
    # Tuples and NumPy's numbers, of which Gradio makes texts, become what they are in JSON.
    findings = json.loads(json.dumps(findings, allow_nan=False))
    return findings, _kept(_as_jpeg(made["comparison.png"])) if "comparison" in outputs else None


def _as_jpeg(file: File) -> File:
    """A picture in a third of its bytes: some MCP clients take no more than a megabyte."""
    png = io.BytesIO()
    file.write(png)
    picture = Image.open(png)
    return File(
        f"{Path(file.name).stem}.jpg",
        partial(picture.save, format="JPEG", quality=_JPEG_QUALITY),
    )


def _kept(file: File) -> dict[str, Any]:
    """The file where Gradio looks for files that have become old, the same content only once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file.name)
        with path.open("wb") as target:
            file.write(target)
        return _file_data(save_file_to_cache(path, get_upload_folder()))


def _file_data(path: str) -> dict[str, Any]:
    return FileData(path=path, orig_name=Path(path).name).model_dump()


def _models(names: object) -> list[str]:
    """Each once. Raises _MistakeError, as the functions below do."""
    given = [names] if isinstance(names, str) else names
    if not isinstance(given, list) or not given:
        raise _MistakeError(f"models is a list of names: {', '.join(_NAMES)}.")
    try:
        return list(dict.fromkeys(model_info(_short(name)).name for name in given))
    except ValueError as error:
        raise _MistakeError(str(error)) from error


def _class(wanted: object, names: Sequence[str]) -> Sequence[int | None]:
    """In the outputs of each network. Raises LabelError."""
    if wanted is None:
        return [None] * len(names)
    networks = [(info.title, info.labels) for info in map(model_info, names)]
    return find_in_all(_short(wanted), networks)


def _method(name: object) -> str:
    try:
        return method_named(_short(name)).name
    except ValueError as error:
        raise _MistakeError(str(error)) from error


def _detail(times: object) -> int:
    if not _is_number(times) or times not in DETAILS:
        known = ", ".join(map(str, DETAILS))
        raise _MistakeError(f"There is no detail {_short(times)}. Choose one of: {known}.")
    return int(times)


def _view(name: object) -> ViewName:
    for view in VIEWS:
        if name == view:
            return view
    raise _MistakeError(f"There is no view {_short(name)!r}. Choose one of: {', '.join(VIEWS)}.")


def _depth(share: object) -> float:
    if not _is_number(share) or not 0 <= share <= 1:
        raise _MistakeError("depth is a number from 0, the first feature map, to 1, the last.")
    return float(share)


def _is_true(name: str, wanted: object) -> bool:
    if not isinstance(wanted, bool):
        raise _MistakeError(f"{name} is true or false.")
    return wanted


def _outputs(names: object) -> list[str]:
    given = [names] if isinstance(names, str) else names
    known = get_args(Output)
    if not isinstance(given, list) or any(name not in known for name in given):
        raise _MistakeError(f"outputs is a list of some of: {', '.join(known)}.")
    return given


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    """As a text that can be told again."""
    text = str(value)[:_LONGEST_NAME]
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
