"""The route allow-list: visitors reach the page, the four functions, and nothing else of Gradio's.

Gradio has some sixty paths. Among them are a monitoring page, an editor of the app's source, a
proxy, and a file route that fetches any public address. Only the paths that the page and API
clients need are open. A path that a later Gradio adds is closed until it is listed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.gradio_internals import NO_FUNCTION, get_upload_folder

FILES = "/gradio_api/file="
"""Prefix of the path of an uploaded file or a result."""

_OPEN = frozenset(
    {
        "/",
        "/config",  # clients of the API
        "/favicon.ico",
        "/gradio_api/cancel",  # from a client that no longer waits for a call
        "/gradio_api/info",
        "/gradio_api/mcp",
        "/gradio_api/mcp/",
        "/gradio_api/mcp/schema",  # "Use via API or MCP"
        "/gradio_api/queue/data",
        "/gradio_api/queue/join",
        "/gradio_api/startup-events",  # requested by `launch` itself
        "/gradio_api/upload",
        "/gradio_api/upload_progress",
        "/manifest.json",
        "/robots.txt",
        "/theme.css",
    }
)

_OPEN_BELOW = ("/assets/", "/static/")
"""Gradio's own scripts and styles."""

_CALLS = re.compile(r"/gradio_api/(?:call/v2|call|run)/(?P<name>[^/]+)(?:/[^/]*)?")
"""The paths for calling a function, or for fetching the result of such a call."""


def open_paths(ours: Sequence[Route | Mount]) -> Callable[[str], bool]:
    """A function that tells whether a path is open, or leads to a file or a call, which need
    further checks. ours: our own routes, which are open, too."""
    paths = _OPEN | {route.path for route in ours if isinstance(route, Route)}
    mounted = (f"{route.path}/" for route in ours if isinstance(route, Mount))
    below = (*_OPEN_BELOW, *mounted, FILES)
    return lambda path: path in paths or path.startswith(below) or bool(_CALLS.fullmatch(path))


class RouteAllowList:
    """ASGI middleware: answers every path that is not on the list with 404. ours: our own routes,
    which are open, too; functions: the names of the functions that may be called."""

    def __init__(
        self, app: ASGIApp, ours: Sequence[Route | Mount], functions: Sequence[str]
    ) -> None:
        self._app = app
        self._functions = functions
        self._is_open = open_paths(ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = path_of(scope)
            if path.startswith(FILES):
                if not _is_temporary(path.removeprefix(FILES)):
                    await _not_found(scope, receive, send)
                    return
                scope = _without_range(scope)
            elif call := _CALLS.fullmatch(path):
                if call["name"] not in self._functions:
                    detail = NO_FUNCTION.format(", ".join(self._functions))
                    await JSONResponse({"detail": detail}, 404)(scope, receive, send)
                    return
            elif not self._is_open(path):
                await _not_found(scope, receive, send)
                return
        await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """The path without the root path, as the app's routes see it."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _is_temporary(path: str) -> bool:
    """Whether the path, with links followed, lies in the folder of uploads and results. No web
    address does."""
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):  # such as a path with a NUL character
        return False


def _without_range(scope: Scope) -> Scope:
    """The request without its Range header: Gradio answers a range request with the request's own
    headers, cookies included, and fails on some malformed ranges. No client here needs ranges."""
    kept = [(name, value) for name, value in scope["headers"] if name != b"range"]
    return {**scope, "headers": kept}


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
