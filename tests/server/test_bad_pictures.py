"""Bad pictures by the page, the API and the command line: one per kind and outcome.

What the reader makes of all of them is tested in `tests/images/test_bad_pictures.py`; what is seen
in the browser, in `tests/page/test_photos.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from demo.compute.photo import PREVIEW_MAX_SIDE_PX
from gradcam_core.cli.photo import main
from tests.support.api import posted
from tests.support.app_server import Started
from tests.support.bad_pictures.bad_picture import BadPicture
from tests.support.bad_pictures.corpus import corpus
from tests.support.picture_outcomes import CATS, assert_is_a_sentence, assert_may_be_shown
from tests.support.stream import explain_stream, map_requests, results
from tests.support.uploads import DECLARED

MODEL = "efficientnet_lite0"

CORPUS = {picture.name: picture for picture in corpus()}
ODD_NAMES = [picture for picture in CORPUS.values() if picture.kind == "odd names"]
CHOSEN = {
    (picture.kind, picture.refused, picture.shown is None): picture
    for picture in reversed(CORPUS.values())
}
"""The first of each kind and outcome."""


def chosen(*pictures: BadPicture):
    return pytest.mark.parametrize("picture", pictures, ids=[picture.name for picture in pictures])


def upload(app: Started, picture: BadPicture) -> requests.Response:
    """As a browser sends it, but with the file's name exactly as it is."""
    name = picture.file_name.replace("\\", "\\\\").replace('"', '\\"')
    raw = name.encode("utf-8", "surrogateescape")
    head = b'Content-Disposition: form-data; name="files"; filename="' + raw + b'"\r\n'
    kind = b"Content-Type: image/jpeg\r\n\r\n"
    body = b"--cut\r\n" + head + kind + picture.data + b"\r\n--cut--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    return requests.post(f"{app.url}gradio_api/upload", body, headers=headers, timeout=60)


def assert_is_well(log: str) -> None:
    """What is wrong with a picture is no error of ours."""
    assert "Traceback" not in log
    assert "a request failed" not in log


def seen(width: int, height: int) -> tuple[int, int]:
    """The size at which the page shows a photo."""
    by = -(-max(width, height) // PREVIEW_MAX_SIDE_PX)
    return -(-width // by), -(-height // by)


@chosen(*CHOSEN.values(), *ODD_NAMES[1:])
def test_the_page_and_the_api_give_a_right_result_or_a_sentence(
    shared_app: Started, picture: BadPicture
):
    logged = len(shared_app.log.read_text())
    uploaded = upload(shared_app, picture)
    if uploaded.status_code != 200 or not uploaded.json():
        assert picture.file_name == "..", uploaded.text  # all others are given a name that can be
        assert uploaded.status_code == 400
        return
    (path,) = uploaded.json()
    assert Path(path).resolve().is_relative_to(shared_app.log.parent / "gradio")
    answers = explain_stream(shared_app.url, {"upload": path, "maps": map_requests(MODEL)})
    explained = posted(shared_app.url, {"path": path, **DECLARED})
    assert_is_well(shared_app.log.read_text()[logged:])
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


def test_the_server_is_well_after_all_of_them(shared_app: Started):
    answers = explain_stream(shared_app.url, {"example": "1_cat", "maps": map_requests(MODEL)})
    assert results(answers)[MODEL]["target"]["name"] in CATS
    made = [
        *Path("/tmp").glob("made_by_a_picture*"),
        *shared_app.log.parent.rglob("made_by_a_picture*"),
    ]
    assert [one for one in made if not one.is_relative_to(shared_app.log.parent / "gradio")] == []


def few(picture: BadPicture) -> bool:
    """The command line makes a figure of what it can read, which `test_cli.py` looks at."""
    return picture.shown is None


@chosen(*filter(few, CHOSEN.values()), *ODD_NAMES[1:])
def test_the_command_line_says_the_sentence(
    picture: BadPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    deep = tmp_path / "a/b/c/d/e/f/g/h"  # so that ../../.. leads to a place that exists
    deep.mkdir(parents=True)
    is_odd = picture.kind == "odd names"
    path = f"{deep}/{picture.file_name if is_odd else 'photo.jpg'}"
    if "made_by_a_picture" in path:  # such a name is a right way to another file
        path = f"{deep}/../{picture.kind}"
    is_possible = not (is_odd and picture.file_name in ("..", " ")) and "\0" not in path
    try:
        if is_possible:
            Path(path).write_bytes(picture.data[:200] if is_odd else picture.data)
    except OSError:  # a name that is too long
        is_possible = False
    with pytest.raises(SystemExit) as stopped:
        main(["--models", MODEL, "--out", str(tmp_path / "out"), "--", path])
    assert stopped.value.code == 2
    assert not (tmp_path / "out").exists()
    out, error = capsys.readouterr()
    assert out == ""
    (line,) = error.splitlines()
    program, _, sentence = line.partition(": ")
    assert program == "python -m gradcam_core"
    if is_odd:
        assert re.search(r"damaged|cannot be read|no file|No file can have|folder", sentence)
    else:
        assert_is_a_sentence(sentence, picture)
