"""The memory and CPU time of a process together with its children (Linux)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20

_COUNTED = ("RssAnon:", "RssShmem:")  # not files, whose memory the machine can reclaim


def tree(pid: int) -> list[int]:
    """The ids of the process and all its descendants."""
    # A child shares its parent's memory until it runs another program.
    own = command_of(pid)
    others = [child for child in children_of(pid) if command_of(child) != own]
    return [pid, *(one for child in others for one in tree(child))]


def children_of(pid: int) -> list[int]:
    """The ids of the process's own children."""
    children: list[str] = []
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split()
    return [int(child) for child in children]


def command_of(pid: int) -> bytes:
    """The process's command line; empty if it has ended, even if it was not yet waited for."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def memory(pid: int) -> int:
    """The bytes that the process and its descendants take now."""
    return sum(map(_own, tree(pid)))


def _own(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_COUNTED))
    return 0


def cpu_seconds(pid: int) -> float:
    """The seconds of a core that the process and its descendants have taken so far."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Peak:
    """bytes: the largest memory measured."""

    bytes: int = 0


@contextmanager
def watched(pid: int, every: float = 0.01) -> Iterator[Peak]:
    """Measures the largest memory of the process and its descendants during the `with` block, every
    `every` seconds."""
    peak, ended = Peak(memory(pid)), threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            peak.bytes = max(peak.bytes, memory(pid))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        ended.set()
        watching.join()
