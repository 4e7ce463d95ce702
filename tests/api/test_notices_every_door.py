"""What is said of a photo of which something was chosen, and a window of one's own: by Python,
command line, batch, page, ZIP, API and MCP alike."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tifffile
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

import gradcam_core as gc
from gradcam_core.cli.photo import main
from tests.support.api import SMALL, called, posted, text_of
from tests.support.app_server import Started
from tests.support.batch_results import rows_of
from tests.support.networks import registered_small_network
from tests.support.photos import EXAMPLES
from tests.support.stream import explain_stream, map_requests, results
from tests.support.uploads import DECLARED, upload

NAME = SMALL[0]
PAGES = "The file has 2 pages; the first one is shown."
LOW, HIGH = 1024, 3000
REQUESTED = f"The value {LOW} is shown black and {HIGH} white: as requested."


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cat as a camera of 12 bits takes it, with an offset, in two pages."""
    path = tmp_path_factory.mktemp("photo") / "cat.tif"
    cat = np.asarray(Image.open(EXAMPLES / "1_cat.jpg").convert("L"), np.uint16)
    tifffile.imwrite(path, np.stack([cat * 8 + 1024] * 2), photometric="minisblack", metadata=None)
    return path


@pytest.fixture(scope="module")
def notices(photo: Path) -> tuple[str, ...]:
    low, high = tifffile.imread(photo, key=0).min(), tifffile.imread(photo, key=0).max()
    expected = f"The value {low} is shown black and {high} white: "
    return PAGES, f"{expected}the lowest and the highest value in the picture."


@pytest.fixture(scope="module")
def plain(photo: Path) -> gc.Explanation:
    return gc.explain(photo, NAME)


@pytest.fixture(scope="module")
def windowed(photo: Path) -> gc.Explanation:
    return gc.explain(photo, NAME, window=(LOW, HIGH))


def probability(record: dict[str, Any]) -> float:
    return record["target"]["probability"]


def test_python(photo: Path, notices: tuple[str, ...], plain, windowed):
    assert plain.photo_notices == notices
    assert windowed.photo_notices == (PAGES, REQUESTED)
    levels = np.clip((tifffile.imread(photo, key=0) - float(LOW)) / (HIGH - LOW) * 255, 0, 255)
    seen = np.rint(levels).astype(np.uint8)
    by_hand = gc.explain(seen, NAME)
    assert by_hand.photo_notices == ()
    assert windowed.target == by_hand.target
    assert windowed.target.probability != plain.target.probability
    (compared,) = gc.compare(photo, NAME, window=f"{LOW},{HIGH}")
    assert compared == replace(windowed, feature_map=compared.feature_map)
    held = gc.examine(photo, NAME, window=gc.Window(LOW, HIGH))
    assert held.explain().photo_notices == windowed.photo_notices
    assert held.at(photo, 2).explain().target == windowed.target
    assert gc.explain(EXAMPLES / "1_cat.jpg", NAME).photo_notices == ()
    with pytest.raises(gc.ChoiceError, match="The window must be two numbers"):
        gc.explain(photo, NAME, window=(5, 1))


def test_an_overlay_and_a_check_see_through_the_same_window(photo: Path, tmp_path: Path):
    with registered_small_network(tmp_path) as small:
        windowed = gc.explain(photo, small, window=(LOW, HIGH))
        assert windowed.photo is not None
        shown = np.asarray(windowed.overlay(photo, opacity=0))
        assert np.array_equal(shown, np.asarray(windowed.overlay(windowed.photo, opacity=0)))
        assert gc.check(photo, windowed).probability == pytest.approx(windowed.target.probability)
        assert windowed.target.probability != gc.explain(photo, small).target.probability


@pytest.mark.usefixtures("no_figure")
def test_the_command_line(photo: Path, notices, windowed, tmp_path: Path, capsys):
    options = [str(photo), "--models", NAME, "--out", str(tmp_path)]
    assert main(options) == 0
    assert capsys.readouterr().err.splitlines()[:2] == list(notices)
    found = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))
    assert found["photo"]["notices"] == list(notices)
    captions = (tmp_path / "captions.txt").read_text(encoding="utf-8")
    assert captions.splitlines()[:3] == [*notices, ""]
    for given in (["--window", f"{LOW},{HIGH}"], [f"--window={LOW},{HIGH}"]):
        assert main([*options, *given]) == 0
        found = json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8"))
        assert found["photo"]["notices"] == [PAGES, REQUESTED]
        assert probability(found["explanations"][0]) == pytest.approx(windowed.target.probability)


@pytest.mark.usefixtures("no_figure")
def test_a_window_may_begin_below_zero(photo: Path, tmp_path: Path, capsys):
    options = [str(photo), "--models", NAME, "--out", str(tmp_path)]
    for given in (["--window", "-1000,4000"], ["--window=-1000,4000"]):
        assert main([*options, *given]) == 0
        assert "value −1000 is shown black and 4000 white" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["4,1", "dark", "1", "nan,1", ""])
@pytest.mark.parametrize("command", [[], ["batch"]])
def test_nonsense_is_one_line(given: str, command: list[str], photo: Path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, str(photo), "--models", NAME, "--out", "out", f"--window={given}"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--window" in said


def test_the_batch(photo: Path, notices, windowed, tmp_path: Path, capsys):
    options = ["batch", str(photo), "--models", NAME, "--no-report", "--out"]
    assert main([*options, str(tmp_path / "plain")]) == 0
    (row,) = rows_of(tmp_path / "plain").values()
    assert row["photo_notices"] == list(notices)
    assert "1 picture has a notice" in capsys.readouterr().err
    assert main([*options, str(tmp_path / "own"), "--window", f"{LOW},{HIGH}"]) == 0
    (row,) = rows_of(tmp_path / "own").values()
    assert row["photo_notices"] == [PAGES, REQUESTED]
    assert row["probability"] == pytest.approx(windowed.target.probability)
    with pytest.raises(SystemExit):  # what was begun with a window is not gone on with without one
        main([*options, str(tmp_path / "own")])
    assert f"window {LOW},{HIGH}" in capsys.readouterr().err


def test_the_page_and_its_archive(app: str, photo: Path, notices, plain):
    body = {"upload": upload(app, photo), "maps": map_requests(NAME)}
    answers = explain_stream(app, body)
    (shown,) = [answer["photo"] for answer in answers if "photo" in answer]
    assert shown["notices"] == list(notices)
    assert probability(results(answers)[NAME]) == pytest.approx(plain.target.probability)
    answer = requests.post(f"{app}download", json=body | {"file": "everything.zip"}, timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("explanations.json"))["photo"]["notices"] == list(notices)


@pytest.mark.parametrize("window", [[LOW, HIGH], f"{LOW},{HIGH}"])
def test_the_api_and_mcp(shared_app: Started, photo: Path, notices, plain, windowed, window):
    url = shared_app.url
    client = Client(url, verbose=False)
    image = handle_file(str(photo))
    for given, said, e in ((None, list(notices), plain), (window, [PAGES, REQUESTED], windowed)):
        (one,) = client.predict(image, models=SMALL, window=given, api_name="/predict")
        assert one["photo_notices"] == said
        assert one["top"][0]["probability"] == pytest.approx(e.target.probability)
        found, _ = client.predict(
            image, models=SMALL, outputs=[], window=given, api_name="/explain"
        )
        assert found["photo"]["notices"] == said
        assert probability(found["explanations"][0]) == pytest.approx(e.target.probability)
    address = f"{url}gradio_api/file={upload(url, photo)}"
    asked = {"image": address, "models": SMALL, "outputs": [], "window": [LOW, HIGH]}
    (answer,) = called(url, ("explain", asked))
    found = json.loads(text_of(answer).splitlines()[0])
    assert found["photo"]["notices"] == [PAGES, REQUESTED]


@pytest.mark.parametrize("window", [[5, 1], [1, 2, 3], "dark", {"low": 1}, 7, True, [None, 1]])
def test_nonsense_is_a_sentence_of_the_api(app: str, photo: Path, window: Any):
    image = {"path": upload(app, photo), **DECLARED}
    assert posted(app, image, window=window).json()["error"].startswith("The window must be two")
    with pytest.raises(AppError, match="The window must be two numbers"):
        Client(app, verbose=False).predict(
            handle_file(str(photo)), window=window, api_name="/predict"
        )
