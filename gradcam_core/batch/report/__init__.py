"""`report.html`: what a batch run found, in one file that any browser shows without a network.

What the list is sorted and filtered by stands at the file's beginning, in columns. Thumbnails and
maps follow in blocks of text that the browser reads only where they are seen.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
import shutil
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradcam_core.analysis.captions import PARTLY, SAME
from gradcam_core.cam.methods import METHODS
from gradcam_core.errors import ReportError
from gradcam_core.files import written_whole
from gradcam_core.images.render import DIMMING, OPACITY, colormap_table

NAME = "report.html"

DATA = "data"
"""The folder of the data set beside it."""

IN_BLOCK = 50
"""Pictures whose thumbnails and maps are in one block: what the browser reads at once."""

_ROWS = 256  # read at once: of a part as large as a disk, so many are in memory

_HERE = Path(__file__).parent
_WEB = Path(__file__).parents[2] / "web"
_SHARED = ("elements.js", "numbers.js", "heat.js")
"""Scripts that the page of the app uses, too; it loads them as modules."""

_SCRIPTS = ("elements.js", "data.js", "stage.js", "choice.js", "cards.js", "details.js", "page.js")

_Row = Mapping[str, Any]


def write_report(out: Path) -> Path:
    """Writes `out/report.html` from the data set `out/data/*.parquet` and gives its path.

    One row of the data set is one picture and one network; rows of one picture stand together. Of
    thumbnails and maps no more than a block is in memory. A report that is there is replaced when
    the new one is whole. Raises ReportError where there is no data set, or none that can be read.
    """
    parts = sorted((out / DATA).glob("*.parquet"))
    if not parts:
        raise ReportError(f"There is no data set in {out / DATA}. Run the batch first.")
    index = _Index()
    with TemporaryFile(dir=out) as blocks:
        blocks.writelines(block.encode("ascii") for block in _blocks(parts, index))
        blocks.seek(0)
        before, after = _page(index)
        with written_whole(out / NAME, is_flushed=True) as page:
            page.write(before.encode())
            shutil.copyfileobj(blocks, page)
            page.write(after.encode())
    return out / NAME


def _pictures(parts: Iterable[Path]) -> Iterator[list[_Row]]:
    """The rows of one picture after the other."""
    for part in parts:
        try:
            for _, rows in itertools.groupby(_rows(part), lambda row: row["path"]):
                yield list(rows)
        except pa.ArrowException as error:
            raise ReportError(f"{part} cannot be read: {error}") from error


def _rows(part: Path) -> Iterator[_Row]:
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            yield from batch.to_pylist()


def _blocks(parts: Iterable[Path], index: _Index) -> Iterator[str]:
    """Of inert text: a line of JSON for each picture."""
    pictures = _pictures(parts)
    for number in itertools.count():
        lines = [_json(index.add(rows)) for rows in itertools.islice(pictures, IN_BLOCK)]
        if not lines:
            return
        text = "\n".join(lines)
        yield f'<script type="application/octet-stream" id="block-{number}">{text}</script>\n'


class _Numbers:
    """Values that many rows share, each once, by numbers from 0 in the order that they come in."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._numbers)


class _Index:
    """What the list is sorted and filtered by, in columns, filled picture by picture."""

    def __init__(self) -> None:
        self._networks, self._classes, self._places = _Numbers(), _Numbers(), _Numbers()
        self._hows, self._versions = _Numbers(), _Numbers()
        self._paths: list[str] = []
        names = ("width", "height", "agreement", "differ", "failed", "rows")
        self._pictures: dict[str, list[Any]] = {name: [] for name in names}
        of_rows = ("network", "class", "probability", "rank", "where")
        self._rows: dict[str, list[Any]] = {name: [] for name in of_rows}

    def add(self, rows: list[_Row]) -> dict[str, Any]:
        """Takes a picture in; what is left of it for its line in a block."""
        first = rows[0]
        sized = next((row for row in rows if row.get("width")), first)
        self._paths.append(first["path"])
        named = {_named(row) for row in rows} - {None}
        picture = {
            "width": sized.get("width") or 0,
            "height": sized.get("height") or 0,
            "agreement": _number(first.get("picture_agreement")),
            "differ": int(len(named) > 1),
            "failed": _failed(rows),
            "rows": len(rows),
        }
        for name, value in picture.items():
            self._pictures[name].append(value)
        thumbnail = next((row["thumbnail"] for row in rows if row.get("thumbnail")), None)
        return {
            "thumbnail": _base64(thumbnail),
            "rows": [self._add_row(row, sized) for row in rows],
        }

    def _add_row(self, row: _Row, sized: _Row) -> dict[str, Any]:
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
            "where": self._places.of(row["where"]) if row.get("where") else -1,
        }
        for name, value in values.items():
            self._rows[name].append(value)
        if row.get("versions"):
            self._versions.of(_words(row["versions"]))
        found = (row.get("map") or {}) if row.get("heat_box", ()) is not None else {}
        how = row.get("method"), row.get("detail"), row.get("view"), row.get("layer")
        return {
            "map": found.get("levels")
            and {
                "rows": found["rows"],
                "columns": found["columns"],
                "levels": _base64(found["levels"]),
                "region": [_number(share) for share in row["region"]],
            },
            "box": _box(row, sized),
            "top": [
                [self._class(one["index"], one["name"]), _number(one["probability"])]
                for one in row.get("top") or ()
            ],
            "how": -1 if row.get("method") is None else self._hows.of(how),
            "agreement": _number(row.get("agreement")),
            "trust": _plain(row.get("trust")),
            "overlay": row.get("overlay"),
            "error": row.get("error"),
        }

    def _class(self, number: int | None, name: str) -> int:
        return self._classes.of((number, name))

    def record(self) -> dict[str, Any]:
        by_path = sorted(range(len(self._paths)), key=lambda i: _natural(self._paths[i]))
        networks = ("model", "title", "standsInFor", "source", "sha256")
        hows = ("method", "detail", "view", "layer")
        return {
            "written": datetime.now(UTC).isoformat(timespec="minutes"),
            "inBlock": IN_BLOCK,
            "same": SAME,
            "partly": PARTLY,
            "opacity": OPACITY,
            "dimming": DIMMING,
            "colors": _base64(colormap_table().tobytes()),
            "networks": [dict(zip(networks, one, strict=True)) for one in self._networks],
            "classes": [name for _, name in self._classes],
            "places": list(self._places),
            "hows": [dict(zip(hows, one, strict=True)) for one in self._hows],
            "methods": {method.name: method.title for method in METHODS.values()},
            "versions": list(self._versions),
            "byPath": by_path,
            "pictures": {"path": self._paths, **self._pictures},
            "rows": self._rows,
        }


def _page(index: _Index) -> tuple[str, str]:
    """All of the report before the blocks, and behind them."""
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    script = _script()
    page = (_HERE / "template.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hash(script)}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    filled = {"policy": policy, "style": style, "script": script, "index": _json(index.record())}
    # In one pass, so that what is filled in is never searched for a name.
    parts = re.split(r"\{\{(\w+)\}\}", page)
    texts = [filled.get(part, "") if i % 2 else part for i, part in enumerate(parts)]
    blocks = parts.index("blocks")
    return "".join(texts[:blocks]), "".join(texts[blocks + 1 :])


def _script() -> str:
    """All scripts as one, in which what a module would export is simply there."""
    files = [*(_WEB / name for name in _SHARED), *(_HERE / name for name in _SCRIPTS)]
    texts = [file.read_text(encoding="utf-8") for file in files]
    script = re.sub(r"^export (?=const |function )", "", "\n".join(texts), flags=re.MULTILINE)
    return f'"use strict";\n{script}'


def _hash(text: str) -> str:
    """How a policy allows one script or style, and no other."""
    return f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'"


def _json(value: object) -> str:
    """In ASCII, and without what could end or open an element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _base64(data: bytes | None) -> str | None:
    return base64.b64encode(data).decode("ascii") if data else None


def _number(value: float | None) -> float | None:
    """Exact for 32 bits, in few digits; JSON has no others than finite ones."""
    return float(f"{value:.9g}") if value is not None and math.isfinite(value) else None


def _plain(value: object) -> object:
    """In types that JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _number(value) if isinstance(value, float) else value


def _box(row: _Row, sized: _Row) -> list[float] | None:
    """What the network saw, in shares of the photo's sides."""
    width, height = sized.get("width"), sized.get("height")
    if not row.get("box") or not width or not height:
        return None
    sides = width, height, width, height
    return [_number(edge / side) or 0.0 for edge, side in zip(row["box"], sides, strict=True)]


def _named(row: _Row) -> int | str | None:
    """The class that a network finds most probable, whichever was explained."""
    top = row.get("top")
    return top[0]["index"] if top else row.get("class_index")


def _failed(rows: list[_Row]) -> int:
    """0 if no network failed, 1 if one did; 2 if none has a result, and all for the same reason."""
    errors = {row.get("error") for row in rows}
    if errors == {None}:
        return 0
    return 1 if len(errors) > 1 or any(row.get("class") is not None for row in rows) else 2


def _words(versions: object) -> str:
    if isinstance(versions, Mapping):
        versions = list(versions.items())
    if isinstance(versions, list):
        return ", ".join(f"{name} {version}" for name, version in versions if version)
    return str(versions)


def _natural(path: str) -> list[tuple[bool, int, str]]:
    """The key of an order in which picture 2 comes before picture 10."""
    pieces = re.findall(r"([0-9]{1,18})|([^0-9]+)", path.casefold())
    return [(not digits, int(digits or 0), text) for digits, text in pieces]
