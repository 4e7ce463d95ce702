"""Prints results as Markdown tables, which docs/benchmarks.md quotes unchanged."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version


@dataclass(frozen=True, init=False)
class Row:
    """The cells of a row; is_reached: whether the last cell reaches its target."""

    cells: tuple[str, ...]
    is_reached: bool | None

    def __init__(self, *cells: str | bool) -> None:
        reached = cells[-1] if isinstance(cells[-1], bool) else None
        texts = tuple(cell for cell in cells if isinstance(cell, str))
        object.__setattr__(self, "cells", texts)
        object.__setattr__(self, "is_reached", reached)


def print_versions(*packages: str) -> None:
    """Prints the date, the kind of machine, and the versions of Python and these packages."""
    named = ", ".join(f"{name} {version(name)}" for name in packages)
    today = datetime.now(UTC).date().isoformat()
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    print(
        f"{today}, {platform.machine()}, {cores} cores, Python {platform.python_version()}, {named}"
    )


def print_table(title: str, headings: Sequence[str], rows: Sequence[Row]) -> None:
    print(f"\n{title}\n")
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        missed = " (missed)" if row.is_reached is False else ""
        print("| " + " | ".join(row.cells) + missed + " |")
