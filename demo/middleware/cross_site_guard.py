"""Keeps pages of other sites from using a visitor's own app through the visitor's browser."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.settings.values import is_loopback

_PROXY = (
    "Behind a proxy, name the public address with GRADIO_ROOT_PATH, such as https://example.org."
)
FOREIGN = (
    "This request came from the page of another site; only the app's own page may send it. "
    f"{_PROXY}"
)
RENAMED = "This app serves this machine only, at 127.0.0.1 and localhost, not as {host}. " + _PROXY

_READING = ("GET", "HEAD", "OPTIONS")
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")


class CrossSiteGuard:
    """ASGI middleware: refuses requests that pages of other sites send to an app in a private
    network, even if a site's own name resolves to this machine (DNS rebinding). All sites may use
    the API of a public app.

    is_only_here: whether the app is for this machine alone, and not behind a proxy.
    is_behind_proxy: whether its public address is set; then only the browser's Sec-Fetch-Site
    counts, because the proxy may use another host name than the page.
    """

    def __init__(self, app: ASGIApp, is_only_here: bool, is_behind_proxy: bool = False) -> None:
        self._app = app
        self._is_only_here = is_only_here
        self._is_behind_proxy = is_behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READING:
            headers = Headers(scope=scope)
            problem = ""
            if is_of_another_site(headers, self._is_behind_proxy):
                problem = FOREIGN
            elif self._is_only_here and is_renamed(headers) and not _is_handed_on(headers):
                problem = RENAMED.format(host=host_of(headers)[:100])
            if problem:
                answer = JSONResponse({"detail": problem, "problem": problem}, 403)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_of(headers: Headers) -> str:
    """The host name or address in the Host header; "" without one."""
    return _host(f"//{headers.get('host', '')}")


def is_renamed(headers: Headers) -> bool:
    """Whether the Host header names anything but this machine's loopback."""
    host = host_of(headers)
    return bool(host) and not is_loopback(host)


def is_of_another_site(headers: Headers, is_behind_proxy: bool = False) -> bool:
    """Whether, by the browser's headers, a page of another site sent this request to an app in a
    private network."""
    host = host_of(headers)
    if not _is_private(host):
        return False
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:  # old browsers, and all over plain HTTP to another machine, omit it
        return site == "cross-site"
    if origin is None or is_behind_proxy or _is_handed_on(headers):
        return False
    from_host = _host(origin)
    return from_host != host and not (is_loopback(from_host) and is_loopback(host))


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_private(host: str) -> bool:
    if is_loopback(host) or host.endswith(".local"):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _is_handed_on(headers: Headers) -> bool:
    """Whether the request has a proxy's headers; a page after DNS rebinding can set them, too."""
    return any(name in headers for name in _OF_PROXIES)
