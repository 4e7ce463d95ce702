"""Every picture of the corpus ends in a right result or in one sentence, whichever way it comes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect

import gradcam_core as gc
from demo.compute.photo import PREVIEW_MAX_SIDE_PX
from gradcam_core.errors import ImageError
from gradcam_core.images.sandbox import read_isolated
from tests.support.api import posted
from tests.support.app_server import ROOT, running_app
from tests.support.bad_pictures import BadPicture, Shown, cat, corpus
from tests.support.browser import drop, examples, wait_for_results
from tests.support.stream import cells, look, results
from tests.support.uploads import DECLARED

pytestmark = pytest.mark.timeout(60)

MODEL = "efficientnet_lite0"
CATS = {"tabby", "tiger cat", "Egyptian cat", "lynx", "Persian cat", "Siamese cat"}

CORPUS = {picture.name: picture for picture in corpus()}
SMALL = {name: picture for name, picture in CORPUS.items() if not picture.is_large}
"""Of the large ones the command line makes figures of their own size, in many seconds each: they
go this way in `benchmarks/bad_pictures.py`."""

every = pytest.mark.parametrize("picture", CORPUS.values(), ids=list(CORPUS))

NO_SENTENCE = re.compile(
    r"Traceback|Error\b|Exception|\bNone\b|errno|\.py\b|0x[0-9a-f]{4}|object at"
)


def assert_is_a_sentence(text: str, picture: BadPicture) -> None:
    """One that is for people, and one of those that this picture may get."""
    assert 10 <= len(text) <= 300
    assert text == text.strip()
    assert text.isprintable()
    assert text.endswith(".")
    assert not NO_SENTENCE.search(text)
    assert picture.refused, f"it is refused, but it is a good picture: {text}"
    assert re.search(picture.refused, text)


def of_the_cat(size: tuple[int, int]) -> np.ndarray:
    return coarse(cat().resize(size))


def coarse(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((45, 30), Image.Resampling.BOX), float).ravel()


def assert_looks_right(image: Image.Image, shown: Shown) -> None:
    if shown.look == "cat":
        expected = of_the_cat(image.size)
        assert np.corrcoef(coarse(image), expected)[0, 1] > 0.97
        assert np.abs(coarse(image) - expected).mean() < 12
    elif shown.look is not None:
        mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX), int).ravel()
        assert np.abs(mean - np.asarray(shown.look)).max() <= 6


def assert_may_be_shown(picture: BadPicture, size: tuple[int, int]) -> Shown:
    assert picture.shown, "it is shown, but it is no picture that may be"
    assert picture.shown.size in (None, size)
    return picture.shown


def test_the_corpus_is_large_and_the_same_every_time():
    again = list(corpus())
    assert len(again) == len(CORPUS) >= 150
    for picture in again[::5]:
        if not picture.is_large:
            assert picture.data == CORPUS[picture.name].data, picture.name


@every
def test_the_reader_gives_a_right_picture_or_a_sentence(picture: BadPicture):
    try:
        image = read_isolated(picture.data)
    except ImageError as error:
        assert_is_a_sentence(str(error), picture)
        return
    assert image.mode == "RGB"
    shown = assert_may_be_shown(picture, image.size)
    assert_looks_right(image, shown)


@dataclass(frozen=True)
class Server:
    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "app.log").read_text()

    def upload(self, picture: BadPicture) -> requests.Response:
        """As a browser sends it, but with the file's name exactly as it is."""
        name = picture.file_name.replace("\\", "\\\\").replace('"', '\\"')
        raw = name.encode("utf-8", "surrogateescape")
        head = b'Content-Disposition: form-data; name="files"; filename="' + raw + b'"\r\n'
        kind = b"Content-Type: image/jpeg\r\n\r\n"
        body = b"--cut\r\n" + head + kind + picture.data + b"\r\n--cut--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=cut"}
        return requests.post(f"{self.url}gradio_api/upload", body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder) as url:
        yield Server(url, folder)


def assert_is_well(log: str) -> None:
    """What is wrong with a picture is no error of ours."""
    assert "Traceback" not in log
    assert "a request failed" not in log


def seen(width: int, height: int) -> tuple[int, int]:
    """The size at which the page shows a photo."""
    by = -(-max(width, height) // PREVIEW_MAX_SIDE_PX)
    return -(-width // by), -(-height // by)


@every
def test_the_page_and_the_api_give_a_right_result_or_a_sentence(
    server: Server, picture: BadPicture
):
    logged = len(server.log)
    uploaded = server.upload(picture)
    if uploaded.status_code != 200 or not uploaded.json():
        assert picture.file_name == "..", uploaded.text  # all others are given a name that can be
        assert uploaded.status_code == 400
        return
    (path,) = uploaded.json()
    assert Path(path).resolve().is_relative_to(server.folder / "gradio")
    answers = look(server.url, {"upload": path, "cells": cells(MODEL)})
    explained = posted(server.url, {"path": path, **DECLARED})
    assert_is_well(server.log[logged:])
    refusals = answers[0].get("problem"), explained.json().get("error")
    if any(refusals):
        for refusal in filter(None, refusals):
            assert_is_a_sentence(refusal, picture)
        assert len(answers) == 1 or not refusals[0]
        # A machine may be just fast enough, once.
        assert picture.is_large or refusals[0] == refusals[1]
        return
    (findings,) = explained.json()["data"][0]["explanations"]
    size = tuple(findings["photo_size"])
    shown = assert_may_be_shown(picture, size)
    (photo,) = (answer["photo"] for answer in answers if "photo" in answer)
    assert (photo["width"], photo["height"]) == seen(*size)
    result = results(answers)[MODEL]
    assert result["target"]["name"] == findings["target"]["name"]
    if shown.look == "cat" and shown.size is not None:
        assert result["target"]["name"] in CATS


def test_the_server_is_well_after_all_of_them(server: Server):
    answers = look(server.url, {"example": "1_cat", "cells": cells(MODEL)})
    assert results(answers)[MODEL]["target"]["name"] in CATS
    assert_is_well(server.log)
    made = [*Path("/tmp").glob("made_by_a_picture*"), *server.folder.rglob("made_by_a_picture*")]
    assert [one for one in made if not one.is_relative_to(server.folder / "gradio")] == []


ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from pathlib import Path
from gradcam_core.cli import photo as cli

made = cli.files
def few(*arguments, **named):  # a figure takes a second, and test_cli.py looks at it
    return [file for file in made(*arguments, **named) if file.name == "explanations.json"]
cli.files = few

for line in sys.stdin:
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            status = cli.main(json.loads(line))
        except SystemExit as stopped:
            status = stopped.code
    print(json.dumps([status, out.getvalue(), said.getvalue()]), flush=True)
"""


PREFIX = "python -m gradcam_core: "


class CommandLine:
    """The program's `main`, in a process of its own that is not started anew for each picture."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._out = folder / "out"
        settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "TORCH_HOME": "/nowhere"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", ONE_AFTER_THE_OTHER],
            cwd=ROOT,
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, path: str) -> tuple[int, str, dict[str, Any] | None]:
        """Its status, what it said as an error, and the record that it wrote."""
        record = self._out / "explanations.json"
        record.unlink(missing_ok=True)
        assert self._process.stdin
        assert self._process.stdout
        arguments = ["--models", MODEL, "--out", str(self._out), "--", path]
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        status, _, said = json.loads(self._process.stdout.readline())
        written = json.loads(record.read_text())[0] if record.exists() else None
        return status, said, written

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    running = CommandLine(tmp_path_factory.mktemp("cli"))
    yield running
    running.stop()


@pytest.mark.parametrize("picture", SMALL.values(), ids=list(SMALL))
def test_the_command_line_gives_a_right_result_or_a_sentence(
    command_line: CommandLine, picture: BadPicture
):
    deep = command_line.folder / "a/b/c/d/e/f/g/h"  # so that ../../.. leads to a place that exists
    deep.mkdir(parents=True, exist_ok=True)
    is_odd = picture.kind == "odd names"
    path = f"{deep}/{picture.file_name if is_odd else 'photo.jpg'}"
    if "made_by_a_picture" in path:  # such a name is a right way to another file
        path = f"{deep}/../{picture.kind}"
    is_possible = not (is_odd and picture.file_name in ("..", " ")) and "\0" not in path
    try:
        if is_possible:
            Path(path).write_bytes(picture.data)
    except OSError:  # a name that is too long
        is_possible = False
    status, said, written = command_line.run(path)
    if status == 0:
        assert written
        shown = assert_may_be_shown(picture, tuple(written["photo_size"]))
        if shown.look == "cat" and shown.size is not None:
            assert written["target"]["name"] in CATS
        return
    assert status == 2
    assert written is None
    assert said.startswith(PREFIX)
    assert said.endswith("\n")
    sentence = said.removeprefix(PREFIX)[:-1]
    if is_possible:
        assert_is_a_sentence(sentence, picture)
    else:
        assert "\n" not in sentence
        assert re.search(r"cannot be read|no file|folder", sentence)


IN_THE_BROWSER = {
    "progressive JPEG, gigapixels": "too large",
    "EPS that starts a program": "not a picture",
    "SVG with a file of the server": "not a picture",
    "PNG cut at 60 %": "damaged or incomplete",
    "empty": "not a picture",
}


@pytest.mark.parametrize("name", IN_THE_BROWSER)
def test_the_page_says_the_sentence_and_goes_on(page: Page, tmp_path: Path, name: str):
    path = tmp_path / "photo.jpg"
    path.write_bytes(CORPUS[name].data)
    drop(page, path, kind="image/jpeg")
    expect(page.get_by_text(IN_THE_BROWSER[name]).first).to_be_visible()
    examples(page).first.click()
    wait_for_results(page)


def test_a_photo_of_an_iphone_is_explained_in_the_browser(page: Page, tmp_path: Path):
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(CORPUS["HEIC: four tiles, turned, and EXIF says so too"].data)
    drop(page, path, kind="image/heic")
    wait_for_results(page)
    photo = page.locator("#photo img")
    expect(photo).to_be_visible()


def test_an_array_and_a_picture_in_memory_are_bounded_too():
    for size in ((20_000, 20_000), (1, 70_000)):
        with pytest.raises(ImageError, match="too large"):
            gc.read_image(Image.new("1", size))
    file = io.BytesIO()
    cat().save(file, "PNG")
    assert gc.read_image(file.getvalue()).size == cat().size


def test_a_large_picture_is_read_although_another_was_read_before():
    """What one picture took is given back before the next one needs it."""
    for name in ("PNG", "JPEG", "GIF", "TIFF, deflate"):
        picture = CORPUS[f"{name}, just below the limit"]
        assert picture.shown
        for _ in range(4):  # whichever of the readers it meets
            assert read_isolated(picture.data).size == picture.shown.size
