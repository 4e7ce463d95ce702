"""What the page is told of a result: plain data in the types that JSON has."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from demo.compute.backend import Network
from demo.server.classes import all_classes
from gradcam_core import Explanation, Prediction
from gradcam_core.analysis.agreement import Agreement, agreement
from gradcam_core.analysis.captions import summary, where

_LEVELS = 65535


def network_of(model: Network) -> dict[str, Any]:
    """What a panel shows of a network before its result."""
    wanted = model.stands_in_for
    return {
        "title": model.info.title,
        "stands_in_for": wanted.title if wanted else "",
        "notice": model.notice,
    }


def result_of(e: Explanation) -> dict[str, Any]:
    """What a panel shows of an explanation.

    index: of a class, its place in `all_classes`. box: what the network saw; region: what the map
    covers, padding included; both as shares of the photo's sides. map: rows, columns and, row by
    row, unsigned 16-bit levels, little-endian, of the map's maximum; all 0 if it is degenerate.
    """
    width, height = e.geometry.photo_size
    rows, columns = e.feature_map.shape
    return {
        "model": e.model,
        "title": e.title,
        "stands_in_for": e.stands_in_for,
        "notice": e.notice,
        "target": _of_all(e, e.target),
        "rank": e.rank,
        "top": [_of_all(e, prediction) for prediction in e.top],
        "how": e.how,
        "method": e.method,
        "detail": e.detail,
        "layer": e.layer,
        "degenerate": e.degenerate,
        "where": where(e),
        "box": _shares(e.box, width, height),
        "region": _shares(e.geometry.region, width, height),
        "map": {"rows": rows, "columns": columns, "levels": _levels(e)},
    }


def _of_all(e: Explanation, prediction: Prediction) -> dict[str, Any]:
    return asdict(prediction) | {"index": all_classes().place(e.model, prediction.index)}


def insight_of(named: Mapping[str, Explanation]) -> dict[str, Any]:
    """What several explanations of one photo have in common, by the names that these have."""
    names, explanations = list(named), list(named.values())
    found = agreement(explanations)
    return {
        "sentences": list(summary(explanations)),
        "agreement": found and _agreement(found, names, explanations[0].geometry.photo_size),
    }


def _agreement(
    found: Agreement, names: Sequence[str], photo_size: tuple[int, int]
) -> dict[str, Any]:
    return {
        "region": _shares(found.region, *photo_size),
        "thresholds": {
            name: threshold if math.isfinite(threshold) else None
            for name, threshold in zip(names, found.thresholds, strict=True)
        },
        "pairs": [
            {
                "first": names[pair.first],
                "second": names[pair.second],
                "overlap": pair.overlap,
                "correlation": pair.correlation,
            }
            for pair in found.pairs
        ],
        "shares": list(found.shares),
    }


def _levels(e: Explanation) -> str:
    peak = 0.0 if e.degenerate else float(e.feature_map.max())
    share = e.feature_map / peak if peak else np.zeros_like(e.feature_map)
    return base64.b64encode(np.round(share * _LEVELS).astype("<u2").tobytes()).decode("ascii")


def _shares(box: tuple[float, ...], width: int, height: int) -> list[float]:
    left, top, right, bottom = box
    return [left / width, top / height, right / width, bottom / height]
