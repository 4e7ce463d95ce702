"""A network of one's own from end to end: trained here on scikit-learn's handwritten digits, one
channel, and explained in Python, on the command line and on the page."""

from __future__ import annotations

import base64
import json
import re
import signal
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from playwright.sync_api import expect
from torch.nn.functional import cross_entropy, interpolate

import gradcam_core as gc
from demo.main import main as start_the_page
from demo.ui import texts
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.cli.photo import main as command_line
from gradcam_core.models.registry import remove_model
from tests.support.app_server import running_app
from tests.support.browser import (
    Visits,
    choose_class,
    chosen_models,
    drop,
    expect_explained,
    panels,
    toggle_models,
    wait_for_all,
    wait_for_results,
)

SIZE = 112  # pixels
TRAINED = 1300  # of the 1797 pictures; the others are to be recognised
EPOCHS = (48, 64, SIZE)
"""The side of the pictures in each: small ones teach most of it, in a fraction of the time."""


@cache
def handwritten() -> Any:
    """Has `images`, float64 [N, 8, 8] in [0, 16], and `target`, their digits."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    return load_digits()


@dataclass(frozen=True)
class Trained:
    """folder: with the files of weights, labels and networks."""

    folder: Path
    weights: Path
    labels: Path
    description: Path

    @property
    def spec(self) -> str:
        return (
            f"Numerals=test_resnet,weights={self.weights},labels={self.labels},size={SIZE},mean=0.5,"
            "std=0.5,crop=1,interpolation=bilinear"
        )


def picture(n: int) -> Image.Image:
    """As people have it: an RGB picture."""
    levels = (255 * handwritten().images[n] / 16).astype(np.uint8)
    return Image.fromarray(levels).resize((SIZE, SIZE), Image.Resampling.BILINEAR).convert("RGB")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """In ten seconds, on one core."""
    torch.manual_seed(0)
    originals = torch.tensor(handwritten().images[:TRAINED], dtype=torch.float32)[:, None] / 8 - 1
    digits = torch.tensor(handwritten().target[:TRAINED])
    module = timm.create_model("test_resnet", num_classes=10, in_chans=1)
    module.to(memory_format=torch.channels_last)  # which is quicker
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3, weight_decay=0.05)
    steps = TRAINED // 32
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=len(EPOCHS) * steps)
    for side in EPOCHS:
        images = interpolate(originals, (side, side), mode="bilinear")
        for some in torch.randperm(TRAINED)[: 32 * steps].view(steps, 32):
            shift = torch.randint(-(side // 16), side // 16 + 1, (2,)).tolist()
            logits = module(images[some].roll(shift, (2, 3)))
            loss = cross_entropy(logits, digits[some], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    folder = tmp_path_factory.mktemp("digits")
    weights = folder / "digits.pth"
    # As DataParallel and many training scripts save it.
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    torch.save({"epoch": len(EPOCHS), "state_dict": tensors, "crop_mode": "squash"}, weights)
    labels = folder / "digits.json"
    labels.write_text(json.dumps({str(digit): str(digit) for digit in range(10)}))
    description = folder / "networks.toml"
    description.write_text(
        '["Digits"]\narchitecture = "test_resnet"\nweights = "digits.pth"\n'
        f'labels = "digits.json"\nsize = {SIZE}\nmean = 0.5\nstd = 0.5\ncrop = 1.0\n'
        'interpolation = "bilinear"\n'
    )
    return Trained(folder, weights, labels, description)


@pytest.fixture(scope="module")
def digits(trained: Trained) -> Iterator[gc.Model]:
    info = gc.register(
        "Digits",
        "test_resnet",
        weights=trained.weights,
        labels=trained.labels,
        size=SIZE,
        mean=0.5,
        std=0.5,
        crop=1.0,
        interpolation="bilinear",
    )
    yield gc.load_model(info.name)
    remove_model(info.name)


def unseen(digit: int) -> list[int]:
    return [
        n for n in range(TRAINED, len(handwritten().target)) if handwritten().target[n] == digit
    ]


def test_it_recognises_digits_that_it_has_not_seen(digits: gc.Model):
    assert digits.preprocessing.channels == 1
    some = range(TRAINED, TRAINED + 100)
    right = [
        gc.examine(picture(n), digits).top[0].name == str(handwritten().target[n]) for n in some
    ]
    assert np.mean(right) > 0.9


def test_the_heat_lies_on_the_stroke_that_tells_a_3_from_an_8(digits: gc.Model):
    known = handwritten().images[:TRAINED], handwritten().target[:TRAINED]
    eight, three = (known[0][known[1] == digit].mean(axis=0) for digit in (8, 3))
    ink = Image.fromarray((eight - three).astype(np.float32))
    more = np.asarray(ink.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    stroke = more > more.max() / 2  # what an 8 has and a 3 has not: the left side of its loops
    assert stroke[:, : SIZE // 2].sum() > 0.8 * stroke.sum()

    def share(n: int, digit: str, rather_than: str) -> float:
        """Of the heat that lies on the stroke, over the share of the picture that the stroke is."""
        heat = gc.explain(picture(n), digits, digit, contrast=rather_than).heatmap
        return float(heat[stroke].sum() / max(heat.sum(), 1e-9) / stroke.mean())

    for_eight = np.mean([share(n, "8", "3") for n in unseen(8)])
    for_three = np.mean([share(n, "3", "8") for n in unseen(8)])
    assert for_eight > 1.5
    assert for_three < 0.8


def test_its_maps_can_be_checked_and_its_earlier_layers_looked_at(digits: gc.Model):
    photo = picture(unseen(8)[0])
    assert [stage.layer for stage in digits.stages][-1] == digits.info.layer
    e = gc.explain(photo, digits, "8")
    found = run_checks(photo, digits, e)
    assert found.probability == pytest.approx(e.target.probability, abs=1e-3)
    assert len(found.sanity) == len(digits.stages) + 1
    early = gc.explain(photo, digits, "8", layer=digits.stages[-2].layer)
    assert early.feature_map.shape > e.feature_map.shape


@pytest.fixture
def registered_by_a_command() -> Iterator[str]:
    """The name of the network, which is forgotten after the test."""
    yield "numerals"
    remove_model("numerals")


def test_the_command_line_explains_it_beside_another_network(
    trained: Trained, registered_by_a_command: str, tmp_path: Path, capsys
):
    photo, out = tmp_path / "digit.png", tmp_path / "out"
    picture(unseen(8)[0]).save(photo)
    command = [
        *(str(photo), "--out", str(out), "--network", trained.spec),
        *("--models", f"{registered_by_a_command},efficientnet_lite0"),
    ]
    assert command_line(command) == 0
    records = json.loads((out / "explanations.json").read_text())["explanations"]
    assert [record["title"] for record in records] == ["Numerals", "EfficientNet-Lite0"]
    assert {one["name"] for one in records[0]["top"]} < {str(digit) for digit in range(10)}
    assert (out / "numerals_output.png").exists()
    capsys.readouterr()
    # A class that only one of them has.
    with pytest.raises(SystemExit) as stopped:
        command_line([*command, "--target", "8"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("python -m gradcam_core: ")
    assert len(said.splitlines()) == 1


@pytest.fixture
def handling_of_ctrl_c() -> Iterator[None]:
    """Kept as it is for the tests: a start of the page changes it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handling_of_ctrl_c")
def test_a_mistake_in_a_network_ends_the_app_with_one_line(trained: Trained):
    with pytest.raises(SystemExit) as stopped:
        start_the_page(["--network", f"Digits=resnet18,weights={trained.weights}"])
    (line,) = str(stopped.value.code).splitlines()  # Python prints it, and the status is 1
    assert line.startswith("The app cannot start: network 'Digits': the weights do not fit timm's")
    assert "The likeliest architecture is timm's test_resnet" in line


_DROP_NETWORK = """([weights, labels]) => {
    const transfer = new DataTransfer();
    for (const [name, content] of [["digits.pth", weights], ["digits.json", labels]]) {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
    }
    const options = { bubbles: true, cancelable: true, dataTransfer: transfer };
    document.body.dispatchEvent(new DragEvent("drop", options));
}"""


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_the_page_has_it_beside_the_others_and_compares_only_classes_that_both_have(
    trained: Trained, browser, tmp_path: Path, request: pytest.FixtureRequest
):
    command = (sys.executable, "app.py", "--networks", str(trained.description))
    n = unseen(8)[0]
    picture(n).save(tmp_path / "digit.png")
    with running_app(tmp_path, command=command) as url:
        visits = Visits(browser, url)
        page = visits()
        assert chosen_models(page) == ["Digits"]
        views = page.locator("#view label")
        expect(views).to_have_text(["Stretched photo", "Whole photo"])
        drop(page, tmp_path / "digit.png")
        wait_for_results(page, 1)
        expect_explained(page, "8", 1)
        toggle_models(page, "EfficientNet-Lite0")
        expect(views).to_have_text([texts.SEVERAL_CROPS, "Whole photo"])
        wait_for_all(page, 2)
        sentences = page.locator(".sentences").inner_text()
        assert "Digits says 8" in sentences
        # A digit is chosen, of which ImageNet knows nothing.
        digits, other = panels(page).all()
        choose_class(page, "3", "3")
        expect(digits.locator(".explained strong")).to_have_text("3")
        expect(other).to_contain_text("EfficientNet-Lite0 has no class “3”.")
        # Of one map there is nothing to compare.
        expect(page.locator(".comparison .agreement")).to_be_hidden()

        # The same file again, as a visitor of this machine's page brings a network.
        page.evaluate(_DROP_NETWORK, [encoded(trained.weights), encoded(trained.labels)])
        dialog = page.get_by_role("dialog", name="Your network")
        expect(dialog).to_contain_text("10 classes")
        expect(dialog).to_contain_text("grey")
        dialog.get_by_label("Title").fill("Dropped")
        dialog.get_by_text("More settings, if the file lacks them").click()
        dialog.get_by_label("Input size").fill("0")
        dialog.get_by_label("Mean").fill("0.5")
        expect(dialog.locator(".problem")).to_contain_text("size")
        expect(dialog.get_by_role("button", name="Add this network")).to_be_disabled()
        dialog.get_by_label("Input size").fill(str(SIZE))
        names = dialog.get_by_label("Classes, one per line")
        names.fill("eight\nnine")  # counts instead of the file
        dialog.get_by_label("Title").focus()
        expect(dialog.locator(".problem")).to_contain_text("2 labels are given for 10 classes")
        names.fill("")
        dialog.get_by_label("Standard deviation").fill("0.5")
        dialog.get_by_label("Title").focus()
        expect(dialog).to_contain_text(f"{SIZE} × {SIZE} pixels")
        dialog.get_by_role("button", name="Add this network").click()
        lines = dialog.get_by_label("Lines of networks.toml")
        expect(lines).to_have_value(re.compile("Dropped"))
        described = tomllib.loads(lines.input_value())["Dropped"]
        assert described["weights"] == "digits.pth"
        assert described["size"] == f"{SIZE}x{SIZE}"
        page.keyboard.press("Escape")
        assert chosen_models(page) == ["Digits", "Dropped", "EfficientNet-Lite0"]
        dropped = panels(page).filter(has_text="Dropped")
        expect(dropped.locator(".explained strong")).to_have_text("3")
        expect(dropped).to_have_attribute("data-status", "ready")
        page.reload()  # it stands there until the app ends
        expect(dropped).to_have_attribute("data-status", "ready")
        assert chosen_models(page) == ["Digits", "Dropped", "EfficientNet-Lite0"]
        visits.close(request.node.name, is_failed=False)
        assert visits.faults == []
