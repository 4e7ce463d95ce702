"""What the command line says of errors that nobody expected: a line on the terminal, the rest in a
file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

ERROR_LOG = "errors.log"
"""In the folder of results, and only where there was such an error: with its traceback."""


class _Terminal(logging.Handler):
    """The messages without tracebacks, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # a terminal that has gone
            tqdm.write(record.getMessage(), file=sys.stderr)


class _ErrorFile(logging.FileHandler):
    """Made with its first line. What cannot be written is not worth another error."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


@contextmanager
def error_log(folder: Path) -> Iterator[None]:
    """For as long as this is open, errors that this package logs go to `ERROR_LOG` in the folder,
    with their tracebacks; and all from warnings upwards to stderr, a line each."""
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
