"""`report.html`: the results of a batch in one file that any browser shows offline.

The file begins with the columns by which the list is sorted and filtered. Thumbnails and maps
follow in blocks of text, which the browser reads only when they are on the screen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pyarrow as pa
import pyarrow.parquet as pq

from gradcam_core.batch.listing.skipped import read_skipped
from gradcam_core.batch.report.columns import BLOCK_SIZE, Index, Row, base64_of
from gradcam_core.batch.schema import DATA
from gradcam_core.errors import ReportError
from gradcam_core.system.files import atomic_write

NAME = "report.html"

_WEB = Path(__file__).with_name("web")
_CORE_WEB = Path(__file__).parents[2] / "web"

_SHARED = ("elements.js", "numbers.js", "heat.js", "verdicts.js")
"""Scripts shared with the page of the app, which loads them as modules."""

_SCRIPTS = (
    *("drawable_names.js", "data.js", "photo_layers.js", "filters.js"),
    *("card.js", "cards.js", "details.js", "summary.js", "page.js"),
)


_SKIPPED_NAMES = 200
"""The most left-out files that the report names for each reason; the table beside it has all."""


def write_report(out: Path, rows_at_once: int = 256) -> Path:
    """Writes `out/report.html` from the data set `out/data/*.parquet` and returns its path.

    A row of the data set is one picture and one network; rows of a picture follow each other. Only
    `rows_at_once` rows and one block of thumbnails and maps are in memory. What was left out is
    read from the table beside it (`batch.listing.skipped`). An existing report is replaced once the
    new one is complete. Raises ReportError if there is no readable data set.
    """
    parts = sorted((out / DATA).glob("*.parquet"))
    if not parts:
        raise ReportError(f"There is no data set in {out / DATA}. Run the batch first.")
    index = Index()
    pictures = _pictures(parts, rows_at_once)
    with TemporaryFile(dir=out) as blocks:
        blocks.writelines(block.encode("ascii") for block in _blocks(pictures, index))
        blocks.seek(0)
        index.leave_out(read_skipped(out, _SKIPPED_NAMES))
        before, after = _page(index)
        with atomic_write(out / NAME, is_flushed=True) as page:
            page.write(before.encode())
            shutil.copyfileobj(blocks, page)
            page.write(after.encode())
    return out / NAME


def _pictures(parts: Iterable[Path], rows_at_once: int) -> Iterator[list[Row]]:
    """Yields the rows of each picture. Raises ReportError if a part cannot be read."""
    for part in parts:
        try:
            for _, rows in itertools.groupby(_rows(part, rows_at_once), lambda row: row["path"]):
                yield list(rows)
        except pa.ArrowException as error:
            raise ReportError(f"{part} cannot be read: {error}") from error


def _rows(part: Path, rows_at_once: int) -> Iterator[Row]:
    with part.open("rb") as opened, pq.ParquetFile(opened) as file:
        for batch in file.iter_batches(batch_size=rows_at_once):
            yield from batch.to_pylist()


def _blocks(pictures: Iterator[list[Row]], index: Index) -> Iterator[str]:
    """Yields blocks of text that no browser runs, with a line of JSON for each picture."""
    for number in itertools.count():
        lines = [_json(index.add(rows)) for rows in itertools.islice(pictures, BLOCK_SIZE)]
        if not lines:
            return
        text = "\n".join(lines)
        yield f'<script type="application/octet-stream" id="block-{number}">{text}</script>\n'


def _page(index: Index) -> tuple[str, str]:
    """The text of the report before the blocks, and after them."""
    style = (_WEB / "report.css").read_text(encoding="utf-8")
    script = _script()
    page = (_WEB / "template.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hash(script)}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    filled = {"policy": policy, "style": style, "script": script, "index": _json(index.record())}
    # In one pass, so that inserted text is never searched for placeholders.
    parts = re.split(r"\{\{(\w+)\}\}", page)
    texts = [filled.get(part, "") if i % 2 else part for i, part in enumerate(parts)]
    blocks = parts.index("blocks")
    return "".join(texts[:blocks]), "".join(texts[blocks + 1 :])


def _script() -> str:
    """All scripts as one, without `export`: what a module would export is global."""
    files = [*(_CORE_WEB / name for name in _SHARED), *(_WEB / name for name in _SCRIPTS)]
    texts = [file.read_text(encoding="utf-8") for file in files]
    script = re.sub(r"^export (?=const |function )", "", "\n".join(texts), flags=re.MULTILINE)
    return f'"use strict";\n{script}'


def _hash(text: str) -> str:
    """The source with which a Content-Security-Policy allows only this script or style."""
    return f"'sha256-{base64_of(hashlib.sha256(text.encode()).digest())}'"


def _json(value: object) -> str:
    """JSON in ASCII, without "<", which could open or close an element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")
