"""What would take too much memory is refused before it begins."""

from __future__ import annotations

import os

import pytest

import gradcam_core as gc
from demo.compute.memory_limit import check_memory, default_limit_bytes, pass_bytes
from demo.settings import Settings
from gradcam_core.errors import MemoryLimitError
from gradcam_core.images.geometry import view_of
from tests.support.stream import ask, map_requests, results, stream_in_this_process

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


def test_the_page_refuses_it_in_a_sentence(lite0: gc.Model):
    most = pass_bytes(lite0, view_of((1500, 500), lite0.preprocessing, "whole", 3))
    body = {"example": "7_wide_strip", "maps": map_requests(LITE0, detail=3)}
    with stream_in_this_process(Settings(memory_bytes=most // 2)) as client:
        refused = ask(client, **body, view="whole")
        (sentence,) = [answer["failed"] for answer in refused if "failed" in answer]
        assert "Choose less detail or the centre crop." in sentence
        assert results(ask(client, **body))  # the centre of it fits


def test_by_default_it_is_half_of_what_the_machine_has():
    pages = os.sysconf("SC_PHYS_PAGES")
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    assert 512 * 2**20 <= default_limit_bytes() <= max(512 * 2**20, pages * page_bytes // 2)
    assert default_limit_bytes(shared_by=1000) == 512 * 2**20  # enough for published inputs
