"""A talk says at the start what cannot be shown, and why; the one that comes along can be."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcam_core as gc
from demo.examples import example_path
from demo.server.requests import PageRequest
from demo.server.talk import read_talk, talk_of_the_examples
from tests.support.photos import EXAMPLES


def written(folder: Path, text: str) -> Path:
    path = folder / "talk.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_talk_of_the_examples_can_be_shown():
    talk = read_talk(talk_of_the_examples())
    assert talk.title
    assert len(talk.slides) > 5
    for slide in talk.slides:
        assert example_path(slide.example).is_file()
        assert slide.title
        assert slide.caption


def test_a_slide_sets_what_the_page_calls_by_other_names(tmp_path: Path):
    (tmp_path / "mine.jpg").write_bytes((EXAMPLES / "1_cat.jpg").read_bytes())
    talk = read_talk(
        written(
            tmp_path,
            """
            [[slide]]
            photo = "mine.jpg"
            class = "tabby cat"
            contrast = 285
            view = "whole"
            method = "layercam"
            detail = 2
            models = ["vgg19"]
            signed = true
            layer = 0.5
            [[slide]]
            photo = "1_cat"
            map = "sharp"
            """,
        )
    )
    first, second = talk.slides
    assert dict(first.state) == {
        "target": 281,
        "contrast": 285,
        "view": "whole",
        "kind": "own",
        "method": "layercam",
        "detail": 2,
        "models": ["vgg19"],
        "signed": True,
        "layer": 0.5,
    }
    assert example_path(first.example) == tmp_path / "mine.jpg"
    cells = [{"id": "a", "model": "vgg19"}]
    request = PageRequest.model_validate({"example": first.example, "maps": cells})
    assert request.photo_name  # the page may ask for it
    assert second.example == "1_cat"
    assert dict(second.state) == {"kind": "sharp"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[slide]\nphoto = 1", "is not valid TOML"),
        ("title = 'none'", "needs from 1 to 200 slides"),
        ("titel = 'x'\n[[slide]]\nphoto = '1_cat'", "not 'titel'"),
        ("[[slide]]\ntitle = 'no photo'", "slide 1: It needs a photo"),
        (
            "[[slide]]\nphoto = '1_cat'\n[[slide]]\nphoto = 'gone.jpg'",
            "slide 2: There is no picture",
        ),
        ("[[slide]]\nphoto = 'https://example.org/a.jpg'", "There is no picture"),
        (
            "[[slide]]\nphoto = '1_cat'\nclass = 'tabbi'",
            "class: There is no class 'tabbi'",
        ),
        ("[[slide]]\nphoto = '1_cat'\nclass = 'tabby'\ncontrast = 281", "against itself"),
        ("[[slide]]\nphoto = '1_cat'\nview = 'all'", "Choose one of: crop, whole"),
        ("[[slide]]\nphoto = '1_cat'\ndetail = true", "Choose one of: 1, 2, 3"),
        ("[[slide]]\nphoto = '1_cat'\nmap = 'sharp'\nmethod = 'layercam'", "leave out the map"),
        ("[[slide]]\nphoto = '1_cat'\nmethod = 'gradcams'", "no method 'gradcams'"),
        ("[[slide]]\nphoto = '1_cat'\nmethod = 'scorecam'\nsigned = true", "no signed map"),
        ("[[slide]]\nphoto = '1_cat'\nmodels = ['resnet51']", "resnet51"),
        ("[[slide]]\nphoto = '1_cat'\nlayer = 2", "from 0"),
        ("[[slide]]\nphoto = '1_cat'\ncolour = 'jet'", "no 'colour'"),
        ("slide = [1]", "is not a table"),
        ("title = 3\n[[slide]]\nphoto = '1_cat'", "its title must be a text, not 3"),
        ("[[slide]]\nphoto = '1_cat'\ncaption = 3", "slide 1: Its caption is a text, not 3"),
        ("[[slide]]\nphoto = '1_cat'\nclass = 'crane'", "class: 'crane' stands for several"),
        ("[[slide]]\nphoto = '1_cat'\nclass = 281.0", "a name or an index, not 281.0"),
        pytest.param(f"[[slide]]\nphoto = '{'a' * 5000}'", "There is no picture", id="long"),
        ("[[slide]]\nphoto = 'talk.toml'", "slide 1: talk.toml: This is not a picture"),
        (
            "[[slide]]\nphoto = 'talk.toml'\n[[slide]]\nphoto = '1_cat'\n[[slide]]",
            "If it is a picture, save it as PNG, JPEG or TIFF. Slide 3: It needs a photo",
        ),
    ],
)
def test_what_cannot_be_shown_is_told_with_its_slide(tmp_path: Path, text: str, reason: str):
    with pytest.raises(gc.GradcamError) as told:
        read_talk(written(tmp_path, text))
    assert reason in str(told.value)
    assert "talk.toml" in str(told.value)


def test_a_talk_as_an_editor_of_windows_writes_it_is_read(tmp_path: Path):
    path = tmp_path / "talk.toml"
    path.write_bytes("[[slide]]\r\nphoto = '1_cat'\r\ntitle = 'é'\r\n".encode("utf-8-sig"))
    assert read_talk(path).slides[0].title == "é"
    path.write_bytes("title = 'é'".encode("cp1252"))
    with pytest.raises(gc.ChoiceError, match="is not UTF-8 text"):
        read_talk(path)


def test_a_picture_of_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(EXAMPLES))
    talk = read_talk(written(tmp_path, "[[slide]]\nphoto = '~/1_cat.jpg'"))
    assert talk.slides[0].example == "talk-1"
    with pytest.raises(gc.ChoiceError, match="There is no picture '~nobody"):
        read_talk(written(tmp_path, "[[slide]]\nphoto = '~nobody-here/a.jpg'"))


def test_a_talk_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(gc.ChoiceError, match="cannot be read: No such file"):
        read_talk(tmp_path / "none.toml")
