"""Paths as the app sees them behind a proxy, which strips the root path or keeps it. With a page in
the place of Gradio's; `tests/demo/test_hosting.py` has the real one."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.middleware.root_path import RootPath
from demo.middleware.route_allow_list import RouteAllowList, open_paths
from demo.server.routes import routes

PATHS = [
    "/",
    "/web/app.js",
    "/web/core/heat.js",
    "/web/results/results.css",
    "/examples/1_cat.jpg",
    "/class-search?word=cat",
    "/config",
    "/gradio_api/info",
]

PAGE = '<html><head><base href="./" /></head>größer</html>'


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def information(request: Request) -> Response:
    return Response(request.url.path)


def app_at(root_path: str) -> Starlette:
    ours = routes()
    gradios = [Route("/", page), *(Route(path, information) for path in PATHS[-2:])]
    around = [
        Middleware(RootPath, root_path=root_path, is_open=open_paths(ours)),
        Middleware(RouteAllowList, ours=ours, functions=["explain"]),
    ]
    return Starlette(routes=[*gradios, *ours], middleware=around)


# Some are also the names of folders of the app.
@pytest.fixture(
    params=["/cam", "/a/b", "/web", "/examples", "/gradio_api", "https://example.org/cam", ""]
)
def shown(request: pytest.FixtureRequest) -> tuple[TestClient, str]:
    prefix = request.param.removeprefix("https://example.org")
    return TestClient(app_at(request.param)), prefix


def test_what_is_open_is_there_whether_the_prefix_is_stripped_or_kept(
    shown: tuple[TestClient, str],
):
    client, prefix = shown
    for path in PATHS:
        stripped, kept = client.get(path), client.get(prefix + path)
        assert stripped.status_code == kept.status_code == 200, path
        assert stripped.content == kept.content, path
    # As ASGI asks: of what clients are told, the prefix is a part.
    assert client.get("/config").text == f"{prefix}/config"


def test_what_is_shut_stays_shut(shown: tuple[TestClient, str]):
    client, prefix = shown
    shut = ("/monitoring", "/webapp.js", "/gradio_api/file=/etc/passwd", "/gradio_api/run/secret")
    for path in shut:
        for address in (path, prefix + path):
            assert client.get(address).status_code == 404, address


def test_the_page_s_links_begin_from_the_prefix(shown: tuple[TestClient, str]):
    client, prefix = shown
    for address in (prefix or "/", f"{prefix}/", "/"):
        answer = client.get(address)
        assert answer.text == PAGE.replace("./", f"{prefix}/" if prefix else "./", 1)
        assert int(answer.headers["Content-Length"]) == len(answer.content)
