"""A server that is told to stop while work holds it up. That nobody's work is cut off without need,
`tests/demo/test_start.py` sees at the app itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import requests

from tests.support import slow_page
from tests.support.waiting import until


@dataclass(frozen=True)
class Server:
    process: BaseProcess
    log: Path

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def status(self, within_s: float) -> int | None:
        """Its exit status; None if it does not end in time."""
        self.process.join(within_s)
        return self.process.exitcode


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    """A server that has to do with a request."""
    # A process that has imported Gradio once, and is copied for each of them.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([slow_page.__name__])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "app.log"
    process = processes.Process(target=slow_page.run, args=(port, log), daemon=True)
    process.start()
    with ThreadPoolExecutor(1) as visitor:
        # The last line of `launch`: now signals are received.
        until(lambda: log.exists() and "public link" in log.read_text())
        visitor.submit(requests.get, f"http://127.0.0.1:{port}/work")
        until(lambda: "working" in log.read_text())
        yield Server(process, log)
        process.kill()
    assert "Traceback" not in log.read_text()


def test_slow_work_holds_the_end_up_no_longer_than_it_may(slow: Server):
    slow.send(signal.SIGTERM)
    # Not a measure of speed: the work would take longer.
    assert slow.status(15) == 0


def test_a_second_sigterm_ends_it_at_once(slow: Server):
    slow.send(signal.SIGTERM)
    until(lambda: "Stopping" in slow.log.read_text())
    slow.send(signal.SIGTERM)
    assert slow.status(10) == 128 + signal.SIGTERM


def test_ctrl_c_ends_it_at_once_without_a_traceback(slow: Server):
    slow.send(signal.SIGINT)
    assert slow.status(10) == 128 + signal.SIGINT
    assert "Stopping" not in slow.log.read_text()
