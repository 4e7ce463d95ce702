"""A server that is told to stop while work holds it up. That nobody's work is cut off without need,
`tests/demo/test_start.py` sees at the app itself."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.app_server import Started, started_app
from tests.support.waiting import until

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
