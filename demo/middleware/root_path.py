"""The app behind a proxy that shows it below a path of its own, such as /cam."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """ASGI middleware: every path begins with the root path, as ASGI asks, whether the proxy strips
    it from what it hands on or keeps it. Without it Starlette finds no file below its mounts where
    the proxy strips it.

    root_path: as in `Settings`. is_open: whether the app answers at a path without the root path,
    which tells what a path means where the root path is also the name of a folder of the app.
    """

    def __init__(self, app: ASGIApp, root_path: str, is_open: Callable[[str], bool]) -> None:
        self._app = app
        self._root = urlsplit(root_path).path.rstrip("/")
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._root and scope["path"] == self._root:  # below it, the page's links would be wrong
            query = scope["query_string"].decode("latin-1")
            to = f"{self._root}/{'?' * bool(query)}{query}"
            await RedirectResponse(to)(scope, receive, send)
            return
        path = self._whole(scope["path"])
        await self._app({**scope, "root_path": self._root, "path": path}, receive, send)

    def _whole(self, path: str) -> str:
        if not path.startswith(f"{self._root}/"):
            return self._root + path
        rest = path.removeprefix(self._root)
        is_stripped = self._is_open(path) and not self._is_open(rest)
        return self._root + path if is_stripped else path
