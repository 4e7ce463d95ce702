"""The headers of the server's answers; `tests/page/test_headers.py` has what a browser does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.middleware.headers import SecurityHeaders
from tests.support.api import SMALL
from tests.support.uploads import upload


def test_every_answer_says_what_a_browser_may_do_with_it(app: str, cat_path: Path):
    url, picture = app, upload(app, cat_path)
    body = {"example": "1_cat", "maps": [{"id": "one", "model": SMALL[0]}]}
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


def test_further_sites_may_frame_the_page_and_its_files_if_they_are_named():
    async def answer(request: Request) -> Response:
        return HTMLResponse("<html></html>")

    around = [Middleware(SecurityHeaders, framed_by=("https://lms.example", "https://*.b.example"))]
    app = Starlette(routes=[Route("/{path:path}", answer)], middleware=around)
    usual = "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
    for path in ("/", "/config", "/gradio_api/file=/a.png"):
        policy = TestClient(app).get(path).headers["Content-Security-Policy"]
        assert policy.endswith(f"{usual} https://lms.example https://*.b.example"), path
