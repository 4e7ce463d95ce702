"""A download that takes a while is seen to move: on the page and on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from playwright.sync_api import Browser, expect
from safetensors.torch import save_file

from gradcam_core.cli.photo import main
from gradcam_core.models.registry import add_model, remove_model
from tests.support.app_server import running_app
from tests.support.browser import drop, panels
from tests.support.served_network import ServedNetwork, served_network
from tests.support.waiting import until
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


@pytest.fixture
def slow(server: Weights) -> Iterator[Weights]:
    """No download ends before the test lets it."""
    server.may_end.clear()
    yield server
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
    slow: Weights, browser: Browser, coffee_path: Path, tmp_path: Path
):
    with running_app(tmp_path, **environment(slow, tmp_path)) as url:
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
        slow.may_end.set()
        expect(resnet).to_have_attribute("data-status", "ready", timeout=60_000)
        expect(resnet.get_by_role("heading")).to_have_text("ResNet50")
        expect(resnet).not_to_contain_text("in place of")
        expect(panels(page).nth(2)).to_contain_text("in place of VGG19")
        page.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ServedNetwork]:
    """A small network that can be named on a command line. No download of it ends before the test
    lets it."""
    with served_network("hub", tmp_path) as network:
        add_model(network.info)
        network.server.may_end.clear()
        yield network
        remove_model(network.info.name)


def test_the_command_line_shows_a_progress_bar(
    small: ServedNetwork, coffee_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = [str(coffee_path), "--models", small.info.name, "--out", str(tmp_path / "out")]
    output, error = "", ""

    def is_seen_to_move() -> bool:
        nonlocal output, error
        said = capsys.readouterr()
        output, error = output + said.out, error + said.err
        return bool(re.search(r"weights of small: +[1-9]\d?%", error))

    with ThreadPoolExecutor(1) as person:
        running = person.submit(main, command)
        try:
            until(lambda: is_seen_to_move() or running.done())
            assert not running.done(), error
        finally:
            small.server.may_end.set()
        assert running.result(60) == 0
    is_seen_to_move()
    assert "stands in" not in error
    assert output.startswith("Small: ")
