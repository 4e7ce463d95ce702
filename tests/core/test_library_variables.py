"""What libraries would read from the environment, and could not."""

from __future__ import annotations

import os

import pytest

from gradcam_core.system.library_variables import leave_out_unusable_variables


def test_what_is_no_number_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch):
    given = {
        "MPLBACKEND": "nowhere",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1.5",
        "HF_HUB_ETAG_TIMEOUT": "30",
        "TQDM_MININTERVAL": "often",
        "TQDM_NCOLS": "80",
    }
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    assert leave_out_unusable_variables() == [
        "HF_HUB_DOWNLOAD_TIMEOUT is ignored: '1.5' is not a whole number.",
        "TQDM_MININTERVAL is ignored: 'often' is not a number.",
    ]
    kept = {name: os.environ[name] for name in given if name in os.environ}
    assert kept == {"MPLBACKEND": "agg", "HF_HUB_ETAG_TIMEOUT": "30", "TQDM_NCOLS": "80"}
