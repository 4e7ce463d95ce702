"""A download that takes a while is seen to move: on the page and on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from playwright.sync_api import Browser, expect
from safetensors.torch import save_file

import gradcam_core as gc
from demo.examples import OPENING, example_path
from gradcam_core.cli.photo import main
from gradcam_core.models.registry import add_model, remove_model
from tests.support.app_server import running_app
from tests.support.browser import (
    WIDE,
    box_of,
    drop,
    expect_explained,
    levels,
    panels,
    show_grey,
    wait_for_all,
)
from tests.support.networks import quickly_made
from tests.support.served_network import ServedNetwork, served_network
from tests.support.stream import explain_stream, map_requests
from tests.support.waiting import until
from tests.support.weights_server import Weights, serving

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """Serves ResNet50 with seeded random weights in the true format, in half precision: fewer
    bytes."""
    file = tmp_path_factory.mktemp("served") / "model.safetensors"
    torch.manual_seed(2)
    module = quickly_made(partial(timm.create_model, "resnet50.tv_in1k"))
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


A_LINE = 22  # pixels

NO_JUMP = """() => {
    window.jumps = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) jumps += entry.value;
    }).observe({ type: "layout-shift" });
}"""


def test_at_the_first_start_stand_ins_show_a_result_say_so_and_give_way_without_a_jump(
    slow: Weights, browser: Browser, coffee_path: Path, tmp_path: Path
):
    with running_app(tmp_path, **environment(slow, tmp_path)) as url:
        page = browser.new_page(viewport=WIDE)
        page.goto(url)
        resnet = panels(page).nth(1)
        wait_for_all(page)
        expect(resnet.get_by_role("heading")).to_have_text("EfficientNet-Lite0")
        expect(resnet).to_contain_text(
            re.compile(r"ResNet50 is arriving, [1-9]\d? %"), timeout=30_000
        )
        # The opening example's map is true: the stand-in's own.
        show_grey(page)
        shown = levels(page, 1)
        e = gc.explain(example_path(OPENING), "efficientnet_lite0")
        own = e.heatmap_at((shown.shape[1], shown.shape[0]))
        assert np.isclose(shown, own, atol=2 / 255).mean() > 0.99  # not at an edge of the crop
        # All the rest of the page works meanwhile, with the stand-in.
        drop(page, coffee_path)
        expect_explained(page, "espresso")
        wait_for_all(page)
        answers = explain_stream(url, {"example": OPENING, "maps": map_requests("resnet50")})
        (result,) = (answer["result"] for answer in answers if "result" in answer)
        assert result["notice"].endswith("whose weights are still being downloaded.")
        before = box_of(resnet)
        page.evaluate(NO_JUMP)
        slow.may_end.set()
        expect(resnet.get_by_role("heading")).to_have_text("ResNet50", timeout=60_000)
        expect(resnet).to_have_attribute("data-status", "ready")
        expect(resnet.locator(".stands-in")).to_be_empty()
        expect(page.locator(".comparison table")).to_contain_text("ResNet50")
        after = box_of(resnet)
        # The notices of all panels, which share a height, may be a line shorter.
        assert abs(after.pop("height") - before.pop("height")) < A_LINE
        assert after == before
        assert page.evaluate("jumps") < 0.01
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
