"""Serves the page until a signal ends the process, and lets running requests finish first.

Gradio ends on Ctrl-C alone, and then waits for whatever still computes. uvicorn's own graceful
shutdown closes the port at once, so clients of the API could not fetch the files of calls that just
finished.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.gradio_internals import end_public_links

STOPPING = "The server is about to stop. Try again in a moment."

_QUIET_S = 1.0  # in which a client fetches the file of a call that just finished
_CLOSE_WITHIN_S = 3  # in which connections are closed and uploads removed


class RunningRequests:
    """Counts the requests that the server works on, but not those that only listen."""

    def __init__(self) -> None:
        self.is_refusing = False
        self._running = 0
        self._last_end = 0.0

    def counted(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware: counts requests. Once `finish` runs, refuses all but follow-ups."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or _only_listens(scope):
                await app(scope, receive, send)
                return
            if self.is_refusing and not _follows_up(scope):
                headers = {"Retry-After": "15", "Connection": "close"}
                refusal = JSONResponse({"problem": STOPPING}, 503, headers)
                await refusal(scope, receive, send)
                return
            self._running += 1
            try:
                await app(scope, receive, send)
            finally:
                self._running -= 1
                self._last_end = time.monotonic()

        return answer

    def finish(self, within: float) -> None:
        """Refuse new requests and wait until the others are done, but not longer than this."""
        self.is_refusing = True
        begin = time.monotonic()
        while time.monotonic() < begin + within:
            quiet_since = max(begin, self._last_end)
            if not self._running and time.monotonic() > quiet_since + _QUIET_S:
                return
            time.sleep(0.05)


def _only_listens(scope: Scope) -> bool:
    """The connection that an MCP client keeps for as long as it is there."""
    return scope["method"] == "GET" and "/gradio_api/mcp" in scope["path"]


def _follows_up(scope: Scope) -> bool:
    """What clients of the API fetch after a call: its result and its files."""
    return scope["method"] == "GET" and "/gradio_api/" in scope["path"]


def serve(
    page: gr.Blocks,
    options: Mapping[str, Any],
    stop_within_s: float,
    ready: Callable[[gr.Blocks], None] = lambda page: None,
) -> NoReturn:
    """Launch the page with these options, call `ready`, and end the process on a signal.

    SIGTERM lets running requests finish within this time, and ends with status 0. Ctrl-C, and a
    second signal of either kind, ends at once. Raises what `launch` raises.
    """
    requests = RunningRequests()
    app_kwargs = options.get("app_kwargs", {})
    middleware = [Middleware(requests.counted), *app_kwargs.get("middleware", ())]
    launch = {**options, "app_kwargs": {**app_kwargs, "middleware": middleware}}
    page.launch(prevent_thread_lock=True, **launch)
    received: list[int] = []
    has_received = threading.Event()

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            end_public_links()
            os._exit(128 + number)
        received.append(number)
        has_received.set()

    signal.signal(signal.SIGTERM, receive)
    signal.signal(signal.SIGINT, receive)
    ready(page)
    # With a time limit, or Windows would not let Ctrl-C through.
    while page.is_running and not has_received.wait(1):
        pass
    is_interrupted = signal.SIGINT in received
    if received and not is_interrupted:
        print("Stopping: running requests may finish.", flush=True)
        requests.finish(stop_within_s)
    end_public_links()
    _close(page, 0 if is_interrupted else 1)
    logging.shutdown()
    sys.stdout.flush()
    # Not sys.exit, which waits for threads: a slow method computes for minutes.
    os._exit(128 + signal.SIGINT if is_interrupted else 0)


def _close(page: gr.Blocks, patience: int) -> None:
    """Close all connections and remove uploaded photos."""
    # It would log the connections that do not end within `patience` seconds as errors.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    page.server.config.timeout_graceful_shutdown = patience
    closing = threading.Thread(target=page.close, kwargs={"verbose": False}, daemon=True)
    closing.start()
    closing.join(_CLOSE_WITHIN_S)
