"""Pictures by their address: fetched from the web, never from this machine or its neighbours,
and never for long.

No test connects to anything but loopback: names are looked up by the tests' own resolver, and
whoever tries to connect elsewhere is noted and refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import logging
import socket
import socketserver
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from playwright.sync_api import Page, Request, expect
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo.compute.photo import PhotoFile
from demo.compute.service import start
from demo.logs import DiscreetRecord
from demo.server import remote_pictures as address
from demo.server.requests import PageRequest
from demo.server.routes import routes
from demo.server.ssrf_guard import PORTS, THREADS, UNREACHABLE, Guard
from demo.ui.layout import build
from gradcam_core.errors import ImageError
from tests.support.app_server import running_app
from tests.support.browser import Visits, wait_for_all, wait_for_results

PUBLIC = "93.184.216.34"
"""Looks as if it were on the web. Nobody connects to it here."""

WEB = "127.0.0.9"
"""The tests' server, where it stands for one on the web."""

NAMES = {
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "inner.example": ["10.0.0.5"],
    "inner.example.": ["10.0.0.5"],
    "home.example": ["127.0.0.1"],
    "home6.example": ["::1"],
    "mapped.example": ["::ffff:10.0.0.5"],
    "compatible.example": ["::10.0.0.5"],
    "first-private.example": ["10.0.0.5", PUBLIC],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.goog": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "public.example": [PUBLIC],
    "pictures.example": [WEB],
}

# {port} is one that the tests' server listens at, on 127.0.0.1, 127.0.0.2 and ::1.
THIS_MACHINE = [
    "http://127.0.0.1:{port}/a.jpg",
    "http://127.0.0.2:{port}/a.jpg",
    "http://localhost:{port}/a.jpg",
    "http://LOCALHOST.:{port}/a.jpg",
    "HTTP://127.0.0.1:{port}/a.jpg",
    "http://127.1:{port}/a.jpg",
    "http://127.0.1:{port}/a.jpg",
    "http://2130706433:{port}/a.jpg",
    "http://017700000001:{port}/a.jpg",
    "http://0177.0.0.1:{port}/a.jpg",
    "http://0177.0.0.01:{port}/a.jpg",
    "http://0x7f000001:{port}/a.jpg",
    "http://0x7f.0x0.0x0.0x1:{port}/a.jpg",
    "http://0x7f.1:{port}/a.jpg",
    "http://127.0x0.0.01:{port}/a.jpg",
    "http://0:{port}/a.jpg",
    "http://0.0.0.0:{port}/a.jpg",
    "http://[::]:{port}/a.jpg",
    "http://[::1]:{port}/a.jpg",
    "http://[0:0:0:0:0:0:0:1]:{port}/a.jpg",
    "http://[0000::0001]:{port}/a.jpg",
    "http://[::1%25lo]:{port}/a.jpg",
    "http://[::1%lo]:{port}/a.jpg",
    "http://[::ffff:127.0.0.1]:{port}/a.jpg",
    "http://[::ffff:7f00:1]:{port}/a.jpg",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/a.jpg",
    "http://[::127.0.0.1]:{port}/a.jpg",
    "http://１２７.０.０.１:{port}/a.jpg",  # full-width digits
    "http://①②⑦.⓪.⓪.①:{port}/a.jpg",
    "http://127。0。0。1:{port}/a.jpg",  # the dot of Chinese and Japanese
    "http://127．0．0．1:{port}/a.jpg",
    "http://127.0.0.1.:{port}/a.jpg",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/a.jpg",
    "http://user:password@127.0.0.1:{port}/a.jpg",
    "http://public.example@127.0.0.1:{port}/a.jpg",
    "http://public.example:80@127.0.0.1:{port}/a.jpg",
    "http://public.example%40127.0.0.1:{port}/a.jpg",
    "http://127.0.0.1:{port}\\@public.example/a.jpg",
    "http://public.example\\@127.0.0.1:{port}/a.jpg",
    "http://127.0.0.1:{port}#@public.example/a.jpg",
    "http://127.0.0.1:{port}?@public.example/a.jpg",
    "http:///127.0.0.1:{port}/a.jpg",
    "http://127.0.0.1:{port} @public.example/a.jpg",
    "http://127.0.0.1\t:{port}/a.jpg",
    "http://127.0.0.1:{port}/\r\nHost: public.example\r\n/a.jpg",
    "http://127.0.0.1\x00.public.example:{port}/a.jpg",
    "http://127%2e0%2e0%2e1:{port}/a.jpg",
    "http://home.example:{port}/a.jpg",
    "http://home6.example:{port}/a.jpg",
    "http://127.0.0.1.nip.example:{port}/a.jpg",
]

NEIGHBOURS = [
    "http://10.0.0.1/a.jpg",
    "http://167772161/a.jpg",
    "http://012.0.0.1/a.jpg",
    "http://0xa000001/a.jpg",
    "http://10.1/a.jpg",
    "http://172.16.0.1/a.jpg",
    "http://172.31.255.254/a.jpg",
    "http://192.168.1.1/a.jpg",
    "http://192.168.257/a.jpg",
    "https://192.168.1.1/a.jpg",
    "http://100.64.0.1/a.jpg",  # behind a carrier's NAT
    "http://0.1.2.3/a.jpg",
    "http://[::ffff:10.0.0.1]/a.jpg",
    "http://[::10.0.0.1]/a.jpg",
    "http://[::ffff:0:10.0.0.1]/a.jpg",
    "http://[64:ff9b::10.0.0.1]/a.jpg",
    "http://[64:ff9b:1::10.0.0.1]/a.jpg",
    "http://[2002:a00:1::]/a.jpg",
    "http://[2002:7f00:1::1]/a.jpg",
    "http://[2001:0:7f00:1::1]/a.jpg",
    "http://[fe80::1]/a.jpg",
    "http://[fe80::1%25eth0]/a.jpg",
    "http://[fd00::1]/a.jpg",
    "http://[fc00::1]/a.jpg",
    "http://[fec0::1]/a.jpg",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://0251.0376.0251.0376/latest/meta-data/",
    "http://169.254.43518/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fd20:ce::254]/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.192/latest/",
    "http://168.63.129.16/metadata/instance",
    "http://169.254.170.2/v2/credentials",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.GOOGLE.INTERNAL/computeMetadata/v1/",
    "http://metadata.goog/computeMetadata/v1/",
    "http://instance-data/latest/meta-data/",
    "http://kubernetes.default.svc/api",
    "http://255.255.255.255/a.jpg",
    "http://224.0.0.1/a.jpg",
    "http://239.255.255.250/a.jpg",
    "http://[ff02::1]/a.jpg",
    "http://[ff0e::1]/a.jpg",
    "http://240.0.0.1/a.jpg",
    "http://[4000::1]/a.jpg",
    "http://192.0.2.1/a.jpg",
    "http://198.51.100.1/a.jpg",
    "http://203.0.113.1/a.jpg",
    "http://[2001:db8::1]/a.jpg",
    "http://[3fff::1]/a.jpg",
    "http://198.18.0.1/a.jpg",  # measurements of networks
    "http://[2001:2::1]/a.jpg",
    "http://192.88.99.1/a.jpg",
    "http://[100::1]/a.jpg",
    "http://[5f00::1]/a.jpg",
    "http://[2001:20::1]/a.jpg",
    "http://inner.example/a.jpg",
    "http://inner.example./a.jpg",
    "http://INNER.example/a.jpg",
    "http://mapped.example/a.jpg",
    "http://compatible.example/a.jpg",
    "http://first-private.example/a.jpg",
]

FORBIDDEN = THIS_MACHINE + NEIGHBOURS

CELLS = [{"id": "a", "model": "resnet50"}]

OTHER_SCHEMES = [
    "file:///etc/passwd",
    "ftp://public.example/a.jpg",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/d",
    "data:image/png;base64,iVBORw0KGgo=",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:{port}!/a",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "ws://127.0.0.1:{port}/",
    "httpx://127.0.0.1:{port}/",
]


# The network of these tests


class Network:
    """names: what each look-up of a name gives, one answer after the other, the last for good; or
    what is done instead. tried: whom somebody tried to connect to, off this machine."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]] | Callable[[], Any]] = {
            name: [answer] for name, answer in NAMES.items()
        }
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.tried: list[tuple[str, int]] = []
        self._look_up = socket.getaddrinfo
        self._connect = socket.socket.connect

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list:
        name = host.decode() if isinstance(host, bytes) else host
        answers = self.names.get(name.lower())
        if answers is None:
            names = {"family": 0, "type": 0, "proto": 0, "flags": 0}
            given = names | dict(zip(names, args, strict=False)) | kwargs
            given["flags"] |= socket.AI_NUMERICHOST  # no name leaves this machine
            return self._look_up(host, port, **given)
        self.looked_up.append(name)
        if callable(answers):
            return answers()
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for one in addresses for entry in self._entries(one, port)]

    def _entries(self, ip: str, port: Any) -> list:
        return self._look_up(ip, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)

    def connect(self, sock: socket.socket, where: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            if not ipaddress.ip_address(where[0]).is_loopback:
                self.tried.append(where[:2])
                raise ConnectionRefusedError
            self.connected.append(where[:2])
        self._connect(sock, where)


remote: address.RemotePictures
"""Made anew for every test."""


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    made = Network()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda sock, to: made.connect(sock, to))
    global remote
    remote = address.RemotePictures()
    yield made
    remote.threads.shutdown(wait=False, cancel_futures=True)


class Server(socketserver.ThreadingTCPServer):
    """Answers each path with what `answers` has for it: bytes, or what does the talking. asked: the
    requests that came. left: set when a client has gone while it was still being talked to."""

    allow_reuse_address = True
    request_queue_size = 64
    daemon_threads = True
    answers: dict[str, bytes | Callable[[socket.socket], None]]

    def __init__(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Talk)
        self.port = self.server_address[1]
        self.answers = {}
        self.asked: list[str] = []
        self.left = threading.Event()
        self.tls = tls


class _Talk(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        left = self.server.left  # that of this test
        with contextlib.suppress(OSError):
            sock: socket.socket = self.request
            if self.server.tls:
                sock = self.server.tls.wrap_socket(sock, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request and (more := sock.recv(65536)):
                request += more
            if not request:
                return
            path = request.split(b" ", 2)[1].decode("latin-1")
            self.server.asked.append(request.decode("latin-1"))
            answer = self.server.answers.get(path, response(b"no picture", status="404 Not Found"))
            if isinstance(answer, bytes):
                sock.sendall(answer)
            else:
                try:
                    answer(sock)
                except OSError:
                    left.set()
            if self.server.tls:
                sock.close()


def response(
    body: bytes = b"", *headers: str, status: str = "200 OK", kind: str | None = "image/jpeg"
) -> bytes:
    """With its length unless `headers` say something of it."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if not any("-Length" in line or "Transfer-" in line for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(target: str, status: int = 302) -> bytes:
    return response(b"", f"Location: {target}", status=f"{status} Moved")


def endless(start: bytes, again: bytes, pause: float = 0.02) -> Callable[[socket.socket], None]:
    """Goes on for a minute, or until the client has gone."""

    def talk(sock: socket.socket) -> None:
        sock.sendall(start)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            sock.sendall(again)
            time.sleep(pause)

    return talk


@contextlib.contextmanager
def serving(*servers: Server) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
        yield


@pytest.fixture(scope="module")
def cat_bytes(cat_path: Path) -> bytes:
    return cat_path.read_bytes()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """One that stands for one on the web, and at the same port three on this machine."""
    web = Server(WEB)
    made = [web, *(Server(host, web.port) for host in ("127.0.0.1", "127.0.0.2", "::1"))]
    with serving(*made):
        yield made


@pytest.fixture
def web(servers: list[Server], monkeypatch: pytest.MonkeyPatch, cat_bytes: bytes) -> Server:
    """A server that stands for one on the web."""
    for server in servers:
        server.answers, server.asked, server.left = {}, [], threading.Event()
    web = servers[0]
    web.answers["/cat.jpg"] = response(cat_bytes)
    remote.guard = Guard(frozenset({web.port, 80}), frozenset({WEB}))
    return web


@pytest.fixture
def inside(servers: list[Server]) -> list[Server]:
    """Servers on this machine that nobody may ask, at the port of the one that may be."""
    return servers[1:]


def fetch(given: str, may_fetch: bool = True) -> bytes:
    return asyncio.run(remote.fetch(given, may_fetch))


def at(server: Server, path: str, host: str = WEB) -> str:
    return f"http://{host}:{server.port}/{path.lstrip('/')}"


def assert_nobody_was_asked(network: Network, *servers: Server) -> None:
    assert network.tried == []
    assert [server.asked for server in servers if server.asked] == []


# Who is asked


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_neither_this_machine_nor_its_neighbours_are_asked(
    forbidden: str, web: Server, inside: list[Server], network: Network, monkeypatch
):
    remote.guard = Guard(frozenset({web.port, 80, 443}))
    with pytest.raises(ImageError) as error:
        fetch(forbidden.format(port=web.port))
    assert str(error.value) == UNREACHABLE
    assert_nobody_was_asked(network, web, *inside)
    assert network.connected == []


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_no_redirect_leads_there_either(
    forbidden: str, web: Server, inside: list[Server], network: Network
):
    target = forbidden.format(port=web.port)
    location = f"Location: {target}".encode()
    web.answers["/moved.jpg"] = redirect("{}").replace(b"Location: {}", location)
    with pytest.raises(ImageError):
        fetch(at(web, "moved.jpg"))
    assert web.asked[0].startswith("GET /moved.jpg ")
    assert_nobody_was_asked(network, *inside)
    assert {host for host, _ in network.connected} == {WEB}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/a.jpg", "//10.0.0.1/a.jpg", "http://inner.example/a.jpg"]
)
def test_no_kind_of_redirect_leads_there(
    status: int, target: str, web: Server, inside: list[Server], network: Network
):
    web.answers["/1.jpg"] = redirect("/2.jpg", status)
    web.answers["/2.jpg"] = redirect(target.format(port=web.port), status)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "1.jpg"))
    assert len(web.asked) == 2
    assert_nobody_was_asked(network, *inside)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_where_one_may_go_is_followed(status: int, web: Server, cat_bytes: bytes):
    web.answers["/moved.jpg"] = redirect(at(web, "cat.jpg", "pictures.example"), status)
    web.answers["/near.jpg"] = redirect("moved.jpg", status)
    assert fetch(at(web, "near.jpg")) == cat_bytes


@pytest.mark.parametrize("given", OTHER_SCHEMES)
def test_no_other_scheme_is_spoken(given: str, web: Server, inside: list[Server], network: Network):
    given = given.format(port=web.port)
    with pytest.raises(ImageError, match="starts with https://"):
        fetch(given)
    assert_nobody_was_asked(network, web, *inside)
    web.answers["/moved.jpg"] = redirect(given)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "moved.jpg"))
    assert_nobody_was_asked(network, *inside)
    assert len(web.asked) == 1


@pytest.mark.parametrize("given", ["", "cat.jpg", "//a.example/", "https://" + "a" * 3000])
def test_what_is_no_address_of_the_web_gets_a_sentence(given: str, network: Network):
    with pytest.raises(ImageError, match="starts with https://"):
        fetch(given)
    assert network.looked_up == []


@pytest.mark.parametrize("given", ["http://", "https://?", "http://[::1", "http://a.example:x/",
                                   "http://a.example:99999/", "http://.../", "http://a..b/",
                                   "http://" + "a" * 300 + ".example/"])  # fmt: skip
def test_what_is_no_address_at_all_gets_a_sentence(given: str, network: Network):
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(given)
    assert_nobody_was_asked(network)


def test_only_the_ports_of_the_web_are_asked(network: Network):
    for port in (*range(79), 81, 442, 444, 3306, 5432, 6379, 7860, 8000, 8080, 9200, 65535):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(f"http://public.example:{port}/a.jpg")
    assert network.looked_up == []
    for given in ("http://public.example/", "https://public.example/",
                  "http://public.example:443/", "https://public.example:80/"):  # fmt: skip
        with pytest.raises(ImageError):
            fetch(given)
    assert network.tried == [(PUBLIC, 80), (PUBLIC, 443), (PUBLIC, 443), (PUBLIC, 80)]
    assert set(PORTS) == {80, 443}
    assert address.RemotePictures().guard == Guard()


def test_a_port_that_a_redirect_names_is_not_asked(web: Server, network: Network):
    web.answers["/moved.jpg"] = redirect("http://public.example:6379/a.jpg")
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "moved.jpg"))
    assert network.looked_up == []


def test_a_name_that_changes_after_the_check_changes_nothing(
    web: Server, inside: list[Server], network: Network, cat_bytes: bytes
):
    network.names["turning.example"] = [[WEB], ["127.0.0.1"]]
    assert fetch(at(web, "cat.jpg", "turning.example")) == cat_bytes
    assert network.looked_up == ["turning.example"]
    assert network.connected == [(WEB, web.port)]
    assert_nobody_was_asked(network, *inside)


def test_a_name_that_changes_between_two_steps_of_a_redirect_is_checked_again(
    web: Server, inside: list[Server], network: Network
):
    for there in ("127.0.0.1", "10.0.0.5", "::1"):
        network.names["turning.example"] = [[WEB], [there]]
        web.answers["/moved.jpg"] = redirect(at(web, "a.jpg", "turning.example"))
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(at(web, "moved.jpg", "turning.example"))
    assert network.looked_up == ["turning.example"] * 6
    assert {host for host, _ in network.connected} == {WEB}
    assert_nobody_was_asked(network, *inside)


def test_of_several_addresses_only_the_one_that_was_checked_is_connected_to(
    inside: list[Server], network: Network
):
    network.names["both.example"] = [[PUBLIC, "127.0.0.1", "10.0.0.5", "::1"]]
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch("http://both.example/a.jpg")
    assert network.tried == [(PUBLIC, 80)]
    assert network.connected == []


def test_an_address_is_looked_at_once_more_when_it_is_connected_to(
    inside: list[Server], web: Server, network: Network, monkeypatch: pytest.MonkeyPatch
):
    """Should the library's check fail one day, ours is there."""
    from requests_hardened import ip_filter_adapter

    def trusting(host: str, port: int, *, allow_loopback: bool) -> str:
        ip = network.getaddrinfo(host, port)[0][4][0]
        return f"[{ip}]" if ":" in ip else ip

    monkeypatch.setattr(ip_filter_adapter, "filter_host", trusting)
    for given in FORBIDDEN:
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(given.format(port=web.port))
    assert_nobody_was_asked(network, web, *inside)
    assert network.connected == []


def test_what_is_refused_and_what_fails_are_told_alike(
    web: Server, network: Network, monkeypatch: pytest.MonkeyPatch
):
    """Nobody learns which private addresses, ports or names there are."""
    closed = socket.create_server((WEB, 0))
    port = closed.getsockname()[1]
    closed.close()
    remote.guard = Guard(frozenset({80, port}), frozenset({WEB}))
    told = set()
    for given in (f"http://{WEB}:{port}/", f"http://127.0.0.1:{port}/", "http://10.0.0.1/",
                  "http://10.0.0.1:22/", "http://inner.example/", "http://unknown.example/",
                  "http://public.example/"):  # fmt: skip
        with pytest.raises(ImageError) as error:
            fetch(given)
        told.add(str(error.value))
    assert told == {UNREACHABLE}


@pytest.mark.parametrize(
    ("ip", "is_let_through"),
    [
        ("1.1.1.1", True),
        (PUBLIC, True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("168.63.129.16", False),
        ("::ffff:1.1.1.1", False),
        ("::1.1.1.1", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("2606:4700:4700::1111%eth0", False),
        ("public.example", False),
        ("", False),
    ],
)
def test_only_public_addresses_are_let_through(ip: str, is_let_through: bool):
    assert Guard().allows_ip(ip) is is_let_through


# How long it may take


DRIPS = {
    "status": endless(b"H", b"T"),
    "continue": endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.1),
    "body": endless(response(b"", "Content-Length: 1000000"), b"x"),
    "body without length": endless(response(b"", "X-Length: none"), b"x"),
    "chunk": endless(response(b"", "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
    "size of a chunk": endless(response(b"", "Transfer-Encoding: chunked"), b"0"),
    "trailer": endless(response(b"0\r\n", "Transfer-Encoding: chunked"), b"X: y\r\n"),
    "silence": endless(b"", b"", 0.1),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_a_server_that_drips_is_left_when_the_time_is_over(
    drip: str, web: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(address, "TIMEOUT_S", 0.6)
    web.answers["/slow.jpg"] = DRIPS[drip]
    with pytest.raises(ImageError, match="did not arrive within"):
        fetch(at(web, "slow.jpg"))
    if drip != "silence":  # nothing that is sent meets a closed connection
        assert web.left.wait(30)
    assert_threads_are_free()


def assert_threads_are_free() -> None:
    """That none is left behind: as many as there are can all be had at once."""
    together = threading.Barrier(address.MAX_FETCHES)
    waits = [remote.threads.submit(together.wait, 30) for _ in range(address.MAX_FETCHES)]
    assert len({wait.result() for wait in waits}) == address.MAX_FETCHES


def test_a_chain_of_redirects_has_the_same_time(web: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "TIMEOUT_S", 0.6)
    monkeypatch.setattr(address, "MAX_REDIRECTS", 10_000)

    def onwards(sock: socket.socket) -> None:
        time.sleep(0.05)
        sock.sendall(redirect("/on.jpg"))

    web.answers["/on.jpg"] = onwards
    with pytest.raises(ImageError, match="did not arrive within"):
        fetch(at(web, "on.jpg"))
    assert_threads_are_free()


def test_a_chain_of_redirects_has_an_end(web: Server):
    web.answers["/on.jpg"] = redirect("/on.jpg")
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "on.jpg"))
    assert len(web.asked) == address.MAX_REDIRECTS + 1


def test_a_server_that_does_not_take_the_connection_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "TIMEOUT_S", 0.6)
    with socket.create_server((WEB, 0), backlog=0) as deaf, contextlib.ExitStack() as stack:
        port = deaf.getsockname()[1]
        for _ in range(3):  # they fill the queue, and nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((WEB, port))
        remote.guard = Guard(frozenset({port}), frozenset({WEB}))
        with pytest.raises(ImageError):
            fetch(f"http://{WEB}:{port}/a.jpg")
        assert_threads_are_free()


def test_a_silent_name_server_keeps_a_visitor_no_longer_and_the_others_not_at_all(
    web: Server, network: Network, monkeypatch: pytest.MonkeyPatch, cat_bytes: bytes
):
    """Forty look-ups hang at once. Everything that needs no address goes on, the number of threads
    stays within its bound, and once the system gives the look-ups up, addresses work again."""
    speaks = threading.Event()

    def hang() -> list:
        assert speaks.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    start()
    network.names |= {f"{n}.silent.example": hang for n in range(40)}
    monkeypatch.setattr(address, "TIMEOUT_S", 0.6)

    async def visits() -> None:
        hanging = [
            asyncio.create_task(remote.fetch(f"http://{n}.silent.example/a.jpg")) for n in range(40)
        ]
        while len(network.looked_up) < address.MAX_FETCHES:
            await asyncio.sleep(0.01)
        asked = PageRequest.model_validate({"example": "1_cat", "cells": CELLS})
        photos = await asyncio.gather(*(asked.open(remote) for _ in range(20)))
        assert all(isinstance(photo, PhotoFile) for photo in photos)
        assert not any(one.done() for one in hanging[: address.MAX_FETCHES])
        for one in hanging:
            with pytest.raises(ImageError, match="did not arrive within"):
                await one

    try:
        asyncio.run(visits())
        named = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith(THREADS) for name in named) <= address.MAX_FETCHES
        assert not speaks.is_set()
    finally:
        speaks.set()
    monkeypatch.setattr(address, "TIMEOUT_S", 10.0)
    assert fetch(at(web, "cat.jpg")) == cat_bytes
    assert_threads_are_free()
    assert len(network.looked_up) == address.MAX_FETCHES  # whoever had gone was not looked up


def test_whoever_comes_when_all_threads_wait_is_served_after_them(
    web: Server, monkeypatch: pytest.MonkeyPatch, cat_bytes: bytes
):
    async def visits() -> bytes:
        monkeypatch.setattr(address, "TIMEOUT_S", 1.0)
        for n in range(address.MAX_FETCHES):
            web.answers[f"/{n}.jpg"] = DRIPS["body"]
        slow = [
            asyncio.create_task(remote.fetch(at(web, f"{n}.jpg")))
            for n in range(address.MAX_FETCHES)
        ]
        while len(web.asked) < address.MAX_FETCHES:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(address, "TIMEOUT_S", 20.0)
        served = await remote.fetch(at(web, "cat.jpg"))
        await asyncio.gather(*slow, return_exceptions=True)
        return served

    assert asyncio.run(visits()) == cat_bytes


# What may come


@pytest.mark.parametrize("packed", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip",
                                    "identity, gzip", "GZIP", "compress"])  # fmt: skip
def test_nothing_packed_is_unpacked(packed: str, web: Server):
    bomb = gzip.compress(gzip.compress(bytes(30 * 2**20)))
    web.answers["/bomb.jpg"] = response(bomb, f"Content-Encoding: {packed}")
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "bomb.jpg"))
    assert "\r\naccept-encoding: identity\r\n" in web.asked[0].lower()
    web.answers["/moved.jpg"] = response(
        bomb, f"Content-Encoding: {packed}", "Location: /bomb.jpg", status="302 Found"
    )
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "moved.jpg"))


def test_what_a_redirect_has_for_a_body_is_not_read(web: Server, cat_bytes: bytes):
    """However much of it there is: `requests` would have read it, and unpacked it."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /cat.jpg\r\nContent-Encoding: gzip\r\n\r\n"
    web.answers["/moved.jpg"] = endless(head, gzip.compress(bytes(2**20)))
    assert fetch(at(web, "moved.jpg")) == cat_bytes
    assert web.left.wait(30)


MEGABYTE = bytes(2**20)
TOO_LARGE: dict[str, bytes | Callable[[socket.socket], None]] = {
    "length": response(b"", f"Content-Length: {address.MAX_BYTES + 1}"),
    "a byte too many": response(bytes(address.MAX_BYTES + 1), "X-Length: none"),
    "endless": endless(response(b"", "X-Length: none"), MEGABYTE, 0),
    "endless in chunks": endless(
        response(b"", "Transfer-Encoding: chunked"), b"100000\r\n" + MEGABYTE + b"\r\n", 0
    ),
    "one endless chunk": endless(
        response(b"fffffff\r\n", "Transfer-Encoding: chunked"), MEGABYTE, 0
    ),
    "wrong length": endless(response(b"", "Content-Length: -5"), MEGABYTE, 0),
    "length and chunks": endless(
        response(b"fffffff\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"), MEGABYTE, 0
    ),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_at_most_20_megabytes_are_taken(name: str, web: Server):
    web.answers["/large.jpg"] = TOO_LARGE[name]
    with pytest.raises(ImageError, match="larger than 20 MB"):
        fetch(at(web, "large.jpg"))


def test_20_megabytes_are_taken(web: Server):
    for n, name in enumerate(("Content-Length: 20971520", "X-Length: none")):
        web.answers[f"/{n}.jpg"] = response(bytes(address.MAX_BYTES), name)
        assert fetch(at(web, f"{n}.jpg")) == bytes(address.MAX_BYTES)


def test_a_length_that_is_not_true_does_no_harm(web: Server):
    web.answers["/short.jpg"] = response(b"0123456789", "Content-Length: 4")
    assert fetch(at(web, "short.jpg")) == b"0123"
    web.answers["/cut.jpg"] = response(b"0123456789", "Content-Length: 400")
    web.answers["/two.jpg"] = response(b"0123456789", "Content-Length: 4", "Content-Length: 10")
    for name in ("cut.jpg", "two.jpg"):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(at(web, name))


ODD: dict[str, bytes | Callable[[socket.socket], None]] = {
    "a long line": response(b"", f"X: {'x' * 70_000}"),
    "an endless line": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096, 0),
    "many headers": response(b"", *(f"X-{n}: y" for n in range(200))),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4000 + b"\r\n", 0),
    "endless continues": endless(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 100, 0),
    "an endless status": endless(b"HTTP/1.1 200 ", b"x" * 4096, 0),
    "an endless size of a chunk": endless(
        response(b"", "Transfer-Encoding: chunked"), b"0" * 4096, 0
    ),
    "an endless extension of a chunk": endless(
        response(b"1;", "Transfer-Encoding: chunked"), b"x" * 4096, 0
    ),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", ODD)
def test_answers_that_are_not_well_formed_are_given_up(name: str, web: Server):
    web.answers["/odd.jpg"] = ODD[name]
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "odd.jpg"))
    if callable(ODD[name]):
        assert web.left.wait(30)


def test_headers_are_read_up_to_a_bound_of_all_of_them(web: Server):
    lines = [f"X-{n}: {'y' * 2000}" for n in range(60)]  # each one and their number are allowed
    web.answers["/odd.jpg"] = response(b"picture", *lines)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(at(web, "odd.jpg"))
    web.answers["/even.jpg"] = response(b"picture", *lines[:20])
    assert fetch(at(web, "even.jpg")) == b"picture"


@pytest.mark.parametrize("kind", ["image/jpeg", "image/webp; q=1", "IMAGE/PNG", "image/x-odd", None,
                                  "application/octet-stream", "binary/octet-stream"])  # fmt: skip
def test_what_may_be_a_picture_is_taken(kind: str | None, web: Server, cat_bytes: bytes):
    web.answers["/a"] = response(cat_bytes, kind=kind)
    assert fetch(at(web, "a")) == cat_bytes


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain; charset=utf-8",
                                  "application/pdf", "video/mp4", "", "imagery"])  # fmt: skip
def test_what_is_no_picture_is_not_taken(kind: str, web: Server):
    web.answers["/a"] = endless(response(b"", "X-Length: none", kind=kind), b"secret")
    with pytest.raises(ImageError, match="There is no picture at this address"):
        fetch(at(web, "a"))
    assert web.left.wait(30)


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 418, 500, 503])
def test_any_other_status_is_told(status: int, web: Server):
    web.answers["/a"] = response(b"picture", status=f"{status} Odd")
    with pytest.raises(ImageError, match=f"answers with status {status}"):
        fetch(at(web, "a"))


# TLS


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cat_bytes: bytes) -> Iterator[Server]:
    """A server that speaks TLS, with a certificate for pictures.example."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pictures.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "authority.pem"))
    server = Server(WEB, tls=context)
    server.answers["/cat.jpg"] = response(cat_bytes)
    remote.guard = Guard(frozenset({server.port}), frozenset({WEB}))
    with serving(server):
        yield server


def test_a_picture_comes_by_tls_and_only_from_who_it_says_it_is(
    secure: Server, network: Network, cat_bytes: bytes
):
    network.names["other.example"] = [[WEB]]
    assert fetch(f"https://pictures.example:{secure.port}/cat.jpg") == cat_bytes
    for name in ("other.example", WEB):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(f"https://{name}:{secure.port}/cat.jpg")
    assert len(secure.asked) == 1


def test_what_drips_by_tls_is_left_too(secure: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "TIMEOUT_S", 1.0)
    secure.answers["/slow.jpg"] = DRIPS["headers"]
    with pytest.raises(ImageError, match="did not arrive within"):
        fetch(f"https://pictures.example:{secure.port}/slow.jpg")
    assert secure.left.wait(30)


def test_a_handshake_that_drips_is_left(network: Network, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "TIMEOUT_S", 0.6)
    left = threading.Event()

    class Drips(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"\x16\x03\x03\x40\x00")  # a record of TLS, 16 KB
            with contextlib.suppress(OSError):
                endless(b"\x02\x00\x3f\xfc\x03\x03", b"x")(self.request)
                return
            left.set()

    with socketserver.ThreadingTCPServer((WEB, 0), Drips) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        remote.guard = Guard(frozenset({port}), frozenset({WEB}))
        with pytest.raises(ImageError):
            fetch(f"https://pictures.example:{port}/a.jpg")
        assert left.wait(30)
        server.shutdown()
    assert_threads_are_free()


# What is kept


def test_a_picture_is_fetched_once_and_kept(web: Server, cat_bytes: bytes):
    for _ in range(2):
        assert fetch(at(web, "cat.jpg")) == cat_bytes
    assert len(web.asked) == 1


def test_who_asks_for_the_same_at_once_shares_one_fetch(web: Server, cat_bytes: bytes):
    may_answer = threading.Event()

    def later(sock: socket.socket) -> None:
        assert may_answer.wait(30)
        sock.sendall(response(cat_bytes))

    web.answers["/cat.jpg"] = later

    async def visits() -> list[bytes]:
        asking = [asyncio.create_task(remote.fetch(at(web, "cat.jpg"))) for _ in range(5)]
        while not web.asked:
            await asyncio.sleep(0.01)
        may_answer.set()
        return await asyncio.gather(*asking)

    assert asyncio.run(visits()) == [cat_bytes] * 5
    assert len(web.asked) == 1


def test_what_failed_is_tried_anew(web: Server, cat_bytes: bytes):
    with pytest.raises(ImageError):
        fetch(at(web, "soon.jpg"))
    web.answers["/soon.jpg"] = response(cat_bytes)
    assert fetch(at(web, "soon.jpg")) == cat_bytes


def test_no_more_than_64_megabytes_are_kept(web: Server):
    for n in range(5):
        web.answers[f"/{n}.jpg"] = response(bytes([n]) * (18 * 2**20))
        fetch(at(web, f"{n}.jpg"))
    assert [is_kept(at(web, f"{n}.jpg")) for n in range(5)] == [False, False, True, True, True]
    fetch(at(web, "4.jpg"))
    assert len(web.asked) == 5
    fetch(at(web, "0.jpg"))
    assert len(web.asked) == 6


def is_kept(given: str) -> bool:
    try:
        fetch(given, may_fetch=False)
    except ImageError:
        return False
    return True


def test_nothing_is_kept_for_longer_than_its_time(web: Server):
    global remote
    assert address.KEPT_S == 600
    guard, remote = remote.guard, address.RemotePictures(kept_s=0.05)
    remote.guard = guard
    fetch(at(web, "cat.jpg"))
    while is_kept(at(web, "cat.jpg")):
        time.sleep(0.01)
    fetch(at(web, "cat.jpg"))
    assert len(web.asked) == 2


def test_where_nothing_may_be_fetched_only_what_is_kept_is_given(
    web: Server, network: Network, cat_bytes: bytes
):
    given = at(web, "cat.jpg", "pictures.example")
    with pytest.raises(ImageError, match="during a presentation none is fetched"):
        fetch(given, may_fetch=False)
    assert network.looked_up == []
    assert_nobody_was_asked(network, web)
    fetch(given)
    assert fetch(given, may_fetch=False) == cat_bytes
    assert len(web.asked) == 1


@pytest.mark.parametrize("value", ['"false"', "0", "null"])
def test_whether_it_may_be_fetched_is_said_without_doubt(value: str):
    cells = '[{"id": "a", "model": "resnet50"}]'
    assert not PageRequest.model_validate_json(
        f'{{"cells": {cells}, "may_fetch": false}}'
    ).may_fetch
    with pytest.raises(ValidationError, match="may_fetch"):
        PageRequest.model_validate_json(f'{{"cells": {cells}, "may_fetch": {value}}}')


# What is told to nobody


@pytest.fixture
def discreet_log() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(DiscreetRecord)
    yield
    logging.setLogRecordFactory(before)


def test_nothing_of_an_address_is_logged(
    web: Server, network: Network, caplog: pytest.LogCaptureFixture, discreet_log: None
):
    secret = "pictures-of-my-holidays"
    network.names[f"{secret}.example"] = [["10.0.0.5"]]
    for name, answer in {
        "fine": response(b"picture"),
        "odd": b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 1\r\n\r\nx",  # urllib3 warns
        "both": response(b"0\r\n\r\n", "Content-Length: 1", "Transfer-Encoding: chunked"),
        "moved": redirect(f"http://{secret}.example/"),
        "broken": b"",
    }.items():
        web.answers[f"/{name}?{secret}"] = answer
    given = [
        *(at(web, path) for path in web.answers if secret in path),
        f"http://{secret}.example/",
        f"http://{secret}.unknown/",
        f"http://[{secret}]/",
        f"http://{secret * 10}.example/",
        f"http://{secret}:99999/",
    ]
    told = ""
    with caplog.at_level(logging.DEBUG):
        for one in given:
            try:
                fetch(one)
            except ImageError as error:
                told += "".join(traceback.format_exception(error))

        class Broken(Guard):
            def session(self, allowance: Any) -> Any:
                raise RuntimeError(f"at {given[0]}")

        remote.guard = Broken()
        with pytest.raises(ImageError, match=UNREACHABLE) as refused:
            fetch(at(web, f"new?{secret}"))
    told += "".join(traceback.format_exception(refused.value))
    assert secret not in told
    assert secret not in caplog.text
    assert WEB not in caplog.text
    assert "RuntimeError" in caplog.text  # a fault of ours is
    assert "in session" in caplog.text


# Switched off


@pytest.mark.parametrize("value", ["off", "OFF", " off ", "0", "false", "no", ""])
def test_switched_off_the_server_fetches_nothing_and_the_page_does_not_ask(
    value: str, web: Server, network: Network, monkeypatch: pytest.MonkeyPatch
):
    given = at(web, "cat.jpg", "pictures.example")
    asked = {"address": given, "cells": CELLS}
    fetch(given)  # what was kept before is not given either
    web.asked.clear()
    network.looked_up.clear()
    monkeypatch.setenv(address.SETTING, value)
    with TestClient(Starlette(routes=routes(remote))) as client:
        for request in (asked, {**asked, "may_fetch": False}):
            answer = client.post("/explain-stream", json=request)
            assert json.loads(answer.text) == {"problem": address.OFF}
        answer = client.post("/download", json={**asked, "file": "everything.zip"})
        assert answer.json() == {"problem": address.OFF}
    assert network.looked_up == []
    assert_nobody_was_asked(network, web)


def test_the_page_has_a_form_for_it_only_where_it_is_on(monkeypatch: pytest.MonkeyPatch):
    for value, is_there in (("on", True), ("off", False)):
        monkeypatch.setenv(address.SETTING, value)
        assert ("data-address" in json.dumps(build().get_config_file())) is is_there


# On the page


ALLOWING = (
    "import demo.server.remote_pictures as a; from demo.server.ssrf_guard import Guard;"
    " a.Guard = lambda: Guard(frozenset({{{port}}}), frozenset({{'127.0.0.1'}}));"
    " import app; app.main()"
)


@pytest.fixture(scope="module")
def shelf(cat_bytes: bytes) -> Iterator[Server]:
    """A server of pictures that the page's server may ask."""
    server = Server("127.0.0.1")
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def app(shelf: Server, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-c", ALLOWING.format(port=shelf.port)]
    with running_app(folder, command=command) as url:
        yield url


@pytest.fixture
def pictures(shelf: Server, cat_bytes: bytes) -> Server:
    shelf.answers = {"/cat.jpg": response(cat_bytes)}
    shelf.asked.clear()
    return shelf


def open_address(page: Page, given: str) -> None:
    field = page.get_by_label("Address of a picture")
    field.fill(given)
    field.press("Enter")


def test_the_page_shows_a_picture_by_its_address_and_its_link_brings_it_back(
    pictures: Server, visit: Visits, folder: Path
):
    page = visit()
    open_address(page, at(pictures, "cat.jpg", "127.0.0.1"))
    wait_for_results(page)
    expect(page.locator(".explained", has_text="cat")).to_have_count(3)
    page.locator(".panel .top button", has_text="lynx").first.click()
    expect(page.locator(".explained", has_text="lynx")).to_have_count(3)
    page = visit("?" + page.url.split("?")[1])
    wait_for_results(page)
    expect(page.locator(".explained", has_text="lynx")).to_have_count(3)
    assert str(pictures.port) not in (folder / "app.log").read_text()


def test_an_address_that_failed_can_be_opened_once_more(
    pictures: Server, visit: Visits, cat_bytes: bytes
):
    page = visit()
    open_address(page, at(pictures, "later.jpg", "127.0.0.1"))
    expect(page.get_by_role("alert")).to_contain_text("status 404")
    pictures.answers["/later.jpg"] = response(cat_bytes)
    page.get_by_role("button", name="Open").click()
    wait_for_results(page)


FOCUS = """() => {
    const element = document.activeElement;
    return element === document.body || Boolean(element.closest(".presenting"));
}"""


NO_FULL_SCREEN = """() => {
    Element.prototype.requestFullscreen = () => Promise.reject(new Error());
}"""


def test_in_a_presentation_no_picture_is_fetched(pictures: Server, visit: Visits, app: str):
    given, other = (at(pictures, name, "127.0.0.1") for name in ("cat.jpg", "other.jpg"))
    page = visit()
    open_address(page, given)
    wait_for_all(page)
    field = page.get_by_label("Address of a picture")
    field.fill(other)
    page.get_by_role("button", name="Keys").focus()
    pictures.asked.clear()
    looks: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url == f"{app}explain-stream":
            looks.append(json.loads(request.post_data or ""))

    page.on("request", note)
    # In full screen the browser itself keeps the focus inside; a phone or a frame may have none.
    page.evaluate(NO_FULL_SCREEN)
    page.keyboard.press("p")
    expect(page.locator(".presenting")).to_be_visible()
    for key in ["Tab"] * 30 + ["Shift+Tab"] * 30:
        page.keyboard.press(key)
        assert page.evaluate(FOCUS)
    page.evaluate("document.querySelector('[data-address] input').focus()")
    assert page.evaluate(FOCUS)
    page.evaluate("document.querySelector('[data-address]').requestSubmit()")
    # What is on the page and still kept is shown on.
    page.keyboard.press("2")
    expect(page.locator(".explained strong").first).to_be_visible()
    expect(page.locator(".panel[data-model][data-status=ready] .explained")).to_have_count(3)
    page.wait_for_function("location.search.includes('class=')")
    wait_for_results(page)
    assert [(look["address"], look["may_fetch"]) for look in looks] == [(given, False)]
    assert pictures.asked == []
    # Once it is no longer kept, it is not fetched anew.
    for n in range(4):
        pictures.answers[f"/{n}.jpg"] = response(bytes([n]) * (18 * 2**20))
        asked = {"address": at(pictures, f"{n}.jpg", "127.0.0.1"), "cells": CELLS}
        assert "problem" in requests.post(f"{app}explain-stream", json=asked, timeout=30).text
    pictures.asked.clear()
    page.keyboard.press("3")
    expect(page.get_by_role("alert")).to_contain_text("during a presentation none is fetched")
    assert pictures.asked == []
    page.keyboard.press("Escape")
    expect(page.locator(".presenting")).to_have_count(0)
    open_address(page, given)
    wait_for_results(page)
    assert len(pictures.asked) == 1


def test_the_app_as_it_is_asks_no_server_of_this_machine(pictures: Server, tmp_path: Path):
    with running_app(tmp_path) as url:
        asked = {"address": at(pictures, "cat.jpg", "127.0.0.1"), "cells": CELLS}
        answer = requests.post(f"{url}explain-stream", json=asked, timeout=30).json()
    assert answer == {"problem": UNREACHABLE}
    assert pictures.asked == []
