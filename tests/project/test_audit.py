"""Known vulnerabilities of what the app runs on fail `make test`, if anybody can tell."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest
from packaging.version import Version

from scripts.audit import installed, main, requirements
from tests.support.app_server import ROOT


class Database(ThreadingHTTPServer):
    """Stands in for OSV. known: of a package's name, its advisories; fault: a status to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.known: dict[str, list[dict]] = {}
        self.asked: dict[str, str] = {}
        self.fault = 0
        self.faulty_from = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/query"


class _Answers(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = question["package"]["name"]
        self.server.asked[name] = question["version"]
        is_faulty = self.server.fault and len(self.server.asked) > self.server.faulty_from
        known = self.server.known.get(name)
        body = json.dumps({"vulns": known} if known else {}).encode()
        self.send_response(self.server.fault if is_faulty else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def advisory(name: str, identifier: str, *fixed: str) -> dict:
    events = [{"introduced": "0"}, *({"fixed": one} for one in fixed)]
    package = {"name": name, "ecosystem": "PyPI"}
    return {
        "id": identifier,
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Audit = Callable[[str], Done]


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """What is installed, which takes a third of a second to find."""
    return dict(installed(requirements()))


@pytest.fixture
def audited_here(
    found: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Audit:
    """As `audited`, in this process and of few packages."""
    few = {name: found[name] for name in (*list(found)[:12], "pillow", "starlette")}
    monkeypatch.setattr("scripts.audit.installed", lambda _: few.items())

    def audited_by(url: str) -> Done:
        monkeypatch.setattr("scripts.audit.DATABASE", url)
        return Done(main(), *capsys.readouterr())

    return audited_by


def audited(url: str) -> subprocess.CompletedProcess:
    """The program as `make test` starts it."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.audit"],
        cwd=ROOT,
        env=os.environ | {"OSV_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_all_that_the_requirements_bring_along_is_asked_for_as_it_is_installed(
    database: Database, found: dict[str, str]
):
    done = audited(database.url)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"No known vulnerabilities in \d+ packages\.\n", done.stdout)
    assert {requirement.name.lower().replace("_", "-") for requirement in requirements()} <= (
        database.asked.keys()
    )
    # What these need in turn, with the extra of gradio[mcp], and without what only tests need.
    assert {"starlette", "fastapi", "urllib3", "mcp"} <= database.asked.keys()
    assert not {"pytest", "playwright", "grad-cam", "ruff"} & database.asked.keys()
    assert database.asked["starlette"] == version("starlette")
    assert database.asked["torch"] == Version(version("torch")).public
    assert len(found) == len(database.asked.keys() | {"pip"}) - 1


def test_a_known_vulnerability_fails_and_says_which_and_where_it_is_fixed(
    database: Database, audited_here: Audit
):
    database.known["pillow"] = [advisory("pillow", "GHSA-aaaa-bbbb-cccc", "99.1")]
    database.known["starlette"] = [advisory("starlette", "PYSEC-2026-1")]
    done = audited_here(database.url)
    assert done.returncode == 1
    assert sorted(done.stderr.splitlines()) == [
        f"pillow {version('pillow')}: GHSA-aaaa-bbbb-cccc, fixed in 99.1",
        f"starlette {version('starlette')}: PYSEC-2026-1, not fixed yet",
    ]


def test_where_no_database_answers_one_line_says_so(database: Database, audited_here: Audit):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        done = audited_here(nobody)
    assert done.returncode == 0
    assert re.fullmatch(
        r"Not audited for known vulnerabilities: 127\.0\.0\.1:\d+ is not there\.\n", done.stdout
    )
    database.fault = 403
    done = audited_here(database.url)
    assert done.returncode == 0
    assert done.stdout.endswith(" answers with 403.\n")
    assert database.asked.keys() == {"pip"}
    database.fault, database.faulty_from = 503, 10
    done = audited_here(database.url)
    assert done.returncode == 0
    assert done.stdout.endswith(" stopped answering.\n")
    assert "Traceback" not in done.stderr


def test_make_test_audits():
    makefile = (ROOT / "Makefile").read_text()
    recipes = dict(re.findall(r"^(\w+):.*\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    assert re.search(r"\$\(MAKE\) .*\baudit tests;", recipes["test"])
    assert recipes["audit"].rstrip().endswith("&& $(BIN)/python -m scripts.audit")
