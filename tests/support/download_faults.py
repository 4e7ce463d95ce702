"""Faults in downloads of weights, and the starts that follow, for the tests and `make faults`."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from gradcam_core.models.downloads.fetch import fetch
from gradcam_core.models.downloads.weights import ReleaseFile
from tests.support.machine import Machine
from tests.support.processes import children_of, command_of
from tests.support.served_network import ServedNetwork
from tests.support.small_network import Start, impatient, start
from tests.support.waiting import until

SERVER_FAULTS = {
    "gone": ("no connection at all", "no connection"),
    "hang": ("no answer", "does not answer"),
    "404": ("HTTP 404", "HTTP 404"),
    "500": ("HTTP 500", "HTTP 500"),
    "429": ("HTTP 429", "HTTP 429"),
    "babble": ("an answer that is no HTTP", "no connection"),
    "page": ("a web page instead of the file", "something other than the weights"),
    "login": ("sent on to a login page", "something other than the weights"),
    "slow": ("10 KB/s", "sends too slowly"),
    "stall": ("silence in the middle", "stopped sending|broke off"),
    "cut": ("the connection ends in the middle", "damaged|broke off"),
    "corrupt": ("a changed byte on the way", "damaged"),
    "noise": ("random bytes", "damaged"),
    "empty": ("an empty file", "damaged"),
    "swapped": ("other weights of the same format and size", "damaged"),
}
"""The faults of the loopback server: in words, and what the reported reason then says."""

_TIMEOUTS: dict[str, dict[str, float]] = {
    "hang": {"answer_timeout_s": 0.3},
    "slow": {"stall_timeout_s": 2},
    "stall": {"stall_timeout_s": 2},
}
"""Short time limits for faults that only a time limit ends."""


def with_server_fault(network: ServedNetwork, fault: str) -> Start:
    network.server.fault = fault
    try:
        return start(impatient(network.info, **_TIMEOUTS.get(fault, {})))
    finally:
        network.server.fault = ""


def with_a_changed_byte_in_the_cache(network: ServedNetwork, fault: str = "") -> Start:
    """Starts with a damaged file in the cache. fault: of the server when the damage is found."""
    path = fetch(network.source).resolve()
    data = bytearray(path.read_bytes())
    data[-9] ^= 1  # the last bit of a weight, so that the file still loads
    path.write_bytes(data)
    return with_server_fault(network, fault)


def with_code_in_the_pickle(network: ServedNetwork, ran: Path) -> Start:
    """Starts with a file whose code, if it were executed, would create the file `ran`."""

    class Code:
        def __reduce__(self) -> Any:
            return (ran.touch, ())

    return _with_another_file(network, lambda file: torch.save({"weight": Code()}, file))


def with_another_network(network: ServedNetwork) -> Start:
    other = timm.create_model("test_resnet", pretrained=False).state_dict()
    save = save_file if network.kind == "hub" else torch.save
    return _with_another_file(network, lambda file: save(other, file))


def _with_another_file(network: ServedNetwork, save: Callable[[Path], None]) -> Start:
    """Starts with a file that matches the server's hash but has no weights of the network."""
    file = network.folder / "served" / "wrong"
    save(file)
    server, right = network.server, dict(network.server.files)
    info = network.info
    if isinstance(network.source, ReleaseFile):
        name = f"small-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth"
        info = replace(info, source=ReleaseFile(f"{server.url}/releases/{name}"))
        server.files = {f"/releases/{name}": file}
    else:
        server.files = dict.fromkeys(right, file)
    try:
        return start(impatient(info))
    finally:
        server.files = right


def with_the_download_killed(network: ServedNetwork) -> Start:
    """Starts after the downloading child process was killed halfway through the file."""
    network.server.fault = "stall"
    try:
        loader = impatient(network.info)
        loader.request()
        _until_half_has_come(network)
        (download,) = downloads_of(os.getpid())
        os.kill(download, signal.SIGKILL)
        return start(loader)
    finally:
        network.server.fault = ""


def with_the_app_killed(network: ServedNetwork, machine: Machine) -> list[int]:
    """Kills the process that needs the weights in the middle of the download. Returns the ids of
    its children that were downloading."""
    network.server.fault = "stall"
    machine.begin(network, network.folder)
    _until_half_has_come(network)
    downloads = downloads_of(machine.process.pid)
    machine.end()
    network.server.fault = ""
    return downloads


def _until_half_has_come(network: ServedNetwork) -> None:
    parts = ("*.incomplete", "*.arriving*")
    half = network.right_file.stat().st_size // 2 - 2**16  # less what may still be buffered

    def has_come() -> bool:
        found = (path for part in parts for path in network.folder.rglob(part))
        return any(path.stat().st_size >= half for path in found)

    until(has_come)


def at_once(network: ServedNetwork, machine: Machine) -> list[Start]:
    """The starts of this process and of another one, both of which need the network's weights at
    the same time."""
    server, ours = network.server, impatient(network.info)
    server.may_end.clear()
    machine.begin(network, network.folder)
    ours.request()
    # In the process that downloads, the Hub's client sends a HEAD request of its own.
    questions = 3 if network.kind == "hub" else 2
    until(lambda: sum(asked.startswith("HEAD") for asked in server.requests) == questions)
    server.may_end.set()
    return [start(ours), machine.started()]


def downloads_of(parent: int) -> list[int]:
    """The ids of the processes that download for this process."""
    name = b"gradcam_core.models.downloads.download_process"
    return [pid for pid in children_of(parent) if name in command_of(pid)]
