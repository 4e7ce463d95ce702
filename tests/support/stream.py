"""The page's own requests without a browser: sends them, and reads the answer line by line."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import requests
from starlette.applications import Starlette
from starlette.testclient import TestClient

import gradcam_core as gc
from demo.compute.service import start
from demo.server.routes import routes
from demo.settings import Settings
from gradcam_core.analysis.location import where

MODELS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
_DEFAULTS = Settings()
CAT, COFFEE = "1_cat", "2_coffee"


def map_requests(*models: str, **choices: Any) -> list[dict[str, Any]]:
    """Requests for a map of each network, with these choices for all of them."""
    return [{"id": model, "model": model, **choices} for model in models]


def parsed(line: str | bytes) -> dict[str, Any]:
    return json.loads(line, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def explain_stream(app: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """All lines of a server's answer, in their order."""
    with requests.post(f"{app}explain-stream", json=body, stream=True, timeout=120) as response:
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("application/x-ndjson")
        return [parsed(line) for line in response.iter_lines()]


@contextmanager
def stream_in_this_process(settings: Settings = _DEFAULTS) -> Iterator[TestClient]:
    """A client for the page's requests in this process, without the page, on its own service."""
    start(settings=settings)
    with TestClient(Starlette(routes=routes())) as running:
        yield running


def ask(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    """All lines of the answer from this process, in their order."""
    response = client.post("/explain-stream", json={"maps": map_requests(*MODELS), **body})
    assert response.status_code == 200, response.text
    return [parsed(line) for line in response.text.splitlines()]


def asked(url: str, name: str, body: Any) -> requests.Response:
    """The answer to any body, even one that no page sends."""
    # Not `json=`, which refuses NaN and infinity.
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(f"{url}{name}", data=data, timeout=60)


def sentence_of(answer: requests.Response) -> str:
    """The answer's only content: a short sentence."""
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [list(line) for line in lines] == [["problem"]], answer.text
    sentence = lines[0]["problem"]
    assert 10 < len(sentence) < 300
    assert "\n" not in sentence
    for word in ("Traceback", "Error", "root:", ".py", "pydantic", "passwd"):
        assert word not in sentence
    return sentence


def results(answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {answer["map"]: answer["result"] for answer in answers if "result" in answer}


def shares(result: dict[str, Any]) -> np.ndarray:
    """The map of a result as shares of its maximum."""
    told = result["map"]
    data = base64.b64decode(told["levels"])
    return np.frombuffer(data, dtype="<u2").reshape(told["rows"], told["columns"]) / 65535


def assert_is(result: dict[str, Any], e: gc.Explanation) -> None:
    """Fails unless a result of the server matches the core's explanation."""
    peak = e.feature_map.max()
    np.testing.assert_allclose(shares(result), e.feature_map / peak, atol=1e-4)
    assert result["target"]["index"] == e.target.index
    assert result["target"]["probability"] == pytest.approx(e.target.probability, rel=1e-3)
    assert result["rank"] == e.rank
    assert [one["name"] for one in result["top"]] == [one.name for one in e.top]
    assert (result["how"], result["layer"], result["where"]) == (e.how, e.layer, where(e))
    width, height = e.geometry.photo_size
    for told, box in ((result["box"], e.box), (result["region"], e.geometry.region)):
        np.testing.assert_allclose(np.multiply(told, [width, height] * 2), box, atol=1e-6)


class LeavingClient:
    """Sends a request as an ASGI client, and can disconnect before the answer."""

    def __init__(self, path: str, body: dict[str, Any]) -> None:
        self.received = b""
        self._path = path
        self._body = json.dumps(body).encode()
        self._asked = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [parsed(line) for line in self.received.splitlines()]

    def leave(self) -> None:
        self._left.set()

    async def ask(self) -> None:
        """Returns when the server has finished all work for the request."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"content-type", b"application/json")],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
        }
        await Starlette(routes=routes())(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked.is_set():
            self._asked.set()
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.received += message.get("body", b"")
