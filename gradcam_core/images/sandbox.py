"""Reads untrusted pictures in child processes, within limits on time and memory.

The process pool is our own, because a general one (`pebble`) does not limit memory, returns
pictures pickled, and imports the program's main module in every child; see docs/decisions.md.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, Any

from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images import decoder_process
from gradcam_core.images.decoded import Brightness, Decoded, Window
from gradcam_core.images.limits import DAMAGED
from gradcam_core.system.child_process import start_child

READER_COUNT = 2
"""How many pictures are decoded at the same time."""

DECODE_TIMEOUT_S = 15.0
"""Time limit for one picture by the clock, however little CPU time it got."""

TOO_LONG = "The picture takes too long to decode. Save it again, as JPEG or PNG, and try once more."

ENDED = (
    "The process that decodes pictures was ended from outside, as when the machine lacks memory. "
    "Try once more."
)

_KILLED = -9  # status of a process that the kernel or a person has killed

_NOT_STARTED = (
    "The process that decodes pictures could not be started ({why}). The machine may lack memory, "
    "or not allow another process."
)

_PPM_HEADER_LINES = 3
_BAND_BYTES = 8 * 2**20  # part of a received picture that is in memory twice

_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",  # each thread takes memory, and decoders multiply no matrices
    "MALLOC_MMAP_THRESHOLD_": str(2**20),  # so that freed memory can be used by the next step
}


log = logging.getLogger(__name__)


class _LostError(Exception):
    """The child process ended before the picture was whole."""


class Reader:
    """A child process that decodes one picture at a time, and is restarted if a picture ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the child process unless it runs; it can decode a moment later. Raises OSError."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._is_ready = False
            self._process = start_child(decoder_process.__name__, (), _SETTINGS)
            _widen(self._process.stdout)
        return self._process

    def stop(self) -> int | None:
        """Ends the child process. -> its exit status, -N if signal N ended it; None if none ran."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            with suppress(BrokenPipeError):  # part of a picture was not sent yet
                pipe.close()
        return process.wait()

    def read(self, photo: str | os.PathLike[str] | bytes) -> Image.Image:
        """`read_isolated` in this child process."""
        return self.read_picture(photo).image

    def read_picture(
        self, photo: str | os.PathLike[str] | bytes, window: Window | None = None
    ) -> Decoded:
        """`read_picture_isolated` in this child process."""
        try:
            process = self.start()
        except OSError as error:
            raise ImageError(_NOT_STARTED.format(why=error.strerror or error)) from error
        assert process.stdin
        assert process.stdout
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            process.kill()

        watch = threading.Timer(DECODE_TIMEOUT_S, give_up)
        watch.daemon = True
        watch.start()
        try:
            self._is_ready = self._is_ready or _next_answer(process.stdout)["is_ready"]
            _send(process.stdin, photo, window)
            answer, is_spent = _receive(process.stdout)
        except (_LostError, OSError, ValueError):
            status = self.stop()
            if not self._is_ready:
                why = "it took too long" if is_late.is_set() else f"it ended with status {status}"
                raise ImageError(_NOT_STARTED.format(why=why)) from None
            too_long = is_late.is_set() or status == -getattr(signal, "SIGXCPU", 0)
            if not too_long:
                _log_crash(status)
            sentence = TOO_LONG if too_long else ENDED if status == _KILLED else DAMAGED
            answer, is_spent = ImageError(sentence), True
        finally:
            watch.cancel()
        if is_spent:
            self.stop()
            with suppress(OSError):  # the next picture reports it
                self.start()  # while nobody waits for it
        if isinstance(answer, ImageError):
            raise answer
        return answer


def _log_crash(status: int | None) -> None:
    """Logs that a decoder has crashed, for whoever runs this. What decoders print is not kept, as
    it may quote the picture."""
    crashes = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP")
    names = {-int(number): name for name in crashes if (number := getattr(signal, name, None))}
    if status in names:
        log.error("A picture has ended the process that decodes it: %s.", names[status])
    elif status and status > 0:
        log.error("A picture has ended the process that decodes it: exit status %s.", status)


def _widen(pipe: IO[bytes] | None) -> None:
    """Enlarges a pipe, so that the processes need not take turns every 64 KB of a picture."""
    with suppress(ImportError, AttributeError, OSError):  # only Linux has it, up to a limit
        import fcntl

        assert pipe
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, decoder_process.PIPE_BYTES)


def _send(
    pictures: IO[bytes], photo: str | os.PathLike[str] | bytes, window: Window | None
) -> None:
    limits = window and (window.low, window.high)
    if isinstance(photo, bytes):
        pictures.write(_line(bytes=len(photo), window=limits))
        pictures.write(photo)
    else:
        pictures.write(_line(path=os.fspath(photo), folder=os.getcwd(), window=limits))
    pictures.flush()


def _line(**request: object) -> bytes:
    return json.dumps(request).encode() + b"\n"


def _receive(answers: IO[bytes]) -> tuple[Decoded | ImageError, bool]:
    """The picture or what is wrong with it, and whether the next picture needs a new process."""
    answer = _next_answer(answers)
    if "fault" in answer:
        log.error("A picture could not be decoded because of a fault: %s", answer["fault"])
    if "problem" in answer:
        return ImageError(str(answer["problem"])), _next_answer(answers)["is_spent"]
    width, height = answer["width"], answer["height"]
    for _ in range(_PPM_HEADER_LINES):
        answers.readline()
    rows = max(1, _BAND_BYTES // (3 * width))
    bands = (_band(answers, width, min(rows, height - top)) for top in range(0, height, rows))
    if rows >= height:
        picture = next(bands)
    else:
        picture = Image.new("RGB", (width, height), None)
        for number, band in enumerate(bands):
            picture.paste(band, (0, number * rows))
    brightness = answer["brightness"] and Brightness(**answer["brightness"])
    decoded = Decoded(picture, tuple(answer["notices"]), brightness)
    return decoded, _next_answer(answers)["is_spent"]


def _band(answers: IO[bytes], width: int, height: int) -> Image.Image:
    size = 3 * width * height
    rows = answers.read(size)
    if len(rows) < size:
        raise _LostError
    return Image.frombuffer("RGB", (width, height), rows, "raw", "RGB", 0, 1)


def _next_answer(answers: IO[bytes]) -> dict[str, Any]:
    line = answers.readline()
    if not line:
        raise _LostError
    return json.loads(line)


class Readers:
    """A pool of readers for any number of threads. Their processes end with this one."""

    def __init__(self, count: int = READER_COUNT) -> None:
        self._all = [Reader() for _ in range(count)]
        self._free: queue.LifoQueue[Reader] = queue.LifoQueue()
        for reader in self._all:
            self._free.put(reader)
        atexit.register(self.stop)

    def start(self) -> None:
        """Starts the child processes, so that the first picture need not wait for one."""
        for reader in self._all:
            reader.start()

    def stop(self) -> None:
        """Ends the child processes, even those that are decoding a picture."""
        for reader in self._all:
            reader.stop()
        atexit.unregister(self.stop)

    def read(self, photo: str | os.PathLike[str] | bytes) -> Image.Image:
        """`read_isolated` in the first child process that is free."""
        return self.read_picture(photo).image

    def read_picture(
        self, photo: str | os.PathLike[str] | bytes, window: Window | None = None
    ) -> Decoded:
        """`read_picture_isolated` in the first child process that is free."""
        reader = self._free.get()
        try:
            return reader.read_picture(photo, window)
        finally:
            self._free.put(reader)


_readers: Readers | None = None
_readers_lock = threading.Lock()


def _shared() -> Readers:
    """The readers of this process, created at the first call."""
    global _readers
    with _readers_lock:
        if _readers is None:
            _readers = Readers()
        return _readers


def start_readers() -> Readers:
    """Starts the readers of this process, so that the first picture need not wait for one."""
    readers = _shared()
    readers.start()
    return readers


def read_isolated(photo: str | os.PathLike[str] | bytes) -> Image.Image:
    """`read_image` for a path or the bytes of a file, decoded in a child process.

    There, a picture may take at most `MEMORY_LIMIT_BYTES` and `CPU_LIMIT_S` of `decoder_process`,
    and a decoder that crashes ends only that process. Raises ImageError, also above a limit.
    """
    return _shared().read_picture(photo).image


def read_picture_isolated(
    photo: str | os.PathLike[str] | bytes, window: Window | None = None
) -> Decoded:
    """`read_picture`, decoded in a child process like `read_isolated`."""
    return _shared().read_picture(photo, window)
