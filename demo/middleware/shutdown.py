"""Serves the page until a signal ends the process, and lets running requests finish first.

Gradio itself ends only on Ctrl-C, and then waits for all computations. uvicorn's graceful shutdown
closes the port at once, so API clients could not fetch the files of calls that have just finished.
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

_QUIET_S = 1.0  # for clients to fetch the file of a call that has just finished
_LOOK_EVERY_S = 0.1  # for a signal
_CLOSE_WITHIN_S = 3  # for closing connections and removing uploads


class RunningRequests:
    """Counts the requests that the server is answering, except connections that only listen."""

    def __init__(self) -> None:
        self.is_refusing = False
        self._running = 0
        self._last_end = 0.0

    def counted(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware: counts requests. Once `finish` runs, it refuses all but follow-ups."""

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
        """Refuses new requests and waits until the others are done, at most `within` seconds."""
        self.is_refusing = True
        begin = time.monotonic()
        while time.monotonic() < begin + within:
            quiet_since = max(begin, self._last_end)
            if not self._running and time.monotonic() > quiet_since + _QUIET_S:
                return
            time.sleep(0.05)


def _only_listens(scope: Scope) -> bool:
    """Whether this is the connection that an MCP client keeps open for its whole session."""
    return scope["method"] == "GET" and "/gradio_api/mcp" in scope["path"]


def _follows_up(scope: Scope) -> bool:
    """Whether an API client fetches the result or the files of an earlier call."""
    return scope["method"] == "GET" and "/gradio_api/" in scope["path"]


def serve(
    page: gr.Blocks,
    options: Mapping[str, Any],
    stop_within_s: float,
    ready: Callable[[gr.Blocks], None] = lambda page: None,
) -> NoReturn:
    """Launches the page with these options, calls `ready`, and ends the process on a signal.

    SIGTERM lets running requests finish within `stop_within_s` seconds, then exits with status 0.
    Ctrl-C, or a second signal of either kind, exits at once. Raises what `launch` raises.
    """
    requests = RunningRequests()
    app_kwargs = options.get("app_kwargs", {})
    middleware = [Middleware(requests.counted), *app_kwargs.get("middleware", ())]
    launch = {**options, "app_kwargs": {**app_kwargs, "middleware": middleware}}
    page.launch(prevent_thread_lock=True, **launch)
    received: list[int] = []  # no threading.Event: its lock may be held where the signal comes in

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            end_public_links()
            os._exit(128 + number)
        received.append(number)

    signal.signal(signal.SIGTERM, receive)
    signal.signal(signal.SIGINT, receive)
    ready(page)
    while page.is_running and not received:
        time.sleep(_LOOK_EVERY_S)
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
    """Closes all connections and removes uploaded photos. patience: seconds for connections."""
    # uvicorn would log connections that do not end within `patience` seconds as errors.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    page.server.config.timeout_graceful_shutdown = patience
    closing = threading.Thread(target=page.close, kwargs={"verbose": False}, daemon=True)
    closing.start()
    closing.join(_CLOSE_WITHIN_S)
