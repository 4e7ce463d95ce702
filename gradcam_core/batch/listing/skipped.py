"""What a batch has left out: a table of it beside the data set, lines for the summary, and a list
for the report."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradcam_core.batch.listing.source import Skipped
from gradcam_core.system.files import atomic_write
from gradcam_core.wording import file_name, listed

SKIPPED = "skipped.parquet"
"""Name of the table in the folder of results."""

NAMED = 3
"""The most files that a line names."""

_SCHEMA = pa.schema(
    [
        pa.field(
            "path",
            pa.string(),
            metadata={"description": ("the path below PHOTOS, written like keys")},
        ),
        pa.field("reason", pa.string(), metadata={"description": "why it is left out"}),
    ]
)
_ROWS_AT_ONCE = 4096


def write_skipped(out: Path, skipped: Iterable[Skipped]) -> list[str]:
    """Writes the table, or removes it if nothing is left out, and returns a line for each reason.
    Raises OSError if it cannot be written."""
    counts = SkippedCounts()
    rest = iter(skipped)
    first = next(rest, None)
    if first is None:
        (out / SKIPPED).unlink(missing_ok=True)
        return []
    every = itertools.chain([first], rest)
    with atomic_write(out / SKIPPED) as file, pq.ParquetWriter(file, _SCHEMA) as writer:
        while rows := list(itertools.islice(every, _ROWS_AT_ONCE)):
            for one in rows:
                counts.add(one)
            columns = {"path": [r.path for r in rows], "reason": [r.reason for r in rows]}
            writer.write_table(pa.table(columns, schema=_SCHEMA))
    return counts.lines()


class SkippedCounts:
    """How many files are left out for each reason, and the names of the first. named: the most
    names that are kept."""

    def __init__(self, named: int = NAMED) -> None:
        self._named = named
        self._counts: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def add(self, one: Skipped) -> None:
        self._counts[one.reason] += 1
        names = self._first.setdefault(one.reason, [])
        if len(names) < self._named:
            names.append(file_name(one.path))

    def lines(self) -> list[str]:
        """For each reason: "2 × not a picture by its name: notes.txt and film.mov"."""
        return [f"{count} × {reason}: {some(names, count)}" for reason, count, names in self]

    def __iter__(self) -> Iterator[tuple[str, int, list[str]]]:
        """Yields each reason, its count, and the first names; the most common reason first."""
        for reason, count in self._counts.most_common():
            yield reason, count, self._first[reason]


def read_skipped(out: Path, named: int) -> SkippedCounts:
    """The counts of the table in out; empty if it is missing or cannot be read. named: see
    `SkippedCounts`."""
    counts = SkippedCounts(named)
    # Opened by Python: Arrow only takes paths that are UTF-8.
    with (
        suppress(OSError, pa.ArrowException, KeyError),
        (out / SKIPPED).open("rb") as opened,
        pq.ParquetFile(opened) as file,
    ):
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                counts.add(Skipped(row["path"], row["reason"]))
    return counts


def some(names: Sequence[str], count: int) -> str:
    """The names as a list in words, and how many of count there are besides."""
    more = count - len(names)
    return listed([*names, f"{more} more"] if more > 0 else list(names))
