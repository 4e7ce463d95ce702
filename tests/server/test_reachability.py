"""Which address a room is given, and when there is none."""

from __future__ import annotations

import asyncio
import json
import socket
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from demo.server.reachability import MAX_LINK_LETTERS, Reachability

VIEW = "?class=281&view=whole"


def answer(reachable: Reachability, link: str) -> tuple[int, dict[str, str]]:
    query = urlencode({"link": link}).encode()
    scope = {"type": "http", "method": "GET", "path": "/page-code", "query_string": query}
    got = asyncio.run(reachable.answer(Request({**scope, "headers": []})))
    return got.status_code, json.loads(bytes(got.body))


def test_a_page_that_came_from_elsewhere_is_reached_as_it_came():
    link = f"https://cam.example.org/cam/{VIEW}"
    assert Reachability().link(link) == link


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_what_listens_here_alone_is_reached_by_nobody_else(host: str):
    status, found = answer(Reachability(host, 7860), f"http://localhost:7860/{VIEW}")
    assert status == 200  # a browser would write anything else into its console
    assert "code" not in found
    assert "--host 0.0.0.0" in found["problem"]


def test_a_machine_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    status, found = answer(Reachability("0.0.0.0", 7860), "http://localhost:7860/")
    assert status == 200
    assert found["problem"].startswith("This machine is not connected")


def test_an_address_of_this_machine_takes_the_place_of_localhost():
    reachable = Reachability("192.168.1.7", 7860)
    expected = f"http://192.168.1.7:7860/cam/{VIEW}"
    for here in ("127.0.0.1", "0.0.0.0", "[::]"):
        assert reachable.link(f"http://{here}:7860/cam/{VIEW}") == expected
    status, found = answer(reachable, f"http://127.0.0.1:7860/cam/{VIEW}")
    assert status == 200
    assert found["address"] == expected
    assert found["code"].startswith("data:image/svg+xml")


def test_a_public_link_comes_first():
    reachable = Reachability("192.168.1.7", 7860)
    reachable.public_link = "https://abc.gradio.live"
    assert reachable.link(f"http://localhost:7860/{VIEW}") == f"https://abc.gradio.live/{VIEW}"


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", "http://a/" + "x" * MAX_LINK_LETTERS])
def test_what_is_no_link_has_no_code(link: str):
    status, found = answer(Reachability(), link)
    assert status == 422
    assert "code" not in found
