"""Reads and compares the results of batches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

CLOSE = ("probability", "agreement", "picture_agreement")
"""Columns whose values may differ in the last digits."""

Rows = dict[tuple[str, str], dict[str, Any]]


def rows_of(folder: Path) -> Rows:
    """A batch's rows by (picture, network). Fails if a picture and network have two rows."""
    rows = pq.read_table(folder / "data").to_pylist()
    found = {(row["path"], row["model"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_same_rows(ours: Rows, theirs: Rows) -> None:
    """Fails if the rows differ by more than rounding."""
    assert ours.keys() == theirs.keys()
    for key, row in ours.items():
        other = dict(theirs[key])
        for name in CLOSE:
            assert row[name] == pytest.approx(other.pop(name), abs=2e-3), (key, name)
        assert levels(row) == pytest.approx(levels(other), abs=2)
        assert row["heat_box"] == pytest.approx(other["heat_box"], abs=2)
        for one, two in zip(row["top"] or (), other["top"] or (), strict=True):
            assert one["index"] == two["index"]
            assert one["probability"] == pytest.approx(two["probability"], abs=1e-4)
        for name in ("caption", "sentences"):
            assert without_numbers(row[name]) == without_numbers(other[name])
        for name in set(other) - {"map", "top", "heat_box", "caption", "sentences"}:
            assert row[name] == other[name], (key, name)


def without_numbers(texts: object) -> str:
    """The texts without digits: nearly equal numbers may be rounded to different digits."""
    return re.sub(r"\d", "", str(texts))


def levels(row: dict[str, Any]) -> np.ndarray:
    """The map of a row, int [rows, columns]; empty if there is none."""
    if row["map"] is None:
        return np.zeros((0, 0), dtype=int)
    values = np.frombuffer(row["map"]["levels"], np.uint8).astype(int)
    return values.reshape(row["map"]["rows"], row["map"]["columns"])
