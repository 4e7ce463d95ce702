"""Runs a module of this package in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGES = str(Path(__file__).parents[2])


def start_child(
    module: str, arguments: Sequence[str], settings: Mapping[str, str], **options: Any
) -> subprocess.Popen:
    """Starts `python -m module`, with pipes to its standard input and from its standard output;
    its standard error is discarded.

    settings: environment variables to add. options: passed to `subprocess.Popen`.
    """
    paths = [_PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        # -P: files in the current folder must not shadow modules.
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(paths)},
        **options,
    )
