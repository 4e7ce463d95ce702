"""A download that takes a while is seen to move: on the page and on the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from playwright.sync_api import Browser, expect
from safetensors.torch import save_file

from tests.support.app_server import ROOT, running_app
from tests.support.browser import drop, panels
from tests.support.weights_server import Weights, serving

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """Serves ResNet50 with seeded random weights in the true format, in half precision: fewer
    bytes."""
    file = tmp_path_factory.mktemp("served") / "model.safetensors"
    torch.manual_seed(2)
    module = timm.create_model("resnet50.tv_in1k", pretrained=False)
    save_file(module.half().state_dict(), file)
    with serving() as running:
        running.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = file
        yield running


@pytest.fixture(autouse=True)
def slow(server: Weights) -> Iterator[None]:
    """No download ends before the test lets it."""
    server.may_end.clear()
    yield
    server.may_end.set()


def environment(server: Weights, folder: Path) -> dict[str, Any]:
    """A network in which nothing but this server can be reached."""
    return {
        "HF_ENDPOINT": server.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(folder / "hf"),
        "TORCH_HOME": str(folder / "torch"),
        "HTTPS_PROXY": DEAD,
        "HTTP_PROXY": DEAD,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def test_the_page_shows_progress_and_the_other_networks_meanwhile(
    server: Weights, browser: Browser, coffee_path: Path, tmp_path: Path
):
    with running_app(tmp_path, **environment(server, tmp_path)) as url:
        page = browser.new_page()
        page.goto(url)
        expect(page.locator(".page[data-ready=true]")).to_be_attached()
        drop(page, coffee_path)
        resnet = panels(page).nth(1)
        expect(resnet.get_by_role("status")).to_have_text(
            re.compile(r"Downloading the weights … [1-9]\d?%"), timeout=30_000
        )
        # The stand-ins of the two that cannot be had do not wait for it.
        expect(panels(page).nth(0)).to_have_attribute("data-status", "ready", timeout=30_000)
        expect(resnet).to_have_attribute("data-status", "busy")
        server.may_end.set()
        expect(resnet).to_have_attribute("data-status", "ready", timeout=60_000)
        expect(resnet.get_by_role("heading")).to_have_text("ResNet50")
        expect(resnet).not_to_contain_text("in place of")
        expect(panels(page).nth(2)).to_contain_text("in place of VGG19")
        page.close()


def test_the_command_line_shows_a_progress_bar(server: Weights, coffee_path: Path, tmp_path: Path):
    command = [sys.executable, "-m", "gradcam_core", str(coffee_path), "--models", "resnet50"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | environment(server, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        error = ""
        while not re.search(r"weights of resnet50: +[1-9]\d?%", error):
            more = process.stderr.read(1)
            assert more, error
            error += more
        server.may_end.set()
        output, more = process.communicate(timeout=60)
    assert process.returncode == 0, error + more
    assert "stands in" not in error + more
    assert output.startswith("ResNet50: ")
