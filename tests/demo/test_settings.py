"""What a start finds: a Space, old uploads, no MCP package. One app has all of it, as none of these
disturbs another."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from demo.api.functions import NAMES
from demo.server import upload_folder
from tests.support.app_server import NO_NETWORKS, Started, started_app
from tests.support.uploads import upload
from tests.support.waiting import until

SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "someone/side-by-side",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_NUM_PORTS": "1",
}

START = f"""{NO_NETWORKS}
import sys
sys.modules["mcp"] = None
from demo.server import upload_folder
upload_folder.SWEEP_INTERVAL_S = 0.2
import app
app.main()
"""


def make_old(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    for changed in (path, path.parent):
        os.utime(changed, (time.time() - upload_folder.KEPT_S - 5,) * 2)
    return path


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is named for uploads, with a photo that somebody keeps there."""
    folder = tmp_path_factory.mktemp("named")
    make_old(folder / "holiday.jpg")
    return folder


@pytest.fixture(scope="module")
def left(named: Path) -> Path:
    """What a killed server has left in its own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(upload_folder.SETTING, "")
        return make_old(upload_folder.use_own_folder(named) / "a" / "left_by_a_killed_server.jpg")


@pytest.fixture(scope="module")
def space(named: Path, left: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    settings = {upload_folder.SETTING: str(named), **SPACE}
    command = (sys.executable, "-c", START)
    with started_app(tmp_path_factory.mktemp("app"), command=command, **settings) as started:
        yield started


def listens(host: str, url: str) -> bool:
    try:
        socket.create_connection((host, urlsplit(url).port or 0), timeout=5).close()
    except OSError:
        return False
    return True


def addresses() -> list[str]:
    """Of this machine, as others see it."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    return sorted({str(one[4][0]) for one in found if not str(one[4][0]).startswith("127.")})


def test_it_listens_on_this_machine_only(app: str):
    assert listens("127.0.0.1", app)
    # On Linux all of 127.0.0.0/8 is this machine, and 127.0.0.2 another address of it.
    assert not listens("127.0.0.2", app)
    assert not [host for host in addresses() if listens(host, app)]


def test_on_a_space_it_listens_as_the_platform_asks(space: Started):
    assert all(listens(host, space.url) for host in ("127.0.0.1", "127.0.0.2", *addresses()))
    assert requests.get(f"{space.url}monitoring", timeout=30).status_code == 404


def test_it_starts_without_the_mcp_package(space: Started):
    named = requests.get(f"{space.url}gradio_api/info", timeout=30).json()["named_endpoints"]
    assert [name.removeprefix("/") for name in named] == list(NAMES)
    until(lambda: "Error launching MCP server" in space.log.read_text())
    log = space.log.read_text()
    # On a Space Gradio looks for a package that Spaces have, to load the code anew.
    assert log.count("Traceback") == log.count("watchfn_spaces")


def test_it_removes_what_is_old_also_what_a_killed_one_left_and_nothing_else(
    space: Started, named: Path, left: Path, cat_path: Path
):
    assert not left.exists()
    path = make_old(Path(upload(space.url, cat_path)))
    assert path.is_relative_to(left.parents[1])
    until(lambda: not path.exists())
    assert (named / "holiday.jpg").exists()
