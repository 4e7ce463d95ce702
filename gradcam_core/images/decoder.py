"""Decode untrusted pictures: the child process of `reading`, which bounds what a picture may cost.

A process of its own, because a decoder cannot be stopped from outside, and one that crashes takes
its process along. Reads from standard input, for each picture, a line of JSON: {"path": name,
"folder": name}, or {"bytes": count} with so many bytes after it. Answers on standard output with
{"problem": sentence}, or with {"width": pixels, "height": pixels} and then the picture as a PPM,
which Pillow writes in one go from its memory into the pipe; after either with {"is_spent": whether
the process holds so much that the next picture should have a new one}.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import pi_heif
from PIL import AvifImagePlugin, Image, ImageFile

from gradcam_core.errors import ImageError
from gradcam_core.images.read import read_image

MEMORY = 400 * 2**20
"""Bytes that decoding may take. On Linux; elsewhere only the number of pixels is bounded."""

SPENT = 32 * 2**20
"""Bytes that pictures may leave behind, which would be missing for the next ones."""

SECONDS = 3
"""Of a core's time that one picture may take; a machine that is busy may need longer for it."""

SENT_BYTES = 2**20
"""Of a picture that are sent at once."""


def main() -> None:
    pictures, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a decoder prints is no answer
    # As many as there are cores by default, each with memory of its own.
    AvifImagePlugin.DEFAULT_MAX_THREADS = pi_heif.options.DECODE_THREADS = 2
    ImageFile.MAXBLOCK = SENT_BYTES
    used = _used()
    _bound_memory(used)
    while line := pictures.readline():
        asked = json.loads(line)
        _bound_time()
        try:
            if "path" in asked:
                os.chdir(asked["folder"])
                picture = read_image(Path(asked["path"]))
            else:
                picture = read_image(pictures.read(asked["bytes"]))
        except ImageError as error:
            _say(answers, problem=str(error))
        else:
            _send(answers, picture)
            del picture
        _say(answers, is_spent=_used() > used + SPENT)


def _say(answers: IO[bytes], **answer: object) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")


def _send(answers: IO[bytes], picture: Image.Image) -> None:
    _say(answers, width=picture.width, height=picture.height)
    picture.save(answers, "PPM")


def _used() -> int:
    """Bytes of memory that this process may write to; 0 where that cannot be known."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")


def _bound_memory(used: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    # Of all limits this is the one that counts what is written to, not what is only reserved.
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError):  # where memory runs out, this process is the first to go
        Path("/proc/self/oom_score_adj").write_text("1000")


def _bound_time() -> None:
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        last = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (last, most))


if __name__ == "__main__":
    main()
