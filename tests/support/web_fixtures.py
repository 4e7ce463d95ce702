"""Fixtures: a fake web, from which tests fetch pictures."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from demo.server.remote_pictures import RemotePictures
from gradcam_core.images.remote.ssrf_guard import Guard
from tests.support.fake_web import Network, Server, response, serving
from tests.support.forbidden_addresses import WEB


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """A fake network in place of the machine's own."""
    made = Network()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda sock, to: made.connect(sock, to))
    return made


@pytest.fixture
def remote(network: Network) -> Iterator[RemotePictures]:
    """Remote pictures, none of them fetched yet."""
    made = RemotePictures()
    yield made
    made.threads.shutdown(wait=False, cancel_futures=True)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """A server that stands for one on the web, and three on this machine at the same port."""
    web = Server(WEB)
    made = [web, *(Server(host, web.port) for host in ("127.0.0.1", "127.0.0.2", "::1"))]
    with serving(*made):
        yield made


@pytest.fixture
def web(servers: list[Server], remote: RemotePictures, cat_bytes: bytes) -> Server:
    """A server that stands for one on the web."""
    for server in servers:
        server.forget()
    web = servers[0]
    web.answers["/cat.jpg"] = response(cat_bytes)
    remote.guard = Guard(frozenset({web.port, 80}), frozenset({WEB}))
    return web


@pytest.fixture
def inside(servers: list[Server]) -> list[Server]:
    """The servers on this machine that must not be contacted, at the same port as `web`."""
    return servers[1:]
