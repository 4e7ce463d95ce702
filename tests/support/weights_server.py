"""A small server on 127.0.0.1 that serves weight files as the Hub and a release page do."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0" * 39 + "1"


class Weights(ThreadingHTTPServer):
    """Serves `files` by the end of the path, with a fault.

    fault: "" for none; "404"; "500"; "cut": the connection ends in the middle of the file;
    "corrupt": a byte in the middle is wrong; "hang": no answer at all; "stall": half of the file,
    then silence; "slow": 10 KB a second; "gone": closed without an answer; "babble": not HTTP;
    "page": a web page instead; "login": a redirect to a login page; "noise": as many random bytes;
    "empty": no byte; "swapped": the file `other` with the right file's name and ETag. may_end:
    until it is set, a tenth of a file is sent at once, and the rest barely fast enough not to be
    given up.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Path] = {}
        self.fault = ""
        self.other: Path | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def verify_request(self, request: Any, address: Any) -> bool:
        return self.fault != "gone"


class _Handler(BaseHTTPRequestHandler):
    server: Weights

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None: ...

    def _answer(self, body: bool) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        fault = self.server.fault
        if fault == "hang":
            time.sleep(30)
            return
        if fault == "babble":
            self.wfile.write(random.Random(0).randbytes(2000))
            self.close_connection = True
            return
        if fault == "login" and self.path != "/login":
            self.send_response(302)
            self.send_header("Location", "/login")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault in ("page", "login"):
            self._answer_page(body)
            return
        name = next((name for name in self.server.files if self.path.endswith(name)), None)
        if fault.isdecimal() or name is None:
            self.send_response(int(fault) if fault.isdecimal() else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = self.server.files[name].read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        if fault == "noise":
            data = random.Random(len(data)).randbytes(len(data))
        elif fault == "empty":
            data = b""
        elif fault == "swapped":
            assert self.server.other is not None
            data = self.server.other.read_bytes()
        start = self._start(len(data))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return
        half = len(data) // 2
        if fault == "corrupt":
            data = data[:half] + bytes([data[half] ^ 0xFF]) + data[half + 1 :]
        try:
            if fault in ("cut", "stall"):
                self.wfile.write(data[start:half])
                self.wfile.flush()
                time.sleep(30 if fault == "stall" else 0)
                self.close_connection = True
            elif not self.server.may_end.is_set():
                self._send_until_it_may_end(data)
            else:
                step = 1000 if fault == "slow" else len(data) or 1
                for at in range(start, len(data), step):
                    self.wfile.write(data[at : at + step])
                    time.sleep(0.1 if fault == "slow" else 0)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _send_until_it_may_end(self, data: bytes) -> None:
        sent, more = len(data) // 10, 2**15
        self.wfile.write(data[:sent])
        while not self.server.may_end.wait(0.2):
            self.wfile.write(data[sent : sent + more])
            sent += more
        self.wfile.write(data[sent:])

    def _answer_page(self, body: bool) -> None:
        page = b"<!doctype html><title>Welcome</title><p>Log in to use this network."
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if body:
            self.wfile.write(page)

    def _start(self, size: int) -> int:
        wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]
        return min(int(wanted or 0), size)


@contextmanager
def serving() -> Iterator[Weights]:
    server = Weights()
    # 0.02: seconds between two checks whether to end.
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
