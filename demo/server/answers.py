"""The answers that the page receives, as JSON types: views of the core's records."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from demo.compute.backend import CheckResult, NetworkInfo
from demo.compute.photo import PhotoNotes
from demo.server.classes import all_classes
from gradcam_core import Explanation
from gradcam_core.analysis.findings import finding, in_common
from gradcam_core.analysis.trust.limits import OF_CORRELATIONS
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.cam.steps import Channel, Steps
from gradcam_core.explanation.text import Prediction

_LEVELS = 65535
_SIGNED_LEVELS = 32767


def photo_of(
    photo_id: str, jpeg: bytes, width: int, height: int, notes: PhotoNotes
) -> dict[str, Any]:
    """The photo as the page shows it, with the notices beside it."""
    encoded = base64.b64encode(jpeg).decode("ascii")
    shown = {"id": photo_id, "jpeg": encoded, "width": width, "height": height}
    return {"photo": shown | asdict(notes)}


def network_of(network: NetworkInfo) -> dict[str, Any]:
    """The facts about a network that a panel shows before its result."""
    replaced = network.stands_in_for
    return {
        "title": network.info.title,
        "stands_in_for": replaced.title if replaced else None,
        "notice": network.notice or None,
        "is_arriving": network.is_arriving,
        "classes": len(network.info.labels),
    }


def result_of(asked_for: str, e: Explanation, photo_name: str = "") -> dict[str, Any]:
    """The facts about an explanation that a panel shows: its `finding`, and the map as numbers.

    index: each class's place in `all_classes`. box: the part of the photo that the network saw;
    region: the part that the map covers, padding included; both as shares of the photo's sides.
    map: its rows, columns and levels: base64, row by row, unsigned 16-bit, little-endian, 65535 for
    the map's maximum, all 0 if the map is degenerate. signed_levels: the levels of a signed map,
    signed 16-bit. steps: see `steps_of`. Both are null if they were not requested. of_class: what
    the heat is for, in words; null if the method ignores the class.
    """
    rows, columns = e.feature_map.shape
    record = finding(asked_for, e, photo_name=photo_name)
    for name in ("rivals", "overlay", "heatmap", "trust"):  # the page requests these separately
        del record[name]
    place = all_classes().place
    for name in ("target", "top", "contrast"):
        given = record[name]
        for prediction in given if isinstance(given, list) else [given]:
            prediction["index"] = place(e.model, prediction["index"])
    return record | {
        "of_class": f"for the class {e.question}" if method_named(e.method).knows_class else None,
        "rather_than": e.rather_than,
        "unusual": e.unusual,
        "box": _shares(e, e.box),
        "region": _shares(e, e.geometry.region),
        "map": {"rows": rows, "columns": columns, "levels": _levels(e)},
        "signed_levels": None if e.signed_map is None else _signed_levels(e.signed_map),
        "steps": e.steps and steps_of(e.steps),
    }


def steps_of(steps: Steps) -> dict[str, Any]:
    """The steps in which a map is made, with all that the page draws of them: maps and sums are
    base64 of float32, row by row, little-endian."""
    others = None if steps.others is None else _floats(steps.others)
    return {
        "score": steps.score,
        "channels": steps.channels,
        "rows": steps.size[0],
        "columns": steps.size[1],
        "counts": steps.counts,
        "mean": _floats(steps.mean_activation),
        "for": [_channel(one) for one in steps.speaking_for],
        "against": [_channel(one) for one in steps.speaking_against],
        "counted": steps.counted,
        "running": [_floats(one) for one in steps.running],
        "others": others,
        "map": _floats(steps.feature_map),
    }


def _channel(one: Channel) -> dict[str, Any]:
    activation = _floats(one.activation)
    return {
        "index": one.index,
        "weight": one.weight,
        "share": one.share,
        "activation": activation,
    }


def live_result_of(e: Explanation) -> dict[str, Any]:
    """The facts that the live view shows of a camera frame, with the names of `result_of`."""
    place = all_classes().place
    rows, columns = e.feature_map.shape
    return {
        "model": e.model,
        "title": e.title,
        "stands_in_for": e.stands_in_for or None,
        "target": _prediction(e.target, place(e.model, e.target.index)),
        "top": [_prediction(one, place(e.model, one.index)) for one in e.top],
        "degenerate": e.degenerate,
        "box": _shares(e, e.box),
        "region": _shares(e, e.geometry.region),
        "map": {"rows": rows, "columns": columns, "levels": _levels(e)},
    }


def _prediction(one: Prediction, place: int) -> dict[str, Any]:
    return {"index": place, "name": one.name, "probability": one.probability}


def comparison_of(explanations: Mapping[str, Explanation]) -> dict[str, Any]:
    """What several explanations of one photo have in common. explanations: by the maps' ids."""
    comparison = in_common(list(explanations.items()))
    if compared := comparison["agreement"]:
        any_of_them = next(iter(explanations.values()))
        compared["region"] = _shares(any_of_them, compared["region"])
    # "insight" is the old name, for pages of version 1.0 that are still open.
    return {"comparison": comparison, "insight": comparison}


def check_of(found: CheckResult) -> dict[str, Any]:
    """The result of trust checks: their record, the two pictures as base64, and the limits near
    which the page shows numbers with more decimals, as the sentences do."""
    pictures = {
        name: base64.b64encode(jpeg).decode("ascii") for name, jpeg in found.pictures.items()
    }
    return {"trust": {**found.record, "pictures": pictures, "limits": OF_CORRELATIONS}}


def _levels(e: Explanation) -> str:
    peak = 0.0 if e.degenerate else float(e.feature_map.max())
    share = e.feature_map / peak if peak else np.zeros_like(e.feature_map)
    return _encoded(np.round(share * _LEVELS).astype("<u2"))


def _signed_levels(signed: np.ndarray) -> str:
    """The signed map as 16-bit levels of its largest absolute value; below 0 is evidence against
    the class."""
    peak = float(np.abs(signed).max()) if np.isfinite(signed).all() else 0.0
    share = signed / peak if peak else np.zeros_like(signed)
    return _encoded(np.round(share * _SIGNED_LEVELS).astype("<i2"))


def _floats(values: np.ndarray) -> str:
    return _encoded(values.astype("<f4"))


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _shares(e: Explanation, box: Sequence[float]) -> list[float]:
    width, height = e.geometry.photo_size
    left, top, right, bottom = box
    return [left / width, top / height, right / width, bottom / height]
