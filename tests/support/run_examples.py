"""Runs the documents' examples one after the other in one process, which loads each network once:
`python -m tests.support.run_examples < steps.json`.

A step is [folder, language, text]. Prints [status, output] of each step as JSON.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

from demo.main import gradcam
from gradcam_core import list_models
from gradcam_core.models.registry import remove_model


def run(language: str, text: str) -> object:
    """Runs a step's text and returns its exit status."""
    if language == "python":
        exec(compile(text, "example", "exec"), {"__name__": "__main__"})
        return 0
    name, *arguments = shlex.split(text)
    if name != "gradcam":
        raise ValueError(f"only the command gradcam can be tried here, not {name}")
    sys.argv = [name, *arguments]
    return gradcam()


def tried(folder: str, language: str, text: str) -> tuple[object, str]:
    os.chdir(folder)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            status = run(language, text)
        except SystemExit as end:
            status = end.code
        except Exception:
            traceback.print_exc()
            status = 1
    for info in list_models():
        if info.recipe:  # registered by the example
            remove_model(info.name)
    return status, output.getvalue()


if __name__ == "__main__":
    json.dump([tried(*step) for step in json.load(sys.stdin)], sys.stdout)
