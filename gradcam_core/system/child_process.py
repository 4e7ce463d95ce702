"""A module of this package run in a process of its own."""

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
    """Start `python -m module`, with pipes to its standard input and from its output.

    settings: environment variables to add. options: of `subprocess.Popen`.
    """
    paths = [_PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        # -P: a file of the folder that this was started in is not taken for a module.
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(paths)},
        **options,
    )
