"""The recipes of `docs/hosting.md`: behind a proxy at a path, and as a user without a name. Both in
an environment that is hostile in as many ways as do not hide each other."""

from __future__ import annotations

import base64
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.support.api import SMALL, called, text_of
from tests.support.app_server import NO_NETWORKS, ROOT, Started, started_app
from tests.support.browser import Visits, drop, open_example, wait_for_results
from tests.support.photos import EXAMPLES
from tests.support.prefix_proxy import NGINX, nginx_of_the_recipe, prefix_proxy
from tests.support.stream import CAT, explain_stream, map_requests, results
from tests.support.uploads import DECLARED, upload
from tests.support.waiting import until

ODD = {
    "GRADIO_ROOT_PATH": "/cam",
    "GRADCAM_FRAME_ANCESTORS": "https://lms.example.org",
    "GRADCAM_MEMORY": "4G",
    "GRADCAM_STOP_WITHIN": "30s",
    "PYTHONIOENCODING": "ascii",
    "http_proxy": "http://127.0.0.1:9",  # nobody listens there
    "all_proxy": "socks5://127.0.0.1:9",
    "no_proxy": "fd00::/8",
}


@pytest.fixture(scope="module")
def app_at_cam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    command = (sys.executable, "-c", f"{NO_NETWORKS}import app; app.main()")
    with started_app(tmp_path_factory.mktemp("cam"), command=command, **ODD) as started:
        yield started


@pytest.fixture(scope="module", params=["strips", "keeps", "nginx"])
def shown_at(
    request: pytest.FixtureRequest,
    app_at_cam: Started,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of the page behind a proxy."""
    if request.param == "nginx":
        if not NGINX:
            pytest.skip("nginx is not installed; a small proxy stands in for it")
        proxy = nginx_of_the_recipe(app_at_cam.url, tmp_path_factory.mktemp("nginx"))
    else:
        proxy = prefix_proxy(app_at_cam.url, "/cam", strips=request.param == "strips")
    with proxy as url:
        yield url


def test_all_that_the_page_needs_is_there_behind_a_proxy(shown_at: str):
    page = requests.get(shown_at, timeout=30)
    assert '<base href="/cam/" />' in page.text
    assert "https://lms.example.org" in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="(\./[^"]+\.(?:js|css))"', page.text)
    assert len(links) >= 2
    ours = ["web/app.js", "web/core/heat.js", "web/page.css", "examples/1_cat.jpg", "theme.css"]
    for link in [*links, *ours, "class-search?word=cat", "config", "gradio_api/info"]:
        assert requests.get(urljoin(shown_at, link), timeout=30).status_code == 200, link
    assert requests.get(shown_at.rstrip("/"), timeout=30).text == page.text
    assert requests.get(f"{shown_at}monitoring", timeout=30).status_code == 404


def test_the_stream_uploads_and_downloads_work_behind_a_proxy(shown_at: str):
    path = upload(shown_at, EXAMPLES / f"{CAT}.jpg", "IMG_1234.HEIC")
    request = {"upload": path, "maps": map_requests(*SMALL)}
    assert results(explain_stream(shown_at, request)).keys() == set(SMALL)
    body = request | {"file": f"{SMALL[0]}_output.png"}
    made = requests.post(f"{shown_at}download", json=body, timeout=120)
    assert made.content.startswith(b"\x89PNG")
    assert "filename=" in made.headers["Content-Disposition"]


def test_programs_and_assistants_reach_it_behind_a_proxy(shown_at: str):
    client = Client(shown_at, verbose=False)
    found, _ = client.predict(
        image=handle_file(str(EXAMPLES / f"{CAT}.jpg")),
        models=SMALL,
        outputs=["overlay"],
        api_name="/explain",
    )
    (one,) = found["explanations"]
    assert one["title"] == "EfficientNet-Lite0"
    # Which the client has fetched from the address it was given.
    assert Path(one["overlay"]).read_bytes()
    data = base64.b64encode((EXAMPLES / f"{CAT}.jpg").read_bytes()).decode()
    image = {"path": f"data:image/jpeg;base64,{data}", **DECLARED}
    (result,) = called(shown_at, ("predict", {"image": image["path"], "models": SMALL}))
    assert "tiger cat" in text_of(result)
    body = {"image": image, "models": SMALL}
    posted = requests.post(f"{shown_at}gradio_api/call/v2/predict", json=body, timeout=30)
    event = posted.json()["event_id"]
    told = requests.get(f"{shown_at}gradio_api/call/v2/predict/{event}", timeout=60).text
    assert "tiger cat" in told


def test_the_start_says_what_was_left_out(app_at_cam: Started):
    log = app_at_cam.log.read_text()
    assert "The proxy in all_proxy is ignored" in log
    assert "Launching MCP server" in log  # after a sign that ASCII lacks
    assert "Traceback" not in log


# As a user without a name

NOBODY = 54321
_AS_NOBODY = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]


def can_map_users() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_AS_NOBODY, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The application, in a folder that nobody can write to."""
    folder = tmp_path_factory.mktemp("application")
    for name in ("demo", "gradcam_core", "assets/examples"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "app.py", folder)
    everything = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in everything]
    for path, mode in zip(everything, modes, strict=True):
        path.chmod(mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    yield folder
    for path, mode in zip(everything, modes, strict=True):
        path.chmod(mode)


def settings_of_the_recipe(folder: Path) -> dict[str, str]:
    text = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^setpriv .*?app\.py", text, re.DOTALL | re.MULTILINE)
    return {
        name: value.replace("/var/lib/cam", str(folder))
        for name, value in re.findall(r"\b([A-Z_]+)=(\S+)", command)
    }


def test_a_user_without_a_name_runs_it_from_a_read_only_folder(read_only: Path, tmp_path: Path):
    if not can_map_users():
        pytest.skip("this machine lets nobody have another user id (unshare --user)")
    settings = settings_of_the_recipe(tmp_path)
    assert settings.keys() == {"HOME", "GRADIO_TEMP_DIR", "HF_HOME", "TORCH_HOME"}
    host = "127.0.0.1"
    with ExitStack() as stack:
        if socket.has_ipv6:
            try:
                stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
                host = "[::1]"
            except OSError:
                pass  # this machine has none
    program = f"{NO_NETWORKS}import sys; sys.argv = ['app.py', '--host', {host!r}, '--share']\n"
    command = [*_AS_NOBODY, sys.executable, "-B", "-c", f"{program}import app; app.main()"]
    environment = settings | {
        "GRADIO_SERVER_NAME": "no.such.name.invalid",
        "https_proxy": "http://127.0.0.1:9",  # so that no public link is made, wherever this runs
    }
    with started_app(tmp_path, host, command, str(read_only), **environment) as started:
        request = {"example": CAT, "maps": map_requests(*SMALL)}
        assert results(explain_stream(started.url, request)).keys() == set(SMALL)
        body = request | {"file": "comparison.png"}  # matplotlib keeps the names of fonts
        made = requests.post(f"{started.url}download", json=body, timeout=120)
        assert made.content.startswith(b"\x89PNG")
        until(lambda: "No public link could be made" in started.log.read_text())
        assert requests.get(started.url, timeout=30).ok
        log = started.log.read_text()
    assert "Traceback" not in log
    assert sorted(path.name for path in read_only.iterdir()) == [
        *("app.py", "assets", "demo", "gradcam_core")
    ]
    (own,) = (path.name for path in tmp_path.iterdir() if path.name.startswith("gradcam-side"))
    assert own.endswith(f"user-{NOBODY}")


# Last: while a browser runs, no test can have an event loop of its own.


def test_a_visitor_who_leaves_out_the_slash_has_the_page(
    app_at_cam: Started, browser: Browser, tab: Page
):
    with prefix_proxy(app_at_cam.url, "/cam", strips=True) as url:
        visit_without_the_slash(url, browser, tab)


def visit_without_the_slash(shown_at: str, browser: Browser, tab: Page) -> None:
    visits = Visits(browser, shown_at.rstrip("/"), tab)
    page = visits("?models=resnet50")
    drop(page, EXAMPLES / f"{CAT}.jpg", "IMG_1234.HEIC", kind="")
    wait_for_results(page, 1)
    open_example(page, "2_coffee")
    expect(page.locator(".explained strong").first).to_have_text("espresso")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download of").click()
        page.locator(".menu:popover-open button").first.click()
    assert download.value.suggested_filename == "efficientnet_lite0_output.png"
    page.get_by_role("button", name="Share").click()
    link = page.get_by_label("Link to this view").input_value()
    other = visits(link.removeprefix(shown_at.rstrip("/")))
    wait_for_results(other, 1)
    # The browser looks for an icon at the root of the host, which is not ours.
    assert [fault for fault in visits.faults if "404" not in fault] == []
    visits.close("behind_a_proxy", is_failed=False)
