"""What would take too much memory is refused before it begins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import gradcam_core as gc
from demo.compute.memory_limit import SETTING, check_memory, memory_limit_bytes, pass_bytes
from gradcam_core.errors import BackendError, MemoryLimitError
from gradcam_core.images.geometry import view_of
from tests.support.app_server import ROOT
from tests.support.stream import ask, cells, results, stream_in_this_process

LITE0 = "efficientnet_lite0"


def test_a_larger_pass_is_refused(lite0: gc.Model):
    wide = view_of((1500, 500), lite0.preprocessing, "whole", 3)
    crop = view_of((1500, 500), lite0.preprocessing, "crop")
    needed = pass_bytes(lite0, wide)
    assert needed > 20 * pass_bytes(lite0, crop)
    check_memory(lite0, wide, needed)
    with pytest.raises(MemoryLimitError, match=r"of memory, more than the \d+ MB that this server"):
        check_memory(lite0, wide, needed - 1)
    with pytest.raises(MemoryLimitError):  # the checks run a copy with random weights
        check_memory(lite0, wide, needed, copies=1)


def test_the_page_refuses_it_in_a_sentence(lite0: gc.Model, monkeypatch: pytest.MonkeyPatch):
    most = pass_bytes(lite0, view_of((1500, 500), lite0.preprocessing, "whole", 3))
    monkeypatch.setenv(SETTING, str((most // 2) / 2**20))
    body = {"example": "7_wide_strip", "cells": cells(LITE0, detail=3)}
    with stream_in_this_process() as client:
        refused = ask(client, **body, view="whole")
        (sentence,) = [answer["failed"] for answer in refused if "failed" in answer]
        assert "Choose less detail or the centre crop." in sentence
        assert results(ask(client, **body))  # the centre of it fits


def test_the_limit_is_set_in_megabytes_or_half_of_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(SETTING, "1500")
    assert memory_limit_bytes() == memory_limit_bytes(shared_by=4) == 1500 * 2**20
    monkeypatch.delenv(SETTING)
    pages = os.sysconf("SC_PHYS_PAGES")
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    assert 512 * 2**20 <= memory_limit_bytes() <= max(512 * 2**20, pages * page_bytes // 2)
    assert memory_limit_bytes(shared_by=1000) == 512 * 2**20  # enough for published inputs


@pytest.mark.parametrize("setting", ["much", "0", "-5", "nan", "inf", "2 GB"])
def test_a_setting_that_is_not_a_number_is_an_error(setting: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SETTING, setting)
    with pytest.raises(BackendError, match=f"{SETTING} is the number of megabytes .* {setting!r}"):
        memory_limit_bytes()


@pytest.mark.system
@pytest.mark.parametrize("command", [["app.py"], ["-m", "demo.serve_cluster"]])
def test_it_ends_the_start_with_one_line(command: list[str]):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment | {SETTING: "much"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "cannot start: GRADCAM_MEMORY is the number of megabytes" in line
