"""A download that takes a while is seen to move: on the page and on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from playwright.sync_api import Browser, expect
from safetensors.torch import save_file

from tests.support.app_server import running_app
from tests.support.browser import drop, panels
from tests.support.command_line import run
from tests.support.weights_server import Weights, serving

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """Serves ResNet50, slowly, with seeded random weights in the true format."""
    file = tmp_path_factory.mktemp("served") / "model.safetensors"
    torch.manual_seed(2)
    save_file(timm.create_model("resnet50.tv_in1k", pretrained=False).state_dict(), file)
    with serving() as running:
        running.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = file
        yield running


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
    server.seconds = 12
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
        expect(resnet).to_have_attribute("data-status", "ready", timeout=60_000)
        expect(resnet.get_by_role("heading")).to_have_text("ResNet50")
        expect(resnet).not_to_contain_text("in place of")
        expect(panels(page).nth(2)).to_contain_text("in place of VGG19")
        page.close()


def test_the_command_line_shows_a_progress_bar(server: Weights, coffee_path: Path, tmp_path: Path):
    server.seconds = 4
    done = run(
        str(coffee_path), "--models", "resnet50", "--out", str(tmp_path / "out"),
        **environment(server, tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"weights of resnet50: +[1-9]\d?%", done.stderr)
    assert "stands in" not in done.stderr
    assert done.stdout.startswith("ResNet50: ")
