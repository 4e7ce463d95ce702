"""Reading untrusted pictures in child processes, within bounds on time and memory."""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images import decoder as decode
from gradcam_core.images.read import DAMAGED

READERS = 2
"""Pictures that are decoded at the same time."""

LONGEST = 15.0
"""Seconds after which a picture is given up, however little of a core's time it had."""

TOO_LONG = "The picture takes too long to decode. Save it anew, as JPEG or PNG, and try again."

_PPM_HEADER = 3  # lines
_BAND_BYTES = 8 * 2**20  # of a picture that are held twice

_SETTINGS = {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OPENBLAS_NUM_THREADS": "1",  # each takes memory, and nothing here multiplies
    "MALLOC_MMAP_THRESHOLD_": str(2**20),  # what is freed of a picture is free for the next step
}


class _LostError(Exception):
    """The child process ended before the picture was whole."""


class Reader:
    """A child process that decodes one picture at a time; started again where one has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The child process, in which pictures can be decoded a moment later."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            # -P: a file of the folder that this was started in is not taken for a module.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", decode.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _SETTINGS,
            )
            _widen(self._process.stdout)
        return self._process

    def stop(self) -> int | None:
        """Ends the child process. -> its status, negative for the signal that ended it."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # part of a picture was still to be sent
        return process.wait()

    def read(self, photo: str | os.PathLike[str] | bytes) -> Image.Image:
        """As `read_isolated`."""
        process = self.start()
        assert process.stdin
        assert process.stdout
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            process.kill()

        watch = threading.Timer(LONGEST, give_up)
        watch.daemon = True
        watch.start()
        try:
            _ask(process.stdin, photo)
            answer, is_spent = _answer(process.stdout)
        except (_LostError, OSError, ValueError):
            status = self.stop()
            too_long = is_late.is_set() or status == -getattr(signal, "SIGXCPU", 0)
            answer, is_spent = ImageError(TOO_LONG if too_long else DAMAGED), True
        finally:
            watch.cancel()
        if is_spent:
            self.stop()
            self.start()  # while nobody waits for it
        if isinstance(answer, ImageError):
            raise answer
        return answer


def _widen(pipe: IO[bytes] | None) -> None:
    """So that the two processes need not take turns for every 64 KB of a picture."""
    with suppress(ImportError, AttributeError, OSError):  # Linux has it, up to a bound of its own
        import fcntl

        assert pipe
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, decode.SENT_BYTES)


def _ask(pictures: IO[bytes], photo: str | os.PathLike[str] | bytes) -> None:
    if isinstance(photo, bytes):
        pictures.write(_line(bytes=len(photo)))
        pictures.write(photo)
    else:
        pictures.write(_line(path=os.fspath(photo), folder=os.getcwd()))
    pictures.flush()


def _line(**asked: object) -> bytes:
    return json.dumps(asked).encode() + b"\n"


def _answer(answers: IO[bytes]) -> tuple[Image.Image | ImageError, bool]:
    """The picture, or what is wrong with it; and whether the process should not be asked again."""
    answer = _said(answers)
    if "problem" in answer:
        return ImageError(str(answer["problem"])), _said(answers)["is_spent"]
    width, height = answer["width"], answer["height"]
    for _ in range(_PPM_HEADER):
        answers.readline()
    rows = max(1, _BAND_BYTES // (3 * width))
    bands = (_band(answers, width, min(rows, height - top)) for top in range(0, height, rows))
    if rows >= height:
        picture = next(bands)
    else:
        picture = Image.new("RGB", (width, height), None)
        for number, band in enumerate(bands):
            picture.paste(band, (0, number * rows))
    return picture, _said(answers)["is_spent"]


def _band(answers: IO[bytes], width: int, height: int) -> Image.Image:
    size = 3 * width * height
    rows = answers.read(size)
    if len(rows) < size:
        raise _LostError
    return Image.frombuffer("RGB", (width, height), rows, "raw", "RGB", 0, 1)


def _said(answers: IO[bytes]) -> dict[str, Any]:
    line = answers.readline()
    if not line:
        raise _LostError
    return json.loads(line)


_free: queue.LifoQueue[Reader] = queue.LifoQueue()
for _ in range(READERS):
    _free.put(Reader())


def start_readers() -> None:
    """Start the child processes, so that the first picture need not wait for one."""
    for reader in list(_free.queue):
        reader.start()


def read_isolated(photo: str | os.PathLike[str] | bytes) -> Image.Image:
    """What `read_image` gives for a path or the bytes of a file, decoded in a child process.

    A picture takes at most `decode.MEMORY` and `decode.SECONDS` there, and a decoder that crashes
    ends only that process. Raises ImageError, also where a bound is met.
    """
    reader = _free.get()
    try:
        return reader.read(photo)
    finally:
        _free.put(reader)


@atexit.register
def _stop_readers() -> None:
    while not _free.empty():
        _free.get_nowait().stop()
