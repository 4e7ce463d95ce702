"""Lets the app run behind a proxy that serves it below a path, such as /cam."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BASE = b'<base href="./" />'
"""The base of relative links in Gradio's page."""


class RootPath:
    """ASGI middleware: makes every path begin with the root path, as ASGI requires, whether or not
    the proxy strips it. Otherwise, behind a proxy that strips it, Starlette would find no file
    below its mounts. The page's links begin with the root path, too, even if a visitor has omitted
    the slash at its end.

    root_path: see `Settings`. is_open: whether the app answers at a path without the root path. It
    tells whether a path was stripped if the root path is also the name of a folder of the app.
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
        """A `send` that puts the root path into Gradio's page, whose body is a single message."""
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
