"""The app without its page: four functions for `gradio_client`, `curl` and MCP clients.

Gradio describes these functions to clients by their signatures and docstrings. It does not evaluate
annotations given as strings, so this module does not postpone them.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gradio.data_classes import FileData

from demo.api import arguments
from demo.api.files import make_files
from demo.api.records import ClassRecord, Findings, ModelRecord, Output, PredictionsRecord
from demo.compute.backend import CheckResult
from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.server.result_files import FileMaker
from gradcam_core import Explanation
from gradcam_core.analysis.findings import findings
from gradcam_core.cam.methods.registry import DEFAULT_METHOD
from gradcam_core.explanation.request import ExplanationRequest, requests_for
from gradcam_core.images.geometry import ViewName
from gradcam_core.models.class_names import class_search
from gradcam_core.models.registry import classifiers, default_classifiers

NAMES = ("models", "classes", "predict", "explain")
"""The names of the functions."""

_DEFAULT_OUTPUTS: list[Output] = ["comparison", "overlay"]


class Functions:
    """maker: makes the files."""

    def __init__(self, maker: FileMaker) -> None:
        self._maker = maker

    async def models(self) -> list[ModelRecord]:
        """List the networks. A network whose weights cannot be loaded is replaced by a smaller one,
        its stand-in; results then say so in their notice.

        Returns:
            For each network: its name for the other functions, its title, its architecture and
                weights in timm, the layer that is explained, the name of its stand-in, and whether
                the other functions use it by default.
        """
        usual = default_classifiers()
        return [
            {
                "name": info.name,
                "title": info.title,
                "architecture": info.architecture,
                "layer": info.layer,
                "stand_in": info.stand_in,
                "default": info.name in usual,
            }
            for info in classifiers()
        ]

    async def classes(
        self, search: str = "", limit: int = 1000, model: str = ""
    ) -> list[ClassRecord]:
        """List the classes that a network knows, or search them.

        Args:
            search: Part of a class's name or of one of its synonyms, or a kind of thing ("bird"),
                in upper or lower case. A class with exactly this name comes first; without one, its
                kinds come first, or else the classes nearest in meaning. Empty lists all classes by
                index.
            limit: The maximum number of classes to return, from 1.
            model: The name of a network. Empty lists the 1000 classes of ImageNet, which every
                network has except those that the owner of the app added.

        Returns:
            For each class: its index, its name and all its synonyms (the other functions accept any
                of these); and how it was found: by "name" (the word is in its name), "kind",
                "meaning" (near), "related", "part" (a word of its name begins or ends so) or
                "spelling".
        """
        labels = arguments.labels_of(model)
        most = arguments.limit(limit, max(len(labels), 1000))
        found = await asyncio.to_thread(class_search.search, labels, arguments.quoted(search))
        return [
            {
                "index": match.label.index,
                "name": match.label.name,
                "synonyms": list(match.label.synonyms),
                "found_by": match.by,
            }
            for match in found[:most]
        ]

    async def predict(
        self,
        image: FileData,
        models: Sequence[str] = (),
        view: ViewName = "crop",
        window: list[float] | None = None,
    ) -> list[PredictionsRecord]:
        """Classify a photo: the five most probable classes of each network.

        Args:
            image: The photo (JPEG, PNG, WebP, GIF, …): a file, which the client uploads, the
                address that this app gave to an uploaded file, or a data: URI. No other address.
            models: The names of the networks to use.
            view: Which part of the photo the networks see: "crop" is its centre, as in the
                published preprocessing; "whole" is all of it.
            window: The values shown as black and as white, in the units of the picture's file, as
                [low, high]: [-1000, 400] for a lung in Hounsfield units. None takes the range given
                in the file, or else its lowest and highest value. Levels of ordinary pictures are 0
                to 255.

        Returns:
            For each network: the name it was requested by, the name and title of the network that
                ran, its notice if that is a stand-in, notices about the photo, such as the range of
                brightness shown, and its five most probable classes with their probabilities.
        """
        names = arguments.models(models)
        requests = requests_for(names, arguments.view(view))
        photo = await arguments.photo(image, arguments.window(window))
        explanations = await service().explain_all(photo, requests)
        return [_predictions(name, e) for name, e in zip(names, explanations, strict=True)]

    async def explain(
        self,
        image: FileData,
        models: Sequence[str] = (),
        target: int | str | None = None,
        contrast: int | str | None = None,
        rivals: bool = False,
        method: str = DEFAULT_METHOD,
        detail: int = 1,
        view: ViewName = "crop",
        layer: float | str | list[float | str] | None = None,
        outputs: list[Output] = _DEFAULT_OUTPUTS,
        trust: bool = False,
        against: int | str | None = None,
        depth: float | None = None,
        window: list[float] | None = None,
        signed: bool = False,
        steps: bool = False,
        cover: list[str] | None = None,
        smooth: str | None = None,
    ) -> tuple[Findings, FileData | None]:
        """Explain a prediction with Grad-CAM: where in a photo each network finds the evidence for
        a class, what it predicts, and how far the networks look at the same places.

        Args:
            image: The photo (JPEG, PNG, WebP, GIF, …): a file, which the client uploads, the
                address that this app gave to an uploaded file, or a data: URI. No other address.
            models: The names of the networks to use.
            target: The class to explain: its index, its name or a synonym. None explains the top
                prediction of each network.
            contrast: The class to explain the target against: why the target and not that? "auto"
                stands for the classes that the network finds most probable besides the target.
                None explains the target by itself.
            rivals: True is the old way to say contrast="auto". Version 1.2 removes it.
            method: The CAM method. "gradcam" is the original; "competitive" with detail 2 locates
                best; "scorecam", "ablationcam", "sscam" and "iscam" take minutes; "eigencam"
                ignores the class; "legrad" is for transformers.
            detail: Show the photo to the network at 1, 2 or 3 times its input size, for a finer
                map. Predictions are always those at 1.
            view: Which part of the photo the networks see: "crop" is its centre, as in the
                published preprocessing; "whole" is all of it.
            layer: Which layer to explain, as its position in the network: from 0, the first feature
                map, to 1, the last; or its dotted name. A list of several fuses their maps. None is
                the last, as in the paper.
            outputs: The files to make: "comparison" is one labelled figure of all networks,
                "overlay" the heat over the photo (PNG), "heatmap" the heat itself (NumPy, float32
                in [0, 1], 1 where it is hottest). Overlays and heatmaps have the size of the photo,
                up to 3072 pixels a side.
            trust: Whether to test how far each map can be trusted, which takes some seconds per
                network: whether the hottest places matter more for the class than the same map laid
                elsewhere (deletion and insertion), whether the map changes with random weights, and
                whether it stays when the photo is slightly shifted or noisy.
            against: The old name of contrast; if both are given, contrast counts. Version 1.2
                removes it.
            depth: The old name of layer; if both are given, layer counts. Version 1.2 removes it.
            window: The values shown as black and as white, in the units of the picture's file, as
                [low, high]: [-1000, 400] for a lung in Hounsfield units. None takes the range given
                in the file, or else its lowest and highest value. Levels of ordinary pictures are 0
                to 255.
            signed: Whether to show the evidence against the class, too: overlays and the figure are
                then orange for the class and blue against it, and heatmaps are in [-1, 1]. For
                gradient methods.
            steps: Whether to say how each map is made: the score, the channels of the feature map
                that speak most for and against the class, their weights and their shares. For
                methods that sum weighted channels.
            cover: Places of the photo to cover before the networks see it, to find out whether
                they matter: each a box "left,top,right,bottom" in fractions of the photo's width
                and height from its upper left corner, such as "0.2,0.3,0.6,0.7". It is blurred;
                "0.2,0.3,0.6,0.7:grey" makes it grey, ":mean" gives it the photo's mean colour. A
                brush stroke is "x,y,x,y,…~radius". The class explained is that of the uncovered
                photo, and the findings say how its probability changes.
            smooth: "noise" or "flips": the map is then the mean over the maps of eight noisy copies
                of the photo, or of six: as is, paler and stronger, each also mirrored. Each copy
                takes a pass. None is the map of the photo alone.

        Returns:
            First the findings, the same record as explanations.json of the command line, with
                its schema_version. For the photo: its size, and notices, such as the range of
                brightness shown. For each network: the name it was requested by, the
                name and title of the network that ran, the class explained with its probability and
                rank, the five most probable classes, how the map was made, where the heat lies, a
                caption that says all of this, the box (left, top, right, bottom) of the photo that
                the network saw, its weights, its files, and the results of the checks or null: a
                verdict ("holds", "unclear" or "fails"), which is the worst outcome of all checks,
                each check's reason with its own outcome, and the figures behind them. If places
                were covered: cover_effect, with the probability of the class explained before and
                after, and how far the hottest fifths of both maps overlap. For all networks: how
                far they look at the same places, and a summary in sentences, which may be quoted
                verbatim. Then the labelled figure, or None.
        """
        names = arguments.models(models)
        others = arguments.contrast(against if contrast is None else contrast)
        is_auto = arguments.flag("rivals", rivals)
        requests = requests_for(
            names,
            arguments.view(view),
            None if target is None else arguments.quoted(target),
            is_auto if others is False else others,
            arguments.quoted(method),
            arguments.detail(detail),
            arguments.layer(arguments.depth(depth) if layer is None else layer),
            arguments.flag("signed", signed),
            arguments.flag("steps", steps),
            arguments.smooth(smooth),
        )
        kinds = arguments.outputs(outputs)
        is_checked = arguments.flag("trust", trust)
        covers = arguments.covers(cover)
        photo = (await arguments.photo(image, arguments.window(window))).covered(covers)
        explanations = await service().explain_all(photo, requests)
        named = list(zip(names, explanations, strict=True))
        checks = await _checks(photo, requests, explanations) if is_checked else {}
        files = {}
        if kinds:
            files = await self._maker.run(partial(make_files, photo, named, kinds))
        found = await asyncio.to_thread(_findings, named, files, checks)
        return found, files.get(("comparison", ""))  # type: ignore[return-value]


def _predictions(name: str, e: Explanation) -> Any:
    """The part of an explanation's record that describes the predictions, a PredictionsRecord."""
    record = {"asked_for": name} | e.record()
    return {key: record[key] for key in PredictionsRecord.__annotations__}


async def _checks(
    photo: PhotoFile, requests: Sequence[ExplanationRequest], explanations: Sequence[Explanation]
) -> dict[str, Mapping[str, object]]:
    """The records of the trust checks by network name. Degenerate maps cannot be checked."""
    found = {}
    for request, e in zip(requests, explanations, strict=True):
        if e.degenerate:
            continue
        async for step in service().check(photo, request, e):
            if isinstance(step, CheckResult):
                found[request.model] = step.record
    return found


def _findings(
    named: Sequence[tuple[str, Explanation]],
    files: Mapping[tuple[str, str], dict[str, Any]],
    checks: Mapping[str, Mapping[str, object]],
) -> Any:
    of_networks = {
        name: {kind: files.get((kind, name)) for kind in ("overlay", "heatmap")}
        for name, _ in named
    }
    # Gradio would turn tuples and NumPy numbers into text: make them lists and numbers first.
    return json.loads(json.dumps(findings(named, checks, of_networks), allow_nan=False))
