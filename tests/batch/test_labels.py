"""Labels of a batch's pictures, from folders, a CSV file or a column; and who is right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gradcam_core as gc
from gradcam_core.batch.labels.ground_truth import LabelResult
from gradcam_core.batch.labels.labelling import column_of, with_labels
from gradcam_core.batch.pictures import find_pictures
from gradcam_core.batch.rows import PictureFacts
from gradcam_core.batch.rows import rows_of as rows_of_picture
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.cli.batch import main
from gradcam_core.errors import BatchError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.models.class_names.labels import Labels, imagenet_labels, labels_of
from tests.support.app_server import ROOT
from tests.support.batch_results import rows_of
from tests.support.explanations import explained

EXAMPLES = ROOT / "assets" / "examples"
LITE = "efficientnet_lite0"
IMAGENET = [("Xception", imagenet_labels())]

Found = tuple[dict[str, tuple[int | None, ...] | None], Sequence[str]]


def found(
    photos: Path | str, labels: Path | str, networks: Sequence[tuple[str, Labels]] = IMAGENET
) -> Found:
    """The classes of each picture in each network, and what a person is told."""
    pictures = find_pictures(str(photos), Path("out"), column_of(str(labels)))
    labelled, truth, notes = with_labels(pictures, str(labels), networks)
    return {
        source.key: None if source.label is None else truth.classes[source.label]
        for source in labelled.walk()
    }, notes


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files with the names of pictures; nobody looks into them."""
    folder = tmp_path / "photos"
    for name in ("tabby/1.jpg", "tabby/2.jpg", "espresso/1.jpg", "espresso/3.jpg", "4.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def refused(photos: Path | str, labels: Path | str, *words: str, **more: Any) -> None:
    with pytest.raises(BatchError) as error:
        found(photos, labels, **more)
    for one in words:
        assert one in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_named_by_name_synonym_index_or_wordnet_id_as_folders_are_named(tmp_path: Path):
    names = ("tabby", "Tabby_cat", "281", "n02123045", "n02123045-tabby", "tabbies", "tabby-cat")
    for name in names:
        (tmp_path / "a" / name).mkdir(parents=True)
        (tmp_path / "a" / name / "1.jpg").touch()
    assert found(tmp_path, "folder") == ({f"a/{name}/1.jpg": (281,) for name in names}, [])
    assert found(f"{tmp_path}/a/tabby/*.jpg", "folder")[0] == {"1.jpg": (281,)}


def test_a_picture_outside_the_folders_has_no_label_but_a_folder_that_is_no_class_is_refused(
    photos: Path,
):
    classes, notes = found(photos, "folder")
    assert classes["4.jpg"] is None
    assert classes["espresso/3.jpg"] == (967,)
    assert notes == ["1 of 5 pictures has no label from its folder's name."]
    (photos / "tabby").rename(photos / "cats")
    refused(photos, "folder", "2 pictures", "no class of Xception", "'cats'", "tabby (281)")
    shutil.rmtree(photos / "cats")
    shutil.rmtree(photos / "espresso")
    refused(photos, "folder", "no picture has a label", "tabby/1.jpg")


CSV = "path,label\ntabby/1.jpg,tabby\n2.jpg,n02123045\nespresso/1.jpg,967\n3.jpg,\n"
CSV_CLASSES = {"tabby/1.jpg": (281,), "tabby/2.jpg": (281,), "espresso/1.jpg": (967,)}

WRITTEN: dict[str, bytes] = {
    "plain": CSV.encode(),
    "Excel": b"\xef\xbb\xbf" + CSV.replace(",", ";").replace("\n", "\r\n").encode(),
    "UTF-16": ("sep=\t\n" + CSV.replace(",", "\t")).encode("utf-16"),
    "Windows": CSV.replace("/", "\\").replace("tabby\\1", ".\\tabby\\1").encode(),
    "more": b"Label ,note, PATH\ntabby,,tabby/1.jpg\n281.0,\xe9,2.jpg\n"
    b"Espresso,,espresso/1.jpg\n,,",
    "beside": b"path,label\nphotos/tabby/1.jpg,tabby\nphotos/tabby/2.jpg,tabby\n"
    b"photos/espresso/1.jpg,espresso",
    "twice": CSV.encode() + b"\ntabby/1.jpg,Tabby\n\n",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_csv_file_is_read_as_spreadsheets_and_programs_write_it(
    photos: Path, tmp_path: Path, name: str
):
    (tmp_path / "labels.csv").write_bytes(WRITTEN[name])
    classes, notes = found(photos, tmp_path / "labels.csv")
    assert classes == {"4.jpg": None, "espresso/3.jpg": None} | CSV_CLASSES
    first, *others = notes
    assert first == "2 of 5 pictures have no label in labels.csv."
    read_as = "Labels such as 281.0, as numeric tables contain them, are read as indices: 281."
    assert others == ([read_as] if name == "more" else [])


def test_a_folder_is_no_index_with_a_point(tmp_path: Path):
    (tmp_path / "photos" / "281.0").mkdir(parents=True)
    (tmp_path / "photos" / "281.0" / "1.jpg").touch()
    refused(tmp_path / "photos", "folder", "'281.0'", "no class of Xception")


def test_lines_that_name_no_picture_are_told(photos: Path, tmp_path: Path):
    (tmp_path / "labels.csv").write_text(CSV + "gone.jpg,tabby\n")
    _, notes = found(photos, tmp_path / "labels.csv")
    assert "1 of 5 lines of labels.csv name no picture here: gone.jpg." in notes


WRONG: dict[str, tuple[bytes, Sequence[str]]] = {
    "empty": (b"", ["is empty", "path,label"]),
    "no header": (b"tabby/1.jpg,tabby\n", ["path,label", "tabby/1.jpg, tabby"]),
    "a workbook": (b"PK\x03\x04\0\0", ["UTF-8"]),
    "another album": (b"path,label\nx.jpg,tabby\n", ["none of the pictures", "'x.jpg'", "'4.jpg'"]),
    "a name of two": (b"path,label\n1.jpg,tabby\n", ["espresso/1.jpg and tabby/1.jpg"]),
    "contradiction": (CSV.encode() + b"tabby\\1.jpg,lynx\n", ["tabby in line 2, lynx in line 6"]),
    "a comma": (b"path,label\n4.jpg,tabby, tabby cat\n", ["line 2", "quotes"]),
    "an open quote": (b'path,label\n4.jpg,"tabby\n', ["line 3"]),
    "no path": (b"path,label\n,tabby\n", ["line 2", "no path"]),
    "a typo": (b"path,label\n4.jpg,taby\n", ["1 picture", "'taby'", "tabby (281)"]),
    "two classes": (b"path,label\n4.jpg,crane\n", ["crane (bird) (134)"]),
    "a high number": (b"path,label\n4.jpg,1000\n", ["from 0 to 999"]),
    "nothing": (b"path,label\n4.jpg,\n", ["no picture has a label"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_csv_file_that_cannot_be_right_is_refused(photos: Path, tmp_path: Path, name: str):
    content, words = WRONG[name]
    (tmp_path / "labels.csv").write_bytes(content)
    refused(photos, tmp_path / "labels.csv", *words)


def test_what_is_no_source_of_labels_is_refused(photos: Path, tmp_path: Path):
    refused(photos, tmp_path / "no.csv", "no file", "column:NAME")
    refused(photos, photos, "--labels folder")
    refused(photos, "column:label", "Parquet")
    refused(photos, "column:", "column:label")


def table(folder: Path, more: Mapping[str, object]) -> Path:
    """Three pictures in a table as Hugging Face writes it; one of its folders is no class."""
    paths = ["tabby/1.jpg", "cat\\2.jpg", "espresso/3.jpg"]
    columns = {"image": [{"bytes": b"1", "path": path} for path in paths], **more}
    said = {"info": {"features": {"class": {"names": ["espresso", "tabby"]}}}}
    made = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(said)})
    pq.write_table(made, folder / "photos.parquet")
    return folder / "photos.parquet"


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["tabby", None, "espresso"], [(281,), None, (967,)]),
        (pa.array(["tabby", "", "n07920052"]).dictionary_encode(), [(281,), None, (967,)]),
        ([281, None, 967], [(281,), None, (967,)]),
        ([281.0, float("nan"), 967.0], [(281,), None, (967,)]),
    ],
)
def test_a_column_has_names_or_indices(tmp_path: Path, values: object, classes: list[object]):
    file = table(tmp_path, {"label": values})
    assert list(found(file, "column:label")[0].values()) == classes


def test_numbers_that_a_data_set_has_names_for_are_no_indices(tmp_path: Path):
    file = table(tmp_path, {"class": [1, -1, 0]})
    assert list(found(file, "column:class")[0].values()) == [(281,), None, (967,)]


def test_other_columns_are_refused_and_a_table_has_folders_too(tmp_path: Path):
    file = table(tmp_path, {"half": [0.5, 1, 2], "list": [[1], [2], [3]]})
    refused(file, "column:half", "0.5")
    refused(file, "column:list", "list", "name or index")
    refused(file, "column:label", "no column label", "image, half, list")
    refused(file, "folder", "1 picture", "'cat'")


def test_a_label_is_found_in_the_classes_of_each_network(photos: Path, tmp_path: Path):
    file = tmp_path / "labels.csv"
    own = [("Own", labels_of(["espresso", "other", "3"])), *IMAGENET, *IMAGENET]
    file.write_text("path,label\n4.jpg,espresso\ntabby/1.jpg,other\ntabby/2.jpg,3\n")
    classes, notes = found(photos, file, own)
    assert classes["4.jpg"] == (0, 967, 967)
    assert classes["tabby/1.jpg"] == (1, None, None)
    assert classes["tabby/2.jpg"] == (2, None, None)  # a name there, so no index elsewhere
    assert any(note.startswith("Xception lacks the class of 2 pictures") for note in notes)
    file.write_text("path,label\n4.jpg,2\n")
    refused(photos, file, "a different class in each", networks=own)


@pytest.mark.parametrize(
    ("rank", "agreement", "correct", "elsewhere"),
    [
        (1, 0.19, True, True),
        (1, 0.2, True, False),
        (2, 0.0, False, False),
        (1, None, True, None),
        (None, 0.1, None, None),
    ],
)
def test_heat_is_elsewhere_where_a_correct_network_overlaps_with_others_by_little(
    rank: int | None, agreement: float | None, correct: bool | None, elsewhere: bool | None
):
    row = LabelResult("tabby", 281, rank, 0.5).columns(agreement)
    assert (row["correct"], row["elsewhere"]) == (correct, elsewhere)
    if rank:  # where each class has a probability of its own, its rank does not matter
        assert LabelResult("tabby", 281, rank, 0.5, True).columns(agreement)["correct"]
        assert not LabelResult("tabby", 281, rank, 0.49, True).columns(agreement)["correct"]


def test_rows_say_whether_the_network_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("1_cat.jpg", "2_coffee.jpg", "5_rocket.jpg"):
        shutil.copy(EXAMPLES / name, photos)
    (photos / "cut.jpg").write_bytes((EXAMPLES / "1_cat.jpg").read_bytes()[:3000])
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n1_cat.jpg,tabby\n2_coffee.jpg,967\ncut.jpg,lynx\n")
    given = [str(photos), "--out", str(out), "--models", LITE, "--no-report"]
    assert main([*given, "--labels", str(labels)]) == 0
    printed = capsys.readouterr()
    assert "EfficientNet-Lite0 50.0 % (1 of 2)" in printed.out
    assert "1 of 4 pictures has no label in labels.csv." in printed.err
    rows = {path: row for (path, _), row in rows_of(out).items()}
    cat = rows["1_cat.jpg"]
    held = gc.examine(photos / "1_cat.jpg", LITE)
    rank = 1 + sum(held.probabilities > held.probabilities[281])
    assert (cat["label"], cat["label_index"], cat["label_rank"]) == ("tabby", 281, rank)
    assert cat["label_probability"] == pytest.approx(held.probabilities[281], abs=1e-4)
    assert cat["class"] == held.top[0].name != "tabby"
    assert (cat["correct"], cat["elsewhere"]) == (False, None)
    coffee, cut, rocket = (rows[name] for name in ("2_coffee.jpg", "cut.jpg", "5_rocket.jpg"))
    assert (coffee["label"], coffee["label_rank"], coffee["correct"]) == ("espresso", 1, True)
    assert (cut["label"], cut["label_index"], cut["correct"]) == ("lynx", 287, None)
    assert rocket["label"] is rocket["correct"] is rocket["label_rank"] is None
    labels.write_text("path,label\n1_cat.jpg,lynx\n")
    for others in ([], ["--labels", str(labels)]):
        with pytest.raises(SystemExit) as stopped:
            main([*given, *others])
        assert stopped.value.code == 2
        assert "with labels of a CSV file" in capsys.readouterr().err


@pytest.mark.parametrize("label", ["-1", "_281", "--281", "-281.0", "- 281"])
def test_what_is_left_of_a_number_behind_a_sign_is_no_index(tmp_path: Path, label: str):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.jpg").touch()
    file = tmp_path / "labels.csv"
    file.write_text(f"path,label\n1.jpg,{label}\n")
    refused(photos, file, repr(label), "no class of Xception")


def test_two_labels_for_one_picture_by_its_path_and_by_its_name_are_an_error(tmp_path: Path):
    photos = tmp_path / "photos"
    (photos / "tabby").mkdir(parents=True)
    (photos / "tabby" / "a.jpg").touch()
    file = tmp_path / "labels.csv"
    file.write_text("path,label\ntabby/a.jpg,tabby\na.jpg,tiger cat\n")
    refused(photos, file, "tabby/a.jpg", "a.jpg, which is the same picture", "'tiger cat'")
    file.write_text("path,label\ntabby/a.jpg,tabby\na.jpg,tabby\n")
    assert found(photos, file)[0] == {"tabby/a.jpg": (281,)}
    (photos / "a.jpg").touch()  # another one
    file.write_text("path,label\ntabby/a.jpg,tabby\na.jpg,tiger cat\n")
    assert found(photos, file)[0] == {"tabby/a.jpg": (281,), "a.jpg": (282,)}


def test_heat_is_compared_among_the_networks_that_explain_the_label():
    left, right = np.eye(8)[[0] * 8], np.eye(8)[[7] * 8]
    maps = {"a": (left, 281), "b": (left, 281), "c": (right, 281), "wrong": (right, 285)}
    shown = [explained(cells, title=name, top=[(n, 0.9)]) for name, (cells, n) in maps.items()]
    settings = BatchSettings(tuple(ExplanationRequest(name) for name in maps))
    results = [LabelResult("tabby", 281, 1 + (name == "wrong"), 0.5) for name in maps]
    models = [gc.load_model(LITE)] * 4
    rows = rows_of_picture(
        PictureFacts("1", (400, 400)), shown, [None] * 4, results, models, settings
    )
    assert [row["elsewhere"] for row in rows] == [False, False, True, None]
