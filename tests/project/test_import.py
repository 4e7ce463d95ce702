"""What happens when our modules are imported: nothing but definitions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.app_server import ROOT
from tests.support.imports import modules

FILES = modules(ROOT, ["gradcam_core", "demo", "app"])

WATCH = r"""
import atexit, gc, importlib, json, multiprocessing.process, os, subprocess, sys, threading
import warnings
gc.disable()  # a third of the time of imports
root, begun, heavy = sys.argv[1], [], {}

def watched(owner, name, depth=100):
    original = getattr(owner, name)
    def noted(*args, **options):
        frame = sys._getframe(1)
        # What a library does at its own import is behind the machinery that imports it.
        for _ in range(depth):
            if frame is None or "importlib" in frame.f_code.co_filename:
                break
            file = frame.f_code.co_filename
            if file.startswith(root) and "site-packages" not in file:
                begun.append(f"{file[len(root) + 1:]}: {name}")
                break
            frame = frame.f_back
        return original(*args, **options)
    setattr(owner, name, noted)

watched(atexit, "register")
watched(threading.Thread, "start")
watched(subprocess.Popen, "__init__")
watched(multiprocessing.process.BaseProcess, "start")
watched(os, "fork")
watched(type(os.environ), "__setitem__")
# Libraries set these, too, but only for the time of a call.
watched(warnings, "filterwarnings", depth=1)
watched(warnings, "simplefilter", depth=1)
for name in sys.argv[2:]:
    importlib.import_module(name)
    heavy[name] = sorted({"PIL", "timm", "torch"} & sys.modules.keys())
    if name == "demo.ui.layout":  # timm without PyTorch's compiler, as everywhere
        importlib.import_module("gradcam_core.upstream").import_timm()
print(json.dumps([begun, heavy]))
"""


def imported(names: Sequence[str], root: Path) -> tuple[list[str], dict[str, list[str]]]:
    """What our files begin or set while these modules are imported, in a process of its own; and
    which heavy libraries are there after each of them."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(root), *names],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.system
def test_importing_begins_and_sets_nothing_and_the_page_is_there_before_pytorch():
    """No thread, no process, nothing for the end, and no setting that others see."""
    pytest.importorskip("ray")
    first = ("gradcam_core", "demo.ui.layout")
    others = [name for name in FILES if not name.endswith("__main__") and name not in first]
    begun, heavy = imported([*first, *others], ROOT)
    assert begun == []
    assert heavy["gradcam_core"] == []
    assert heavy["demo.ui.layout"] == ["PIL"]
    assert "torch" in heavy[others[-1]]


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("import atexit; atexit.register(str)", "register"),
        ("import threading\nthreading.Thread(target=str).start()", "start"),
        (
            "from concurrent.futures import ThreadPoolExecutor as Pool\nPool().submit(str)",
            "start",
        ),
        ("import subprocess; subprocess.run(['true'])", "__init__"),
        ("import os; os.environ.setdefault('A_SETTING', 'b')", "__setitem__"),
        ("import warnings; warnings.simplefilter('ignore')", "simplefilter"),
        ("def f():\n    print.start()", None),
    ],
)
def test_what_a_module_begins_is_noticed(text: str, begun: str | None, tmp_path: Path):
    (tmp_path / "module.py").write_text(text)
    found, _ = imported(["module"], tmp_path)
    assert set(found) == ({f"module.py: {begun}"} if begun else set())
