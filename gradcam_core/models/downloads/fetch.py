"""Fetches weights. The download runs in a child process, which is killed if it hangs."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import requests

from gradcam_core.errors import WeightsError
from gradcam_core.models.downloads import download_process
from gradcam_core.models.downloads.weights import Source
from gradcam_core.system.child_process import start_child

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 2.5
"""Time limit for a server's first answer. It is checked before the Hub's client, which retries, is
started."""

STALL_TIMEOUT_S = 30.0
"""Time limit for a download without progress: a visitor waits this long if a download hangs."""

MIN_BYTES_PER_S = 50_000.0
"""The lowest mean speed over `STALL_TIMEOUT_S`. Slower downloads are given up, too: VGG19 would
take more than three hours."""

OnProgress = Callable[[float], None]


def fetch(
    source: Source,
    on_progress: OnProgress = lambda share: None,
    *,
    force: bool = False,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    min_bytes_per_s: float = MIN_BYTES_PER_S,
) -> Path:
    """Downloads a source's file into its usual cache and returns its path.

    on_progress: called with the share that has arrived, in [0, 1]. force: downloads a cached file
    again. Raises WeightsError: at once if `HF_HUB_OFFLINE` is set, after `answer_timeout_s` if the
    server does not answer, after `stall_timeout_s` if the download stops or is slower than
    `min_bytes_per_s`, and if the file arrives incomplete. The cache then holds no partial file
    that could be mistaken for the whole.
    """
    arguments = source.download_arguments(force)
    if huggingface_hub.is_offline_mode():
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded")
    _check_server(source.url, answer_timeout_s)
    log.info("downloading %s", source.url)
    source.remove_partial()
    pace = _Pace(stall_timeout_s, min_bytes_per_s)
    try:
        _run_download(arguments, on_progress, pace, _host(source.url))
    finally:
        # Repeated even after success: a process killed just before the first call may still have
        # held its lock then.
        source.remove_partial()
    path = source.cached()
    if path is None:
        raise WeightsError("the download left no file")
    return path


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _check_server(url: str, answer_timeout_s: float) -> None:
    """Raises WeightsError unless the server answers in time. The request runs in a thread, because
    looking up a host name has no time limit."""
    host = _host(url)
    answer: Future[int] = Future()

    def request() -> None:
        try:
            response = requests.head(url, timeout=answer_timeout_s, allow_redirects=False)
            answer.set_result(response.status_code)
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=request, daemon=True, name=f"check {host}").start()
    try:
        status = answer.result(timeout=answer_timeout_s)
    except (TimeoutError, requests.Timeout):
        raise WeightsError(f"{host} does not answer") from None
    except requests.exceptions.ProxyError as error:
        log.debug("%s: %s", url, error)
        raise WeightsError(
            f"the proxy in https_proxy or all_proxy gives no connection to {host}"
        ) from None
    except requests.RequestException as error:
        log.debug("%s: %s", url, error)
        raise WeightsError(f"there is no connection to {host}") from None
    if status >= 400 and status not in (405, 501):  # a server may not know HEAD
        raise WeightsError(f"{host} answered with HTTP {status}")


class _Pace:
    """Measures a download's speed: within `stall_timeout_s` it must reach `min_bytes_per_s`."""

    def __init__(self, stall_timeout_s: float, min_bytes_per_s: float) -> None:
        self.stall_timeout_s = stall_timeout_s
        self._min_bytes_per_s = min_bytes_per_s
        self._total: int | None = None
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Starts measuring now and forgets the time before."""
        with self._lock:
            self._samples.clear()
            self._samples.append((time.monotonic(), 0))

    def note(self, done: int, total: int | None) -> None:
        """Records how many bytes have arrived, and the size of the file, if known."""
        with self._lock:
            self._total = total
            self._samples.append((time.monotonic(), done))

    def fault(self) -> str:
        """What is wrong, as a phrase that follows the server's name; "" if nothing is."""
        with self._lock:
            if not self._samples:
                return ""
            begin = time.monotonic() - self.stall_timeout_s
            while len(self._samples) > 1 and self._samples[1][0] <= begin:
                self._samples.popleft()
            (first, before), (_, done) = self._samples[0], self._samples[-1]
        # Once all bytes are there, the file is being hashed, however long the disk takes.
        if (
            first > begin
            or done - before >= self._min_bytes_per_s * self.stall_timeout_s
            or done == self._total
        ):
            return ""
        if done <= before:
            return "stopped sending"
        return f"sends too slowly, less than {self._min_bytes_per_s / 1000:.0f} KB/s"


def _run_download(arguments: list[str], on_progress: OnProgress, pace: _Pace, host: str) -> None:
    command = [*arguments, "--timeout", str(pace.stall_timeout_s)]
    settings = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Xet would fetch from other hosts, by a protocol that is neither watched nor tested here.
        "HF_HUB_DISABLE_XET": "1",
    }
    error, faults = None, list[str]()
    # The child ends itself when its standard input closes, that is, when this process is gone.
    with start_child(download_process.__name__, command, settings, text=True) as process:
        watch = threading.Thread(target=_watch, args=(process, pace, faults), daemon=True)
        watch.start()
        assert process.stdout is not None
        for line in process.stdout:
            try:
                report = json.loads(line)
            except ValueError:
                continue  # something that a library printed
            if not isinstance(report, dict):
                continue
            error = report.get("error", error)
            if "started" in report or "waiting" in report:
                pace.restart()
            if "done" in report:
                pace.note(report["done"], report["total"])
                if report["total"]:
                    on_progress(min(1.0, report["done"] / report["total"]))
        code = process.wait()
        watch.join()
    if error:
        raise WeightsError(error if host in error else f"{host}: {error}")
    if faults:
        raise WeightsError(f"{host} {faults[0]}")
    if code < 0:
        raise WeightsError(f"{host}: the download was stopped from outside")
    if code:
        raise WeightsError(f"{host}: the download ended with {code}")


def _watch(process: subprocess.Popen[str], pace: _Pace, faults: list[str]) -> None:
    """Waits until the download's process ends. Kills it if the download is stalled or too slow, and
    appends the reason to `faults`."""
    interval_s = min(1.0, pace.stall_timeout_s / 4)
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(interval_s)
            return
        if fault := pace.fault():
            faults.append(fault)
            process.kill()
            return
