"""Pages of other sites do not use a visitor's own app."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.middleware.cross_site_guard import FOREIGN, RENAMED, CrossSiteGuard


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


def client(is_only_here: bool = True) -> TestClient:
    guard = Middleware(CrossSiteGuard, is_only_here=is_only_here)
    route = Route("/", answer, methods=["GET", "POST"])
    return TestClient(Starlette(routes=[route], middleware=[guard]))


HERE = "127.0.0.1:7860"
SENT = {
    "a program": ({"host": HERE}, ""),
    "the page": ({"host": HERE, "origin": "http://127.0.0.1:7860"}, ""),
    "the page of a new browser": ({"host": HERE, "sec-fetch-site": "same-origin"}, ""),
    "the page under its other name": ({"host": HERE, "origin": "http://localhost:7860"}, ""),
    "the page over IPv6": ({"host": "[::1]:7860", "origin": "http://[::1]:7860"}, ""),
    "the page of a proxy that names itself": (
        {"host": HERE, "origin": "https://example.org", "x-forwarded-proto": "https"},
        "",
    ),
    "the page of a proxy that does not": (
        {"host": HERE, "origin": "https://example.org", "sec-fetch-site": "same-origin"},
        "",
    ),
    "another site": ({"host": HERE, "origin": "https://example.org"}, FOREIGN),
    "another site in a new browser": (
        {
            "host": "localhost:7860",
            "origin": "https://example.org",
            "sec-fetch-site": "cross-site",
            "x-forwarded-for": "1.2.3.4",
        },
        FOREIGN,
    ),
    "a page without a site": ({"host": HERE, "origin": "null"}, FOREIGN),
    "another site, to a machine in the same network": (
        {"host": "192.168.1.7:7860", "origin": "https://example.org"},
        FOREIGN,
    ),
    "a site with this machine's address": (
        {"host": "example.org:7860", "origin": "http://example.org:7860"},
        RENAMED.format(host="example.org"),
    ),
    "a site whose name begins like this machine": (
        {"host": "localhost.example.org"},
        RENAMED.format(host="localhost.example.org"),
    ),
}


@pytest.mark.parametrize("sender", SENT)
def test_only_pages_of_the_app_itself_and_programs_may_send(sender: str):
    headers, problem = SENT[sender]
    got = client().post("/", headers=headers)
    assert (got.status_code, got.text) == (200, "done") if not problem else got.status_code == 403
    assert not problem or got.json() == {"detail": problem, "problem": problem}
    assert client().get("/", headers=headers).text == "done"


def test_a_proxy_whose_address_was_named_need_not_say_that_it_is_one():
    guard = Middleware(CrossSiteGuard, is_only_here=False, is_behind_proxy=True)
    route = Route("/", answer, methods=["POST"])
    page = TestClient(Starlette(routes=[route], middleware=[guard]))
    headers = {"host": HERE, "origin": "http://cam.example.org"}
    assert page.post("/", headers=headers).text == "done"
    assert page.post("/", headers=headers | {"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_public_app_may_be_used_by_programs_of_all_sites():
    headers = {"host": "demo.hf.space", "origin": "https://example.org"}
    headers |= {"sec-fetch-site": "cross-site"}
    assert client(is_only_here=False).post("/", headers=headers).text == "done"
