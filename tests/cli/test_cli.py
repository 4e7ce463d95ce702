"""The command line: what it writes, and what it says to a person's mistake."""

from __future__ import annotations

import json
import resource
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.cli import photo
from gradcam_core.cli.arguments import folder, program
from gradcam_core.cli.photo import main
from gradcam_core.images.remote.fetch import OFF
from gradcam_core.images.remote.ssrf_guard import UNREACHABLE
from tests.support.app_server import ROOT
from tests.support.batch_results import rows_of
from tests.support.command_line import run
from tests.support.networks import registered_small_network
from tests.support.photos import EXAMPLES

STAND_INS = ("efficientnet_lite2", "efficientnet_lite0", "efficientnet_lite1")
"""Of the networks that the command line uses by default, in their order."""

LITE0 = ("--models", "efficientnet_lite0")
SMALL = ("--models", "small")

WRITTEN = {
    "input_image.jpg",
    "comparison.png",
    "comparison.svg",
    "captions.txt",
    "explanations.json",
    *(f"{name}_output.png" for name in STAND_INS),
    *(f"{name}_heatmap.{kind}" for name in STAND_INS for kind in ("npy", "png")),
}


def found_in(out: Path) -> dict[str, Any]:
    return json.loads((out / "explanations.json").read_text(encoding="utf-8"))


def test_the_example_of_the_help_works_as_pasted_and_writes_what_the_contract_says(
    empty_caches: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    words = shlex.split(capsys.readouterr().out.split("example:\n")[1])
    assert words[:3] == ["python", "-m", "gradcam_core"]
    out = empty_caches / "new" / "folder"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    assert main([str(out) if word == "out" else word for word in words[3:]]) == 0
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == WRITTEN
    path = ROOT / words[3]
    size = gc.read_image(path).size
    assert Image.open(out / "input_image.jpg").size == size
    found = found_in(out)
    assert found["photo"] == {"name": path.name, "size": list(size), "notices": [], "covers": []}
    assert printed.out.endswith("\n".join(["", *found["sentences"], ""]))
    records = {record["asked_for"]: record for record in found["explanations"]}
    for name, stand_in in zip(gc.DEFAULT_MODELS, STAND_INS, strict=True):
        record = records[name]
        assert record["overlay"] == f"{stand_in}_output.png"
        with Image.open(out / record["overlay"]) as picture:
            assert (picture.size, picture.mode) == (size, "RGB")
            assert picture.info["Photo"] == path.name
        heatmap = np.load(out / record["heatmap"])
        assert (heatmap.shape, heatmap.dtype) == (size[::-1], np.float32)
        assert record["target"]["name"] == words[words.index("--target") + 1]
        assert record["stands_in_for"] in ("Xception", "ResNet50", "VGG19")
        assert len(record["weights"]["sha256"]) == 64
        left, top, right, bottom = record["box"]
        assert heatmap[top:bottom, left:right].max() == 1
        heatmap[top:bottom, left:right] = 0
        assert not heatmap.any()
    assert printed.err.count("stands in for") == 3
    assert "Traceback" not in printed.err


@pytest.fixture
def small(tmp_path: Path) -> Iterator[gc.Model]:
    with registered_small_network(tmp_path) as model:
        yield model


@pytest.mark.usefixtures("no_figure")
def test_how_far_a_map_can_be_trusted_is_said_and_written(
    small: gc.Model, coffee: Image.Image, coffee_path: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    assert main([str(coffee_path), *SMALL, "--trust", "--out", str(tmp_path)]) == 0
    (record,) = found_in(tmp_path)["explanations"]
    assert record["target"]["name"] == gc.examine(coffee, small).top[0].name
    printed = capsys.readouterr().out
    assert record["trust"]["verdict"] in ("holds", "unclear", "fails")
    assert f"Small: {record['trust']['sentence']}\n" in printed
    captions = (tmp_path / "captions.txt").read_text(encoding="utf-8")
    assert f"{record['caption']}\n{record['trust']['sentence']}\n" in captions
    for reason in record["trust"]["reasons"]:
        is_worst = reason["outcome"] == record["trust"]["verdict"]
        assert (reason["text"] in record["trust"]["sentence"]) is is_worst
        assert (f"\n  {reason['outcome']}: {reason['text']}\n" in printed) is not is_worst
    with Image.open(tmp_path / "small_trust.png") as plot:
        assert plot.size == (1440, 810)
        assert plot.info["Verdict"] == record["trust"]["verdict"]
        assert plot.info["Photo"] == coffee_path.name
        assert np.ptp(np.asarray(plot.convert("L"))) > 200


@pytest.mark.usefixtures("no_figure")
def test_a_photo_may_be_an_address_and_files_say_its_name_only(
    cat_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    address = "https://pictures.example/album/tabby%20cat.jpg?key=secret"
    given = {address: cat_path.read_bytes()}
    monkeypatch.setattr(photo, "fetch_picture", lambda one, _allowed: given[one])
    assert main([address, *LITE0, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "captions.txt").read_text() + json.dumps(found_in(tmp_path))
    assert "tabby cat.jpg" in text
    assert "secret" not in text


@pytest.mark.parametrize("given", ["off", "", "no"])
def test_no_photo_is_fetched_where_addresses_are_switched_off(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("GRADCAM_ADDRESSES", given)
    with pytest.raises(SystemExit, match="2"):
        main(["https://pictures.example/cat.jpg", *LITE0, "--out", str(tmp_path)])
    assert OFF in capsys.readouterr().err


@pytest.mark.parametrize("first", [[], ["batch"]])
def test_whether_addresses_are_fetched_must_be_on_or_off(
    first: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.setenv("GRADCAM_ADDRESSES", "onn")
    with pytest.raises(SystemExit, match="2"):
        main([*first, "https://pictures.example/cat.jpg", *LITE0, "--out", str(tmp_path)])
    assert "GRADCAM_ADDRESSES is 'onn': it must be on or off" in capsys.readouterr().err


@pytest.mark.usefixtures("no_figure")
def test_the_choices_are_honoured(
    small: gc.Model, cat: Image.Image, cat_path: Path, tmp_path: Path, capsys
):
    first = gc.examine(cat, small).top[0].name
    cases = {
        ("--method", "layercam", "--detail", "2"): {"method": "layercam", "detail": 2},
        ("--preset", "sharp", "--view", "whole"): {"preset": "sharp", "view": "whole"},
        ("--contrast", "lynx", "--contrast", "282"): {"contrast": ("lynx", 282)},
        ("--method", "finercam", "--contrast", "auto"): {"method": "finercam", "contrast": True},
        ("--method", "eigencam"): {"method": "eigencam"},
    }
    for options, same in cases.items():
        fixed = [*SMALL, "--target", first, "--out", str(tmp_path)]
        assert main([str(cat_path), *fixed, *options]) == 0
        got = np.load(tmp_path / "small_heatmap.npy")
        expected = gc.explain(cat_path, small, first, **same)  # type: ignore[arg-type]
        assert got.any()
        np.testing.assert_allclose(got, expected.heatmap, atol=1e-4)
        (record,) = found_in(tmp_path)["explanations"]
        assert record["target"]["name"] == first
        assert (record["method"], record["detail"]) == (expected.method, expected.detail)
        assert (record["view"], tuple(record["box"])) == (expected.view, expected.box)
        assert [r["name"] for r in record["contrast"]] == [r.name for r in expected.contrast]
        does = "Eigen-CAM ignores the class," if "eigencam" in options else "explains"
        assert f"; {does} {expected.question} (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PHOTO"),
        (["no_such.jpg"], "no file no_such.jpg"),
        ([__file__], "not a picture"),
        (["/dev/zero"], "not a file, but a pipe or a device"),
        (["http://127.0.0.1:9/cat.jpg"], UNREACHABLE),
        (["https://"], UNREACHABLE),
        (["ftp://example.org/cat.jpg"], "starts with https:// or http://"),
        (["{cat}", "--models", "resnet5"], "Choose from: xception, resnet50"),
        (["{cat}", "--models", ","], "names no network"),
        (["--models", "resnet50,", "vgg19,", "{cat}", "--detail", "9"], "choose from 1"),
        (["{cat}", "--models", "resnet50", "vgg19,", "resnet5"], "2 PHOTOS ({cat} and resnet5)"),
        (["{cat}", "--target", "cat"], "tiger cat (282)"),
        (["{cat}", "--target", "5000"], "0 to 999"),
        (["{cat}", "--view", "half"], "'crop', 'whole'"),
        (["{cat}", "--method", "magic"], "gradcam"),
        (["{cat}", "--detail", "9"], "choose from 1"),
        (["{cat}", "--preset", "blunt"], "sharp"),
        (["{cat}", "--preset", "sharp", "--detail", "3"], "leave out --method and --detail"),
        (["{cat}", "--contrast", "catt"], "catt"),
        (["{cat}", "--contrast", "tabby", "--target", "tabby"], "against itself"),
        (["{cat}", "--contrast", "auto", "--method", "eigencam"], "is the same for every class"),
        (["{cat}", "--out", __file__], "cannot be made"),
        (["{cat}", "--out", "a" * 300], "cannot be made: File name too long"),
        ([""], "The name of the picture is empty"),
        ([" "], "The name of the picture is empty"),
        (["{cat}", "b.jpg"], "there are 2 PHOTOS ({cat} and b.jpg), but only one is explained"),
        (["{folder}"], " batch {folder} --out DIR"),
        (["{cat}", "--out", ""], "name is empty"),
        (["{cat}", "--colour", "red"], "--colour"),
    ],
)
def test_a_mistake_ends_with_status_2_and_one_line(
    arguments: list[str], words: str, cat_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        main([word.format(cat=cat_path, folder=cat_path.parent) for word in arguments])
    assert stopped.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert words.format(cat=cat_path, folder=cat_path.parent) in output.err


def test_a_package_that_is_not_installed_is_named_in_one_line(cat_path: Path):
    without_it = "import runpy, sys; sys.modules['tqdm'] = None; sys.argv = sys.argv[:1] + "
    started = f"{[str(cat_path), *LITE0]}; runpy.run_module('gradcam_core', run_name='__main__')"
    done = run(program=("-c", without_it + started))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "The package tqdm is not installed. Try: pip install -r requirements.txt"
    ]


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "photos.zip"])
def test_a_list_or_archive_is_for_a_batch(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / name).write_text("cat.jpg")
    with pytest.raises(SystemExit):
        main([str(tmp_path / name)])
    assert (
        f"is not one picture. For all pictures of a folder, list or ZIP file: {program()} batch "
        in (capsys.readouterr().err)
    )


def test_the_address_of_a_file_is_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for command in ([], ["batch", "--out", str(tmp_path / "out")]):
        with pytest.raises(SystemExit):
            main([*command, f"{tmp_path.as_uri()}/no%20cat.jpg"])
        assert f"no file {tmp_path}/no cat.jpg" in capsys.readouterr().err.replace("folder or ", "")


def test_no_results_are_written_where_a_link_leads_nowhere(
    cat_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "out").symlink_to("gone")
    for command in ([], ["batch"]):
        with pytest.raises(SystemExit):
            main([*command, str(cat_path), "--out", str(tmp_path / "out"), *LITE0])
        assert "out is a broken link: it leads to gone, which" in capsys.readouterr().err


def test_a_home_that_no_shell_has_put_in_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder("~/results") == tmp_path / "results"
    assert folder("~nobody-at-all/results") == Path("~nobody-at-all/results")
    for given in (["~/a.jpg"], ["batch", "~/a.jpg"], ["batch", ".", "--labels=~/a.jpg"]):
        with pytest.raises(SystemExit):
            main([*given, "--out=~/results", *LITE0])
        assert f"{tmp_path}/a.jpg" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["~/a.jpg", "--networks=~/a.toml"])
    assert f"{tmp_path}/a.toml" in capsys.readouterr().err


def test_a_mistake_writes_nothing(cat_path: Path, tmp_path: Path):
    with pytest.raises(SystemExit):
        main([str(cat_path), "--out", str(tmp_path / "out"), "--target", "catt"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_result_leaves_what_was_there(
    cat_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "comparison.svg").mkdir()
    (tmp_path / "captions.txt").write_text("of an earlier photo")
    with pytest.raises(SystemExit) as stopped:
        main([str(cat_path), *LITE0, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "there is a folder called comparison.svg in it" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.txt", "comparison.svg"]
    assert (tmp_path / "captions.txt").read_text() == "of an earlier photo"


def test_a_full_disk_leaves_what_was_there(cat_path: Path, tmp_path: Path, capsys):
    """Here no file may become larger than 100 KB, which Linux says in the same way."""
    (tmp_path / "captions.txt").write_text("of an earlier photo")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(SystemExit) as stopped:
            main([str(cat_path), *LITE0, "--out", str(tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stopped.value.code == 2
    assert "File too large" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["captions.txt"]
    assert (tmp_path / "captions.txt").read_text() == "of an earlier photo"


def test_options_with_choices_say_them_for_what_is_no_number(capsys: pytest.CaptureFixture[str]):
    for given, words in (
        (["x.jpg", "--detail", "x"], "invalid choice: 'x' (choose from 1, 2, 3)"),
        (["batch", "x", "--out", "y", "--longest", "1.5"], "is a number from 64 to 8192"),
    ):
        with pytest.raises(SystemExit):
            main(given)
        assert words in capsys.readouterr().err


def test_a_folder_that_is_gone_is_told(tmp_path: Path):
    """A shell may still be in it."""
    gone = tmp_path / "gone"
    code = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"
    code += "; from gradcam_core.__main__ import main; raise SystemExit(main())"
    ended = run("batch", ".", "--out", "out", program=("-c", code))
    assert ended.returncode == 2
    assert ended.stderr.startswith("The folder that this was started in is gone")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.usefixtures("no_figure")
def test_a_layer_is_chosen_by_name_or_number_for_a_photo_and_a_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    chosen = ["--models", "efficientnet_lite0", "--layer"]
    for layer, name in (("0.5", "blocks.2"), ("blocks.4", "blocks.4")):
        assert main([str(EXAMPLES / "1_cat.jpg"), *chosen, layer, "--out", str(tmp_path)]) == 0
        record = json.loads((tmp_path / "explanations.json").read_text())
        assert record["explanations"][0]["layer"] == name
    with pytest.raises(SystemExit) as ended:
        main([str(EXAMPLES / "1_cat.jpg"), *chosen, "blocks.9", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "no layer 'blocks.9'. The last feature maps" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["batch", str(EXAMPLES), *chosen, "blocks.9", "--out", str(tmp_path / "wrong")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("blocks.4, bn2.")
    out = tmp_path / "batch"
    batch = ["batch", str(EXAMPLES / "1_cat.jpg"), *chosen, "0.5", "--out", str(out), "--no-report"]
    assert main(batch) == 0
    assert {row["layer"] for row in rows_of(out).values()} == {"blocks.2"}


THREE_COMMANDS = """
import sys
from gradcam_core.__main__ import main
from gradcam_core.export import result_files
result_files.png = result_files.svg = lambda figure: b""
photo, *batch = sys.argv[1:]
for arguments in ([photo, *batch[-2:], "--out", "one"], batch, batch):
    sys.argv[1:] = arguments
    assert main() == 0
"""


def test_a_terminal_that_lacks_characters_loses_no_result(tmp_path: Path):
    photo = tmp_path / "photos" / "Kätzchen × 猫.jpg"
    photo.parent.mkdir()
    Image.open(EXAMPLES / "1_cat.jpg").reduce(4).save(photo)
    (photo.parent / "Nötizen 猫.txt").write_text("no picture")
    batch = ("batch", "photos", "--out", "Ausgäbe", *LITE0)
    # Names of files, too, are none that this Python could print.
    ascii_only: Any = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = ("-c", THREE_COMMANDS)
    given = (f"photos/{photo.name}", *batch)
    done = run(*given, program=program, folder=tmp_path, **ascii_only)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "EfficientNet-Lite0: Egyptian cat" in done.stdout
    assert "EfficientNet-Lite0" in (tmp_path / "one" / "captions.txt").read_text(encoding="utf-8")
    assert "1 picture, one network" in done.stdout
    assert "1 x not a picture by its name" in done.stdout
    assert "0 pictures (1 done before)" in done.stdout
    assert (tmp_path / "Ausgäbe" / "report.html").is_file()


@pytest.mark.usefixtures("no_figure")
def test_covered_places_are_said_in_files_their_names_and_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    coffee = EXAMPLES / "2_coffee.jpg"
    covers = ("--cover", "0.35,0.2,0.65,0.6", "--cover", "0,0,0.1,0.1:grey")
    assert main([str(coffee), *LITE0, *covers, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    e = gc.explain(coffee, "efficientnet_lite0", cover=list(covers[1::2]))
    assert {path.name for path in tmp_path.iterdir()} == {
        "input_image_covered.jpg",
        "comparison.png",
        "comparison.svg",
        "captions.txt",
        "explanations.json",
        "efficientnet_lite0_covered_output.png",
        "efficientnet_lite0_covered_heatmap.npy",
        "efficientnet_lite0_covered_heatmap.png",
    }
    found = found_in(tmp_path)
    assert found["photo"]["covers"] == [cover.record() for cover in e.covers]
    assert found["photo"]["notices"] == list(e.photo_notices)
    (record,) = found["explanations"]
    effect = gc.cover_effect(e)
    assert effect is not None
    assert record["cover_effect"] == effect.record()
    assert record["caption"] == e.caption(coffee.name)
    np.testing.assert_array_equal(np.load(tmp_path / record["heatmap"]), e.heatmap)
    assert found["sentences"][0].startswith("Without the covered places, espresso goes from ")
    assert e.photo_notices[0] in printed.err
    with Image.open(tmp_path / record["overlay"]) as overlay:
        assert overlay.info["Covered"] == "0.35,0.2,0.65,0.6:blur; 0,0,0.1,0.1:grey"


def test_what_is_no_cover_ends_in_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main([str(EXAMPLES / "2_coffee.jpg"), "--cover", "0.5,0.2,0.1,0.6"])
    assert stopped.value.code == 2
    assert "The box '0.5,0.2,0.1,0.6:blur' is empty" in capsys.readouterr().err
