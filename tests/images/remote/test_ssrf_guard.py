"""Nobody is asked for a picture but public servers of the web, and none of them for long.

No test connects to anything but loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from demo.server.remote_pictures import RemotePictures
from gradcam_core.errors import ImageError
from gradcam_core.images.remote import fetch as fetching
from gradcam_core.images.remote.ssrf_guard import PORTS, UNREACHABLE, Guard
from tests.support.fake_web import (
    Answer,
    Network,
    Server,
    assert_nobody_was_asked,
    assert_threads_are_free,
    at,
    endless,
    fetch,
    redirect,
    response,
    serving,
)
from tests.support.forbidden_addresses import FORBIDDEN, OTHER_SCHEMES, PUBLIC, WEB
from tests.support.waiting import until

# Who is asked


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_neither_this_machine_nor_its_neighbours_are_asked(
    remote: RemotePictures, forbidden: str, web: Server, inside: list[Server], network: Network
):
    remote.guard = Guard(frozenset({web.port, 80, 443}))
    with pytest.raises(ImageError) as error:
        fetch(remote, forbidden.format(port=web.port))
    assert str(error.value) == UNREACHABLE
    assert_nobody_was_asked(network, web, *inside)
    assert network.connected == []


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_no_redirect_leads_there_either(
    remote: RemotePictures, forbidden: str, web: Server, inside: list[Server], network: Network
):
    target = forbidden.format(port=web.port)
    location = f"Location: {target}".encode()
    web.answers["/moved.jpg"] = redirect("{}").replace(b"Location: {}", location)
    with pytest.raises(ImageError):
        fetch(remote, at(web, "moved.jpg"))
    assert web.asked[0].startswith("GET /moved.jpg ")
    assert_nobody_was_asked(network, *inside)
    assert {host for host, _ in network.connected} == {WEB}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/a.jpg", "//10.0.0.1/a.jpg",
                                    "http://inner.example/a.jpg",
                                    "http://public.example:6379/a.jpg"])  # fmt: skip
def test_no_kind_of_redirect_leads_there_nor_to_another_port(
    remote: RemotePictures,
    status: int,
    target: str,
    web: Server,
    inside: list[Server],
    network: Network,
):
    web.answers["/1.jpg"] = redirect("/2.jpg", status)
    web.answers["/2.jpg"] = redirect(target.format(port=web.port), status)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "1.jpg"))
    assert len(web.asked) == 2
    assert_nobody_was_asked(network, *inside)


@pytest.mark.parametrize("given", OTHER_SCHEMES)
def test_no_other_scheme_is_spoken(
    remote: RemotePictures, given: str, web: Server, inside: list[Server], network: Network
):
    given = given.format(port=web.port)
    with pytest.raises(ImageError, match="starts with https://"):
        fetch(remote, given)
    assert_nobody_was_asked(network, web, *inside)
    web.answers["/moved.jpg"] = redirect(given)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "moved.jpg"))
    assert_nobody_was_asked(network, *inside)
    assert len(web.asked) == 1


@pytest.mark.parametrize("given", ["http://", "https://?", "http://[::1", "http://a.example:x/",
                                   "http://a.example:99999/", "http://.../", "http://a..b/",
                                   "http://" + "a" * 300 + ".example/"])  # fmt: skip
def test_what_is_no_address_at_all_gets_a_sentence(
    remote: RemotePictures, given: str, network: Network
):
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, given)
    assert_nobody_was_asked(network)


def test_only_the_ports_of_the_web_are_asked(remote: RemotePictures, network: Network):
    for port in (*range(79), 81, 442, 444, 3306, 5432, 6379, 7860, 8000, 8080, 9200, 65535):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(remote, f"http://public.example:{port}/a.jpg")
    assert network.looked_up == []
    for given in ("http://public.example/", "https://public.example/",
                  "http://public.example:443/", "https://public.example:80/"):  # fmt: skip
        with pytest.raises(ImageError):
            fetch(remote, given)
    assert network.tried == [(PUBLIC, 80), (PUBLIC, 443), (PUBLIC, 443), (PUBLIC, 80)]
    assert set(PORTS) == {80, 443}
    assert RemotePictures().guard == Guard()


def test_a_name_that_changes_after_the_check_changes_nothing(
    remote: RemotePictures, web: Server, inside: list[Server], network: Network, cat_bytes: bytes
):
    network.names["turning.example"] = [[WEB], ["127.0.0.1"]]
    assert fetch(remote, at(web, "cat.jpg", "turning.example")) == cat_bytes
    assert network.looked_up == ["turning.example"]
    assert network.connected == [(WEB, web.port)]
    assert_nobody_was_asked(network, *inside)


def test_a_name_that_changes_between_two_steps_of_a_redirect_is_checked_again(
    remote: RemotePictures, web: Server, inside: list[Server], network: Network
):
    for there in ("127.0.0.1", "10.0.0.5", "::1"):
        network.names["turning.example"] = [[WEB], [there]]
        web.answers["/moved.jpg"] = redirect(at(web, "a.jpg", "turning.example"))
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(remote, at(web, "moved.jpg", "turning.example"))
    assert network.looked_up == ["turning.example"] * 6
    assert {host for host, _ in network.connected} == {WEB}
    assert_nobody_was_asked(network, *inside)


def test_of_several_addresses_only_the_one_that_was_checked_is_connected_to(
    remote: RemotePictures, inside: list[Server], network: Network
):
    network.names["both.example"] = [[PUBLIC, "127.0.0.1", "10.0.0.5", "::1"]]
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, "http://both.example/a.jpg")
    assert network.tried == [(PUBLIC, 80)]
    assert network.connected == []


def test_an_address_is_looked_at_once_more_when_it_is_connected_to(
    remote: RemotePictures,
    web: Server,
    inside: list[Server],
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
):
    """Should the library's check fail one day, ours is there."""
    from requests_hardened import ip_filter_adapter

    def trusting(host: str, port: int, *, allow_loopback: bool) -> str:
        ip = network.getaddrinfo(host, port)[0][4][0]
        return f"[{ip}]" if ":" in ip else ip

    monkeypatch.setattr(ip_filter_adapter, "filter_host", trusting)
    for given in FORBIDDEN:
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(remote, given.format(port=web.port))
    assert_nobody_was_asked(network, web, *inside)
    assert network.connected == []


def test_what_is_refused_and_what_fails_are_told_alike(remote: RemotePictures, network: Network):
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
            fetch(remote, given)
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


# How long a server may take


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


def test_servers_that_drip_are_left_when_the_time_is_over(
    remote: RemotePictures, web: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.6)
    web.answers |= {f"/{name.replace(' ', '_')}": drip for name, drip in DRIPS.items()}

    async def all_at_once() -> list[bytes | BaseException]:
        fetching = (remote.fetch(at(web, path)) for path in web.answers if path != "/cat.jpg")
        return await asyncio.gather(*fetching, return_exceptions=True)

    for came in asyncio.run(all_at_once()):
        assert isinstance(came, ImageError)
        assert "did not arrive within" in str(came)
    # Nothing that is sent in silence meets a closed connection.
    until(lambda: web.left == web.answers.keys() - {"/cat.jpg", "/silence"})
    assert_threads_are_free(remote)


def test_a_chain_of_redirects_has_the_same_time(
    remote: RemotePictures, web: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.6)
    monkeypatch.setattr(fetching, "MAX_REDIRECTS", 10_000)

    def onwards(sock: socket.socket) -> None:
        time.sleep(0.05)
        sock.sendall(redirect("/on.jpg"))

    web.answers["/on.jpg"] = onwards
    with pytest.raises(ImageError, match="did not arrive within"):
        fetch(remote, at(web, "on.jpg"))
    assert_threads_are_free(remote)


def test_a_server_that_does_not_take_the_connection_is_left(
    remote: RemotePictures, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.6)
    with socket.create_server((WEB, 0), backlog=0) as deaf, contextlib.ExitStack() as stack:
        port = deaf.getsockname()[1]
        for _ in range(3):  # they fill the queue, and nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((WEB, port))
        remote.guard = Guard(frozenset({port}), frozenset({WEB}))
        with pytest.raises(ImageError):
            fetch(remote, f"http://{WEB}:{port}/a.jpg")
        assert_threads_are_free(remote)


# What a server may send besides the picture


def test_what_a_redirect_has_for_a_body_is_not_read(
    remote: RemotePictures, web: Server, cat_bytes: bytes
):
    """However much of it there is: `requests` would have read it, and unpacked it."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /cat.jpg\r\nContent-Encoding: gzip\r\n\r\n"
    web.answers["/moved.jpg"] = endless(head, gzip.compress(bytes(2**20)))
    assert fetch(remote, at(web, "moved.jpg")) == cat_bytes
    until(lambda: web.left)


ODD: dict[str, Answer] = {
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
def test_answers_that_are_not_well_formed_are_given_up(
    remote: RemotePictures, name: str, web: Server
):
    web.answers["/odd.jpg"] = ODD[name]
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "odd.jpg"))
    if callable(ODD[name]):
        until(lambda: web.left)


def test_headers_are_read_up_to_a_bound_of_all_of_them(remote: RemotePictures, web: Server):
    lines = [f"X-{n}: {'y' * 2000}" for n in range(60)]  # each one and their number are allowed
    web.answers["/odd.jpg"] = response(b"picture", *lines)
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "odd.jpg"))
    web.answers["/even.jpg"] = response(b"picture", *lines[:20])
    assert fetch(remote, at(web, "even.jpg")) == b"picture"


# TLS


@pytest.fixture
def secure(
    remote: RemotePictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cat_bytes: bytes
) -> Iterator[Server]:
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
    remote: RemotePictures, secure: Server, network: Network, cat_bytes: bytes
):
    network.names["other.example"] = [[WEB]]
    assert fetch(remote, f"https://pictures.example:{secure.port}/cat.jpg") == cat_bytes
    for name in ("other.example", WEB):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(remote, f"https://{name}:{secure.port}/cat.jpg")
    assert len(secure.asked) == 1


def test_what_drips_by_tls_is_left_too(
    remote: RemotePictures, secure: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 1.0)
    secure.answers["/slow.jpg"] = DRIPS["headers"]
    with pytest.raises(ImageError, match="did not arrive within"):
        fetch(remote, f"https://pictures.example:{secure.port}/slow.jpg")
    until(lambda: secure.left)


def test_a_handshake_that_drips_is_left(
    remote: RemotePictures, network: Network, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.6)
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
            fetch(remote, f"https://pictures.example:{port}/a.jpg")
        assert left.wait(30)
        server.shutdown()
    assert_threads_are_free(remote)
