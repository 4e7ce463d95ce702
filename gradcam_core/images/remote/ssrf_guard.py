"""The SSRF guard: a picture is requested only from a public web server, and only within a time and
a number of bytes.

requests-hardened looks a name up once, refuses private, loopback and link-local addresses, and has
`requests` connect to exactly the address that it has checked. What it leaves open is closed here.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import logging
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

from gradcam_core.errors import ImageError

UNREACHABLE = (
    "No picture could be fetched from this address. Save the picture and give the file instead."
)
"""The same for all that is refused and all that fails, so that nobody learns what a private network
has."""

PORTS = frozenset({80, 443})
"""The ports of the web. Others would let a visitor scan any server's ports through this one."""

THREAD_NAME_PREFIX = "picture by address"
"""Prefix of the names of the threads that fetch pictures."""

_CONNECT_TIMEOUT_S = 3.0  # a server that has not answered by then rarely does
_MAX_HEADER_BYTES = 64 * 1024

_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # looks public, but is Azure's metadata server
            # Public according to some versions of Python:
            "192.0.0.0/24",  # protocols' own
            "192.88.99.0/24",  # relays from 6to4
            "2001::/23",  # protocols' own, among them Teredo, which wraps IPv4
            "2002::/16",  # 6to4, which wraps IPv4
            "3fff::/20",  # documentation
        ),
    )
)


class FetchBudget:
    """The time and the bytes that one fetch may still take, redirects included."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.bytes = 0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    @property
    def too_late(self) -> ImageError:
        return ImageError(f"The picture did not arrive within {self._seconds:.0f} seconds.")

    def seconds(self) -> float:
        """More than 0. Raises ImageError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.too_late
        return left

    def take(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise ImageError(UNREACHABLE)


@dataclass(frozen=True)
class Guard:
    """Which servers may be sent a request.

    allowed_local_ips: addresses of this machine that are allowed, too: for servers of tests.
    """

    ports: frozenset[int] = PORTS
    allowed_local_ips: frozenset[str] = frozenset()

    def check(self, address: str) -> None:
        """Raises ImageError for an address that no picture has."""
        # Parsers do not agree where the host of such an address ends.
        if "\\" in address or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in address):
            raise ImageError(UNREACHABLE)
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
            usual = {"http": 80, "https": 443}[parts.scheme]
            port = usual if parts.port is None else parts.port
        except (ValueError, KeyError):
            raise ImageError(UNREACHABLE) from None
        is_odd = "@" in parts.netloc or "%" in host or any(c.isspace() for c in parts.netloc)
        if not host or is_odd or port not in self.ports:
            raise ImageError(UNREACHABLE)

    def allows_ip(self, address: str) -> bool:
        """Whether a connection to this IP address is allowed."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if str(ip) in self.allowed_local_ips:
            return True
        # IPv6 has many ways to write an IPv4 address of a private network; none lies in this range.
        if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip not in _GLOBAL_IPV6):
            return False
        if ip.is_multicast or ip.is_reserved or any(ip in net for net in _NOT_PUBLIC):
            return False
        return ip.is_global

    def session(self, allowance: FetchBudget) -> GuardedSession:
        return GuardedSession(self, allowance)


class GuardedSession(HTTPSession):
    """Fetches one picture. All its methods raise ImageError once the allowance is used up."""

    def __init__(self, guard: Guard, allowance: FetchBudget) -> None:
        # Where nobody keeps a log, its warnings would stand on the terminal beside our sentence.
        logging.getLogger("requests_hardened").addHandler(logging.NullHandler())
        super().__init__(
            Config(
                ip_filter_enable=True,
                ip_filter_allow_loopback_ips=bool(guard.allowed_local_ips),
                never_redirect=True,
                default_timeout=None,
                user_agent_override="gradcam-side-by-side",
            )
        )
        self._guard = guard
        self._allowance = allowance
        self.trust_env = False  # neither proxies nor passwords of this machine
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", _Adapter(scheme, guard, allowance))

    def request_picture(self, address: str) -> requests.Response:
        """The answer of one server, its headers read. A redirect is not followed."""
        self._guard.check(address)
        self._allowance.bytes = _MAX_HEADER_BYTES
        left = self._allowance.seconds()
        # What is compressed may become thousands of times as large.
        headers = {"Accept-Encoding": "identity", "Accept": "image/*"}
        return self.get(address, headers=headers, timeout=left, stream=True)

    def next_address(self, response: requests.Response) -> str | None:
        """Where a redirect leads to."""
        target = super().get_redirect_target(response)
        return urljoin(response.url, target) if target else None

    def get_redirect_target(self, _response: requests.Response) -> None:
        """None: `requests` would read and unpack the body of a redirect, even if it does not follow
        it."""


class _Adapter(IPFilterAdapter):
    def __init__(self, scheme: str, guard: Guard, allowance: FetchBudget) -> None:
        super().__init__(
            is_https_proto=scheme == "https", allow_loopback=bool(guard.allowed_local_ips)
        )
        self._made = {
            "http": partial(_Connection, guard=guard, allowance=allowance),
            "https": partial(_SecureConnection, guard=guard, allowance=allowance),
        }[scheme]

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._made
        return pool


class _GuardedConnection(HTTPConnection):
    """A connection that checks the IP address that it connects to, and whose every step ends."""

    def __init__(self, *args: Any, guard: Guard, allowance: FetchBudget, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._allowance = allowance

    def connect(self) -> None:
        if not self._guard.allows_ip(self.host):
            raise ImageError(UNREACHABLE)
        # Once for TCP and once for TLS.
        self.timeout = min(_CONNECT_TIMEOUT_S, self._allowance.seconds() / 2)
        super().connect()

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, *args: Any, **kwargs: Any
    ) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        received = response.fp.detach()
        response.fp = io.BufferedReader(_Received(received, sock, self._allowance))
        return response


class _Connection(_GuardedConnection):
    pass


class _SecureConnection(_GuardedConnection, HTTPSConnection):
    pass


class _Received(io.RawIOBase):
    """What a server sends. The timeout of a socket starts anew with every byte."""

    def __init__(self, received: io.RawIOBase, sock: socket.socket, allowance: FetchBudget) -> None:
        self._received = received
        self._sock = sock
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._allowance.seconds())
        count = self._received.readinto(buffer) or 0
        self._allowance.take(count)
        return count

    def close(self) -> None:
        self._received.close()
        super().close()
