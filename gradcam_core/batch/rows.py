"""The data set's rows for one picture, made from the records of its explanations. See `SCHEMA`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradcam_core.analysis.findings import finding, in_common
from gradcam_core.analysis.location import HOT
from gradcam_core.batch.labels.ground_truth import LabelResult
from gradcam_core.batch.overlays import file_name_of, overlay_path
from gradcam_core.batch.schema import SCHEMA
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.explanation.result import Explanation
from gradcam_core.export.file_names import file_stems
from gradcam_core.models.model import Model

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.result import Trust

Row: TypeAlias = "dict[str, Any]"

_FROM_RECORD = (
    *("title", "stands_in_for", "top", "rank", "contrast", "box"),
    *("method", "detail", "view", "layer", "weights", "how", "where", "caption"),
)
"""Columns that are copied from the record that `finding` gives."""

_LEVELS = 255


@dataclass(frozen=True)
class PictureResult:
    """The results of one picture.

    key: its name in the data set. rows: one per network, in the order of the requests.
    overlays: pairs of a path relative to the results folder and the content of the JPEG.
    """

    key: str
    rows: list[Row]
    overlays: list[tuple[str, bytes]]


@dataclass(frozen=True)
class PictureFacts:
    """The columns that describe the picture itself. size: (width, height); None if it cannot be
    read. thumbnail: a JPEG. notices: see `gradcam_core.images.decoded`."""

    key: str
    size: tuple[int, int] | None = None
    thumbnail: bytes | None = None
    notices: tuple[str, ...] = ()


def rows_of(
    picture: PictureFacts,
    explanations: Sequence[Explanation],
    checks: Sequence[Trust | None],
    results: Sequence[LabelResult | None],
    models: Sequence[Model],
    settings: BatchSettings,
) -> list[Row]:
    """The rows of a picture that was explained: one per network. checks: the trust checks of each
    map; None for a map that was not checked. results: each network's result for the true class;
    None if it is unknown."""
    assert picture.size is not None
    width, height = picture.size
    named = list(zip(settings.models, explanations, strict=True))
    common = in_common(named)
    compared = common["agreement"] or {"pairs": (), "overlap": None}
    stems = file_stems(named)
    of_label = {
        name
        for (name, e), result in zip(named, results, strict=True)
        if result is not None and result.index == e.target.index
    }
    rows = []
    for number, ((name, e), check) in enumerate(zip(named, checks, strict=True)):
        record = finding(name, e, photo_name=file_name_of(picture.key))
        pairs = [pair for pair in compared["pairs"] if name in pair["names"]]
        # Maps of different classes need not agree, so their agreement says nothing.
        comparable = [pair for pair in pairs if of_label.issuperset(pair["names"])]
        left, top, right, bottom = e.geometry.region
        rows.append(
            _common(picture, number, models[number], settings)
            | {name: record[name] for name in _FROM_RECORD}
            | {
                "class_index": e.target.index,
                "class": e.target.name,
                "probability": record["target"]["probability"],
                "heat_box": None if e.degenerate else e.geometry.hot(e.feature_map, HOT),
                "agreement": _mean(pairs),
                "picture_agreement": compared["overlap"],
                "sentences": common["sentences"] if number == 0 else None,
                "trust": None if check is None else _trust(check),
                "overlay": overlay_path(picture.key, stems[number]),
                "map": _map(e.feature_map),
                "region": (left / width, top / height, right / width, bottom / height),
            }
            | _label_columns(results[number], _mean(comparable))
        )
    return rows


def failed_rows(
    picture: PictureFacts,
    results: Sequence[LabelResult | None],
    models: Sequence[Model],
    settings: BatchSettings,
    error: str,
) -> list[Row]:
    """The rows of a picture that cannot be explained, one per network, with the reason in the
    column "error"."""
    return [
        _common(picture, number, model, settings) | {"error": error} | _label_columns(result)
        for number, (model, result) in enumerate(zip(models, results, strict=True))
    ]


def _common(picture: PictureFacts, number: int, model: Model, settings: BatchSettings) -> Row:
    """A row with what is known before anything is computed; all other columns are None."""
    request = settings.requests[number]
    row: Row = dict.fromkeys(SCHEMA.names)
    return row | {
        "path": picture.key,
        "model": request.model,
        "title": model.info.title,
        "stands_in_for": model.stands_in_for.title if model.stands_in_for else None,
        "width": picture.size[0] if picture.size else None,
        "height": picture.size[1] if picture.size else None,
        "photo_notices": list(picture.notices),
        "thumbnail": picture.thumbnail if number == 0 else None,
        "method": request.method,
        "detail": request.detail,
        "view": request.view,
        "layer": model.layer_named(request.layer) or model.info.layer,
        "weights": {"source": model.weights.source, "sha256": model.weights.sha256},
        "versions": _versions(),
    }


@cache
def _versions() -> list[tuple[str, str]]:
    return [(name, version(name)) for name in ("torch", "timm", "numpy", "Pillow")]


def _label_columns(result: LabelResult | None, agreement: float | None = None) -> Row:
    return {} if result is None else result.columns(agreement)


def _mean(pairs: Sequence[Row]) -> float | None:
    known = [pair["overlap"] for pair in pairs if pair["overlap"] is not None]
    return float(np.mean(known)) if known else None


def _trust(check: Trust) -> dict[str, object]:
    """The column "trust": the record of the checks, shortened to the areas under the curves, the
    last step of the randomisation check, and the values of the measures."""
    record: dict[str, Any] = check.record()
    for name in ("deletion", "insertion", "random_deletion", "random_insertion"):
        record[name] = record[name] and record[name]["area"]
    del record["measures"]
    return record | {
        "sanity": check.sanity[-1].correlation if check.sanity else None,
        "steadiness": check.lowest_change,
        "road": check.road.value,
        "arcc": check.arcc and check.arcc.value,
    }


def _map(feature_map: np.ndarray) -> dict[str, object] | None:
    if not np.isfinite(feature_map).all():
        return None
    peak = feature_map.max()
    shares = feature_map / peak if peak > 0 else np.zeros_like(feature_map)
    rows, columns = feature_map.shape
    levels = np.rint(shares * _LEVELS).astype(np.uint8)
    return {"rows": rows, "columns": columns, "levels": levels.tobytes()}
