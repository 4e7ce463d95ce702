"""Names of classes from the files in which people keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.labels import find_in_all, imagenet_labels, labels_of
from gradcam_core.models.custom.files.label_files import read_label_names

NAMES = ["no finding", "effusion, left", "Pneumonie"]

GOOD = {
    "a.txt": "no finding\neffusion, left\nPneumonie\n\n",
    "indices.txt": "0: no finding\n1: effusion, left\n2: Pneumonie\n",
    "another_order.txt": "2 Pneumonie\n0 no finding\n1 effusion, left\n",
    "behind.txt": "no finding 0\nPneumonie 2\neffusion, left 1\n",
    "behind_tabs.txt": "Pneumonie\t2\nno finding\t0\neffusion, left\t1\n",
    "behind_colons.txt": "effusion, left: 1\nno finding: 0\nPneumonie: 2\n",
    "wordnet.txt": "n01440764 no finding\nn01484850 effusion, left\nn01443537 Pneumonie\n",
    "python.txt": "{0: 'no finding',\n 1: 'effusion, left',\n 2: 'Pneumonie'}",
    "bom.txt": "\ufeffno finding\r\neffusion, left\r\nPneumonie",
    "list.json": '["no finding", "effusion, left", "Pneumonie"]',
    "by_index.json": '{"2": "Pneumonie", "0": "no finding", "1": "effusion, left"}',
    "by_name.json": '{"Pneumonie": 2, "no finding": 0, "effusion, left": 1}',
    "hub.json": '{"id2label": {"0": "no finding", "1": "effusion, left", "2": "Pneumonie"}}',
    "keras.json": '{"0": ["n01440764", "no finding"], "2": ["n01443537", "Pneumonie"],'
    ' "1": ["n01484850", "effusion, left"]}',
    "keras_list.json": '[["n01440764", "no finding"], ["n01484850", "effusion, left"],'
    ' ["n01443537", "Pneumonie"]]',
    "timm.json": '{"architecture": "resnet18", "num_classes": 3,'
    ' "label_names": ["no finding", "effusion, left", "Pneumonie"]}',
    "timm_described.json": '{"label_names": ["n1", "n2", "n3"], "label_descriptions":'
    ' {"n1": "no finding", "n2": "effusion, left", "n3": "Pneumonie"}}',
    "timm_list.json": '{"label_names": ["n1", "n2", "n3"], "label_descriptions":'
    ' ["no finding", "effusion, left", "Pneumonie"]}',
    "timm_cfg.json": '{"num_classes": 3, "pretrained_cfg": {"label_names":'
    ' ["no finding", "effusion, left", "Pneumonie"], "mean": [0.5, 0.5, 0.5]}}',
    "label2id.json": '{"label2id": {"Pneumonie": 2, "no finding": 0, "effusion, left": "1"}}',
    "coco.json": '[{"id": 1, "name": "effusion, left"}, {"id": 0, "name": "no finding"},'
    ' {"id": 2, "name": "Pneumonie"}]',
    "categories.json": '{"categories": [{"id": 1, "name": "effusion, left"},'
    ' {"id": 0, "name": "no finding"}, {"id": 2, "name": "Pneumonie"}]}',
    "idx_to_class.json": '{"idx_to_class":'
    ' {"0": "no finding", "1": "effusion, left", "2": "Pneumonie"}}',
    "mmpretrain.json": '{"meta": {"dataset_meta": {"classes":'
    ' ["no finding", "effusion, left", "Pneumonie"]}}}',
    "one.csv": 'no finding\n"effusion, left"\nPneumonie\n',
    "named.csv": 'code,Label\nx,no finding\ny,"effusion, left"\nz,Pneumonie\n',
    "both.csv": 'name,index\nPneumonie,2\nno finding,0\n"effusion, left",1\n',
    "semicolons.csv": "index;name\n1;effusion, left\n0;no finding\n2;Pneumonie\n",
    "plain_semicolons.csv": "0;no finding\n1;effusion, left\n2;Pneumonie\n",
    "tabs.csv": "name\tindex\nno finding\t0\neffusion, left\t1\nPneumonie\t2\n",
    "one_with_commas.csv": 'no finding\n"effusion, left"\nPneumonie\n\n',
    "label_is_index.csv": 'label,description\n2,Pneumonie\n0,no finding\n1,"effusion, left"\n',
    "class_is_index.csv": 'class,name\n2,Pneumonie\n0,no finding\n1,"effusion, left"\n',
    "name_label.csv": 'name,label\nPneumonie,2\nno finding, 0\n"effusion, left",1\n',
    "words.csv": 'Label ID,Label Name\n2,Pneumonie\n0,no finding\n1,"effusion, left"\n',
    "other_words.csv": "Code;Befund\n2;Pneumonie\n0;no finding\n1;effusion, left\n",
    "class_id.csv": 'Name,ClassId,n\nPneumonie,2,7\nno finding,0,7\n"effusion, left",1,9\n',
    "brackets.txt": "[2] Pneumonie\n[0] no finding\n[1] effusion, left\n",
    "bars.txt": "2|Pneumonie\n0|no finding\n1|effusion, left\n",
    "dashes.txt": "0 - no finding\n1 - effusion, left\n2 - Pneumonie\n",
    "tabs.tsv": "index\tname\n1\teffusion, left\n0\tno finding\n2\tPneumonie\n",
    "coco.names": "no finding\neffusion, left\nPneumonie\n",
    "data.yaml": "nc: 3\nnames:\n  0: no finding\n  2: Pneumonie\n  1: effusion, left\n",
    "list.yml": "names: [no finding, 'effusion, left', Pneumonie]\n",
    "plain.csv": '1,"effusion, left"\n0,no finding\n2,Pneumonie\n',
}


@pytest.mark.parametrize("name", GOOD)
def test_every_usual_form_gives_the_names_in_order(tmp_path: Path, name: str):
    file = tmp_path / name
    file.write_text(GOOD[name], encoding="utf-8")
    assert read_label_names(file) == NAMES


def test_digits_that_are_the_only_names_are_names(tmp_path: Path):
    file = tmp_path / "digits.csv"
    file.write_text("label\n0\n1\n2\n", encoding="utf-8")
    assert read_label_names(file) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("same_label.csv", "name,label\nperch,0\ntrout,0\ncat,1\n", ["perch", "trout", "cat"]),
        ("same_class.csv", "name,class\nAnna,1\nBob,1\n", ["Anna", "Bob"]),
        ("years.csv", "class,label\n2018,cat\n2019,dog\n", ["cat", "dog"]),
        ("digits.csv", "label,class\n3,3\n1,1\n2,2\n", ["3", "1", "2"]),
        ("flag.csv", "label,malignant\nmelanoma,1\nnevus,0\n", ["melanoma", "nevus"]),
        ("count.csv", "name;class count\nx;1\ny;0\n", ["x", "y"]),
        ("rank.csv", "name,rank\na,2\nb,1\nc,3\n", ["a", "b", "c"]),
        ("one_row.csv", "0;cat\n", ["cat"]),
        ("yes.yaml", "names: [yes, no]", ["yes", "no"]),
        ("on.yaml", "{0: on, 1: off}", ["on", "off"]),
        ("digits.yaml", "names: [1, 2, 3]", ["1", "2", "3"]),
        (
            "dates.yaml",
            "names: [2020-13-45, 2020-01-02, null]",
            ["2020-13-45", "2020-01-02", "null"],
        ),
        ("by_name.yaml", "names: {no: 1, yes: 0}", ["yes", "no"]),
    ],
)
def test_numbers_and_words_that_are_names_are_no_indices_or_other_values(
    tmp_path: Path, name: str, text: str, names: list[str]
):
    (tmp_path / name).write_text(text)
    assert read_label_names(tmp_path / name) == names


def test_semicolons_within_names_are_no_columns(tmp_path: Path):
    file = tmp_path / "names.csv"
    file.write_text("cat; lynx\ndog; wolf\n", encoding="utf-8")
    assert read_label_names(file) == ["cat; lynx", "dog; wolf"]


@pytest.mark.parametrize(
    "names",
    [
        ["0 stars", "1 star", "2 stars"],
        ["0.5", "1.5", "2.7"],
        ["1 cat", "2 dogs"],
        ["0 cats", "dog"],
        ["grade 1", "grade 0"],
        ["type a 1", "type b 2"],
        ["[x", "y"],
        ["n01440764 tench", "goldfish"],
    ],
)
def test_numbers_that_are_no_indices_belong_to_the_names(tmp_path: Path, names: list[str]):
    file = tmp_path / "names.txt"
    file.write_text("\n".join(names), encoding="utf-8")
    assert read_label_names(file) == names


BAD = {
    "empty.txt": (b"", "has no labels"),
    "gap.txt": (b"one\n\nthree\n", "the name of class 1 is empty"),
    "latin.txt": ("Röntgen".encode("latin-1"), "not text in UTF-8"),
    "broken.json": (b'["a", ', "not JSON"),
    "number.json": (b"3", "neither a list of names"),
    "gap.json": (b'{"0": "a", "2": "c"}', "class 1 has no name"),
    "from_one.json": (b'{"1": "a", "2": "b"}', "the indices are 1 to 2, .* 0 to 1: subtract 1"),
    "from_one.txt": (b"2 b\n1 a\n3 c\n", "the indices are 1 to 3, .* 0 to 2: subtract 1"),
    "behind_from_one.txt": (b"b 2\na 1\nc 3\n", "the indices are 1 to 3, .*: subtract 1"),
    "pairs.json": (b'{"0": ["a", "b"]}', "neither a list of names"),
    "twice.json": (b'[{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]', "have the same index"),
    "nameless.json": (b'[{"id": 0}]', "entry 0 of the labels has no name"),
    "many.csv": (b"a,b,c\nd,e,f\n", 'no column is called "name"'),
    "two.csv": (b"a,b\nc,d\n", "one has to hold indices"),
    "numbers.csv": (b"id,count\n0,50\n1,60\n", "one has to hold indices"),
    "no_header.csv": (b"one,cat\n0,dog\n1,owl\n", "one has to hold indices"),
    "short.csv": (b"name,index\na\n", "fewer columns"),
    "labels.yaml": (b"names: [a", "not YAML"),
    "deep.yaml": (b"[" * 1200, "not YAML"),
    "label_from_one.csv": (b"label,name\n2,b\n1,a\n", "the indices are 1 to 2, .*: subtract 1"),
    "twice.csv": (b"name,index\na,0\nb,0\nc,1\n", "two rows have the same index"),
    "orders.csv": (b"name,ClassId,Code\nb,1,0\na,0,2\nc,2,1\n", "call the right one"),
    "labels.pkl": (b"\x80\x04", "not a .txt, .json, .csv, .tsv"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_will_not_do_is_refused_with_the_reason(tmp_path: Path, name: str):
    file = tmp_path / name
    content, reason = BAD[name]
    file.write_bytes(content)
    with pytest.raises(LabelError, match=reason) as refused:
        read_label_names(file)
    assert name in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(LabelError, match=r"nix\.txt cannot be read: No such file"):
        read_label_names(tmp_path / "nix.txt")


def test_two_classes_of_the_same_name_are_told_apart():
    labels = labels_of(["crane", "dog", "Crane "])
    assert [label.name for label in labels] == ["crane (0)", "dog", "Crane (2)"]
    assert labels.find("crane (0)").index == 0
    with pytest.raises(LabelError, match="stands for several classes"):
        labels.find("crane")


def test_a_name_that_is_a_number_goes_before_an_index():
    labels = labels_of(["8", "3", "0"])
    assert labels.find("3").index == 1
    assert labels.find(2).index == 2
    assert labels.find("1").index == 1  # no class has this name


def test_a_class_is_found_in_all_networks_or_the_one_without_it_is_named():
    pets = labels_of(["dog", "tabby"])
    networks = [("VGG19", imagenet_labels()), ("Pets", pets)]
    assert find_in_all("Tabby", networks) == [281, 1]
    with pytest.raises(LabelError, match="Pets: There is no class 'goldfish'"):
        find_in_all("goldfish", networks)
    with pytest.raises(LabelError, match="1 is a different class in each of these networks"):
        find_in_all(1, networks)
    assert find_in_all(1, [networks[1]]) == [1]


def test_what_is_no_name_is_called_by_its_index():
    labels = labels_of(["", "lynx", "  ", "?!", "\u200b", "+", "class 0", "犬", "-"])
    names = [label.name for label in labels]
    assert names == [
        *("class 0 (0)", "lynx", "class 2", "class 3 (?!)", "class 4", "+", "class 0 (6)"),
        *("犬", "class 8 (-)"),
    ]
    assert labels.find("?!").index == 3
    assert labels.find("class 8 (-)").index == 8
    assert [one.name for one in labels_of(["", "age"], noun="value")] == ["value 0", "age"]
