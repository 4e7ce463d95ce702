"""Keeps visitors' data out of the log, which says only where in the code an error happened.

The message of an exception, a warning or a library may contain the name of a visitor's file, an
address or part of a request. The log therefore has only the exception's type and the places in the
code. Only loggers that report on the server itself keep their messages.
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

_MAX_FRAMES = 5  # innermost frames that a traceback in one line shows


def keep_visitors_out_of_the_log() -> None:
    """Redacts all logging of this process: by our own modules, Gradio, uvicorn and libraries."""
    logging.setLogRecordFactory(RedactedRecord)
    logging.raiseExceptions = False  # else a record that cannot be written is printed unredacted
    warnings.showwarning = _show_warning
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable
    # Gradio prints the errors of requests, message included, and does not log them.
    traceback.print_exc = _print_exc


def in_one_line(error: BaseException) -> str:
    """The exception's type and the innermost frames of its traceback, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = (f"{frame.name} ({_short(frame.filename)}:{frame.lineno})" for frame in frames[::-1])
    return " < ".join([type(error).__name__, *places])


def places(error: BaseException) -> str:
    """The traceback, with those of its causes and groups, without the exceptions' messages."""
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
    """A log record without visitors' data."""

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
            self.exc_text = places(self.exc_info[1])  # formatters use this text if it is set


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
    """The last folder and the name in a path."""
    return "/".join(Path(path).parts[-2:])
