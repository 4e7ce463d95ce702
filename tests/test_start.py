"""Starting, stopping and starting again, as a person meets it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.server import ROOT, running_app
from tests.test_page import browser, choose_class, drop, wait_for_results

__all__ = ["browser"]  # the fixture


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_visitor_who_comes_before_the_networks_are_loaded_finds_all_classes(
    page: Page, coffee_path: Path, tmp_path: Path
):
    with running_app(tmp_path) as url:
        page.goto(url)
        selector = page.get_by_label("Class to explain")
        selector.click()
        selector.press("Control+a")
        selector.press_sequentially("tabby")
        expect(page.get_by_role("option", name="tabby, tabby cat", exact=True)).to_be_visible()
        drop(page, coffee_path)
        wait_for_results(page)
    assert "Traceback" not in (tmp_path / "app.log").read_text()


def test_an_open_page_goes_on_after_a_restart(page: Page, coffee_path: Path, tmp_path: Path):
    settings = {"GRADIO_SERVER_PORT": str(free_port())}
    with running_app(tmp_path, **settings) as url:
        page.goto(url)
        drop(page, coffee_path)
        wait_for_results(page)
    with running_app(tmp_path, **settings):
        choose_class(page, "tabby", "tabby, tabby cat")
        explained = page.locator(".explained", has_text="tabby")
        lost = page.get_by_text("no longer on the server")
        expect(explained.or_(lost).first).to_be_visible(timeout=60_000)
        page.locator("#examples button").first.click()
        wait_for_results(page)
    assert "Traceback" not in (tmp_path / "app.log").read_text()


def test_a_port_that_is_taken_ends_with_one_line(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | {"GRADIO_SERVER_PORT": port, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_the_address_asked_for_is_the_one_that_is_printed(tmp_path: Path):
    port = str(free_port())
    settings = {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": "127.0.0.2"}
    with running_app(tmp_path, host="127.0.0.2", **settings) as url:
        assert url == f"http://127.0.0.2:{port}/"
    assert url.rstrip("/") in (tmp_path / "app.log").read_text()


MAP = ["published", "gradcam", 1, False]


def test_the_page_reads_no_picture_that_was_not_uploaded(tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (64, 48), "red").save(secret)
    with running_app(tmp_path) as url:
        events = requests.get(f"{url}config", timeout=30).json()["dependencies"]
        new_photo = next(event["id"] for event in events if len(event["inputs"]) == 9)
        for n, declared in enumerate(({"meta": {"_type": "gradio.FileData"}}, {})):
            file = {"path": str(secret), "orig_name": "secret.jpg", **declared}
            session = f"visitor{n}"
            requests.post(
                f"{url}gradio_api/queue/join",
                json={
                    "data": [file, ["efficientnet_lite0"], -1, "crop", *MAP, 5],
                    "fn_index": new_photo,
                    "session_hash": session,
                },
                timeout=30,
            ).raise_for_status()
            answer = requests.get(
                f"{url}gradio_api/queue/data", params={"session_hash": session}, timeout=60
            ).text
            assert "process_completed" in answer
            assert "base64" not in answer
            assert "EfficientNet" not in answer
