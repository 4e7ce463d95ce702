"""Pictures by their address: fetched from the web, never from this machine or its neighbours."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from demo import address
from gradcam_core import ImageError
from tests.server import running_app

REFUSED = [
    "http://127.0.0.1/cat.jpg",
    "http://localhost/cat.jpg",
    "http://127.1/cat.jpg",
    "http://2130706433/cat.jpg",
    "http://0177.0.0.1/cat.jpg",
    "http://0x7f.0.0.1/cat.jpg",
    "http://0.0.0.0/cat.jpg",
    "http://[::1]/cat.jpg",
    "http://[::ffff:127.0.0.1]/cat.jpg",
    "http://[::ffff:10.0.0.1]/cat.jpg",
    "http://10.0.0.1/cat.jpg",
    "http://172.16.0.1/cat.jpg",
    "http://192.168.1.1/cat.jpg",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/cat.jpg",
    "http://[fd00::1]/cat.jpg",
    "http://100.64.0.1/cat.jpg",
    "http://224.0.0.1/cat.jpg",
    "http://user:password@127.0.0.1/cat.jpg",
    "http://example.com@127.0.0.1/cat.jpg",
]
NO_ADDRESS = ["", "cat.jpg", "file:///etc/passwd", "ftp://example.com/cat.jpg", "data:image/png,",
              "gopher://127.0.0.1/", "javascript:alert(1)", "https://" + "a" * 3000]  # fmt: skip


class _Pictures(BaseHTTPRequestHandler):
    """Answers by path; counts what was asked of it."""

    picture = b""
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.strip("/")
        if name == "missing.jpg":
            self.send_error(404)
            return
        if name == "moved.jpg":
            self._answer(302, location="/cat.jpg")
        elif name == "to_file.jpg":
            self._answer(302, location="file:///etc/passwd")
        elif name == "circle.jpg":
            self._answer(302, location="/circle.jpg")
        elif name == "page.html":
            self._answer(200, b"<html></html>", kind="text/html")
        elif name == "large.jpg":
            self._answer(200, b"x" * (address.LARGEST + 1))
        elif name == "slow.jpg":
            self._slowly()
        else:
            self._answer(200, self.picture)

    def _answer(self, status: int, body: bytes = b"", kind: str = "image/jpeg", location: str = ""):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def _slowly(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x" * 1000)
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pictures(cat_path: Path) -> Iterator[ThreadingHTTPServer]:
    _Pictures.picture, _Pictures.asked = cat_path.read_bytes(), []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(pictures: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's address, with a guard that lets this machine through."""
    monkeypatch.setattr(address, "guard", address.Guard(allows_loopback=True))
    address._kept.clear()
    _Pictures.asked.clear()
    return f"http://127.0.0.1:{pictures.server_port}"


@pytest.mark.parametrize("refused", REFUSED)
def test_no_address_of_this_machine_or_a_private_network_is_asked(
    refused: str, pictures: ThreadingHTTPServer
):
    _Pictures.asked.clear()
    at_port = refused.replace("/cat.jpg", f":{pictures.server_port}/cat.jpg")
    for one in (refused, at_port):
        with pytest.raises(ImageError, match="No picture could be fetched"):
            address.fetch_picture(one)
    assert _Pictures.asked == []


@pytest.mark.parametrize("given", NO_ADDRESS)
def test_what_is_no_web_address_is_refused_before_anything_is_asked(given: str):
    with pytest.raises(ImageError, match="starts with https://"):
        address.fetch_picture(given)


def test_a_name_that_resolves_to_this_machine_is_refused(
    pictures: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    import socket

    def to_this_machine(host, port, *_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    _Pictures.asked.clear()
    monkeypatch.setattr(socket, "getaddrinfo", to_this_machine)
    with pytest.raises(ImageError):
        address.fetch_picture(f"http://pictures.example:{pictures.server_port}/cat.jpg")
    assert _Pictures.asked == []


def test_a_name_is_looked_up_once_so_that_it_cannot_change_after_the_check(
    url: str, pictures: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    import socket

    original, looked_up = socket.getaddrinfo, []

    def counting(host, port, *args, **kwargs):
        if host == "pictures.example":
            looked_up.append(host)
            host = "127.0.0.1"
        return original(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    address.fetch_picture(f"http://pictures.example:{pictures.server_port}/cat.jpg")
    assert looked_up == ["pictures.example"]


def test_a_picture_is_fetched_once_and_kept(url: str, cat_path: Path):
    for _ in range(2):
        assert address.fetch_picture(f"{url}/cat.jpg") == cat_path.read_bytes()
    assert _Pictures.asked == ["/cat.jpg"]


def test_a_redirect_is_followed(url: str, cat_path: Path):
    assert address.fetch_picture(f"{url}/moved.jpg") == cat_path.read_bytes()


def test_a_redirect_into_this_machine_is_refused(
    pictures: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    """Every step is checked by itself: the adapter that connects is the one that checks."""
    checked: list[str] = []
    from requests_hardened import ip_filter_adapter

    original = ip_filter_adapter.filter_host

    def first_is_fine(host, port, *, allow_loopback):
        checked.append(host)
        return original(host, port, allow_loopback=len(checked) == 1)

    monkeypatch.setattr(ip_filter_adapter, "filter_host", first_is_fine)
    address._kept.clear()
    _Pictures.asked.clear()
    with pytest.raises(ImageError):
        address.fetch_picture(f"http://127.0.0.1:{pictures.server_port}/moved.jpg")
    assert checked == ["127.0.0.1", "127.0.0.1"]
    assert _Pictures.asked == ["/moved.jpg"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.jpg", "answers with status 404"),
        ("page.html", "no picture but something else"),
        ("large.jpg", "larger than 20 MB"),
        ("to_file.jpg", "No picture could be fetched"),
        ("circle.jpg", "No picture could be fetched"),
    ],
)
def test_what_is_no_picture_there_gets_a_sentence(url: str, name: str, sentence: str):
    with pytest.raises(ImageError, match=sentence):
        address.fetch_picture(f"{url}/{name}")


def test_a_picture_that_takes_too_long_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "LONGEST", 0.5)
    with pytest.raises(ImageError, match="did not arrive"):
        address.fetch_picture(f"{url}/slow.jpg")


def test_it_can_be_switched_off(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(address.SWITCH, "off")
    with pytest.raises(ImageError, match="switched off"):
        address.fetch_picture(f"{url}/cat.jpg")
    assert _Pictures.asked == []


ALLOWING = "import demo.address as a; a.guard = a.Guard(True); import app; app.main()"


def test_the_page_shows_a_picture_by_its_address_and_its_link_brings_it_back(
    pictures: ThreadingHTTPServer, browser, tmp_path: Path
):
    from playwright.sync_api import expect

    where = f"http://127.0.0.1:{pictures.server_port}/cat.jpg"
    with running_app(tmp_path, command=[sys.executable, "-c", ALLOWING]) as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("Address of a picture").fill(where)
        page.get_by_label("Address of a picture").press("Enter")
        expect(page.locator(".explained", has_text="cat")).to_have_count(3, timeout=30_000)
        page.locator(".panel .top button", has_text="lynx").first.click()
        expect(page.locator(".explained", has_text="lynx")).to_have_count(3)
        link = page.url
        page.close()
        page = browser.new_page()
        page.goto(link)
        expect(page.locator(".explained", has_text="lynx")).to_have_count(3, timeout=30_000)
        page.close()
    with running_app(tmp_path) as url:
        asked = {"address": where, "cells": [{"id": "a", "model": "efficientnet_lite0"}]}
        answer = requests.post(f"{url}look", json=asked, timeout=30).json()
    assert answer == {
        "problem": "No picture could be fetched from this address. Save it and drop it instead."
    }
