"""All pictures of a folder, a pattern or a Parquet file: rows, overlays, and taking it up again."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import gradcam_core as gc
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.location import where
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.batch.engines import compute
from gradcam_core.batch.engines.local import explain_locally
from gradcam_core.batch.listing.source import Pictures, PictureSource
from gradcam_core.batch.overlays import overlay_path
from gradcam_core.batch.pictures import find_pictures
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.run import run
from gradcam_core.batch.schema import SCHEMA
from gradcam_core.batch.settings import LATER_SETTINGS, BatchSettings
from gradcam_core.batch.store import ResultFolder
from gradcam_core.cli.batch import main
from gradcam_core.errors import BatchError, PicturesError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.decoded import Window
from gradcam_core.images.remote.fetch import OFF
from gradcam_core.models.custom import register_all
from gradcam_core.models.registry import remove_model
from tests.support.app_server import ROOT
from tests.support.batch_results import Rows, assert_same_rows, levels, rows_of
from tests.support.photos import PHOTOS as SCIENCE

EXAMPLES = ROOT / "assets" / "examples"
LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
ONE = ("--models", LITE[0], "--no-report")


def started(*arguments: str, program: Sequence[str] = ("-m", "gradcam_core")) -> Popen[str]:
    """The program as a person starts it, without a network."""
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "TORCH_HOME": "/nowhere"}
    return Popen(
        [sys.executable, *program, "batch", *arguments],
        cwd=ROOT,
        env=os.environ | settings,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
    )


EAGER = (
    "import gradcam_core.batch.store as store, gradcam_core.cli.photo as cli, sys;"
    "store.PART_PICTURES = 3; sys.exit(cli.main(sys.argv[1:]))"
)
"""The program, but a part of the data set is written after every third picture."""


def batch(photos_of: Path | str, out: Path, *more: str) -> Rows:
    """The rows of a batch of one network, in this process."""
    assert main([str(photos_of), "--out", str(out), *ONE, *more]) == 0
    return rows_of(out)


def keys(rows: Rows) -> list[str]:
    return sorted(path for path, _ in rows)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs in folders, one in another format, one cut short, and files that are none."""
    album = tmp_path_factory.mktemp("album")
    (album / "holiday" / "day 1").mkdir(parents=True)
    (album / ".thumbnails").mkdir()
    shutil.copy(EXAMPLES / "1_cat.jpg", album / "cat.JPG")
    shutil.copy(EXAMPLES / "7_wide_strip.jpg", album / "holiday")
    shutil.copy(SCIENCE / "coffee.png", album / "holiday" / "day 1" / "kaffee ☕.png")
    shutil.copy(EXAMPLES / "1_cat.jpg", album / ".thumbnails")
    (album / "holiday" / "cut.jpg").write_bytes((EXAMPLES / "1_cat.jpg").read_bytes()[:3000])
    (album / "notes.txt").write_text("no picture")
    return album


ALBUM = ["cat.JPG", "holiday/7_wide_strip.jpg", "holiday/cut.jpg", "holiday/day 1/kaffee ☕.png"]


@pytest.fixture(scope="module")
def done(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The album explained by three networks."""
    out = tmp_path_factory.mktemp("done")
    assert main([str(album), "--out", str(out), "--models", ",".join(LITE), "--no-report"]) == 0
    return out


@pytest.fixture(scope="module")
def begun(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture explained by one network, for tests that only read it or are refused it."""
    out = tmp_path_factory.mktemp("begun")
    batch(album / "cat.JPG", out)
    return out


@pytest.fixture
def small(tmp_path: Path) -> Iterator[gc.Model]:
    """A network of its owner with random weights, for what does not depend on its maps."""
    weights = tmp_path / "small.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet", num_classes=3).state_dict(), weights)
    (info,) = register_all([f"Small=test_efficientnet,weights={weights}"])
    yield gc.load_model(info.name)
    remove_model(info.name)


def test_rows_say_what_explain_says(album: Path, done: Path):
    rows = rows_of(done)
    assert keys(rows) == sorted(3 * ALBUM)
    for path in set(ALBUM) - {"holiday/cut.jpg"}:
        expected = [gc.explain(album / path, name) for name in LITE]
        together = agreement(expected)
        assert together
        for number, (name, e) in enumerate(zip(LITE, expected, strict=True)):
            row = rows[path, name]
            assert row["error"] is None
            assert row["probability"] == pytest.approx(e.target.probability, abs=1e-4)
            assert (row["class_index"], row["class"], row["rank"]) == (*_class(e), 1)
            assert [(one["index"], one["name"]) for one in row["top"]] == [
                (one.index, one.name) for one in e.top
            ]
            assert [one["probability"] for one in row["top"]] == pytest.approx(
                [one.probability for one in e.top], abs=1e-4
            )
            assert (row["width"], row["height"]) == e.geometry.photo_size
            assert tuple(row["box"]) == e.box
            hot = e.heatmap >= 0.5
            down, across = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
            box = across[0], down[0], across[-1] + 1, down[-1] + 1
            assert row["heat_box"] == pytest.approx(box, abs=1)
            assert row["where"] == where(e)
            shares = e.feature_map / e.feature_map.max()
            assert levels(row) / 255 == pytest.approx(shares, abs=0.004)
            its = [p.overlap or 0 for p in together.pairs if number in p.ends]
            assert row["agreement"] == pytest.approx(np.mean(its), abs=2e-3)
            every = together.overlap
            assert row["picture_agreement"] == pytest.approx(every, abs=2e-3)
            assert row["weights"]["sha256"] == e.weights.sha256
            assert row["title"] == e.title
            assert row["trust"] is None
            assert dict(row["versions"])["timm"]
            left, top, right, bottom = e.geometry.region
            width, height = e.geometry.photo_size
            shares_of = [left / width, top / height, right / width, bottom / height]
            assert row["region"] == pytest.approx(shares_of, abs=1e-6)


def _class(e: gc.Explanation) -> tuple[int, str]:
    return e.target.index, e.target.name


def test_a_bad_picture_is_a_row_with_its_error(done: Path):
    rows = rows_of(done)
    for name in LITE:
        row = rows["holiday/cut.jpg", name]
        assert "The picture is incomplete" in row["error"]
        assert row["class"] is row["overlay"] is row["map"] is row["width"] is None
        assert (row["title"], row["method"]) == (gc.load_model(name).info.title, "gradcam")


def test_overlays_show_the_heat_where_the_box_is(album: Path, done: Path):
    for (path, name), row in rows_of(done).items():
        if row["error"]:
            continue
        with Image.open(album / path) as photo, Image.open(done / row["overlay"]) as picture:
            plain = np.asarray(photo.convert("RGB").resize(picture.size), dtype=float)
            overlay = np.asarray(picture, dtype=float)
            assert max(picture.size) == min(768, max(photo.size)), name
            said = picture.info["comment"].decode()
            assert f"Photo: {Path(path).name}\nNetwork: {row['title']}\n" in said
        left, top, right, bottom = row["heat_box"]
        scale = picture.width / row["width"]
        box = np.s_[
            round(top * scale) : round(bottom * scale), round(left * scale) : round(right * scale)
        ]
        outside = overlay[: max(1, round(row["box"][1] * scale))]
        assert outside.mean() < 0.6 * plain[: len(outside)].mean()  # dimmed
        assert np.abs(overlay - plain)[box].mean() > 25


def test_the_first_network_of_a_picture_has_the_thumbnail(done: Path):
    for (path, name), row in rows_of(done).items():
        if path == "holiday/cut.jpg" or name != LITE[0]:
            assert row["thumbnail"] is None
            continue
        with Image.open(io.BytesIO(row["thumbnail"])) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) == 160


def test_the_files_say_what_their_columns_mean(done: Path):
    (part,) = (done / "data").iterdir()
    schema = pq.read_schema(part)
    assert schema.names == SCHEMA.names
    for field in schema:
        assert field.metadata[b"description"]
    names = {".lock", "data", "overlays", "run.json", "skipped.parquet"}
    assert {path.name for path in done.iterdir()} == names


def test_a_pattern_parquet_of_paths_of_bytes_and_of_structs_give_the_same_rows(
    album: Path, tmp_path: Path, small: gc.Model
):
    network = ("--models", small.info.name)
    pictures = sorted(path for path in album.rglob("*.*") if path.suffix in (".JPG", ".png"))
    names = [path.relative_to(album).as_posix() for path in pictures]
    contents = [path.read_bytes() for path in pictures]
    by_pattern = batch(f"{album}/**/*.[Jp][Pn][Gg]", tmp_path / "pattern", *network)
    assert keys(by_pattern) == sorted(names)
    tables = {
        "paths": {"path": [*map(str, pictures), str(pictures[0])], "n": [1, 2, 1]},
        "bytes": {"image": [*contents, None], "label": ["a", "b", "c"]},
        "structs": {
            "image": [
                {"bytes": one, "path": name} for one, name in zip(contents, names, strict=True)
            ]
        },
    }
    expected = {
        "paths": sorted(map(str, pictures)),
        "bytes": ["row-0", "row-1", "row-2"],
        "structs": sorted(names),
    }
    for name, columns in tables.items():
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns), file)
        rows = batch(file, tmp_path / name, *network)
        assert keys(rows) == expected[name], name
        if name == "bytes":
            assert "neither the bytes" in rows.pop(("row-2", small.info.name))["error"]
        for row, path in zip(
            (rows[key] for key in sorted(rows)),
            sorted(names) if name == "structs" else names,
            strict=True,
        ):
            model = small.info.name
            named = {name: row[name] for name in ("path", "overlay", "caption")}  # by the key
            same = by_pattern[path, model] | named
            assert_same_rows({("", model): row}, {("", model): same})


def test_the_choices_are_honoured(album: Path, tmp_path: Path):
    picture = album / "cat.JPG"
    more = ("--target", "tabby", "--method", "layercam", "--detail", "2", "--view", "whole")
    (row,) = batch(picture, tmp_path / "one", *more, "--longest", "200").values()
    e = gc.explain(picture, LITE[0], "tabby", method="layercam", detail=2, view="whole")
    assert (row["path"], row["class"], row["rank"]) == ("cat.JPG", "tabby", e.rank)
    assert (row["method"], row["detail"], row["view"]) == ("layercam", 2, "whole")
    assert row["probability"] == pytest.approx(e.target.probability, abs=1e-4)
    assert levels(row) / 255 == pytest.approx(e.feature_map / e.feature_map.max(), abs=0.004)
    assert tuple(row["box"]) == e.box
    with Image.open(tmp_path / "one" / row["overlay"]) as overlay:
        assert max(overlay.size) == 200


def test_a_contrast_is_that_of_one_photo_and_belongs_to_the_batch(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cat = album / "cat.JPG"
    options = ("--target", "tabby", "--contrast", "lynx")
    (row,) = batch(cat, tmp_path, *options).values()
    e = gc.explain(cat, LITE[0], "tabby", contrast="lynx")
    assert [other["name"] for other in row["contrast"]] == ["lynx"]
    assert levels(row) / 255 == pytest.approx(e.feature_map / e.feature_map.max(), abs=0.004)
    with pytest.raises(SystemExit):
        batch(cat, tmp_path, "--target", "tabby")
    assert "contrast" in capsys.readouterr().err


def test_trust_is_written(album: Path, tmp_path: Path, small: gc.Model):
    network = ("--models", small.info.name)
    (row,) = batch(album / "cat.JPG", tmp_path / "out", "--trust", *network).values()
    photo = gc.read_image(album / "cat.JPG")
    found = run_checks(photo, small, gc.explain(photo, small))
    assert row["trust"]["verdict"] == found.verdict
    assert row["trust"]["sentence"].startswith(found.sentence[:20])
    checks = [
        (reason["check"], reason["outcome"], reason["passed"]) for reason in row["trust"]["reasons"]
    ]
    assert checks == [(reason.check, reason.outcome, reason.passed) for reason in found.reasons]
    for reason in row["trust"]["reasons"]:
        is_named = reason["outcome"] == found.verdict
        assert (reason["text"] in row["trust"]["sentence"]) is is_named
    record: dict[str, Any] = found.record()
    for name in ("deletion", "insertion", "random_deletion", "random_insertion"):
        assert row["trust"][name] == pytest.approx(record[name]["area"], abs=1e-3)
    for name in ("probability", "shown_alone", "random_weights", "shifts", "noises"):
        assert row["trust"][name] == pytest.approx(record[name], abs=1e-2)
    assert row["trust"]["lead"]["count"] == record["lead"]["count"]
    for name in ("without", "alone"):
        assert row["trust"][name]["share"] == pytest.approx(record[name]["share"])
        assert row["trust"][name]["probability"] == pytest.approx(
            record[name]["probability"], abs=1e-3
        )
    assert set(row["trust"]) == {*record, "steadiness", "road", "arcc"} - {"measures"}
    assert [row["trust"]["road"], row["trust"]["arcc"]] == pytest.approx(
        [measure.value for measure in found.measures], abs=1e-2
    )
    assert row["trust"]["average_drop"] == pytest.approx(found.average_drop, abs=1e-3)
    assert row["trust"]["steadiness"] == pytest.approx(found.lowest_change, abs=1e-2)
    assert row["trust"]["sanity"] == pytest.approx(found.sanity[-1].correlation, abs=1e-2)


def test_pytorch_has_its_threads_back(album: Path, tmp_path: Path, small: gc.Model):
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        batch(album / "cat.JPG", tmp_path, "--models", small.info.name)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)


@pytest.mark.system
def test_a_batch_that_is_killed_and_then_stopped_goes_on_until_every_row_is_there_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """kill -9 and Ctrl-C, as a person meets them, and a run to the end."""
    count = 32
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number, example in zip(range(count - 1), cycle(sorted(EXAMPLES.glob("*.jpg")))):
        shutil.copy(example, photos / f"{number:03}.jpg")
    (photos / "last.jpg").write_bytes(b"no picture")
    arguments = [str(photos), "--out", str(out), *ONE]

    killed = started(*arguments, program=("-c", EAGER))
    while not list(out.glob("data/part-*.parquet")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    before = len(rows_of(out))
    assert 3 <= before < count
    (out / "data" / ".part-000099.tmp").write_bytes(b"half of a part")

    stopped = started(*arguments)
    while len(list(out.glob("overlays/*.jpg"))) < before + 10:
        assert stopped.poll() is None
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    _, error = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    kept = len(rows_of(out))
    assert before < kept < count
    last = error.replace("\r", "\n").strip().splitlines()[-1]
    assert last.endswith(f"stopped; {kept} of {count} pictures are done, the same command resumes")
    assert "Traceback" not in error

    capsys.readouterr()
    assert main(arguments) == 0
    output, error = capsys.readouterr()
    assert re.search(rf"pictures: .* \d+/{count} \[", error)
    assert output.startswith(f"{count - kept} pictures ({kept} done before), one network")
    assert "1 with an error" in output
    rows = rows_of(out)
    assert keys(rows) == sorted(path.name for path in photos.iterdir())
    assert [key for key, row in rows.items() if row["error"]] == [("last.jpg", LITE[0])]
    assert not list((out / "data").glob(".*"))
    assert len(list(out.glob("overlays/*.jpg"))) == count - 1


def test_a_second_run_does_nothing_twice_and_a_new_picture_is_taken_along(
    album: Path, tmp_path: Path, small: gc.Model, capsys: pytest.CaptureFixture[str]
):
    network = ("--models", small.info.name)
    folder = tmp_path / "photos"
    shutil.copytree(album, folder)
    out = folder / "results"  # which are not taken for pictures
    first = batch(folder, out, *network)
    assert batch(folder, out, *network) == first
    assert "0 pictures (4 done before)" in capsys.readouterr().out
    shutil.copy(EXAMPLES / "2_coffee.jpg", folder)
    assert len(batch(folder, out, *network)) == len(first) + 1
    assert len(list((out / "data").iterdir())) == 2


def test_what_is_left_out_or_fails_is_named_in_the_summary(
    album: Path, tmp_path: Path, small: gc.Model, capsys: pytest.CaptureFixture[str]
):
    network = ("--models", small.info.name)
    folder, out = tmp_path / "photos", tmp_path / "photos" / "out"
    shutil.copytree(album, folder)
    (folder / "again").symlink_to(folder)
    batch(folder, out, *network)
    summary = capsys.readouterr().out
    lines = (
        "1 with an error; see the rows\n  holiday/cut.jpg: The picture is incomplete",
        f"left out, listed in {out / 'skipped.parquet'}:\n",
        "  1 × not a picture by its name: notes.txt\n",
        "  1 × a link in a circle: again\n",
    )
    for line in lines:
        assert line in summary
    table = pq.read_table(out / "skipped.parquet").to_pylist()
    assert {row["path"]: row["reason"] for row in table} == {
        ".thumbnails": "hidden",
        "again": "a link in a circle",
        "notes.txt": "not a picture by its name",
    }
    for name in ("again", "notes.txt"):
        (folder / name).unlink()
    shutil.rmtree(folder / ".thumbnails")
    batch(folder, out, *network)
    assert "left out" not in capsys.readouterr().out
    assert not (out / "skipped.parquet").exists()


def test_a_batch_that_explains_nothing_has_status_1(
    album: Path, tmp_path: Path, small: gc.Model, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "photos").mkdir()
    bad = tmp_path / "photos" / "bad.jpg"
    shutil.copy(album / "holiday" / "cut.jpg", bad)
    arguments = [str(bad.parent), "--out", str(tmp_path / "out"), *ONE, "--models", small.info.name]
    for _ in range(2):  # also where it was done before
        assert main(arguments) == 1
        assert "no picture could be explained" in capsys.readouterr().err
    shutil.copy(album / "cat.JPG", bad.parent)
    assert main(arguments) == 0


def test_a_list_a_zip_file_and_an_address_give_the_same_rows_and_go_on(
    album: Path, tmp_path: Path, small: gc.Model, monkeypatch: pytest.MonkeyPatch
):
    content = (album / "cat.JPG").read_bytes()
    model = small.info.name
    network = ("--models", model)
    (expected,) = batch(album / "cat.JPG", tmp_path / "one", *network).values()
    (tmp_path / "list.csv").write_text(f"path,label\n{album / 'cat.JPG'},0\nno.jpg,1\n")
    with zipfile.ZipFile(tmp_path / "album.zip", "w") as file:
        file.writestr("0/cat.JPG", content)
    address = "https://pictures.example/cat.JPG"
    monkeypatch.setattr(compute, "fetch_picture", lambda one, _allowed: {address: content}[one])
    cases: dict[str, tuple[Path | str, str, tuple[str, ...]]] = {
        "list": (tmp_path / "list.csv", str(album / "cat.JPG"), (str(tmp_path / "list.csv"),)),
        "zip": (tmp_path / "album.zip", "0/cat.JPG", ("folder",)),
        "address": (address, address, ()),
    }
    for name, (given, key, labels) in cases.items():
        more = (*network, *(("--labels", *labels) if labels else ()))
        rows = batch(given, tmp_path / name, *more)
        assert batch(given, tmp_path / name, *more) == rows
        row = rows[key, model]
        assert row["label_index"] == (0 if labels else None)
        same = ("path", "overlay", "caption", *(k for k in row if k.startswith("label")), "correct")
        assert_same_rows({("", model): row}, {("", model): expected | {k: row[k] for k in same}})
    missing = rows_of(tmp_path / "list")["no.jpg", model]
    assert "There is no file" in missing["error"]


def test_no_picture_is_fetched_where_addresses_are_switched_off(
    tmp_path: Path, small: gc.Model, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADCAM_ADDRESSES", "off")
    address = "https://pictures.example/cat.jpg"
    assert main([address, "--out", str(tmp_path), *ONE, "--models", small.info.name]) == 1
    assert rows_of(tmp_path)[address, small.info.name]["error"] == OFF


def test_run_json_says_what_the_batch_is_as_it_always_has(album: Path, tmp_path: Path):
    """Otherwise a batch that an earlier version has begun could not go on."""
    source = album / "cat.JPG"
    batch(source, tmp_path, "--target", "tabby", "--detail", "2")
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == {
        "format": 1,
        "photos": source.as_posix(),
        "models": [LITE[0]],
        "targets": [281],
        "contrast": None,
        "method": "gradcam",
        "detail": 2,
        "view": "crop",
        "trust": False,
        "longest": 768,
        "labels": None,
        "weights": {LITE[0]: gc.load_model(LITE[0]).weights.sha256},
    }


def test_mistakes_end_with_status_2_and_one_line(
    album: Path, begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    empty, text = tmp_path / "empty", tmp_path / "text.parquet"
    capsys.readouterr()
    empty.mkdir()
    text.write_text("no table")
    numbers = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"a": [1]}), numbers)
    given, new = ["--out", str(begun), *ONE], ["--out", str(tmp_path / "new"), *ONE]
    cases: list[tuple[Sequence[object], str]] = [
        ([], "PHOTOS"),
        ([album], "--out"),
        ([album, album, *new], "in quotes"),
        (["no/such", *new], "no folder or file no/such"),
        (["no/*.jpg", *new], "no picture in no/*.jpg"),
        ([empty, *new], "no picture in"),
        ([text, *new], "cannot be read as a Parquet file"),
        ([numbers, *new], "no column of pictures"),
        ([album, *new, "--models", "resnet5"], "Choose from: xception"),
        ([album, *new, "--models", ","], "names no network"),
        ([album, *new, "--target", "cat"], "tiger cat (282)"),
        ([album, *new, "--method", "magic"], "gradcam"),
        ([album, *new, "--engine", "dask"], "'local', 'ray'"),
        ([album, *new, "--address", "auto"], "add --engine ray"),
        ([album, *new, "--longest", "1"], "--longest is a number from"),
        ([album, "--out", __file__, *ONE], "cannot be made"),
        ([album / "cat.JPG", *given, "--detail", "2"], "with detail 1, this one has detail 2"),
        ([album, *given], "choose another --out"),
        ([album / "cat.JPG", *given, "--models", LITE[1]], f"with models {LITE[0]}"),
    ]
    for arguments, words in cases:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert stopped.value.code == 2, arguments
        assert output.out == ""
        assert output.err.count("\n") == 1, output.err
        assert words in output.err
    assert not (tmp_path / "new").exists()


def test_ray_that_is_not_there_is_one_line(
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(SystemExit) as stopped:
        main([str(album), "--out", str(tmp_path), "--engine", "ray", *ONE])
    assert stopped.value.code == 2
    assert "pip install -r requirements-ray.txt" in capsys.readouterr().err


def test_a_damaged_part_is_named_and_so_is_a_folder_in_use(
    album: Path, begun: Path, tmp_path: Path
):
    settings = BatchSettings((ExplanationRequest(LITE[0]),))
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    with (
        ResultFolder(tmp_path, str(album / "cat.JPG"), settings),
        pytest.raises(BatchError, match="another batch is running"),
        ResultFolder(tmp_path, str(album / "cat.JPG"), settings),
    ):
        pass
    (part,) = (tmp_path / "data").iterdir()
    part.write_bytes(part.read_bytes()[:-100])
    with (
        pytest.raises(BatchError, match=f"{part.name} is damaged"),
        ResultFolder(tmp_path, str(album / "cat.JPG"), settings),
    ):
        pass


def test_other_weights_are_refused(album: Path, begun: Path, lite0: gc.Model):
    settings = BatchSettings((ExplanationRequest(LITE[0]),))
    other = replace(gc.load_model(LITE[1]), stands_in_for=lite0.info)
    with (
        ResultFolder(begun, str(album / "cat.JPG"), settings) as folder,
        pytest.raises(BatchError, match="other weights for efficientnet_lite0"),
    ):
        folder.begin([other])


def test_a_full_disk_is_said_and_the_same_command_goes_on(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: gc.Model
):
    settings = BatchSettings((ExplanationRequest(small.info.name),))
    cat = str(album / "cat.JPG")
    pictures = find_pictures(cat, tmp_path)

    def full(self: Path, *_: object) -> None:
        raise OSError(28, "No space left on device")

    with ResultFolder(tmp_path, cat, settings) as folder, monkeypatch.context() as patch:
        folder.begin([small])
        patch.setattr(Path, "replace", full)
        with pytest.raises(BatchError, match="No space left on device; once they can"):
            run(folder, pictures, [small], settings, explain_locally)
    assert not list(tmp_path.glob("**/*.jpg"))
    assert len(batch(cat, tmp_path, "--models", small.info.name)) == 1


def test_what_fails_for_one_picture_alone_does_not_cost_the_others(
    album: Path,
    tmp_path: Path,
    small: gc.Model,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    def sometimes(e: gc.Explanation) -> str:
        if e.geometry.photo_size == (1200, 400):
            raise RuntimeError("not this one")
        return where(e)

    monkeypatch.setattr("gradcam_core.analysis.findings.where", sometimes)
    rows = batch(album, tmp_path, "--models", small.info.name)
    assert (
        rows["holiday/7_wide_strip.jpg", small.info.name]["error"] == "RuntimeError: not this one"
    )
    assert sum(row["error"] is None for row in rows.values()) == 2
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert "holiday/7_wide_strip.jpg: RuntimeError('not this one')" in lines
    assert not any(line.startswith("Traceback") for line in lines)
    log = (tmp_path / "errors.log").read_text()
    assert "Traceback" in log
    assert "in sometimes" in log


@pytest.mark.parametrize(
    "key",
    [
        *("a.jpg", "../../up.jpg", "/etc/passwd", "a//b", "", ".", "..", "c:\\d\\e.jpg", "n\0ul"),
        *("é" * 300, "x/" * 300 + "y", "a/.hidden/b.jpg", "http://host/a.jpg?b=c", "a.jpg/b"),
        *(" x ", "CON", "写" * 300, "\u202egpj.exe"),
    ],
)
def test_an_overlay_lies_in_its_folder_whatever_the_picture_is_called(key: str, tmp_path: Path):
    name = overlay_path(key, "resnet50")
    file = tmp_path / name
    assert file.resolve().is_relative_to(tmp_path / "overlays")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert not any(part.startswith(".") for part in Path(name).parts)
    assert all(len(part.encode()) <= 143 for part in Path(name).parts)  # of eCryptfs


def test_an_overlay_keeps_the_letters_of_its_pictures_name(monkeypatch: pytest.MonkeyPatch):
    for name in ("Größe 1", "صورة", "写真", "चित्र"):
        assert overlay_path(f"{name}.jpg", "m").startswith(f"overlays/{name}.jpg.")
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))  # as in a C locale
    assert overlay_path("Größe 写.jpg", "m").startswith("overlays/Größe _.jpg.")


def test_overlays_of_different_pictures_never_meet():
    keys = ["a/b.jpg", "a//b.jpg", "A/b.jpg", "a_b.jpg", "a/b_jpg", "a\\b.jpg", "../a/b.jpg"]
    names = {overlay_path(key, "m").lower() for key in keys}
    assert len(names) == len(keys)


def test_memory_does_not_grow_with_the_number_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: gc.Model
):
    monkeypatch.setattr("gradcam_core.batch.store.PART_PICTURES", 10)
    # Small overlays, which take most of the time and are not what is measured.
    settings = BatchSettings((ExplanationRequest(small.info.name),), overlay_side_px=64)
    pictures = 96
    requested, memory = [], []

    def walk() -> Iterator[PictureSource]:
        for number in range(pictures):
            requested.append(number)
            yield PictureSource(str(number), str(EXAMPLES / "7_wide_strip.jpg"))

    def note(_: PictureResult) -> None:
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20)
        assert len(requested) - len(memory) <= 80
        if len(memory) == 1:
            time.sleep(1)  # whoever does not wait for this one runs away now

    with ResultFolder(tmp_path, "all", settings) as folder:
        assert run(folder, Pictures(pictures, walk, walk), [small], settings, explain_locally, note)
    assert len(rows_of(tmp_path)) == pictures
    third = pictures // 3
    with Image.open(EXAMPLES / "7_wide_strip.jpg") as one:
        decoded = 4 * one.width * one.height / 2**20
    # The C library keeps some of what is freed; of the pictures none is kept.
    assert max(memory[third:]) < max(memory[:third]) + (pictures - third) * decoded / 3


def test_a_table_that_is_damaged_further_on_is_said(tmp_path: Path):
    file = tmp_path / "table.parquet"
    data = [random.Random(n).randbytes(3000) for n in range(64)]
    pq.write_table(pa.table({"bytes": data}), file, row_group_size=16, compression="gzip")
    content = bytearray(file.read_bytes())
    content[120_000:160_000] = bytes(40_000)
    file.write_bytes(content)
    pictures = find_pictures(str(file), tmp_path / "out")
    keys = []
    with pytest.raises(PicturesError, match="is damaged"):
        keys += [item.key for item in pictures.walk()]


def test_every_setting_that_a_batch_may_lack_is_compared_with_those_of_the_folder():
    """So that no batch goes on in a folder of other maps."""
    usual = BatchSettings((ExplanationRequest(LITE[0]),))
    signed = ExplanationRequest(LITE[0], layer=0.5, signed=True, smooth="noise")
    unusual = BatchSettings((signed,), window=Window(0, 9))
    assert set(unusual.record()) - set(usual.record()) == set(LATER_SETTINGS)
    joined = BatchSettings((ExplanationRequest(LITE[0], layer=(0.5, "bn2")),))
    assert json.loads(json.dumps(joined.record()))["layer"] == joined.record()["layer"]
