"""What the server shows to anybody who can reach it: the page and the four functions, its own
files, and nothing else of this machine or of Gradio's."""

from __future__ import annotations

import http.client
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from gradio.routes import App
from starlette.routing import Mount
from starlette.routing import Route as ServerRoute

from demo.ui.layout import build, launch_options
from tests.support.api import SMALL, arguments, called, text_of
from tests.support.app_server import ROOT, Started
from tests.support.uploads import DECLARED, upload
from tests.support.waiting import until

SOURCE = "def launch_options"
"""Stands in the app's source, and in nothing that it shows."""

NEEDED = {
    "/",
    "/assets/{path}",
    "/config",
    "/favicon.ico",
    "/gradio_api/call/{api_name}",
    "/gradio_api/call/{api_name}/",
    "/gradio_api/call/{api_name}/{event_id}",
    "/gradio_api/call/v2/{api_name}",
    "/gradio_api/call/v2/{api_name}/",
    "/gradio_api/call/v2/{api_name}/{event_id}",
    "/gradio_api/cancel",
    "/gradio_api/info",
    "/gradio_api/mcp",
    "/gradio_api/mcp/schema",
    "/gradio_api/queue/data",
    "/gradio_api/queue/join",
    "/gradio_api/run/{api_name}",
    "/gradio_api/run/{api_name}/",
    "/gradio_api/startup-events",
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
    "/manifest.json",
    "/robots.txt",
    "/static/{path}",
    "/theme.css",
}
"""Of Gradio's paths those that the page, the API's clients or `launch` ask for. A path that a new
Gradio brings is shut until somebody has looked at it."""


@dataclass(frozen=True)
class Server:
    """The shared app. logged_before: characters of its log that were there before these tests."""

    url: str
    folder: Path
    logged_before: int

    @property
    def uploads(self) -> Path:
        (own,) = (self.folder / "gradio").iterdir()
        return own

    @property
    def log(self) -> str:
        return (self.folder / "app.log").read_text()


@pytest.fixture(scope="module")
def server(shared_app: Started) -> Server:
    return Server(shared_app.url, shared_app.log.parent, len(shared_app.log.read_text()))


@pytest.fixture(scope="module")
def uploaded(server: Server, cat_path: Path) -> str:
    return upload(server.url, cat_path)


def asked(url: str, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and body of the answer to a path as it stands: clients tidy paths up. What streams is
    not waited for."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request(method, path, headers={"Connection": "close", **headers})
    answer = connection.getresponse()
    is_stream = answer.headers.get_content_type() == "text/event-stream"
    body = "" if is_stream else answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, body


def routes_of_the_app() -> set[str]:
    options = launch_options()
    app = App.create_app(build(), app_kwargs=options["app_kwargs"], mcp_server=True)
    ours = {route.path for route in options["app_kwargs"]["routes"]}
    paths = set(app.openapi()["paths"])
    left: list[tuple[str, Any]] = [("", route) for route in app.routes]
    while left:
        before, route = left.pop()
        if isinstance(route, Mount) and route.path not in ours:
            paths.add(before + route.path)
            left += [(before + route.path, inner) for inner in route.routes]
        elif isinstance(route, ServerRoute) and route.path not in ours:
            paths.add(before + route.path)
    return {re.sub(r":path}", "}", path) for path in paths}


def test_of_gradio_s_paths_only_those_are_open_that_are_needed(server: Server):
    paths = routes_of_the_app()
    assert len(paths) > 60
    assert {"/monitoring", "/gradio_api/proxy={url_path}", "/gradio_api/vibe-code"} <= paths
    files = "/gradio_api/file={path_or_url}"  # has tests of its own
    assert NEEDED | {files} <= paths  # none of these is a slip of the pen
    others = [
        "/docs",
        "/redoc",
        "/openapi.json",
        "/file=/etc/passwd",
        "/gradio_api/profiling/traces",
        "/gradio_api/profiling/summary",
        "/gradio_api/monitoring",
        "/gradio_api/theme.css",
        "/debug",
        "/metrics",
    ]
    for template in sorted(paths - {files}) + others:
        path = re.sub(r"{\w+}", "x", template)
        answers = [asked(server.url, method, path) for method in ("GET", "POST", "HEAD")]
        if template in NEEDED:
            shut = [body for status, body in answers if status == 404 and "Not Found" in body]
            assert len(shut) < 2, path
        else:
            assert [status for status, _ in answers] == [404, 404, 404], path


def test_the_environment_cannot_have_the_app_shared(server: Server):
    """What it asks Gradio for is in `tests/conftest.py`."""
    # The last line of `launch`, and what it says instead of sharing the app.
    until(lambda: "To create a public link" in server.log)
    for word in ("public URL", "share link", "frpc", "Static file workers", "Monitoring URL"):
        assert word not in server.log


def tricks(server: Server, uploaded: str) -> Iterator[str]:
    """Paths of what was not uploaded, as they can stand in an address."""
    up = "../" * 12
    secret = server.folder / "secret.png"
    for path in (
        str(secret),
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/cwd/app.py",
        str(ROOT / "demo" / "page.py"),
        str(ROOT / ".git" / "config"),
        "demo/ui/layout.py",
        "app.py",
        str(Path.home() / ".ssh" / "id_rsa"),
        "~/.ssh/id_rsa",
        f"{uploaded}/../../../../app.log",
        f"{server.uploads}/../../secret.png",
        f"{uploaded}/{up}etc/passwd",
        f"{up}etc/passwd",
        f"file://{secret}",
        f"{secret}\0.png",
        f"{uploaded}\0",
        str(server.uploads),
        str(Path(uploaded).parent),
        str(server.uploads / Path(uploaded).name),  # by the name alone
        str(server.uploads / ("0" * 64) / Path(uploaded).name),
        "http://127.0.0.1:1/",
        "https://example.com/",
        "//example.com/",
    ):
        yield path
        yield quote(path, safe="")
        yield quote(path, safe="").replace(".", "%2e")
        yield quote(quote(path, safe=""), safe="")
        yield path.replace("/", "\\")


def test_no_file_is_served_but_its_own_and_what_was_uploaded(
    server: Server, uploaded: str, cat_path: Path
):
    secret = server.folder / "secret.png"
    secret.write_bytes(b"the secret itself")
    link = Path(uploaded).with_name("link.png")
    link.symlink_to(secret)
    linked = server.uploads / "linked"
    linked.symlink_to(server.folder)
    served = requests.get(f"{server.url}gradio_api/file={uploaded}", timeout=30)
    assert served.content == cat_path.read_bytes()
    tried = [*tricks(server, uploaded), str(link), f"{linked}/secret.png", f"{linked}/app.log"]
    telling = ("root:", "the secret itself", SOURCE, "PATH=", "[core]", "Running on local URL")
    before = ("gradio_api/file=", "file=", "gradio_api/file/", "gradio_api/proxy=")
    elsewhere = ("static/", "assets/", "svelte/", "web/", "examples/")
    for prefix in (*before, *elsewhere, "gradio_api/custom_component/x/client/y/"):
        for path in tried:
            if " " in path or "\0" in path:
                path = path.replace("\0", "%00")
            status, body = asked(server.url, "GET", f"/{prefix}{path}")
            assert status in (400, 403, 404), (prefix, path)
            assert not [word for word in telling if word in body], (prefix, path)


def test_a_part_of_a_file_is_not_answered_with_what_the_visitor_has_sent(
    server: Server, uploaded: str
):
    for wanted in ("bytes=0-3", "bytes=3-0", "bytes=0-3-4", "bytes=-", "bytes=9999999-99999999"):
        sent = {"Range": wanted, "Cookie": "a=the_cookie", "Content-Type": "text/html"}
        answer = requests.get(f"{server.url}gradio_api/file={uploaded}", headers=sent, timeout=30)
        assert answer.status_code == 200
        assert "the_cookie" not in str(answer.headers)
        assert answer.headers["Content-Type"] == "image/png"


def queued(url: str, data: list[Any]) -> str:
    """What is told of a call that went through Gradio's queue, as `gradio_client` sends it."""
    functions = requests.get(f"{url}config", timeout=30).json()["dependencies"]
    (index,) = (one["id"] for one in functions if one["api_name"] == "explain")
    session = uuid.uuid4().hex
    body = {"data": data, "fn_index": index, "session_hash": session}
    joined = requests.post(f"{url}gradio_api/queue/join", json=body, timeout=30)
    assert joined.ok, joined.text
    told = requests.get(f"{url}gradio_api/queue/data?session_hash={session}", timeout=60).text
    assert "process_completed" in told
    return told


def by_curl(url: str, data: list[Any]) -> str:
    posted = requests.post(f"{url}gradio_api/call/explain", json={"data": data}, timeout=30)
    return requests.get(
        f"{url}gradio_api/call/explain/{posted.json()['event_id']}", timeout=60
    ).text


def run(url: str, data: list[Any]) -> str:
    return requests.post(f"{url}gradio_api/run/explain", json={"data": data}, timeout=60).text


def test_the_api_reads_no_file_that_was_not_uploaded_however_it_is_named(
    server: Server, uploaded: str, cat_path: Path
):
    secret = server.folder / "secret_picture.png"
    secret.write_bytes(cat_path.read_bytes())
    link = Path(uploaded).with_name("link_to_picture.png")
    link.symlink_to(secret)
    up = "../" * 12
    forged: list[Any] = []
    around = (f"{uploaded}/{up}{secret}", f"{up}{secret}", f"file://{secret}")
    for path in (str(secret), *around, str(link), "/etc/passwd", "\0"):
        forged += [
            {"path": path, **DECLARED},
            {"path": path},
            {"path": path, "meta": {"_type": "gradio.FileData", "extra": 1}, "is_stream": True},
            {"path": path, "url": f"{server.url}gradio_api/file={uploaded}", **DECLARED},
            {"path": f"{server.url}gradio_api/file={quote(path)}", **DECLARED},
            {"path": None, "url": f"file://{path}", **DECLARED},
            {"path": [path], **DECLARED},
            path,
            [path],
            [[{"path": path, **DECLARED}]],
            {"path": {"path": path, **DECLARED}},
            {"video": {"path": path, **DECLARED}, "path": path},
        ]
    # What is not forged is explained, each of these ways.
    image = {"path": uploaded, "orig_name": "../../../../etc/passwd", **DECLARED}
    for way in (run, by_curl, queued):
        assert '"explanations"' in way(server.url, arguments(image))
    for image in forged:
        told = run(server.url, arguments(image))
        assert '"error"' in told, image
        assert '"explanations"' not in told, image
    for way in (by_curl, queued):
        for image in (forged[0], forged[3], forged[36], forged[9]):
            assert '"explanations"' not in way(server.url, arguments(image)), image
    results = called(
        server.url,
        ("explain", {"image": str(secret), "models": SMALL}),
        ("explain", {"image": f"file://{secret}", "models": SMALL}),
        ("explain", {"image": forged[0], "models": SMALL}),
        ("explain", {"image": f"{server.url}gradio_api/file={secret}", "models": SMALL}),
        ("explain", {"image": "data:image/png;base64,AAAA", "models": SMALL}),
        ("explain", {"image": str(link), "models": SMALL}),
    )
    assert all(result.isError for result in results)
    assert "Traceback" not in "".join(map(text_of, results))
    # Nothing of it was copied to where it could be asked for, either.
    assert not list(server.uploads.rglob("secret_picture*"))
    assert (server.uploads / ".." / ".." / "secret_picture.png").is_file()


def test_a_name_given_with_an_upload_leads_nowhere(server: Server, cat_path: Path):
    for name in ("../../../../escaped.png", "/tmp/escaped.png", "..\\escaped.png", "a/../../b.png"):
        files = {"files": (name, cat_path.read_bytes(), "image/png")}
        (path,) = requests.post(f"{server.url}gradio_api/upload", files=files, timeout=30).json()
        assert Path(path).resolve().is_relative_to(server.uploads.resolve())
        assert len(Path(path).resolve().relative_to(server.uploads.resolve()).parts) == 2
    assert not list(server.folder.glob("*escaped*"))
    assert not Path("/tmp/escaped.png").exists()


def test_an_address_is_fetched_for_no_argument_of_the_api(server: Server, uploaded: str):
    image = {"path": uploaded, **DECLARED}
    elsewhere = {"path": "https://example.com/cat.png", **DECLARED}
    for name in ("models", "target", "contrast", "method", "detail", "view", "layer", "outputs"):
        for given in (elsewhere, [elsewhere], {"a": [elsewhere]}):
            told = run(server.url, arguments(image, **{name: given}))
            error = json.loads(told)["error"]
            # Of the function itself: Gradio has not tried to fetch it, which fails without words.
            assert error, (name, given)


def test_the_events_of_the_page_cannot_be_called(server: Server, uploaded: str, cat_path: Path):
    functions = requests.get(f"{server.url}config", timeout=30).json()["dependencies"]
    public = {"models", "classes", "predict", "explain"}
    hidden = [one for one in functions if one["api_name"] not in public]
    assert len(hidden) >= 8
    before = sorted(server.uploads.rglob("*"))
    for one in hidden:
        for data in (
            [],
            [uploaded],
            [{"path": uploaded, **DECLARED}],
            [{"path": "/etc/passwd"}] * 9,
        ):
            body = {"data": data, "fn_index": one["id"]}
            told = requests.post(f"{server.url}gradio_api/run/predict", json=body, timeout=30).text
            assert "There is no such function." in told
        if one["api_name"]:
            address = f"{server.url}gradio_api/run/{one['api_name']}"
            assert "no such function" in requests.post(address, json={"data": []}, timeout=30).text
    assert sorted(server.uploads.rglob("*")) == before  # nothing was opened and saved anew


def by_pasted_snippet(url: str, name: str, body: dict[str, Any]) -> str:
    """What is told of a call as "Use via API" shows it: arguments by name."""
    posted = requests.post(f"{url}gradio_api/call/v2/{name}", json=body, timeout=30)
    assert posted.ok, posted.text
    event = posted.json()["event_id"]
    return requests.get(f"{url}gradio_api/call/v2/{name}/{event}", timeout=60).text


def test_functions_are_called_as_the_snippets_of_the_page_show_it(server: Server, uploaded: str):
    image = {"path": uploaded, **DECLARED}
    told = by_pasted_snippet(server.url, "explain", {"image": image, "models": SMALL})
    assert '"explanations"' in told  # with defaults for what is left out
    assert '"probability"' in by_pasted_snippet(server.url, "predict", {"image": image})
    assert '"xception"' in by_pasted_snippet(server.url, "models", {})


@pytest.mark.parametrize(
    ("body", "word"), [({"image": None, "colour": "red"}, "`colour`"), ({}, "image")]
)
def test_a_wrong_argument_is_named(server: Server, body: dict[str, Any], word: str):
    answer = requests.post(f"{server.url}gradio_api/call/v2/explain", json=body, timeout=30)
    assert answer.status_code == 422
    assert word in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["call/predict/x", "call/v2/predict/x", "queue/data?session_hash=x"]
)
def test_a_stream_of_an_event_that_is_not_there_says_so_and_ends(server: Server, path: str):
    answer = requests.get(f"{server.url}gradio_api/{path}", timeout=30)  # raises if it is cut off
    assert "404: Not Found" in answer.text


def test_nobody_is_shown_a_stack_trace(server: Server):
    url = f"{server.url}gradio_api/"
    answers = [
        requests.post(f"{url}run/no_such_function", json={"data": []}, timeout=30),
        requests.post(f"{url}run/predict", json={"data": [], "fn_index": 999}, timeout=30),
        requests.post(f"{url}run/explain", json={"data": ["x"]}, timeout=30),
        requests.post(f"{url}run/explain", json={"data": [{"path": "/x", **DECLARED}]}, timeout=30),
        requests.post(f"{url}call/v2/explain", json={"no_such": 1}, timeout=30),
        requests.post(f"{url}call/v2/no_such", json={}, timeout=30),
        requests.post(f"{url}queue/join", json={"data": []}, timeout=30),
        requests.post(f"{url}mcp/", data=b"{", timeout=30),
        requests.post(f"{url}upload", data=b"x", timeout=30),
        requests.get(f"{server.url}?deep_link=../../x", timeout=30),
    ]
    for answer in answers:
        assert not re.search(r"Traceback|File \"|site-packages|\.py\b", answer.text), answer.text
    assert requests.get(server.url, timeout=30).ok
    assert "Traceback" not in server.log[server.logged_before :]
