"""How much memory a process takes together with its children (Linux)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20


def tree(pid: int) -> list[int]:
    """The process and all that it has started, by their numbers."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        more = Path(f"/proc/{pid}/task").iterdir()
        children += [
            child
            for task in more
            if task.name != str(pid)
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it has ended
        return [pid]
    return [pid, *(one for child in children for one in tree(int(child)))]


def memory(pid: int) -> int:
    """Bytes that the process and its children take, what they share counted once."""
    return sum(map(_own, tree(pid)))


def _own(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


@dataclass
class Peak:
    """bytes: the most that was seen."""

    bytes: int = 0


@contextmanager
def watched(pid: int, every: float = 0.2) -> Iterator[Peak]:
    """The most memory that the process and its children take meanwhile, looked at again and
    again."""
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
