"""Memory that has been freed is used again; garbage is left alone while large libraries come; too
little memory is told in a sentence."""

from __future__ import annotations

import ctypes
import errno
import gc as garbage
import os
import subprocess
import sys

import pytest

from gradcam_core.system.memory import no_memory_sentence, paused_garbage_collection
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


@pytest.mark.parametrize(
    ("program", "limit"), [("-m gradcam_core assets/examples/1_cat.jpg", "-d"), ("app.py", "-v")]
)
def test_less_memory_than_pytorch_takes_is_told_in_one_line(program: str, limit: str):
    command = f"ulimit {limit} 400000; exec {sys.executable} {program}"
    ended = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"There is too little memory: this process may use 0.4 GB (ulimit {limit})" in line


def test_other_errors_are_not_of_memory():
    for error, is_it in (
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution"), False),
        (RuntimeError("expected 3 channels"), False),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (ImportError("libtorch.so: failed to map segment from shared object"), False),  # no limit
    ):
        said = no_memory_sentence(error)
        assert bool(said) == is_it, error
        assert ("too many threads" in said) == ("thread" in str(error)), error
