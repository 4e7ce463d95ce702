"""A fake web for tests: names, servers and their answers.

Nothing leaves this machine: names are resolved here, and connections elsewhere are recorded and
refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from demo.server.remote_pictures import MAX_FETCHES, RemotePictures
from tests.support.forbidden_addresses import NAMES, WEB

Talk = Callable[[socket.socket], None]
Answer = bytes | Talk
"""The bytes to send, or a function that talks over the socket."""


class Network:
    """names: for each name the results of its look-ups, one after the other, the last one for good;
    or a function to call instead. tried: addresses off this machine to which a connection was
    tried."""

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
            given["flags"] |= socket.AI_NUMERICHOST  # no look-up leaves this machine
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


class Server(socketserver.ThreadingTCPServer):
    """Answers each path from `answers`. asked: the requests received. left: the paths whose client
    disconnected before the end of the answer."""

    allow_reuse_address = True
    request_queue_size = 64
    daemon_threads = True

    def __init__(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Talk)
        self.port = self.server_address[1]
        self.tls = tls
        self.forget()

    def forget(self) -> None:
        """Restores the initial state."""
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.left: set[str] = set()


class _Talk(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        left = self.server.left  # kept because `forget` replaces it for the next test
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
                    left.add(path)
            if self.server.tls:
                sock.close()


def response(
    body: bytes = b"", *headers: str, status: str = "200 OK", kind: str | None = "image/jpeg"
) -> bytes:
    """An HTTP response, with a Content-Length unless `headers` specify the length or encoding."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if not any("-Length" in line or "Transfer-" in line for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(target: str, status: int = 302) -> bytes:
    return response(b"", f"Location: {target}", status=f"{status} Moved")


def endless(start: bytes, again: bytes, pause: float = 0.02) -> Talk:
    """A talk that sends `start`, then `again` for a minute or until the client disconnects. pause:
    seconds between."""

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


def fetch(pictures: RemotePictures, address: str, may_fetch: bool = True) -> bytes:
    return asyncio.run(pictures.fetch(address, may_fetch))


def at(server: Server, path: str, host: str = WEB) -> str:
    return f"http://{host}:{server.port}/{path.lstrip('/')}"


def assert_nobody_was_asked(network: Network, *servers: Server) -> None:
    assert network.tried == []
    assert [server.asked for server in servers if server.asked] == []


def assert_threads_are_free(pictures: RemotePictures) -> None:
    """Fails if a thread is still busy: all of them must be available at once."""
    together = threading.Barrier(MAX_FETCHES)
    waits = [pictures.threads.submit(together.wait, 30) for _ in range(MAX_FETCHES)]
    assert len({wait.result() for wait in waits}) == MAX_FETCHES
