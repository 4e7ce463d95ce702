"""Runs the page until the process is told to end, and ends it so that nobody's work is cut off.

Gradio ends on Ctrl-C alone, and then waits for whatever still computes.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

STOPPING = "The server is about to stop. Try again in a moment."

STOP_WITHIN = 25.0
"""Seconds that running requests have to finish. `GRADCAM_STOP_WITHIN` changes it."""

_QUIET = 1.0  # seconds in which a client fetches the file that the API has just told it of
_CLOSE_WITHIN = 3  # seconds in which connections are closed and uploads removed


class Requests:
    """The requests that the server works on, told apart from those that only listen."""

    def __init__(self) -> None:
        self.is_refusing = False
        self._running = 0
        self._last_end = 0.0

    def counted(self, app: ASGIApp) -> ASGIApp:
        """The app, whose requests are counted, and refused but for follow-ups once that is told."""

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
        told = time.monotonic()
        while time.monotonic() < told + within:
            quiet_since = max(told, self._last_end)
            if not self._running and time.monotonic() > quiet_since + _QUIET:
                return
            time.sleep(0.05)


def _only_listens(scope: Scope) -> bool:
    """The connection that an MCP client keeps for as long as it is there."""
    return scope["method"] == "GET" and "/gradio_api/mcp" in scope["path"]


def _follows_up(scope: Scope) -> bool:
    """What clients of the API fetch when their call is already accepted: its result, its files."""
    return scope["method"] == "GET" and "/gradio_api/" in scope["path"]


def serve(page: gr.Blocks, options: Mapping[str, Any]) -> NoReturn:
    """Launch the page with these options, and end the process when it is told to.

    SIGTERM lets running requests finish within `STOP_WITHIN` seconds, and ends with status 0.
    Ctrl-C, and a second signal of either kind, ends at once. Raises what `launch` raises.
    """
    requests = Requests()
    app_kwargs = options.get("app_kwargs", {})
    middleware = [Middleware(requests.counted), *app_kwargs.get("middleware", ())]
    launch = {**options, "app_kwargs": {**app_kwargs, "middleware": middleware}}
    page.launch(prevent_thread_lock=True, **launch)
    told: list[int] = []
    is_told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        if told:
            os._exit(128 + number)
        told.append(number)
        is_told.set()

    signal.signal(signal.SIGTERM, tell)
    signal.signal(signal.SIGINT, tell)
    # With a time limit, or Windows would not let Ctrl-C through.
    while page.is_running and not is_told.wait(1):
        pass
    is_interrupted = signal.SIGINT in told
    if told and not is_interrupted:
        print("Stopping: running requests may finish.", flush=True)
        requests.finish(float(os.environ.get("GRADCAM_STOP_WITHIN", STOP_WITHIN)))
    _close(page, 0 if is_interrupted else 1)
    logging.shutdown()
    sys.stdout.flush()
    # Not sys.exit, which waits for threads: a slow method computes for minutes.
    os._exit(128 + signal.SIGINT if is_interrupted else 0)


def _close(page: gr.Blocks, patience: int) -> None:
    """Close all connections and remove uploaded photos."""
    # It would tell, as errors, of the connections that do not end within `patience` seconds.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    page.server.config.timeout_graceful_shutdown = patience
    closing = threading.Thread(target=page.close, kwargs={"verbose": False}, daemon=True)
    closing.start()
    closing.join(_CLOSE_WITHIN)
