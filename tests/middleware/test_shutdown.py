"""A server that is told to stop: nobody's work is cut off without need, and it stops in time."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.middleware.shutdown import STOPPING
from tests.support.api import posted
from tests.support.app_server import Started, started_app
from tests.support.photos import EXAMPLES
from tests.support.stream import CAT, cells, explain_stream, results
from tests.support.uploads import DECLARED, upload
from tests.support.waiting import until

SHORT = {"example": CAT, "cells": cells("efficientnet_lite0")}


def downloaded(app: Started, request: dict[str, Any]) -> bytes:
    answer = requests.post(f"{app.url}download", json=request, timeout=120)
    answer.raise_for_status()
    return answer.content


def test_sigterm_lets_running_requests_finish_and_refuses_new_ones(tmp_path: Path):
    with (
        ThreadPoolExecutor(3) as visitors,
        started_app(tmp_path, GRADCAM_STOP_WITHIN="120") as app,
    ):
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
        looking = visitors.submit(explain_stream, app.url, {"example": "5_rocket", "cells": maps})
        photo = {"path": upload(app.url, EXAMPLES / "2_coffee.jpg"), **DECLARED}
        models = ["efficientnet_lite0", "efficientnet_lite2"]
        calling = visitors.submit(
            posted, app.url, photo, models=models, detail=3, outputs=["comparison"]
        )
        wanted = {"example": "6_astronaut", "file": "comparison.png", "cells": maps[:1]}
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
    assert not list(tmp_path.joinpath("gradio").rglob("*.jpg"))  # what was uploaded


SLOW = """
import asyncio, os, time
from concurrent.futures import ThreadPoolExecutor
import gradio as gr
from starlette.routing import Route
from demo.middleware.shutdown import serve

async def work(request):
    print("working", flush=True)
    await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), time.sleep, 600)

with gr.Blocks() as page:
    pass
routes = [Route("/work", work)]
port = int(os.environ["GRADIO_SERVER_PORT"])
serve(page, {"server_port": port, "app_kwargs": {"routes": routes}})
"""
"""A page without networks, whose work takes minutes and holds a thread that Python waits for."""


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Started]:
    """A server that has to do with a request."""
    with (
        ThreadPoolExecutor(1) as visitor,
        started_app(tmp_path, command=(sys.executable, "-c", SLOW), GRADCAM_STOP_WITHIN="2") as app,
    ):
        visitor.submit(requests.get, f"{app.url}work")
        until(lambda: "working" in app.log.read_text())
        # The last line of `launch`: now signals are received.
        until(lambda: "public link" in app.log.read_text())
        yield app
    assert "Traceback" not in app.log.read_text()


def test_slow_work_holds_the_end_up_no_longer_than_it_may(slow: Started):
    slow.process.send_signal(signal.SIGTERM)
    # Not a measure of speed: the work would take longer.
    assert slow.process.wait(15) == 0


def test_a_second_sigterm_ends_it_at_once(slow: Started):
    slow.process.send_signal(signal.SIGTERM)
    until(lambda: "Stopping" in slow.log.read_text())
    slow.process.send_signal(signal.SIGTERM)
    assert slow.process.wait(10) == 128 + signal.SIGTERM


def test_ctrl_c_ends_it_at_once_without_a_traceback(slow: Started):
    slow.process.send_signal(signal.SIGINT)
    assert slow.process.wait(10) == 128 + signal.SIGINT
    assert "Stopping" not in slow.log.read_text()
