"""The address at which others reach the page, and a QR code of it for an audience to scan."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit, urlunsplit

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.server.problems import problem
from demo.settings.values import is_loopback

MAX_LINK_LETTERS = 1500
"""Longest link in a QR code: the dots of a longer link are too small for phones at the back."""

ONLY_HERE = (
    "Only this machine can reach the page. Start it with --host 0.0.0.0 for others in the same "
    "network, or with --share for everybody who has the link."
)
NO_NETWORK = (
    "This machine is not connected to a network, so no other machine can reach the page. Connect "
    "it to one."
)
TOO_LONG = "The link to this view is too long for a QR code. Share it as text instead."
NO_LINK = "This is not a link to the page."

_ANYWHERE = ("0.0.0.0", "::")
_OUTSIDE = ("192.0.2.1", 9)  # reserved for documentation: only a route is looked up, nothing sent


class Reachability:
    """host, port: where the app listens. public_link: its address through Gradio's servers, None
    until there is one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.public_link: str | None = None

    def link(self, link: str) -> str | None:
        """The link with a host that others can reach; None if there is none. link: the address in
        the visitor's browser, which may run on this machine."""
        parts = urlsplit(link)
        if parts.hostname not in _ANYWHERE and not is_loopback(parts.hostname or ""):
            return link
        if self.public_link is not None:
            shared = urlsplit(self.public_link)
            path = shared.path.rstrip("/") + parts.path
            return urlunsplit((shared.scheme, shared.netloc, path, parts.query, ""))
        host = _address_outside() if self.host in _ANYWHERE else self.host
        if host is None or is_loopback(host):
            return None
        name = f"[{host}]" if ":" in host else host
        netloc = f"{name}:{parts.port or self.port}"
        return urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))

    async def answer(self, request: Request) -> Response:
        """The address and its QR code as a data: URI, or the reason why there is none."""
        link = request.query_params.get("link", "")
        if len(link) > MAX_LINK_LETTERS:
            return problem(TOO_LONG, 422)
        if urlsplit(link).scheme not in ("http", "https"):
            return problem(NO_LINK, 422)
        found = await asyncio.to_thread(self.link, link)
        if found is None:
            return problem(NO_NETWORK if self.host in _ANYWHERE else ONLY_HERE)
        code = segno.make(found, error="m", micro=False).svg_data_uri(scale=8, border=4)
        answer = {"address": found, "code": code}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _address_outside() -> str | None:
    """This machine's IPv4 address in its network; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.connect(_OUTSIDE)
        except OSError:
            return None
        address = tried.getsockname()[0]
    return None if address == "0.0.0.0" else address
