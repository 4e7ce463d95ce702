"""Ways of breaking what the app rests on, and what comes of it: for the tests and `make faults`.

Run as a program it is a process that starts networks when it is told to on its standard input.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from gradcam_core.models.fetch import fetch
from gradcam_core.models.loading import Loader
from gradcam_core.models.registry import ModelInfo
from gradcam_core.models.weights import HubFile, ReleaseFile, Source
from tests.support.app_server import ROOT, started_app
from tests.support.explanations import LITE
from tests.support.networks import scattered
from tests.support.photos import large_photo
from tests.support.stream import explain_stream, results
from tests.support.visitors import ApiVisitor, PageVisitor, Seen, visit
from tests.support.waiting import until
from tests.support.weights_server import Weights, serving

SMALL = "efficientnet_lite0"  # stands for any network: its files are small
ARCHITECTURE = "mobilenetv3_small_050.lamb_in1k"
KINDS = ("hub", "release")

SERVER_FAULTS = {
    "gone": ("no connection at all", "no connection"),
    "hang": ("no answer", "does not answer"),
    "404": ("HTTP 404", "HTTP 404"),
    "500": ("HTTP 500", "HTTP 500"),
    "429": ("HTTP 429", "HTTP 429"),
    "babble": ("an answer that is no HTTP", "no connection"),
    "page": ("a web page instead of the file", "something else than the weights"),
    "login": ("sent on to a login page", "something else than the weights"),
    "slow": ("1 KB/s", "sends too slowly"),
    "stall": ("silence in the middle", "stopped sending|broke off"),
    "cut": ("the connection ends in the middle", "damaged|broke off"),
    "corrupt": ("a changed byte on the way", "damaged"),
    "noise": ("random bytes", "damaged"),
    "empty": ("an empty file", "damaged"),
    "swapped": ("other weights of the same format and size", "damaged"),
}
"""What the loopback server can do wrong: in words, and what the reason then says."""


@dataclass(frozen=True)
class Start:
    """What came of a start: the network's title, why it is not the one that was asked for, and the
    SHA-256 of the file its weights are from."""

    title: str
    reason: str
    sha256: str


@dataclass(frozen=True)
class Place:
    """A network whose weights a server on this machine has, and the folder of the caches."""

    kind: str
    info: ModelInfo
    server: Weights
    folder: Path

    @property
    def source(self) -> Source:
        return self.info.weights_source

    @property
    def served(self) -> Path:
        """The file that the server has."""
        return next(iter(self.server.files.values()))

    def start(self) -> Start:
        """The network, as the next start of the app would load it."""
        return start(self.info)

    def is_right(self, started: Start) -> bool:
        """Whether the network has exactly the weights that the server has."""
        right = hashlib.sha256(self.served.read_bytes()).hexdigest()
        return started == Start(self.info.title, "", right)

    def leftovers(self) -> list[Path]:
        """Files in the caches that are not the right weights, and could be taken for some, or for
        ever lie there."""
        right = self.served.read_bytes()
        found = _kept(self.folder / "hf") + _kept(self.folder / "torch")
        return [path for path in found if path.read_bytes() != right]


def _kept(cache: Path) -> list[Path]:
    """Weights and parts of them in a cache."""
    patterns = ("*.safetensors", "*.pth", "*.incomplete", "*.arriving*", "blobs/*")
    found = {path for pattern in patterns for path in cache.rglob(pattern)}
    return sorted(path for path in found if path.is_file())


def impatient(info: ModelInfo, retry_after_s: float = 60) -> Loader:
    """Its limits are those of tests."""
    short = partial(fetch, answer_timeout_s=1.5, stall_timeout_s=6)
    return Loader(info, retry_after_s=retry_after_s, fetch=short)


def start(info: ModelInfo) -> Start:
    model = impatient(info).request().result(120)
    return Start(model.info.title, model.reason, model.weights.sha256)


@cache
def state(seed: int) -> dict[str, torch.Tensor]:
    """Seeded random weights in timm's format: for numbers, never for a picture."""
    torch.manual_seed(seed)
    return scattered(timm.create_model(ARCHITECTURE, pretrained=False)).state_dict()


def small(source: Source) -> ModelInfo:
    return ModelInfo("small", "Small", ARCHITECTURE, "blocks", source, stand_in=SMALL)


@contextmanager
def caches_in(folder: Path, endpoint: str) -> Iterator[None]:
    """No weights on this machine but those in packages and in this folder, for this process and
    its children; and another Hub."""
    hub = huggingface_hub.constants
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        patch.setenv("HF_ENDPOINT", endpoint)
        # The Hub's client reads its environment once, when it is imported.
        patch.setattr(hub, "HF_HUB_CACHE", str(folder / "hf" / "hub"))
        patch.setattr(hub, "HF_HUB_OFFLINE", False)
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """A network that has never been started here. kind: of `KINDS`."""
    served = folder / "served"
    served.mkdir(parents=True)
    with serving() as server, caches_in(folder, server.url):
        # Of exactly the same size as the right ones.
        files = [served / name for name in ("right", "other")]
        for seed, file in enumerate(files):
            (save_file if kind == "hub" else torch.save)(state(seed), file)
        right, server.other = files
        source: Source
        if kind == "hub":
            source = HubFile("timm/small.test")
            server.files["/timm/small.test/resolve/main/model.safetensors"] = right
        else:
            name = f"small-{hashlib.sha256(right.read_bytes()).hexdigest()[:8]}.pth"
            source = ReleaseFile(f"{server.url}/releases/{name}")
            server.files[f"/releases/{name}"] = right
        yield Place(kind, small(source), server, folder)


class Machine:
    """A process of its own that starts networks, as two of them on one machine do.

    The fault of its disk is ENOSPC or EROFS for whatever is written below a folder.
    """

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        here = str(Path(__file__).with_name("faulty_disk"))
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.faults"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": here},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **told: Any) -> None:
        assert self.process.stdin
        print(json.dumps(told), file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def begin(self, place: Place, folder: Path) -> None:
        """Start its network, with the caches in this folder; `answer` gives what comes of it."""
        self.tell(start=place.kind, url=place.source.url, hub=place.server.url, folder=str(folder))

    def start(self, place: Place, folder: Path) -> Start:
        self.begin(place, folder)
        return Start(**self.answer())

    def run(self, *command: str) -> bool:
        """Run a command in it and its namespaces. -> whether it went well"""
        self.tell(run=command)
        return self.answer()

    def break_disk(self, fault: str, folder: Path) -> None:
        self.tell(disk=fault, folder=str(folder))
        self.answer()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _serve_machine() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        if "run" in told:
            answer: Any = not subprocess.run(told["run"], stdout=subprocess.DEVNULL).returncode
        elif "list" in told:
            answer = [str(path) for path in _kept(Path(told["list"]))]
        elif "disk" in told:
            os.environ["DISK_FAULT"], os.environ["DISK_FOLDER"] = told["disk"], told["folder"]
            answer = True
        else:
            is_hub = told["start"] == "hub"
            source = HubFile("timm/small.test") if is_hub else ReleaseFile(told["url"])
            with caches_in(Path(told["folder"]), told["hub"]):
                answer = asdict(start(small(source)))
        print(json.dumps(answer), flush=True)


@cache
def own_mounts() -> tuple[str, ...]:
    """What a command begins with to have mounts of its own, where this user may have them."""
    for prefix in (("unshare", "-m"), ("unshare", "-rm")):
        mount = [*prefix, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
        try:
            if not subprocess.run(mount, capture_output=True).returncode:
                return prefix
        except FileNotFoundError:
            break
    return ()


class Disk:
    """A folder on a disk of a `Machine`, that is full or read-only when it is told to be.

    is_real: a small file system that only the machine sees; else, writing is refused.
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
        # The weights are of 2 MB.
        options = {"ENOSPC": "size=1m,rw", "EROFS": "ro", "": "size=64m,rw"}[fault]
        assert self._machine.run("mount", "-o", f"remount,{options}", str(self.folder))

    def weights(self) -> list[str]:
        """Files that could be taken for weights or parts of them."""
        self._machine.tell(list=str(self.folder))
        return self._machine.answer()


def downloads_of(parent: int) -> list[int]:
    """The processes that download for this one."""
    return [
        pid
        for pid in children_of(parent)
        if b"gradcam_core.models.download_process" in _command(pid)
    ]


def children_of(parent: int) -> list[int]:
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for listed in lists for pid in listed.read_text().split()]


def is_alive(pid: int) -> bool:
    return bool(_command(pid))  # it is empty of one that is dead and not yet waited for


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# What happens to a download, and the start that comes of it.


def with_server_fault(place: Place, fault: str) -> Start:
    place.server.fault = fault
    try:
        return place.start()
    finally:
        place.server.fault = ""


def with_a_changed_byte_in_the_cache(place: Place, fault: str = "") -> Start:
    """fault: of the server, when the changed file is found."""
    path = fetch(place.source).resolve()
    data = bytearray(path.read_bytes())
    data[-9] ^= 1  # the last bit of a weight: it loads as well as before
    path.write_bytes(data)
    return with_server_fault(place, fault)


def with_code_in_the_pickle(place: Place, ran: Path) -> Start:
    """The file runs code, which makes the file `ran`, in whoever trusts it."""

    class Code:
        def __reduce__(self) -> Any:
            return (ran.touch, ())

    return _with_another_file(place, lambda file: torch.save({"weight": Code()}, file))


def with_another_network(place: Place) -> Start:
    other = timm.create_model("resnet18", pretrained=False).state_dict()
    save = save_file if place.kind == "hub" else torch.save
    return _with_another_file(place, lambda file: save(other, file))


def _with_another_file(place: Place, save: Callable[[Path], None]) -> Start:
    """The file is exactly what its server says, down to the hash, and no weights of the network."""
    file = place.folder / "served" / "wrong"
    save(file)
    server, right = place.server, dict(place.server.files)
    info = place.info
    if isinstance(place.source, ReleaseFile):
        name = f"small-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth"
        info = replace(info, source=ReleaseFile(f"{server.url}/releases/{name}"))
        server.files = {f"/releases/{name}": file}
    else:
        server.files = dict.fromkeys(right, file)
    try:
        return start(info)
    finally:
        server.files = right


def with_the_download_killed(place: Place) -> Start:
    """The child process that downloads is killed when half of the file has come."""
    place.server.fault = "stall"
    try:
        attempt = impatient(place.info).request()
        _until_half_has_come(place)
        (download,) = downloads_of(os.getpid())
        os.kill(download, signal.SIGKILL)
        model = attempt.result(60)
        return Start(model.info.title, model.reason, model.weights.sha256)
    finally:
        place.server.fault = ""


def with_the_app_killed(place: Place, machine: Machine) -> list[int]:
    """The process that wants the weights is killed in the middle of the download. -> its children
    that were downloading"""
    place.server.fault = "stall"
    machine.begin(place, place.folder)
    _until_half_has_come(place)
    downloads = downloads_of(machine.process.pid)
    machine.end()
    place.server.fault = ""
    return downloads


def _until_half_has_come(place: Place) -> None:
    parts = ("*.incomplete", "*.arriving*")
    half = place.served.stat().st_size // 2 - 2**16  # what is not yet written

    def has_come() -> bool:
        found = (path for part in parts for path in place.folder.rglob(part))
        return any(path.stat().st_size >= half for path in found)

    until(has_come)


def at_once(place: Place, machines: Iterable[Machine]) -> list[Start]:
    """What each gets when all of them start the network while the others download it."""
    place.server.seconds = 1.5
    for machine in machines:
        machine.begin(place, place.folder)
    return [Start(**machine.answer()) for machine in machines]


# A server that is killed.


@dataclass(frozen=True)
class Killed:
    """What came of a server that was killed while it worked and downloaded.

    before, after: what it answered before, and the one that was started in its place. seconds:
    from the start of that one to its answer. children: its child processes; orphans: those that
    outlived it. left_in_cache: parts of downloads that the next server left where they were.
    """

    before: Any
    after: Any
    seconds: float
    children: list[int]
    orphans: list[int]
    left_in_cache: list[Path]


@contextmanager
def serving_resnet50(folder: Path) -> Iterator[Weights]:
    """A Hub that sends half of ResNet50's weights, and then nothing."""
    file = folder / "resnet50"
    file.write_bytes(bytes(2**21))
    with serving() as weights:
        weights.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = file
        weights.fault = "stall"
        yield weights


def kills(folder: Path, weights: Weights, rounds: int, seed: int) -> Iterator[Killed]:
    """Start the app, kill it at a random moment of the load test, and start it again, so many
    times, with the same folders and port. Nothing is tidied up between."""
    moments = random.Random(seed)
    photos = []
    for n in range(_VISITORS * _PHOTOS):
        photos.append(folder / f"{n}.jpg")
        photos[-1].write_bytes(large_photo(n))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    dead = "http://127.0.0.1:9"
    settings = {
        "GRADIO_SERVER_PORT": port,
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": weights.url,
        "HTTPS_PROXY": dead,
        "HTTP_PROXY": dead,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    before, children = None, list[int]()
    for _ in range(rounds + 1):
        began = time.monotonic()
        with started_app(folder, **settings) as app:
            after = results(explain_stream(app.url, CAT))["one"]
            seconds = time.monotonic() - began
            until(lambda: downloads_of(app.process.pid))
            if children:
                orphans = [pid for pid in children if is_alive(pid)]
                # The part that this server is at work on is the only one.
                parts = sorted(folder.rglob("*.incomplete"))[1:]
                yield Killed(before, after, seconds, children, orphans, parts)
            before = after
            seen = [Seen() for _ in range(_VISITORS)]
            with ThreadPoolExecutor(_VISITORS) as visitors:
                for n, one in enumerate(seen):
                    way_in = (PageVisitor, ApiVisitor)[n % 2]
                    visitors.submit(visit, way_in, app.url, photos[n::_VISITORS], n, one, LITE)
                time.sleep(moments.uniform(0.1, 4))
                children = children_of(app.process.pid)
                app.process.kill()
                app.process.wait()
            assert any(one.errors for one in seen)  # visitors were there when it was killed


_VISITORS = 8
_PHOTOS = 4  # of each: more than they are done with when the server is killed

CAT: dict[str, Any] = {"example": "1_cat", "cells": [{"id": "one", "model": "efficientnet_lite0"}]}


if __name__ == "__main__":
    _serve_machine()
