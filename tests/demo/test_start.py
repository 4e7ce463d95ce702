"""Starting, stopping and starting again, as a person meets it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect

from demo.compute.photo import GONE
from demo.middleware.shutdown import STOPPING
from tests.support.api import posted
from tests.support.app_server import NO_NETWORKS, ROOT, Started, started_app
from tests.support.browser import choose_class, drop, examples, wait_for_results
from tests.support.photos import EXAMPLES
from tests.support.stream import CAT, asked, explain_stream, map_requests, results, sentence_of
from tests.support.uploads import DECLARED, upload
from tests.support.waiting import until


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        port = free.getsockname()[1]
    return {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.2",
        "GRADCAM_STOP_WITHIN": "120",
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Started]:
    """The app at an address of its own, until the last of these tests ends it."""
    folder = tmp_path_factory.mktemp("first")
    with started_app(folder, host="127.0.0.2", **settings) as started:
        yield started


def test_a_visitor_who_comes_before_the_networks_are_loaded_finds_all_classes(
    first: Started, tab: Page, coffee_path: Path
):
    tab.goto(f"{first.url}?models=resnet50")
    selector = tab.get_by_label("Class to explain")
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially("tabby")
    expect(tab.get_by_role("option", name="tabby, tabby cat", exact=True)).to_be_visible()
    drop(tab, coffee_path)
    wait_for_results(tab, 1)


def test_the_address_asked_for_is_the_one_that_is_printed(first: Started, settings: dict[str, str]):
    url = f"http://127.0.0.2:{settings['GRADIO_SERVER_PORT']}/"
    assert requests.get(url, timeout=30).ok
    assert url.rstrip("/") in first.log.read_text()


def test_a_port_that_is_taken_ends_with_one_line(first: Started, settings: dict[str, str]):
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert settings["GRADIO_SERVER_PORT"] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def second(first: Started, settings: dict[str, str]) -> Iterator[Started]:
    """The app once more, after Ctrl-C has ended the first."""
    # The last line of `launch`: now signals are received.
    until(lambda: "public link" in first.log.read_text())
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(30) == 128 + signal.SIGINT
    assert "Traceback" not in first.log.read_text()
    command = (sys.executable, "-c", f"{NO_NETWORKS}import app; app.main()")
    with started_app(first.log.parent, "127.0.0.2", command, **settings) as started:
        yield started


def test_an_open_page_goes_on_after_ctrl_c_and_a_restart(
    first: Started, tab: Page, coffee_path: Path, request: pytest.FixtureRequest
):
    if not tab.url.startswith(first.url):  # where the first of these tests has not opened it
        tab.goto(f"{first.url}?models=resnet50")
        drop(tab, coffee_path)
    wait_for_results(tab, 1)
    second = request.getfixturevalue("second")
    choose_class(tab, "tabby", "tabby, tabby cat")
    explained = tab.locator(".explained", has_text="tabby")
    lost = tab.get_by_text("no longer on the server")
    expect(explained.or_(lost).first).to_be_visible(timeout=60_000)
    examples(tab).first.click()
    wait_for_results(tab, 1)
    tab.goto("about:blank")
    assert "Traceback" not in second.log.read_text()


SHORT = {"example": CAT, "maps": map_requests("efficientnet_lite0")}


def downloaded(app: Started, request: dict[str, Any]) -> bytes:
    answer = requests.post(f"{app.url}download", json=request, timeout=120)
    answer.raise_for_status()
    return answer.content


def test_sigterm_lets_running_requests_finish_and_refuses_new_ones(second: Started):
    app = second
    with ThreadPoolExecutor(3) as visitors:
        explain_stream(app.url, SHORT)
        # An MCP client listens for as long as it is there. The page does not.
        events = {"Accept": "text/event-stream"}
        listening = requests.get(
            f"{app.url}gradio_api/mcp/", headers=events, stream=True, timeout=60
        )
        assert listening.status_code == 200
        assert not requests.get(f"{app.url}config", timeout=30).json()["connect_heartbeat"]
        maps = [
            {"id": f"{size} {detail} {depth}", "model": f"efficientnet_lite{size}",
             "detail": detail, "layer": depth}
            for size in (2,) for detail in (3, 2) for depth in (1, 0.9, 0.8)
        ]  # fmt: skip
        looking = visitors.submit(explain_stream, app.url, {"example": "5_rocket", "maps": maps})
        photo = {"path": upload(app.url, EXAMPLES / "2_coffee.jpg"), **DECLARED}
        models = ["efficientnet_lite0", "efficientnet_lite2"]
        calling = visitors.submit(
            posted, app.url, photo, models=models, detail=3, outputs=["comparison"]
        )
        wanted = {"example": "6_astronaut", "file": "comparison.png", "maps": maps[:1]}
        downloading = visitors.submit(downloaded, app, wanted)
        time.sleep(1)
        app.process.send_signal(signal.SIGTERM)
        until(lambda: "Stopping" in app.log.read_text())
        is_over = [request.done() for request in (looking, calling, downloading)]
        refused = requests.post(f"{app.url}explain-stream", json=SHORT, timeout=30)
        assert (refused.status_code, refused.json()) == (503, {"problem": STOPPING})
        assert requests.get(app.url, timeout=30).status_code == 503
        assert results(looking.result()).keys() == {one["id"] for one in maps}
        assert downloading.result().startswith(b"\x89PNG")
        # Its files clients fetch when the call is done.
        figure = calling.result().json()["data"][1]["path"]
        fetched = requests.get(f"{app.url}gradio_api/file={figure}", timeout=30)
        assert fetched.status_code == 200
        assert len(fetched.content) > 10_000
        assert app.process.wait(60) == 0
        assert not any(is_over)
        listening.close()
    assert "Traceback" not in app.log.read_text()
    assert not list(app.log.parent.joinpath("gradio").rglob("*.jpg"))  # what was uploaded


ONE_MAP: dict[str, Any] = {"maps": [{"id": "one", "model": "efficientnet_lite0"}]}

NOT_THEIRS: list[dict[str, Any]] = [
    {"example": "../../LICENSE"},
    {"example": "../screenshots/page"},
    {"example": "../examples/../screenshots/page"},
    {"example": str(ROOT / "assets" / "examples" / ".." / "screenshots" / "page")},
    {"example": "no_such_example"},
    {"example": ""},
    {"example": "1_cat\0"},
    {"upload": "/etc/passwd"},
    {"upload": "../../../../../../etc/passwd"},
    {"upload": str(ROOT / "assets" / "examples" / "1_cat.jpg")},
    {"upload": "\0"},
    {"upload": "."},
    {"upload": ""},
    {},
]

NOT_ASKED_BY_THE_PAGE: list[Any] = [
    {"example": "1_cat"},  # no maps
    {"example": "1_cat", "maps": []},
    {"example": "1_cat", "maps": [{"id": "x", "model": "efficientnet_lite0"}] * 25},
    {"example": "1_cat", "maps": [{"id": "x", "model": "alexnet"}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "method": "guesscam"}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "detail": 9}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "detail": "2"}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "layer": float("nan")}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "layer": float("inf")}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "layer": 1.5}]},
    {"example": "1_cat", "maps": [{"id": "x", "model": "resnet50", "layer": "conv1"}]},
    {"example": "1_cat", "target": 1000, **ONE_MAP},
    {"example": "1_cat", "target": -1, **ONE_MAP},
    {"example": "1_cat", "target": "tabby", **ONE_MAP},
    {"example": "1_cat", "contrast": 1000, **ONE_MAP},
    {"example": "1_cat", "view": "sideways", **ONE_MAP},
    {"example": "1_cat", "path": "/etc/passwd", **ONE_MAP},
    {"example": 1, **ONE_MAP},
    {"upload": "x" * 1001, **ONE_MAP},
    [],
    None,
]


def test_the_page_reads_no_picture_that_was_not_uploaded(shared_app: Started, tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (64, 48), "red").save(secret)
    url, logged = shared_app.url, len(shared_app.log.read_text())
    theirs = upload(url, secret)
    others = [str(secret), f"{theirs}/../../../../secret.jpg", str(Path(theirs).parent)]
    for photo in [*NOT_THEIRS, *({"upload": path} for path in others)]:
        looked = asked(url, "explain-stream", photo | ONE_MAP)
        assert looked.status_code == 200
        assert sentence_of(looked) == GONE, photo
        taken = asked(url, "download", photo | ONE_MAP | {"file": "input_image.jpg"})
        assert taken.status_code == 422
        assert sentence_of(taken) == GONE, photo
    # The same way, what was uploaded is read.
    assert '"result"' in asked(url, "explain-stream", {"upload": theirs} | ONE_MAP).text
    assert "Traceback" not in shared_app.log.read_text()[logged:]


def test_what_no_page_asks_is_refused_with_a_sentence(shared_app: Started):
    url, logged = shared_app.url, len(shared_app.log.read_text())
    for body in [*NOT_ASKED_BY_THE_PAGE, b"", b"not JSON", b'{"example": "1_cat"', b"\xff\xfe"]:
        for name in ("explain-stream", "download"):
            answer = asked(url, name, body)
            assert answer.status_code == 422, body
            sentence_of(answer)
    for extra in (
        {"file": "../../etc/passwd"},
        {"file": ""},
        {"file": "x" * 200},
        {"file": "comparison.png", "theme": "pink"},
        {"file": "comparison.png", "colormap": "no_such_colours"},
        {"file": "comparison.png", "opacity": float("nan")},
        {"file": "comparison.png", "opacity": 2},
    ):
        answer = asked(url, "download", {"example": "1_cat"} | ONE_MAP | extra)
        assert answer.status_code == 422, extra
        sentence_of(answer)
    # One for a map that is not asked for, and one that there never is.
    for file in ("vgg19_output.png", "explanations.txt"):
        answer = asked(url, "download", {"example": "1_cat", "file": file} | ONE_MAP)
        assert answer.status_code == 404
        assert sentence_of(answer) == f"There is no file {file}."
    for name in ("explain-stream", "download"):
        long = {"example": "1_cat", "shown_photo_id": "x" * 100_000} | ONE_MAP
        answer = asked(url, name, long)
        assert answer.status_code == 413
        assert sentence_of(answer) == "The request is too long."
        assert requests.get(f"{url}{name}", timeout=30).status_code in (404, 405)
    deep = asked(url, "explain-stream", b"[" * 20_000)
    assert deep.status_code == 422
    sentence_of(deep)
    assert "result" in asked(url, "explain-stream", {"example": "1_cat"} | ONE_MAP).text
    assert "Traceback" not in shared_app.log.read_text()[logged:]


@pytest.mark.parametrize(
    "path", ["web/../channel.py", "web/%2e%2e/channel.py", "examples/../README.md"]
)
def test_only_the_page_s_own_files_are_served(app: str, path: str):
    sent = requests.Request("GET", app).prepare()
    sent.url = app + path  # as it is: a client would tidy it up
    with requests.Session() as session:
        answer = session.send(sent, timeout=30)
    assert answer.status_code in (403, 404) or "side by side" in answer.text
    assert "async def" not in answer.text
    assert "public domain" not in answer.text
