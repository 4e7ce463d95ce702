"""Printing to what cannot show or take it."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from gradcam_core.system.terminal import make_printing_safe

TEXT = "Kätzchen × 猫 … 5 ≥ 3 → “ﬁne” \udcff 🔨"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("ascii", 'Katzchen x Mao ... 5 >= 3 -> "fine" ? :hammer:'),
        ("cp437", 'Kätzchen x Mao ... 5 ≥ 3 -> "fine" ? :hammer:'),
        ("latin-1", 'Kätzchen × Mao ... 5 >= 3 -> "fine" ? :hammer:'),
        ("utf-8", "Kätzchen × 猫 … 5 ≥ 3 → “ﬁne” ? 🔨"),
    ],
)
def test_what_a_terminal_lacks_is_printed_as_something_like_it(
    encoding: str, printed: str, monkeypatch: pytest.MonkeyPatch
):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, newline="\n"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    make_printing_safe()
    print(TEXT, flush=True)
    assert written.getvalue().decode(encoding) == f"{printed}\n"


def test_a_reader_that_has_gone_costs_nothing(monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")
    monkeypatch.setattr(sys, "stdout", stream)
    make_printing_safe()
    for _ in range(3):
        print("a line", flush=True)
    stream.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_costs_nothing(monkeypatch: pytest.MonkeyPatch):
    stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
    monkeypatch.setattr(sys, "stderr", stream)
    make_printing_safe()
    for _ in range(2):
        print("a line" * 10_000, file=sys.stderr, flush=True)
    stream.close()
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), open("/dev/full", "w") as other:
        other.write("so it is full")


def test_without_a_terminal_there_is_something_to_print_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    make_printing_safe()
    assert sys.stdout.fileno() > 2  # which uvicorn asks for
    sys.stdout.close()
