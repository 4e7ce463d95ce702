"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.app_server import ROOT


def run(
    *arguments: str,
    program: Sequence[str] = ("-m", "gradcam_core"),
    folder: Path = ROOT,
    **environment: str,
) -> subprocess.CompletedProcess:
    """Runs the program as users start it, without network access."""
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "TORCH_HOME": "/nowhere"}
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=os.environ | settings | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
