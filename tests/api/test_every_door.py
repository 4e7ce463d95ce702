"""Python, command line, API, MCP, ZIP, page and batch say the same of one photo: number by number
and sentence by sentence."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from PIL import Image

import gradcam_core as gc
from demo.api.records import Findings
from gradcam_core.analysis.findings import SCHEMA_VERSION, findings
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.cli.photo import main
from tests.support.api import called, text_of
from tests.support.app_server import ROOT, Started
from tests.support.batch_results import rows_of
from tests.support.networks import registered_small_network, with_heat
from tests.support.photos import EXAMPLES
from tests.support.stream import CAT, MODELS, explain_stream, map_requests, results
from tests.support.uploads import upload

PHOTO = EXAMPLES / f"{CAT}.jpg"
NETWORKS = MODELS[:2]
TARGET, CONTRAST = 281, 287  # tabby rather than lynx

OPTIONS = (
    *("--models", ",".join(NETWORKS)),
    *("--target", "tabby", "--contrast", "lynx"),
)
ASKED = {
    "models": list(NETWORKS),
    "target": "tabby",
    "contrast": "lynx",
    "outputs": ["overlay", "heatmap"],
}
ON_PAGE = {"example": CAT, "maps": map_requests(*NETWORKS), "target": TARGET, "contrast": CONTRAST}

ROUNDING = 2**-24
"""As a share of a number: of float32, which a batch stores."""


def plain(record: object) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(record, allow_nan=False))


@pytest.fixture(scope="module")
def explained() -> list[tuple[str, gc.Explanation]]:
    return [(name, gc.explain(PHOTO, name, TARGET, contrast=CONTRAST)) for name in NETWORKS]


@pytest.fixture(scope="module")
def expected(explained: list[tuple[str, gc.Explanation]]) -> dict[str, Any]:
    """What Python gives."""
    files = {
        name: {"overlay": f"{name}_output.png", "heatmap": f"{name}_heatmap.npy"}
        for name in NETWORKS
    }
    return plain(findings(explained, files=files, photo_name=PHOTO.name))


@pytest.fixture(scope="module")
def of_an_upload(expected: dict[str, Any], explained) -> dict[str, Any]:
    """The same where the photo's name, and those of files, are not to be said."""
    return plain(findings(explained))


@pytest.mark.usefixtures("no_figure")
def test_the_command_line_and_its_files(
    expected: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(PHOTO), *OPTIONS, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "explanations.json").read_text(encoding="utf-8")) == expected
    printed = capsys.readouterr().out.splitlines()
    assert printed[len(NETWORKS) :] == expected["sentences"]


def test_the_archive_of_the_page(app: str, expected: dict[str, Any]):
    body = ON_PAGE | {"file": "everything.zip"}
    answer = requests.post(f"{app}download", json=body, timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("explanations.json")) == expected
        captions = archive.read("captions.txt").decode()
        for one in expected["explanations"]:
            assert {one["overlay"], one["heatmap"]} < set(archive.namelist())
            assert f"{one['overlay']}\n{one['caption']}\n" in captions
        assert captions.splitlines()[-len(expected["sentences"]) :] == expected["sentences"]


def test_the_archive_of_the_page_after_a_check_has_what_it_found(app: str):
    # Another class than the test before, which nobody has checked; one network of two.
    checked = ON_PAGE | {"target": 282, "maps": map_requests(NETWORKS[0], trust=True)}
    (trust,) = (one["trust"] for one in explain_stream(app, checked) if "trust" in one)
    body = ON_PAGE | {"target": 282, "file": "everything.zip"}
    answer = requests.post(f"{app}download", json=body, timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        one, unchecked = json.loads(archive.read("explanations.json"))["explanations"]
        captions = archive.read("captions.txt").decode()
        (figure,) = (name for name in archive.namelist() if "trust" in name)
        assert figure == f"{one['model']}_trust.png"
        said = Image.open(io.BytesIO(archive.read(figure))).info
    assert (one["asked_for"], unchecked["trust"]) == (NETWORKS[0], None)
    of_page = ("pictures", "limits")
    assert one["trust"] == {key: value for key, value in trust.items() if key not in of_page}
    assert f"{one['caption']}\n{trust['sentence']}\n" in captions
    assert (said["Verdict"], said["Description"]) == (trust["verdict"], trust["sentence"])
    assert said["Contrast"] == f"lynx ({CONTRAST})"
    other = ON_PAGE | {"target": 282, "view": "whole", "file": "everything.zip"}
    with zipfile.ZipFile(
        io.BytesIO(requests.post(f"{app}download", json=other, timeout=60).content)
    ) as archive:
        assert not [name for name in archive.namelist() if "trust" in name]
        of_another_view = json.loads(archive.read("explanations.json"))["explanations"]
    assert [one["trust"] for one in of_another_view] == [None] * len(NETWORKS)


def test_the_api_and_mcp(shared_app: Started, of_an_upload: dict[str, Any], tmp_path: Path):
    client = Client(shared_app.url, download_files=str(tmp_path), verbose=False)
    by_api, _ = client.predict(handle_file(str(PHOTO)), **ASKED, api_name="/explain")
    image = f"{shared_app.url}gradio_api/file={upload(shared_app.url, PHOTO)}"
    (answer,) = called(shared_app.url, ("explain", {"image": image, **ASKED}))
    by_mcp = json.loads(text_of(answer).splitlines()[0])
    for found in (by_api, by_mcp):
        for one in found["explanations"]:
            assert one["overlay"]
            assert one["heatmap"]
            one["overlay"] = one["heatmap"] = None
        assert found == of_an_upload


def test_the_page(app: str, expected: dict[str, Any]):
    answers = explain_stream(app, ON_PAGE | {"compare": True})
    width, height = expected["photo"]["size"]
    shown = results(answers)
    for one in expected["explanations"]:
        result = shown[one["asked_for"]]
        for name in one.keys() - {"rivals", "overlay", "heatmap", "trust", "box"}:
            assert result[name] == one[name], name
        np.testing.assert_allclose(np.multiply(result["box"], [width, height] * 2), one["box"])
    comparison = answers[-1]["comparison"]
    assert comparison["sentences"] == expected["sentences"]
    region = np.multiply(comparison["agreement"].pop("region"), [width, height] * 2)
    np.testing.assert_allclose(region, expected["agreement"]["region"])
    assert comparison["agreement"].items() <= expected["agreement"].items()


def test_the_batch(expected: dict[str, Any], tmp_path: Path):
    assert main(["batch", str(PHOTO), *OPTIONS, "--out", str(tmp_path), "--no-report"]) == 0
    (part,) = (tmp_path / "data").iterdir()
    assert pq.read_schema(part).metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    rows = rows_of(tmp_path)
    agreement = expected["agreement"]
    for number, one in enumerate(expected["explanations"]):
        row = rows[PHOTO.name, one["asked_for"]]
        same = row.keys() & one.keys() - {"model", "top", "contrast", "overlay", "trust"}
        assert {"title", "rank", "how", "where", "caption", "box", "weights"} < same
        for name in same:
            assert row[name] == one[name], name
        target = {"index": row["class_index"], "name": row["class"]}
        told = [target | {"probability": row["probability"]}, *row["top"], *row["contrast"]]
        for got, other in zip(told, [one["target"], *one["top"], *one["contrast"]], strict=True):
            assert (got["index"], got["name"]) == (other["index"], other["name"])
            assert got["probability"] == pytest.approx(other["probability"], rel=ROUNDING)
        for name in ("agreement", "picture_agreement"):  # of two networks, the same
            assert row[name] == pytest.approx(agreement["overlap"], rel=ROUNDING)
        assert row["sentences"] == (None if number else expected["sentences"])


def test_the_types_that_the_api_declares_have_the_fields_of_the_record(
    explained: list[tuple[str, gc.Explanation]], tmp_path: Path
):
    photo = gc.read_image(PHOTO)
    with registered_small_network(tmp_path) as small:
        checked = with_heat(photo, small, contrast=CONTRAST)
        check = run_checks(photo, small, checked)
        named = [(small.info.name, checked), *explained]
        assert_declared(findings(named, {small.info.name: check.record()}), Findings)


def test_every_field_is_documented():
    text = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    missing = [name for name in sorted(declared(Findings)) if f"`{name}`" not in text]
    assert missing == []


def declared(kind: Any) -> set[str]:
    """The names of all fields of a record and of those in it."""
    if is_typeddict(kind):
        hints = {} if kind.__name__ == "FileData" else get_type_hints(kind)
        return set(hints).union(*map(declared, hints.values()))
    return set().union(*map(declared, get_args(kind)))


def assert_declared(value: Any, kind: Any) -> None:
    """That all that there is of a record has a declared name, and all that is declared is there."""
    kinds = [kind, *get_args(kind)]
    if isinstance(value, dict):
        (record,) = filter(is_typeddict, kinds)
        if record.__name__ == "FileData":
            return
        hints = get_type_hints(record)
        assert set(value) == set(hints), record
        for name, one in value.items():
            assert_declared(one, hints[name])
    elif isinstance(value, (list, tuple)):
        (inner,) = (get_args(one)[0] for one in kinds if getattr(one, "__origin__", None) is list)
        for one in value:
            assert_declared(one, inner)
