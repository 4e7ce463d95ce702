"""How much memory and time a process takes together with its children (Linux)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20

_COUNTED = ("RssAnon:", "RssShmem:")  # not files, which the machine drops when it needs to


def tree(pid: int) -> list[int]:
    """The process and all that it has started, by their numbers."""
    # Until it has become another program, a child shares its parent's memory.
    own = command_of(pid)
    others = [child for child in children_of(pid) if command_of(child) != own]
    return [pid, *(one for child in others for one in tree(child))]


def children_of(pid: int) -> list[int]:
    """The processes that it has started itself, by their numbers."""
    children: list[str] = []
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split()
    return [int(child) for child in children]


def command_of(pid: int) -> bytes:
    """Its command line; empty where it has ended, also if it was not yet waited for."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def memory(pid: int) -> int:
    """Bytes that the process and its children take now."""
    return sum(map(_own, tree(pid)))


def _own(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_COUNTED))
    return 0


def cpu_seconds(pid: int) -> float:
    """Of a core, that the process and its children have taken so far."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Peak:
    """bytes: the most that was seen."""

    bytes: int = 0


@contextmanager
def watched(pid: int, every: float = 0.01) -> Iterator[Peak]:
    """The most memory that the process and its children take meanwhile, looked at again and
    again, every so many seconds."""
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
