"""From pictures to the rows of a batch's data set, and overlays: what both engines compute."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from threadpoolctl import threadpool_limits

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.captions import HOT, where
from gradcam_core.batch.pictures import NOTHING_THERE, Item
from gradcam_core.cam.methods import DEFAULT_METHOD, method_named
from gradcam_core.errors import ImageError
from gradcam_core.examination import PreparedInput, answer_together, prepare, run_passes
from gradcam_core.explanation import Explanation
from gradcam_core.export.figure import overlay_of
from gradcam_core.images.geometry import Preprocessing, ViewName
from gradcam_core.images.render import LONGEST
from gradcam_core.models.loading import Model
from gradcam_core.models.registry import DEFAULT_MODELS
from gradcam_core.request import ExplanationRequest

log = logging.getLogger(__name__)

AT_ONCE = {"cpu": 4, "cuda": 32}
"""Photos in one pass at detail 1. Two cores take 4 to 9 % longer for each of 16 than of 4, whose
activations still are in the caches from one layer to the next."""

THUMBNAIL = 160
"""Pixels of the long side of a thumbnail."""

_QUALITY = 88  # of the JPEGs
_LEVELS = 255
_FOLDERS = 8  # of an overlay's path, at most
_NAME = 80  # characters of a part of it, at most

_INT, _FLOAT, _TEXT = pa.int32(), pa.float32(), pa.string()


def _column(name: str, kind: pa.DataType, words: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": words})


SCHEMA = pa.schema(
    [
        _column("path", _TEXT, "the picture's key: its path below PHOTOS, or as its table has it"),
        _column("model", _TEXT, "the network that was asked for, by its name"),
        _column("title", _TEXT, "the network that ran, as people write it"),
        _column("stands_in_for", _TEXT, "title of the network in whose place it ran, or null"),
        _column(
            "top",
            pa.list_(
                pa.struct([("index", _INT), ("name", _TEXT), ("probability", _FLOAT)]),
            ),
            "the five most probable classes, the most probable first",
        ),
        _column("class_index", _INT, "the class explained, by its index"),
        _column("class", _TEXT, "the same, by its name"),
        _column("probability", _FLOAT, "of the class explained, in [0, 1]"),
        _column("rank", _INT, "of the class explained among all by probability, from 1"),
        _column(
            "heat_box",
            pa.list_(_INT),
            "(left, top, right, bottom) in the photo's pixels of all that has half of the heat's "
            "maximum or more; null where there is no heat",
        ),
        _column("where", _TEXT, "where in the photo the heat lies, in words; or why there is none"),
        _column(
            "agreement",
            _FLOAT,
            "mean overlap (intersection over union) of the hottest fifth of this map with those of "
            "the other networks' maps; null if it is alone",
        ),
        _column("picture_agreement", _FLOAT, "the same over all pairs of this picture's maps"),
        _column(
            "trust",
            pa.struct(
                [
                    ("sentence", _TEXT),
                    ("deletion", _FLOAT),  # areas under the curves
                    ("insertion", _FLOAT),
                    ("random_deletion", _FLOAT),
                    ("random_insertion", _FLOAT),
                    ("average_drop", _FLOAT),
                    ("sanity", _FLOAT),  # rank correlation, all weights random; null: no heat left
                    ("steadiness", _FLOAT),  # lowest rank correlation under small changes
                ]
            ),
            "what the trust checks of the map have found; null if not checked",
        ),
        _column("overlay", _TEXT, "the overlay's path below the folder of results; null if none"),
        _column("width", _INT, "of the photo, upright, in pixels"),
        _column("height", _INT, "of the photo, upright, in pixels"),
        _column("box", pa.list_(_INT), "(left, top, right, bottom): what the network saw of it"),
        _column("method", _TEXT, "of the map"),
        _column("detail", _INT, "times its input size that the network saw the photo at"),
        _column("view", _TEXT, "crop or whole"),
        _column("layer", _TEXT, "the target layer"),
        _column(
            "map",
            pa.struct([("rows", _INT), ("columns", _INT), ("levels", pa.binary())]),
            "the map as the method gives it, row by row, a byte for each cell: 255 is its maximum",
        ),
        _column(
            "region",
            pa.list_(_FLOAT),
            "(left, top, right, bottom) of what the map covers, as shares of the photo's width and "
            "height; beyond 0 and 1 where the view is padded",
        ),
        _column(
            "thumbnail",
            pa.binary(),
            f"the photo as a JPEG of at most {THUMBNAIL} pixels a side, in the row of the first "
            "network; else null",
        ),
        _column(
            "weights", pa.struct([("source", _TEXT), ("sha256", _TEXT)]), "of the network that ran"
        ),
        _column("versions", pa.map_(_TEXT, _TEXT), "of the libraries that computed this"),
        _column("error", _TEXT, "why there is no result; null if there is one"),
    ]
)
"""One row for every picture and network. Where there is an error, all that it has prevented is
null. What the columns mean is also in the files, as each field's `description`."""


@dataclass(frozen=True)
class Settings:
    """What is asked of each picture.

    models: names, each once. targets: the class by its index in each network; None is each
    network's own top prediction. longest: the most pixels of an overlay's side. The others as for
    `explain`.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    targets: tuple[int, ...] | None = None
    method: str = DEFAULT_METHOD
    detail: int = 1
    view: ViewName = "crop"
    trust: bool = False
    longest: int = LONGEST

    def at_once(self, device: str) -> int:
        """How many photos one pass takes."""
        if self.trust or method_named(self.method).is_slow:
            return 1
        return max(1, AT_ONCE.get(device, AT_ONCE["cpu"]) // self.detail**2)


@dataclass(frozen=True)
class Done:
    """One picture that is done. rows: of `SCHEMA`, one for each network, in their order. overlays:
    pairs of a path below the folder of results and the JPEG that belongs there."""

    key: str
    rows: list[dict[str, Any]]
    overlays: list[tuple[str, bytes]]


@dataclass(frozen=True)
class _Shown:
    """What networks with one preprocessing are shown of a photo: at detail 1, and at the detail
    that is asked for."""

    published: PreparedInput
    detailed: PreparedInput


@dataclass(frozen=True)
class Ready:
    """A picture that is decoded and prepared.

    inputs: for each network. small: the photo as its overlays show it. photo: as it is, where it is
    needed once more; a large one takes 200 MB.
    """

    key: str
    size: tuple[int, int]
    inputs: list[_Shown]
    small: Image.Image
    thumbnail: bytes
    photo: Image.Image | None


class StoppedError(Exception):
    """The work is no longer wanted."""


@contextmanager
def one_core_each() -> Iterator[None]:
    """For as long as several threads compute: NumPy's products, which are small here, on one core
    each. Where others are busy, threads that wait for each other make them take 70 times as long.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def ready(
    item: Item,
    models: Sequence[Model],
    settings: Settings,
    read: Callable[[str | bytes], Image.Image],
) -> Ready | Done:
    """The half of the work that needs no network. A picture that cannot be used is done by this.

    read: gives an upright RGB picture of a path or bytes, or raises ImageError.
    """
    source = item.path if item.data is None else item.data
    try:
        if source is None:
            raise ImageError(NOTHING_THERE)
        photo = read(source)
        shown: dict[Preprocessing, _Shown] = {}
        for model in models:
            if model.preprocessing not in shown:
                shown[model.preprocessing] = _shown(photo, model.preprocessing, settings)
        small = _at_most(photo, settings.longest)
        return Ready(
            key=item.key,
            size=photo.size,
            inputs=[shown[model.preprocessing] for model in models],
            small=small,
            thumbnail=_jpeg(_at_most(small, THUMBNAIL)),
            photo=photo if settings.trust else None,
        )
    except ImageError as error:
        return _failed(item.key, models, settings, str(error))
    except Exception as error:
        return _failed(item.key, models, settings, _unexpected(item.key, error))


def _shown(photo: Image.Image, preprocessing: Preprocessing, settings: Settings) -> _Shown:
    published = prepare(photo, preprocessing, settings.view)
    if settings.detail == 1:
        return _Shown(published, published)
    return _Shown(published, prepare(photo, preprocessing, settings.view, settings.detail))


def explained(
    chunk: Sequence[Ready],
    models: Sequence[Model],
    settings: Settings,
    check: Callable[[], None] = lambda: None,
) -> list[Done]:
    """The rows and overlays of pictures, which go through each network together.

    check: called between steps; what it raises ends the work.
    """
    try:
        return _explained(chunk, models, settings, check)
    except StoppedError:
        raise
    except Exception as error:
        if len(chunk) > 1:  # whichever it was
            return [done for one in chunk for done in explained([one], models, settings, check)]
        (one,) = chunk
        return [_failed(one.key, models, settings, _unexpected(one.key, error), one)]


def _unexpected(key: str, error: Exception) -> str:
    log.warning("%s: %r", key, error)
    return f"{type(error).__name__}: {error}"


def _explained(
    chunk: Sequence[Ready],
    models: Sequence[Model],
    settings: Settings,
    check: Callable[[], None],
) -> list[Done]:
    found: list[list[Explanation]] = [[] for _ in chunk]
    for number, model in enumerate(models):
        shown = [one.inputs[number] for one in chunk]
        target = settings.targets[number] if settings.targets else None
        passed = _passed(shown, model, target, settings, check)
        for explanations, e in zip(found, passed, strict=True):
            explanations.append(e)
    done = []
    for one, explanations in zip(chunk, found, strict=True):
        check()
        done.append(_done(one, explanations, models, settings, check))
    return done


def _passed(
    shown: Sequence[_Shown],
    model: Model,
    target: int | None,
    settings: Settings,
    check: Callable[[], None],
) -> list[Explanation]:
    """One network's explanations of these photos, those of equal size in one pass."""
    explanations: dict[int, Explanation] = {}
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, one in enumerate(shown):
        sizes.setdefault(tuple(one.published.batch.shape), []).append(place)
    for places in sizes.values():
        check()
        group = [shown[place] for place in places]
        held = run_passes(model, [one.published for one in group])
        if settings.detail > 1:
            check()
            probabilities = [one.probabilities for one in held]
            held = run_passes(model, [one.detailed for one in group], None, probabilities)
        request = ExplanationRequest(
            model.info.name,
            settings.view,
            target,
            method=settings.method,
            detail=settings.detail,
        )
        explanations |= zip(places, answer_together(held, request, lambda _: check()), strict=True)
    return [explanations[place] for place in range(len(shown))]


def _done(
    one: Ready,
    explanations: Sequence[Explanation],
    models: Sequence[Model],
    settings: Settings,
    check: Callable[[], None],
) -> Done:
    together = agreement(explanations)
    pairs = together.pairs if together else ()
    rows, overlays = [], []
    for number, (e, model) in enumerate(zip(explanations, models, strict=True)):
        row = _row(one.key, number, model, settings, one)
        name = overlay_path(one.key, settings.models[number])
        overlays.append((name, _overlay(one.small, e)))
        its = [pair.overlap for pair in pairs if number in (pair.first, pair.second)]
        width, height = one.size
        left, top, right, bottom = e.geometry.region
        row |= {
            "layer": e.layer,
            "top": [
                {"index": p.index, "name": p.name, "probability": p.probability} for p in e.top
            ],
            "class_index": e.target.index,
            "class": e.target.name,
            "probability": e.target.probability,
            "rank": e.rank,
            "heat_box": None if e.degenerate else e.geometry.hot(e.feature_map, HOT),
            "where": where(e),
            "agreement": float(np.mean(its)) if its else None,
            "picture_agreement": float(np.mean([p.overlap for p in pairs])) if pairs else None,
            "trust": _trust(one, model, e, check) if settings.trust else None,
            "overlay": name,
            "box": e.box,
            "map": _map(e.feature_map),
            "region": (left / width, top / height, right / width, bottom / height),
        }
        rows.append(row)
    return Done(one.key, rows, overlays)


def _trust(
    one: Ready, model: Model, e: Explanation, check: Callable[[], None]
) -> dict[str, object] | None:
    from gradcam_core.analysis.trust import trust

    if e.degenerate or one.photo is None:
        return None
    found = trust(one.photo, model, e, lambda _: check())
    return {
        "sentence": found.sentence,
        "deletion": found.deletion.area,
        "insertion": found.insertion.area,
        "random_deletion": found.random_deletion.area,
        "random_insertion": found.random_insertion.area,
        "average_drop": found.average_drop,
        "sanity": found.sanity[-1].correlation if found.sanity else None,
        "steadiness": found.steadiness,
    }


def _failed(
    key: str, models: Sequence[Model], settings: Settings, error: str, one: Ready | None = None
) -> Done:
    rows = [
        _row(key, number, model, settings, one) | {"error": error}
        for number, model in enumerate(models)
    ]
    return Done(key, rows, [])


def _row(
    key: str, number: int, model: Model, settings: Settings, one: Ready | None
) -> dict[str, Any]:
    """What is known before anything is computed; the rest is null."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    return row | {
        "path": key,
        "model": settings.models[number],
        "title": model.info.title,
        "stands_in_for": model.stands_in_for.title if model.stands_in_for else None,
        "width": one.size[0] if one else None,
        "height": one.size[1] if one else None,
        "thumbnail": one.thumbnail if one and number == 0 else None,
        "method": settings.method,
        "detail": settings.detail,
        "view": settings.view,
        "layer": model.info.layer,
        "weights": {"source": model.weights.source, "sha256": model.weights.sha256},
        "versions": _versions(),
    }


@cache
def _versions() -> list[tuple[str, str]]:
    return [(name, version(name)) for name in ("torch", "timm", "numpy", "Pillow")]


def _map(feature_map: np.ndarray) -> dict[str, object] | None:
    highest = feature_map.max()
    if not np.isfinite(feature_map).all():
        return None
    shares = feature_map / highest if highest > 0 else np.zeros_like(feature_map)
    rows, columns = feature_map.shape
    levels = np.rint(shares * _LEVELS).astype(np.uint8)
    return {"rows": rows, "columns": columns, "levels": levels.tobytes()}


def _at_most(photo: Image.Image, longest: int) -> Image.Image:
    if max(photo.size) <= longest:
        return photo
    width, height = (max(1, round(side * longest / max(photo.size))) for side in photo.size)
    # Halved and so on first, which takes a quarter of the time, and nobody sees it.
    return photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1)


def _overlay(small: Image.Image, e: Explanation) -> bytes:
    return _jpeg(Image.fromarray(np.concatenate(list(overlay_of(small, e)))))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def overlay_path(key: str, model: str) -> str:
    """Where a picture's overlay lies below the folder of results.

    It has the key's folders and name, so that people find it, but only as far as they are harmless
    there; what tells it from all others, also where letters have no case, is a hash of the key.
    """
    parts = PurePosixPath(key.replace("\\", "/")).parts[-_FOLDERS:]
    *folders, name = [_harmless(part) for part in parts] or ["_"]
    # A folder cannot have the name of an overlay beside it.
    folders = [folder + "_" if folder.lower().endswith(".jpg") else folder for folder in folders]
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return "/".join(["overlays", *folders, f"{name}.{digest}.{_harmless(model)}.jpg"])


def _harmless(part: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_ .()+,=@-]", "_", part)[:_NAME].rstrip(" .")
    return re.sub(r"^[ .]", "_", word) or "_"
