"""Unexpected errors on the command line: one line on the terminal, details in a file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

ERROR_LOG = "errors.log"
"""A file in the folder of results with tracebacks. It exists only if there was such an error."""


class _Terminal(logging.Handler):
    """Prints messages without tracebacks, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            tqdm.write(record.getMessage(), file=sys.stderr)


class _ErrorFile(logging.FileHandler):
    """Created with its first line. Ignores lines that cannot be written."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


@contextmanager
def error_log(folder: Path) -> Iterator[None]:
    """While this is open, errors that this package logs go to `ERROR_LOG` in the folder, with their
    tracebacks; and errors and warnings go to stderr, one line each."""
    file = _ErrorFile(folder / ERROR_LOG, encoding="utf-8", delay=True)
    file.setLevel(logging.ERROR)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    terminal = _Terminal(logging.WARNING)
    logger = logging.getLogger("gradcam_core")
    handlers = (file, terminal)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
