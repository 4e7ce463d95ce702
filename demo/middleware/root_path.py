"""The app behind a proxy that shows it below a path of its own, such as /cam."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BASE = b'<base href="./" />'
"""In Gradio's page: what its own links, and ours, begin from."""


class RootPath:
    """ASGI middleware: every path begins with the root path, as ASGI asks, whether the proxy strips
    it from what it hands on or keeps it. Without it Starlette finds no file below its mounts where
    the proxy strips it. The page's links begin from the root path, too, also where a visitor has
    left out the slash at its end.

    root_path: as in `Settings`. is_open: whether the app answers at a path without the root path,
    which tells what a path means where the root path is also the name of a folder of the app.
    """

    def __init__(self, app: ASGIApp, root_path: str, is_open: Callable[[str], bool]) -> None:
        self._app = app
        self._root = urlsplit(root_path).path.rstrip("/")
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._root or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = self._whole(scope["path"])
        changed = {**scope, "root_path": self._root, "path": path}
        if path == f"{self._root}/":
            send = self._with_base(send)
        await self._app(changed, receive, send)

    def _whole(self, path: str) -> str:
        if path == self._root:
            return f"{path}/"
        if not path.startswith(f"{self._root}/"):
            return self._root + path
        is_stripped = self._is_open(path) and not self._is_open(path.removeprefix(self._root))
        return self._root + path if is_stripped else path

    def _with_base(self, send: Send) -> Send:
        """Sends Gradio's page with the root path in it; it comes in one piece."""
        base = f'<base href="{self._root}/" />'.encode()
        start: Message = {}

        async def passed_on(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body = message.get("body", b"")
            if start:
                based = body.replace(_BASE, base, 1)
                headers = MutableHeaders(scope=start)
                if "Content-Length" in headers:
                    length = int(headers["Content-Length"]) + len(based) - len(body)
                    headers["Content-Length"] = str(length)
                await send(start)
                start, message = {}, {**message, "body": based}
            await send(message)

        return passed_on
