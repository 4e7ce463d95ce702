"""Printing that cannot fail: characters that a terminal, pipe or log cannot show are replaced, and
a closed pipe or a full disk loses the text, not the results."""

from __future__ import annotations

import argparse
import codecs
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from gradcam_core.wording import printable

_LIKE = {"×": "x", "→": "->", "←": "<-", "°": " degrees"}
"""Replaces what AnyAscii would write as *, >, < and deg."""

_HANDLER = "gradcam-something-like-it"


def make_printing_safe() -> None:
    """From now on, no unsupported character, closed pipe or full disk ends this process."""
    codecs.register_error(_HANDLER, _something_like_it)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before this process began; some libraries fail on None
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):  # notebooks and tests replace the stream
            stream.reconfigure(errors=_HANDLER)
            for method in ("write", "flush"):
                setattr(stream, method, _going_on(getattr(stream, method), stream))


def _going_on(method: Callable[..., Any], stream: TextIO) -> Callable[..., Any]:
    """The stream's method, but once it fails, because the reader of a pipe is gone or the disk is
    full, everything is written to os.devnull."""

    def called(*args: Any) -> Any:
        try:
            return method(*args)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())  # buffered text and later writes go there, too
            os.close(nowhere)
            return len(args[0]) if args else None

    return called


def _something_like_it(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from anyascii import anyascii  # imported late, because most terminals never need it

    letters = error.object[error.start : error.end]
    return "".join(_LIKE.get(one) or anyascii(one) or "?" for one in letters), error.end


class OneLineParser(argparse.ArgumentParser):
    """Reports invalid input in one line, without the usage that argparse prints before it."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(2, f"{self.prog}: {printable(message)}\n")
