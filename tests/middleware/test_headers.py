"""What the headers of the server's answers have a browser do, and that the page works with them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import requests
from playwright.sync_api import Browser, Error, expect
from playwright.sync_api import Route as BrowserRoute
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.middleware.headers import SecurityHeaders
from tests.support.api import SMALL
from tests.support.browser import READY, Visits, wait_for_all
from tests.support.uploads import upload


def test_every_answer_says_what_a_browser_may_do_with_it(app: str, cat_path: Path):
    url, picture = app, upload(app, cat_path)
    body = {"example": "1_cat", "cells": [{"id": "one", "model": SMALL[0]}]}
    answers = [
        requests.get(url, timeout=30),
        requests.head(url, timeout=30),
        requests.get(f"{url}web/app.js", timeout=30),
        requests.get(f"{url}examples/1_cat.jpg", timeout=30),
        requests.get(f"{url}theme.css", timeout=30),
        requests.get(f"{url}gradio_api/info", timeout=30),
        requests.get(f"{url}gradio_api/mcp/", timeout=30),
        requests.get(f"{url}gradio_api/file={picture}", timeout=30),
        requests.post(f"{url}gradio_api/upload", files={"files": b"x"}, timeout=30),
        requests.post(f"{url}explain-stream", data=json.dumps(body), timeout=60),
        requests.post(f"{url}explain-stream", data="no question", timeout=30),
        requests.post(
            f"{url}download", data=json.dumps(body | {"file": "input_image.jpg"}), timeout=60
        ),
        requests.get(f"{url}no_such_page", timeout=30),
        requests.get(f"{url}explain-stream", timeout=30),
        requests.post(f"{url}gradio_api/run/no_such_function", json={"data": []}, timeout=30),
        requests.post(f"{url}gradio_api/run/explain", json={"data": []}, timeout=30),
    ]
    assert {200, 404, 405, 422, 500} == {answer.status_code for answer in answers}
    for answer in answers:
        headers = answer.headers
        framed = "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
        assert framed in headers["Content-Security-Policy"], answer.url
        assert "default-src 'self'" in headers["Content-Security-Policy"].replace("none", "self")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        allowed = re.findall(r"([\w-]+)=\(self\)", headers["Permissions-Policy"])
        assert sorted(allowed) == ["camera", "clipboard-read", "clipboard-write", "fullscreen"]
        assert "microphone=()" in headers["Permissions-Policy"]


def test_no_script_runs_that_does_not_come_with_the_page(app: str, browser: Browser):
    visits = Visits(browser, app)
    page = visits("?example=1_cat")
    wait_for_all(page)  # with the policy in force
    assert visits.faults == []
    page.evaluate(
        """async () => {
            const image = document.createElement("div");
            image.innerHTML = '<img src="no_such_picture" onerror="window.ran = true">';
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            const other = document.createElement("script");
            other.src = "data:text/javascript,window.ran = true";
            document.body.append(image, script, other);
            await new Promise((resolve) => image.firstChild.addEventListener("error", resolve));
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in fault for fault in visits.faults) >= 3
    visits.close("no_script", is_failed=False)


def test_the_host_of_a_space_may_frame_the_page_and_no_other(app: str, browser: Browser):
    def frames(route: BrowserRoute) -> None:
        frame = f'<iframe src="{app}" style="width: 1200px; height: 800px"></iframe>'
        route.fulfill(body=frame, content_type="text/html")

    # The server of this test is in a local network, as Chromium sees it, and its framer is not.
    context = browser.new_context(permissions=["local-network-access"])
    page = context.new_page()
    page.route("https://huggingface.co/**", frames)
    page.goto("https://huggingface.co/spaces/someone/side-by-side")
    frame = page.frame_locator("iframe")
    expect(frame.locator(".page[data-ready=true]")).to_be_attached()
    # The frame has no allow="camera; clipboard-read".
    note = "does not lend it the camera and the clipboard. Open it in a tab of its own."
    expect(frame.locator(".photo-note")).to_contain_text(note)
    frame.locator("button[data-example]").first.click()
    expect(frame.locator(READY)).to_have_count(3)
    page.close()
    page = context.new_page()
    page.route("https://example.com/**", frames)
    with page.expect_event("requestfailed") as failed:
        page.goto("https://example.com/spaces/someone/side-by-side")
    assert failed.value.url == app
    assert failed.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"
    context.close()


def test_further_sites_may_frame_the_page_and_its_files_if_they_are_named():
    async def answer(request: Request) -> Response:
        return HTMLResponse("<html></html>")

    around = [Middleware(SecurityHeaders, framed_by=("https://lms.example", "https://*.b.example"))]
    app = Starlette(routes=[Route("/{path:path}", answer)], middleware=around)
    usual = "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
    for path in ("/", "/config", "/gradio_api/file=/a.png"):
        policy = TestClient(app).get(path).headers["Content-Security-Policy"]
        assert policy.endswith(f"{usual} https://lms.example https://*.b.example"), path


MARK = b"<script>localStorage.setItem('ran', 'yes')</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'>" + MARK + b"</svg>"


def test_what_was_uploaded_never_runs_as_a_page_of_ours(app: str, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    for name, content, claimed in (
        ("page.html", b"<html>" + MARK + b"</html>", "text/html"),
        ("picture.svg", SVG, "image/svg+xml"),
        ("page.xhtml", SVG, "application/xhtml+xml"),
        ("feed.xml", SVG, "text/xml"),
        ("photo.jpg", b"<html>" + MARK + b"</html>", "text/html"),
        ("note.txt", b"<html>" + MARK + b"</html>", "text/html"),
        ("without", b"<html>" + MARK + b"</html>", "text/html"),
    ):
        files = {"files": (name, content, claimed)}
        (path,) = requests.post(f"{app}gradio_api/upload", files=files, timeout=30).json()
        address = f"{app}gradio_api/file={path}"
        answer = requests.get(address, timeout=30)
        assert answer.content == content  # it is the file
        policy = answer.headers["Content-Security-Policy"]
        assert "sandbox" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        if name.split(".")[-1] not in ("jpg", "txt"):
            assert answer.headers["Content-Disposition"].startswith("attachment")
        with suppress(Error):  # of a page that is saved instead of shown
            page.goto(address)
        page.goto(f"{app}robots.txt")
        assert page.evaluate("localStorage.getItem('ran')") is None, name
    context.close()
