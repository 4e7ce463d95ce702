"""Decodes untrusted pictures within limits on time and memory: the child process of `sandbox`.

Decoding has a process of its own, because a decoder cannot be stopped from outside, and one that
crashes takes its process along. The process writes {"is_ready": true} once it has started. For each
picture, it reads a line of JSON from standard input: {"path": name, "folder": name}, or {"bytes":
count} followed by so many bytes; both have "window": null or [low, high]. It answers on standard
output with {"problem": sentence}, or with {"width": pixels, "height": pixels, "notices": sentences,
"brightness": its fields or null} followed by the picture as a PPM, which Pillow writes from its
memory into the pipe in one go. Either is followed by {"is_spent": whether the process holds so much
memory that the next picture should have a new one}. For a bug, the problem comes with "fault":
where in the code it was raised.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from gradcam_core.errors import ImageError
from gradcam_core.images.limits import DAMAGED, NO_MEMORY
from gradcam_core.images.read import read_picture
from gradcam_core.upstream import limit_decoders

MEMORY_LIMIT_BYTES = 400 * 2**20
"""Memory limit for one decode, on Linux; elsewhere only the number of pixels is bounded."""

LEFTOVER_LIMIT_BYTES = 32 * 2**20
"""Memory that decoded pictures may leave in use, which the next picture then lacks."""

CPU_LIMIT_S = 3
"""CPU time limit for one picture; on a busy machine, it takes longer by the clock."""

PIPE_BYTES = 2**20
"""Size of the pipe, and so of the part of a picture that is sent at once."""

_THREADS = 2  # decoders would start one per core, each with memory of its own


def main() -> None:
    pictures, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # keeps what decoders print out of the answers
    limit_decoders(_THREADS, PIPE_BYTES)
    used = _used()
    _bound_memory(used)
    _answer(answers, is_ready=True)
    while line := pictures.readline():
        request = json.loads(line)
        _bound_time()
        try:
            if "path" in request:
                os.chdir(request["folder"])
                decoded = read_picture(request["path"], request["window"])
            else:
                decoded = read_picture(pictures.read(request["bytes"]), request["window"])
        except ImageError as error:
            _answer(answers, problem=str(error))
        except MemoryError:
            _answer(answers, problem=NO_MEMORY)
        except Exception as error:  # a bug
            _answer(answers, problem=DAMAGED, fault=_places(error))
        else:
            width, height = decoded.image.size
            brightness = decoded.brightness and asdict(decoded.brightness)
            notices = decoded.notices
            _answer(answers, width=width, height=height, notices=notices, brightness=brightness)
            decoded.image.save(answers, "PPM")
            del decoded
        _answer(answers, is_spent=_used() > used + LEFTOVER_LIMIT_BYTES)


def _places(error: Exception) -> str:
    """Where in the code an error was raised, without its message, which may quote the picture."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}, raised at\n{frames}".rstrip()


def _answer(answers: IO[bytes], **answer: object) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")


def _used() -> int:
    """Bytes of memory that this process may write to; 0 where that is unknown."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")


def _bound_memory(used: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    limit = _at_most(resource.RLIMIT_DATA, used + MEMORY_LIMIT_BYTES)
    # Unlike other limits, this one counts memory that is written to, not what is only reserved.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError):  # if memory runs out, the kernel ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000")


def _at_most(kind: int, limit: int) -> int:
    """`limit`, or the hard limit that this process was started with, if that is lower."""
    import resource

    _, most = resource.getrlimit(kind)
    return limit if most == resource.RLIM_INFINITY else min(limit, most)


def _bound_time() -> None:
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        end = int(used.ru_utime + used.ru_stime) + 1 + CPU_LIMIT_S
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (_at_most(resource.RLIMIT_CPU, end), most))


if __name__ == "__main__":
    main()
