"""The SSRF guard: pictures are requested from public web servers only, within a limit of time and
bytes.

requests-hardened looks up a host name once, refuses private, loopback and link-local addresses, and
makes `requests` connect to exactly the address that it has checked. This file closes the gaps that
it leaves.
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
"""The same message for every refusal and failure, so that nobody can use it to explore a private
network."""

PORTS = frozenset({80, 443})
"""The ports allowed. Any others would let visitors scan servers' ports through this one."""

THREAD_NAME_PREFIX = "picture by address"
"""Prefix of the names of the threads that fetch pictures."""

_CONNECT_TIMEOUT_S = 3.0  # a server that has not answered by then rarely answers later
_MAX_HEADER_BYTES = 64 * 1024

_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # looks public, but is Azure's metadata server
            # Public according to some versions of Python:
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays
            "2001::/23",  # protocol assignments, among them Teredo, which wraps IPv4
            "2002::/16",  # 6to4, which wraps IPv4
            "3fff::/20",  # documentation
        ),
    )
)


class FetchBudget:
    """The time and bytes that a fetch may still use, redirects included."""

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
        """The seconds left, more than 0. Raises ImageError if none are left."""
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
    """Decides which servers may be sent a request.

    allowed_local_ips: addresses of this machine that are allowed, too, for test servers.
    """

    ports: frozenset[int] = PORTS
    allowed_local_ips: frozenset[str] = frozenset()

    def check(self, address: str) -> None:
        """Raises ImageError for an address that is malformed, has an odd host, or names a port that
        is not allowed."""
        # Parsers disagree on where the host ends in an address with these characters.
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
        # IPv6 can wrap private IPv4 addresses in many ways, all outside this range or _NOT_PUBLIC.
        if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip not in _GLOBAL_IPV6):
            return False
        if ip.is_multicast or ip.is_reserved or any(ip in net for net in _NOT_PUBLIC):
            return False
        return ip.is_global

    def session(self, allowance: FetchBudget) -> GuardedSession:
        return GuardedSession(self, allowance)


class GuardedSession(HTTPSession):
    """Fetches one picture. All methods raise ImageError once the allowance is used up."""

    def __init__(self, guard: Guard, allowance: FetchBudget) -> None:
        # Without logging set up, its warnings would appear on the terminal beside our message.
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
        self.trust_env = False  # use neither this machine's proxies nor its passwords
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", _Adapter(scheme, guard, allowance))

    def request_picture(self, address: str) -> requests.Response:
        """The response of a server, with its headers read and its body unread. Redirects are not
        followed."""
        self._guard.check(address)
        self._allowance.bytes = _MAX_HEADER_BYTES
        left = self._allowance.seconds()
        # A compressed body could unpack to thousands of times its size.
        headers = {"Accept-Encoding": "identity", "Accept": "image/*"}
        return self.get(address, headers=headers, timeout=left, stream=True)

    def next_address(self, response: requests.Response) -> str | None:
        """The address that a redirect leads to; None if the response is no redirect."""
        target = super().get_redirect_target(response)
        return urljoin(response.url, target) if target else None

    def get_redirect_target(self, _response: requests.Response) -> None:
        """None, because `requests` would read and unpack the body of a redirect even without
        following it."""


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
    """A connection that checks the IP address that it connects to, and limits the time of each
    step."""

    def __init__(self, *args: Any, guard: Guard, allowance: FetchBudget, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._allowance = allowance

    def connect(self) -> None:
        if not self._guard.allows_ip(self.host):
            raise ImageError(UNREACHABLE)
        # Halved because the timeout applies twice, for TCP and for TLS.
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
    """The bytes that a server sends, counted against the allowance. Sets the socket's timeout
    before each read, because it would otherwise start anew with every byte."""

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
