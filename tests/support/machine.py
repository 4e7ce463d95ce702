"""A process that starts networks on command, like a second app on this machine, and its disk.

Run as a program, this file is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.app_server import ROOT
from tests.support.small_network import (
    Start,
    caches_in,
    impatient,
    small_network,
    source_of,
    start,
    weights_in,
)

if TYPE_CHECKING:
    from tests.support.served_network import ServedNetwork


class Machine:
    """A second process that starts networks.

    `break_disk` makes its writes below a folder fail with ENOSPC or EROFS.
    """

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        here = str(Path(__file__).with_name("faulty_disk"))
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.machine"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": here},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, network: ServedNetwork, folder: Path) -> None:
        """Starts a network, with the caches in this folder; `started` gives the outcome."""
        source, hub = network.source, network.server.url
        self._tell(start=network.kind, url=source.url, hub=hub, folder=str(folder))

    def started(self) -> Start:
        return Start(**self._answer())

    def start(self, network: ServedNetwork, folder: Path) -> Start:
        self.begin(network, folder)
        return self.started()

    def run(self, *command: str) -> bool:
        """Runs a command in the process's namespaces; returns whether it succeeded."""
        self._tell(run=command)
        return self._answer()

    def break_disk(self, fault: str, folder: Path) -> None:
        self._tell(disk=fault, folder=str(folder))
        self._answer()

    def weights_in(self, folder: Path) -> list[str]:
        """Files that could be taken for weights or parts of them."""
        self._tell(list=str(folder))
        return self._answer()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _tell(self, **told: Any) -> None:
        assert self.process.stdin
        print(json.dumps(told), file=self.process.stdin, flush=True)

    def _answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Disk:
    """A folder on a disk of a `Machine` that can become full or read-only.

    is_real: whether it is a small file system that only the machine sees; if not, writing is
    simulated to fail.
    """

    def __init__(self, machine: Machine, folder: Path, is_real: bool) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._machine = machine
        self._is_real = is_real
        if is_real:
            mount = ("mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder))
            assert machine.run(*mount)

    def become(self, fault: str) -> None:
        """fault: "ENOSPC", "EROFS" or "" for none."""
        if not self._is_real:
            self._machine.break_disk(fault, self.folder)
            return
        # With 1 MB, the weights do not fit.
        options = {"ENOSPC": "size=1m,rw", "EROFS": "ro", "": "size=64m,rw"}[fault]
        assert self._machine.run("mount", "-o", f"remount,{options}", str(self.folder))

    def weights(self) -> list[str]:
        """Files that could be taken for weights or parts of them."""
        return self._machine.weights_in(self.folder)


@cache
def own_mounts() -> tuple[str, ...]:
    """The prefix that gives a command mounts of its own; empty if this user may not have them."""
    for prefix in (("unshare", "-m"), ("unshare", "-rm")):
        mount = [*prefix, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
        try:
            if not subprocess.run(mount, capture_output=True).returncode:
                return prefix
        except FileNotFoundError:
            break
    return ()


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        if "run" in told:
            answer: Any = not subprocess.run(told["run"], stdout=subprocess.DEVNULL).returncode
        elif "list" in told:
            answer = [str(path) for path in weights_in(Path(told["list"]))]
        elif "disk" in told:
            os.environ["DISK_FAULT"], os.environ["DISK_FOLDER"] = told["disk"], told["folder"]
            answer = True
        else:
            info = small_network(source_of(told["start"], told["url"]))
            with caches_in(Path(told["folder"]), told["hub"]):
                answer = asdict(start(impatient(info)))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
