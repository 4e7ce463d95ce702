"""Pictures by their address: what is fetched, what is kept, and what nobody learns.

No test connects to anything but loopback.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo.compute.photo import PhotoFile
from demo.compute.service import start
from demo.logs import RedactedRecord
from demo.server import remote_pictures
from demo.server.remote_pictures import (
    KEPT_BYTES,
    KEPT_S,
    MAX_FETCHES,
    RemotePictures,
)
from demo.server.requests import PageRequest
from demo.server.routes import routes
from demo.settings import Settings
from demo.ui.layout import build
from gradcam_core.errors import ImageError
from gradcam_core.images.remote import fetch as fetching
from gradcam_core.images.remote.fetch import MAX_BYTES, MAX_REDIRECTS, OFF
from gradcam_core.images.remote.ssrf_guard import THREAD_NAME_PREFIX, UNREACHABLE, Guard
from tests.support.app_server import Started
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
from tests.support.forbidden_addresses import WEB
from tests.support.stream import explain_stream, map_requests
from tests.support.waiting import until

# Where it is


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_where_one_may_go_is_followed(
    remote: RemotePictures, status: int, web: Server, cat_bytes: bytes
):
    web.answers["/moved.jpg"] = redirect(at(web, "cat.jpg", "pictures.example"), status)
    web.answers["/near.jpg"] = redirect("moved.jpg", status)
    assert fetch(remote, at(web, "near.jpg")) == cat_bytes


def test_a_chain_of_redirects_has_an_end(remote: RemotePictures, web: Server):
    web.answers["/on.jpg"] = redirect("/on.jpg")
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "on.jpg"))
    assert len(web.asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("given", ["", "cat.jpg", "//a.example/", "https://" + "a" * 3000])
def test_what_is_no_address_of_the_web_gets_a_sentence(
    remote: RemotePictures, given: str, network: Network
):
    with pytest.raises(ImageError, match="starts with https://"):
        fetch(remote, given)
    assert network.looked_up == []


# What may come


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(gzip.compress(bytes(30 * 2**20)))


@pytest.mark.parametrize("packed", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip",
                                    "identity, gzip", "GZIP", "compress"])  # fmt: skip
def test_nothing_packed_is_unpacked(remote: RemotePictures, packed: str, web: Server, bomb: bytes):
    web.answers["/bomb.jpg"] = response(bomb, f"Content-Encoding: {packed}")
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "bomb.jpg"))
    assert "\r\naccept-encoding: identity\r\n" in web.asked[0].lower()
    web.answers["/moved.jpg"] = response(
        bomb, f"Content-Encoding: {packed}", "Location: /bomb.jpg", status="302 Found"
    )
    with pytest.raises(ImageError, match=UNREACHABLE):
        fetch(remote, at(web, "moved.jpg"))


MEGABYTE = bytes(2**20)
TOO_LARGE: dict[str, Answer] = {
    "length": response(b"", f"Content-Length: {MAX_BYTES + 1}"),
    "a byte too many": response(bytes(MAX_BYTES + 1), "X-Length: none"),
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
def test_at_most_20_megabytes_are_taken(remote: RemotePictures, name: str, web: Server):
    web.answers["/large.jpg"] = TOO_LARGE[name]
    with pytest.raises(ImageError, match="larger than 20 MB"):
        fetch(remote, at(web, "large.jpg"))


def test_20_megabytes_are_taken(remote: RemotePictures, web: Server):
    for n, name in enumerate(("Content-Length: 20971520", "X-Length: none")):
        web.answers[f"/{n}.jpg"] = response(bytes(MAX_BYTES), name)
        assert fetch(remote, at(web, f"{n}.jpg")) == bytes(MAX_BYTES)


def test_a_length_that_is_not_true_does_no_harm(remote: RemotePictures, web: Server):
    web.answers["/short.jpg"] = response(b"0123456789", "Content-Length: 4")
    assert fetch(remote, at(web, "short.jpg")) == b"0123"
    web.answers["/cut.jpg"] = response(b"0123456789", "Content-Length: 400")
    web.answers["/two.jpg"] = response(b"0123456789", "Content-Length: 4", "Content-Length: 10")
    for name in ("cut.jpg", "two.jpg"):
        with pytest.raises(ImageError, match=UNREACHABLE):
            fetch(remote, at(web, name))


@pytest.mark.parametrize("kind", ["image/jpeg", "image/webp; q=1", "IMAGE/PNG", "image/x-odd", None,
                                  "application/octet-stream", "binary/octet-stream"])  # fmt: skip
def test_what_may_be_a_picture_is_taken(
    remote: RemotePictures, kind: str | None, web: Server, cat_bytes: bytes
):
    web.answers["/a"] = response(cat_bytes, kind=kind)
    assert fetch(remote, at(web, "a")) == cat_bytes


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain; charset=utf-8",
                                  "application/pdf", "video/mp4", "", "imagery"])  # fmt: skip
def test_what_is_no_picture_is_not_taken(remote: RemotePictures, kind: str, web: Server):
    web.answers["/a"] = endless(response(b"", "X-Length: none", kind=kind), b"secret")
    with pytest.raises(ImageError, match="There is no picture at this address"):
        fetch(remote, at(web, "a"))
    until(lambda: web.left)


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 418, 500, 503])
def test_any_other_status_is_told(remote: RemotePictures, status: int, web: Server):
    web.answers["/a"] = response(b"picture", status=f"{status} Odd")
    with pytest.raises(ImageError, match=f"answers with status {status}"):
        fetch(remote, at(web, "a"))


# Many at once


def test_a_silent_name_server_keeps_a_visitor_no_longer_and_the_others_not_at_all(
    remote: RemotePictures,
    web: Server,
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
    cat_bytes: bytes,
):
    """Forty look-ups hang at once. Everything that needs no address goes on, the number of threads
    stays within its bound, and once the system gives the look-ups up, addresses work again."""
    speaks = threading.Event()

    def hang() -> list:
        assert speaks.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    start()
    network.names |= {f"{n}.silent.example": hang for n in range(40)}
    monkeypatch.setattr(fetching, "TIMEOUT_S", 2.0)

    async def visits() -> None:
        hanging = [
            asyncio.create_task(remote.fetch(f"http://{n}.silent.example/a.jpg")) for n in range(40)
        ]
        while len(network.looked_up) < MAX_FETCHES:
            assert not hanging[0].done(), "the machine was too busy to look all of them up"
            await asyncio.sleep(0.01)
        asked = PageRequest.model_validate({"example": "1_cat", "maps": map_requests("resnet50")})
        photos = await asyncio.gather(*(asked.open(remote) for _ in range(20)))
        assert all(isinstance(photo, PhotoFile) for photo in photos)
        assert not any(one.done() for one in hanging[:MAX_FETCHES])
        for one in hanging:
            with pytest.raises(ImageError, match="did not arrive within"):
                await one

    try:
        asyncio.run(visits())
        named = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith(THREAD_NAME_PREFIX) for name in named) <= MAX_FETCHES
        assert not speaks.is_set()
    finally:
        speaks.set()
    monkeypatch.setattr(fetching, "TIMEOUT_S", 10.0)
    assert fetch(remote, at(web, "cat.jpg")) == cat_bytes
    assert_threads_are_free(remote)
    assert len(network.looked_up) == MAX_FETCHES  # whoever had gone was not looked up


def test_whoever_comes_when_all_threads_wait_is_served_after_them(
    remote: RemotePictures, web: Server, monkeypatch: pytest.MonkeyPatch, cat_bytes: bytes
):
    async def visits() -> bytes:
        monkeypatch.setattr(fetching, "TIMEOUT_S", 2.0)
        for n in range(MAX_FETCHES):
            web.answers[f"/{n}.jpg"] = endless(response(b"", "Content-Length: 1000000"), b"x")
        slow = [asyncio.create_task(remote.fetch(at(web, f"{n}.jpg"))) for n in range(MAX_FETCHES)]
        while len(web.asked) < MAX_FETCHES:
            assert not slow[0].done(), "the machine was too busy to ask for all of them"
            await asyncio.sleep(0.01)
        monkeypatch.setattr(fetching, "TIMEOUT_S", 20.0)
        served = await remote.fetch(at(web, "cat.jpg"))
        await asyncio.gather(*slow, return_exceptions=True)
        return served

    assert asyncio.run(visits()) == cat_bytes


def test_who_asks_for_the_same_at_once_shares_one_fetch(
    remote: RemotePictures, web: Server, cat_bytes: bytes
):
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


# What is kept


def test_a_picture_is_fetched_once_and_kept(remote: RemotePictures, web: Server, cat_bytes: bytes):
    for _ in range(2):
        assert fetch(remote, at(web, "cat.jpg")) == cat_bytes
    assert len(web.asked) == 1


def test_what_failed_is_tried_anew(remote: RemotePictures, web: Server, cat_bytes: bytes):
    with pytest.raises(ImageError):
        fetch(remote, at(web, "soon.jpg"))
    web.answers["/soon.jpg"] = response(cat_bytes)
    assert fetch(remote, at(web, "soon.jpg")) == cat_bytes


def is_kept(remote: RemotePictures, given: str) -> bool:
    try:
        fetch(remote, given, may_fetch=False)
    except ImageError:
        return False
    return True


def test_so_much_is_kept_and_so_long():
    assert KEPT_BYTES == 64 * 2**20
    assert KEPT_S == 600


def test_what_is_too_much_is_not_kept(web: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_pictures, "KEPT_BYTES", 64)
    remote = RemotePictures()
    remote.guard = Guard(frozenset({web.port}), frozenset({WEB}))
    for n in range(5):
        web.answers[f"/{n}.jpg"] = response(bytes([n]) * 18)
        fetch(remote, at(web, f"{n}.jpg"))
    kept = [n for n in range(5) if is_kept(remote, at(web, f"{n}.jpg"))]
    assert kept == [2, 3, 4]
    fetch(remote, at(web, "4.jpg"))
    assert len(web.asked) == 5
    fetch(remote, at(web, "0.jpg"))
    assert len(web.asked) == 6


def test_nothing_is_kept_for_longer_than_its_time(web: Server):
    remote = RemotePictures(kept_s=0.05)
    remote.guard = Guard(frozenset({web.port}), frozenset({WEB}))
    fetch(remote, at(web, "cat.jpg"))
    until(lambda: not is_kept(remote, at(web, "cat.jpg")))
    fetch(remote, at(web, "cat.jpg"))
    assert len(web.asked) == 2


def test_where_nothing_may_be_fetched_only_what_is_kept_is_given(
    remote: RemotePictures, web: Server, network: Network, cat_bytes: bytes
):
    given = at(web, "cat.jpg", "pictures.example")
    with pytest.raises(ImageError, match="no picture is fetched during a presentation"):
        fetch(remote, given, may_fetch=False)
    assert network.looked_up == []
    assert_nobody_was_asked(network, web)
    fetch(remote, given)
    assert fetch(remote, given, may_fetch=False) == cat_bytes
    assert len(web.asked) == 1


@pytest.mark.parametrize("value", ['"false"', "0", "null"])
def test_whether_it_may_be_fetched_is_said_without_doubt(value: str):
    request = '{"maps": [{"id": "a", "model": "resnet50"}], "may_fetch": %s}'
    assert not PageRequest.model_validate_json(request % "false").may_fetch
    with pytest.raises(ValidationError, match="may_fetch"):
        PageRequest.model_validate_json(request % value)


# What is told to nobody


@pytest.fixture
def discreet_log() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(RedactedRecord)
    yield
    logging.setLogRecordFactory(before)


def test_nothing_of_an_address_is_logged(
    remote: RemotePictures,
    web: Server,
    network: Network,
    caplog: pytest.LogCaptureFixture,
    discreet_log: None,
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
                fetch(remote, one)
            except ImageError as error:
                told += "".join(traceback.format_exception(error))

        class Broken(Guard):
            def session(self, allowance: Any) -> Any:
                raise RuntimeError(f"at {given[0]}")

        remote.guard = Broken()
        with pytest.raises(ImageError, match=UNREACHABLE) as refused:
            fetch(remote, at(web, f"new?{secret}"))
    told += "".join(traceback.format_exception(refused.value))
    assert secret not in told
    assert secret not in caplog.text
    assert WEB not in caplog.text
    assert "RuntimeError" in caplog.text  # a fault of ours is
    assert "in session" in caplog.text


# Switched off


def test_switched_off_the_server_fetches_nothing_and_the_page_does_not_ask(
    remote: RemotePictures, web: Server, network: Network
):
    given = at(web, "cat.jpg", "pictures.example")
    asked = {"address": given, "maps": map_requests("resnet50")}
    fetch(remote, given)  # what was kept before is not given either
    web.asked.clear()
    network.looked_up.clear()
    remote.is_on = False
    with TestClient(Starlette(routes=routes(remote))) as client:
        for request in (asked, {**asked, "may_fetch": False}):
            answer = client.post("/explain-stream", json=request)
            assert json.loads(answer.text) == {"problem": OFF}
        answer = client.post("/download", json={**asked, "file": "everything.zip"})
        assert answer.json() == {"problem": OFF}
    assert network.looked_up == []
    assert_nobody_was_asked(network, web)


@pytest.mark.parametrize("is_on", [True, False])
def test_the_page_has_a_form_for_it_only_where_it_is_on(is_on: bool):
    config = json.dumps(build(settings=Settings(has_addresses=is_on)).get_config_file())
    assert ("data-address" in config) is is_on


def test_the_app_as_it_is_asks_no_server_of_this_machine(shared_app: Started):
    server = Server("127.0.0.1")
    with serving(server):
        asked = {"address": at(server, "cat.jpg", "127.0.0.1"), "maps": map_requests("resnet50")}
        answers = explain_stream(shared_app.url, asked)
    assert answers == [{"problem": UNREACHABLE}]
    assert server.asked == []
