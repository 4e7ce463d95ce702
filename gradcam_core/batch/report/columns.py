"""The columns by which the report's list is sorted and filtered, and a line of further details for
each picture."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from anyascii import anyascii

from gradcam_core.analysis.overlap_grades import GRADES, grade_of
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.export.fonts import name_or_number
from gradcam_core.images.rendering.render import DIMMING, OPACITY, colormap_table

_LATIN = "\u02ff"  # every machine has fonts for characters up to this one

BLOCK_SIZE = 50
"""Pictures whose thumbnails and maps are in one block, which the browser reads at once."""

Row = Mapping[str, Any]


class _Numbered:
    """Values shared by many rows, each kept once and numbered from 0 in order of arrival."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._numbers)


class Index:
    """The columns, filled picture by picture."""

    def __init__(self) -> None:
        self._networks, self._classes, self._locations = _Numbered(), _Numbered(), _Numbered()
        self._settings, self._versions = _Numbered(), _Numbered()
        self._paths: list[str] = []
        self._skipped: list[dict[str, Any]] = []
        names = ("width", "height", "agreement", "grade", "differ", "failed", "rows")
        self._pictures: dict[str, list[Any]] = {name: [] for name in names}
        of_rows = (
            *("network", "class", "probability", "rank", "where", "verdict"),
            *("label", "outcome"),
        )
        self._rows: dict[str, list[Any]] = {name: [] for name in of_rows}

    def add(self, rows: list[Row]) -> dict[str, Any]:
        """Adds the rows of one picture, and returns its line for a block."""
        first = rows[0]
        sized = next((row for row in rows if row.get("width")), first)
        self._paths.append(first["path"])
        tops = {_top_class(row) for row in rows} - {None}
        overlap = _number(first.get("picture_agreement"))
        picture = {
            "width": sized.get("width") or 0,
            "height": sized.get("height") or 0,
            "agreement": overlap,
            "grade": -1 if overlap is None else GRADES.index(grade_of(overlap)),
            "differ": int(len(tops) > 1),
            "failed": _failed(rows),
            "rows": len(rows),
        }
        for name, value in picture.items():
            self._pictures[name].append(value)
        thumbnail = next((row["thumbnail"] for row in rows if row.get("thumbnail")), None)
        return {
            "thumbnail": base64_of(thumbnail),
            "notices": first.get("photo_notices") or [],
            "rows": [self._add_row(row, sized) for row in rows],
        }

    def _add_row(self, row: Row, sized: Row) -> dict[str, Any]:
        is_explained = row.get("class") is not None
        weights = row.get("weights") or {}
        network = (
            row.get("model"),
            row.get("title") or row.get("model"),
            row.get("stands_in_for"),
            weights.get("source"),
            weights.get("sha256"),
        )
        values = {
            "network": -1 if row.get("model") is None else self._networks.of(network),
            "class": self._class(row.get("class_index"), row["class"]) if is_explained else -1,
            "probability": _number(row.get("probability")),
            "rank": row.get("rank") or 0,
            "where": self._locations.of(row["where"]) if row.get("where") else -1,
            "verdict": (row.get("trust") or {}).get("verdict") or "",
            "label": self._class(row.get("label_index"), row["label"]) if row.get("label") else -1,
            "outcome": _outcome(row),
        }
        for name, value in values.items():
            self._rows[name].append(value)
        if row.get("versions"):
            self._versions.of(_version_list(row["versions"]))
        found = (row.get("map") or {}) if row.get("heat_box", ()) is not None else {}
        settings = row.get("method"), row.get("detail"), row.get("view"), row.get("layer")
        return {
            "map": found.get("levels")
            and {
                "rows": found["rows"],
                "columns": found["columns"],
                "levels": base64_of(found["levels"]),
                "region": [_number(share) for share in row["region"]],
            },
            "box": _box(row, sized),
            "top": [
                [self._class(one["index"], one["name"]), _number(one["probability"])]
                for one in row.get("top") or ()
            ],
            "label": [row.get("label_rank"), _number(row.get("label_probability"))],
            "settings": -1 if row.get("method") is None else self._settings.of(settings),
            "agreement": _number(row.get("agreement")),
            "trust": _as_json(row.get("trust")),
            "overlay": row.get("overlay"),
            "error": row.get("error"),
        }

    def _class(self, number: int | None, name: str) -> int:
        return self._classes.of((number, name))

    def leave_out(self, skipped: Iterable[tuple[str, int, list[str]]]) -> None:
        """Sets what the batch has left out: each reason, a count, and the names of the first."""
        names = ("reason", "count", "names")
        self._skipped = [dict(zip(names, one, strict=True)) for one in skipped]

    def _latin(self) -> dict[str, str]:
        """Latin letters for each other character of names, for machines without a font for it."""
        letters: set[str] = set()
        left_out = (name for one in self._skipped for name in one["names"])
        for text in (*(name for _, name in self._classes), *self._paths, *left_out):
            letters.update(text)
        for network in self._networks:
            letters.update(*(text for text in network[1:3] if text))
        return {one: anyascii(one) for one in sorted(letters) if one > _LATIN}

    def record(self) -> dict[str, Any]:
        """All columns, and what else the report needs, in types that JSON has."""
        by_path = sorted(range(len(self._paths)), key=lambda i: _natural(self._paths[i]))
        networks = ("model", "title", "standsInFor", "source", "sha256")
        settings = ("method", "detail", "view", "layer")
        return {
            "written": datetime.now(UTC).isoformat(timespec="minutes"),
            "blockSize": BLOCK_SIZE,
            "grades": [asdict(grade) for grade in GRADES],
            "opacity": OPACITY,
            "dimming": DIMMING,
            "colors": base64_of(colormap_table().tobytes()),
            "networks": [dict(zip(networks, one, strict=True)) for one in self._networks],
            "classes": [name_or_number(name, number) for number, name in self._classes],
            "latin": self._latin(),
            "locations": list(self._locations),
            "settings": [dict(zip(settings, one, strict=True)) for one in self._settings],
            "methods": {method.name: method.title for method in METHODS.values()},
            "classless": [method.name for method in METHODS.values() if not method.knows_class],
            "versions": list(self._versions),
            "skipped": self._skipped,
            "byPath": by_path,
            "pictures": {"path": self._paths, **self._pictures},
            "rows": self._rows,
        }


def base64_of(data: bytes | None) -> str | None:
    return base64.b64encode(data).decode("ascii") if data else None


def _number(value: float | None) -> float | None:
    """The value in nine digits, which keep a float32 exact; None if JSON has no such number."""
    return float(f"{value:.9g}") if value is not None and math.isfinite(value) else None


def _as_json(value: object) -> object:
    """The value in types that JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    return _number(value) if isinstance(value, float) else value


def _box(row: Row, sized: Row) -> list[float] | None:
    """The box that the network saw, in shares of the photo's sides; None if it is not known."""
    width, height = sized.get("width"), sized.get("height")
    if not row.get("box") or not width or not height:
        return None
    sides = width, height, width, height
    return [_number(edge / side) or 0.0 for edge, side in zip(row["box"], sides, strict=True)]


def _top_class(row: Row) -> int | str | None:
    """The class that a network finds most probable, even if another was explained."""
    top = row.get("top")
    return top[0]["index"] if top else row.get("class_index")


def _outcome(row: Row) -> int:
    """-2 if the network lacks the label, -1 if the outcome is unknown for another reason, 0 for
    wrong, 1 for correct, 2 for correct with the heat elsewhere."""
    if row.get("correct") is None:
        return -2 if row.get("label") and row.get("label_index") is None else -1
    return int(row["correct"]) + int(row.get("elsewhere") or False)


def _failed(rows: list[Row]) -> int:
    """0 if no network failed, 2 if all failed for the same reason, 1 otherwise."""
    errors = {row.get("error") for row in rows}
    if errors == {None}:
        return 0
    return 1 if len(errors) > 1 or any(row.get("class") is not None for row in rows) else 2


def _version_list(versions: object) -> str:
    if isinstance(versions, Mapping):
        versions = list(versions.items())
    if isinstance(versions, list):
        return ", ".join(f"{name} {version}" for name, version in versions if version)
    return str(versions)


def _natural(path: str) -> list[tuple[bool, int, str]]:
    """A sort key by which picture 2 comes before picture 10."""
    pieces = re.findall(r"([0-9]{1,18})|([^0-9]+)", path.casefold())
    return [(not digits, int(digits or 0), text) for digits, text in pieces]
