"""Memory that has been freed is used again; garbage is left alone while large libraries come."""

from __future__ import annotations

import ctypes
import gc as garbage
import subprocess
import sys

import pytest

from gradcam_core.system.memory import paused_garbage_collection
from tests.support.app_server import ROOT

PROGRAM = """
import resource, sys, threading
from gradcam_core.system.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def take():
    bytearray(2**26)

def in_a_thread():
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()

in_a_thread()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
in_a_thread()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(how: str) -> int:
    """That the machine gave for 64 MB which had been taken and freed before."""
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_what_was_freed_needs_no_new_pages():
    assert new_pages("keep") < 1000 < new_pages("leave")


def import_nothing() -> None:
    with paused_garbage_collection():
        with paused_garbage_collection():
            assert not garbage.isenabled()
        assert not garbage.isenabled()
        raise ImportError


def test_garbage_is_looked_for_again_whatever_happens_meanwhile():
    with pytest.raises(ImportError):
        import_nothing()
    assert garbage.isenabled()
    garbage.disable()
    try:
        with paused_garbage_collection():
            pass
        assert not garbage.isenabled()  # as it was
    finally:
        garbage.enable()
