"""What libraries would read from the environment, and could not."""

from __future__ import annotations

import os

import pytest

from gradcam_core.system.library_variables import leave_out_unusable_variables
from tests.support.command_line import run


def test_what_is_no_number_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch):
    given = {
        "MPLBACKEND": "nowhere",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1.5",
        "HF_HUB_ETAG_TIMEOUT": "30",
        "TQDM_MININTERVAL": "often",
        "TQDM_NCOLS": "80",
        "TQDM_DISABLE": "1",
        "TQDM_ASCII": "1",
        "TQDM_FILE": "bars.txt",
        "NUMPY_MADVISE_HUGEPAGE": "much",
        "PYTORCH_ALLOC_CONF": "much",
        "PYTORCH_CUDA_ALLOC_CONF": "roundup_power2_divisions:[256:1,>:8]",
    }
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("PATH")
    assert leave_out_unusable_variables() == [
        "HF_HUB_DOWNLOAD_TIMEOUT is ignored: '1.5' is not a whole number.",
        "NUMPY_MADVISE_HUGEPAGE is ignored: 'much' is not a whole number.",
        "PYTORCH_ALLOC_CONF is ignored: 'much' is not of the form option:value,option:value.",
        "TQDM_ASCII is ignored: only TQDM_DISABLE, TQDM_DYNAMIC_NCOLS and numbers are read.",
        "TQDM_FILE is ignored: only TQDM_DISABLE, TQDM_DYNAMIC_NCOLS and numbers are read.",
        "TQDM_MININTERVAL is ignored: 'often' is not a number.",
    ]
    assert os.environ["PATH"] == os.defpath
    kept = {name: os.environ[name] for name in given if name in os.environ}
    assert kept == {
        "MPLBACKEND": "agg",
        "HF_HUB_ETAG_TIMEOUT": "30",
        "TQDM_NCOLS": "80",
        "TQDM_DISABLE": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "roundup_power2_divisions:[256:1,>:8]",
    }


def test_what_pytorch_cannot_read_is_named():
    ended = run("--help", TORCH_LOGS="no-such-log", TORCHINDUCTOR_MIN_NUM_SPLIT="7531")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "PyTorch cannot be loaded with TORCH_LOGS='no-such-log' in the environment. Unset it, or "
        "give it a value that PyTorch knows."
    ]
