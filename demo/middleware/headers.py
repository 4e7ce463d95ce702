"""The security headers of every answer.

Two kinds of answer bypass this middleware: those of Gradio's CORS middleware to preflight requests,
and uvicorn's "Invalid HTTP request received.". The library `secure` would not save much: the values
of the headers and the hashes of the page's scripts would stay here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.middleware.route_allow_list import FILES, path_of

FRAMED_BY = ("'self'", "https://huggingface.co", "https://*.huggingface.co")
"""Sites that may always show the page in a frame: its own, and those that show a Space."""

_USED = ("camera", "clipboard-read", "clipboard-write", "fullscreen")

_UNUSED = (
    *("accelerometer", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid"),
    *("magnetometer", "microphone", "midi", "payment", "picture-in-picture"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        [*(f"{name}=(self)" for name in _USED), *(f"{name}=()" for name in _UNUSED)]
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# An uploaded file must not run as a page of this site, whatever type it claims to have.
_OF_A_FILE = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors {}"

_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


class SecurityHeaders:
    """ASGI middleware that adds the headers. It holds an HTML page back until its end, because the
    page's policy contains the hashes of its scripts. framed_by: further sites that may show the
    page in a frame."""

    def __init__(self, app: ASGIApp, framed_by: Sequence[str] = ()) -> None:
        self._app = app
        self._framed_by = " ".join([*FRAMED_BY, *framed_by])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_file = path_of(scope).startswith(FILES)
        held: Message | None = None
        page = bytearray()

        async def passed_on(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                headers.update(_ALWAYS)
                headers["Content-Security-Policy"] = (
                    _OF_A_FILE.format(self._framed_by) if is_file else policy(self._framed_by)
                )
                if headers.get("Content-Type", "").startswith("text/html") and not is_file:
                    held = message
                    return
            elif message["type"] == "http.response.body" and held is not None:
                page.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                MutableHeaders(scope=held)["Content-Security-Policy"] = policy(
                    self._framed_by, bytes(page)
                )
                await send(held)
                held = None
                message = {"type": "http.response.body", "body": bytes(page)}
            await send(message)

        await self._app(scope, receive, passed_on)


def policy(framed_by: str, page: bytes = b"") -> str:
    """The Content-Security-Policy of an answer. framed_by: sites that may show it in a frame. page:
    its HTML; the inline scripts in it may run."""
    inline = " ".join(_hash(script) for script in _SCRIPT.findall(page) if script)
    rules = {
        "default-src": "'self'",
        # Gradio makes functions from the texts of its components' events and templates (`js=`,
        # `js_on_load=`, `html_template=`), which needs 'unsafe-eval'. Inline scripts are allowed by
        # their hashes, so that a script injected later does not run.
        "script-src": f"'self' 'unsafe-eval' {inline}".strip(),
        # Gradio's page has style attributes, and its components insert style elements.
        "style-src": "'self' 'unsafe-inline'",
        # data: for the pictures in Gradio's styles, blob: for the photo that the page's script has.
        "img-src": "'self' data: blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": framed_by,
    }
    return "; ".join(f"{rule} {sources}" for rule, sources in rules.items())


def _hash(script: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    return f"'sha256-{digest}'"
