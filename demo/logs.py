"""What the log says of an error: where it happened, and nothing that a visitor gave.

The message of an exception, a warning or a library may hold the name of a visitor's file, an
address or part of a request. So the log has the exception's type and the places in the code. Only
loggers that speak of the server itself keep their messages.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, TextIO

log = logging.getLogger(__name__)

_IN_WORDS = {"__main__", "demo", "gradcam_core", "huggingface_hub", "timm", "uvicorn"}
"""Loggers whose messages are about the server and the networks' weights, not about visitors."""

_MAX_FRAMES = 5  # the innermost ones, of a traceback in one line


def keep_visitors_out_of_the_log() -> None:
    """For all of this process, whoever logs: its own modules, Gradio, uvicorn, any library."""
    logging.setLogRecordFactory(RedactedRecord)
    logging.raiseExceptions = False  # a line that cannot be written would be printed as it was
    warnings.showwarning = _show_warning
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable
    # Gradio does not log what goes wrong with a request but prints it, message and all.
    traceback.print_exc = _print_exc


def in_one_line(error: BaseException) -> str:
    """The exception's type and the innermost places it passed, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = (f"{frame.name} ({_short(frame.filename)}:{frame.lineno})" for frame in frames[::-1])
    return " < ".join([type(error).__name__, *places])


def places(error: BaseException) -> str:
    """A traceback, causes and groups included, without the messages of the exceptions."""
    lines = ["Traceback, without messages, which may contain a visitor's input:\n"]
    done: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if id(one) in done:
            continue
        done.add(id(one))
        lines += [f"{type(one).__name__}\n", *traceback.format_tb(one.__traceback__)]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        before = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if before is not None:
            left.append(before)
    return "".join(lines).rstrip("\n")


class RedactedRecord(logging.LogRecord):
    """A line of the log without what a visitor gave."""

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        *more: Any,
        **named: Any,
    ) -> None:
        if name.split(".")[0] not in _IN_WORDS:
            msg, args = f"a message, left out here, from {_short(pathname)}:{lineno}", ()
        super().__init__(name, level, pathname, lineno, msg, args, exc_info, *more, **named)
        if self.exc_info and self.exc_info[1] is not None:
            self.exc_text = places(self.exc_info[1])  # formatters take it as it is


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    log.warning("%s at %s:%s", category.__name__, _short(filename), lineno)


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        log.error("a thread failed", exc_info=failed.exc_value)


def _log_unraisable(failed: Any) -> None:
    if failed.exc_value is not None:
        log.error("an exception was lost: %s", in_one_line(failed.exc_value))


def _print_exc(limit: int | None = None, file: Any = None, chain: bool = True) -> None:
    error = sys.exception()
    if file is not None:
        _print_exc_to(limit, file, chain)
    elif error is not None:
        log.error("a request failed: %s", in_one_line(error))


_print_exc_to = traceback.print_exc


def _short(path: str) -> str:
    """A file of the code by its folder and name."""
    return "/".join(Path(path).parts[-2:])
