"""All 1000 names without a network; a class by index, name or synonym."""

from __future__ import annotations

import pytest
from timm.data import ImageNetInfo
from torchvision.models import ResNet50_Weights

from gradcam_core import find_label, imagenet_labels
from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.kinds import kinds
from gradcam_core.models.class_names.labels import labels_of


def test_the_names_are_torchvisions_in_torchvisions_order():
    ours, theirs = imagenet_labels(), ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    assert len(ours) == len(theirs) == 1000
    shared = [
        t.casefold() in {s.casefold() for s in o.synonyms}
        for o, t in zip(ours, theirs, strict=True)
    ]
    # torchvision distinguishes the doubles in words of its own ("crane bird").
    assert sum(shared) >= 995


def test_the_names_are_timms_in_timms_order():
    theirs = ImageNetInfo("imagenet-1k").label_descriptions()
    assert [", ".join(label.synonyms) for label in imagenet_labels()] == theirs


def test_wordnets_numbers_are_timms_in_timms_order():
    assert list(kinds().synsets) == ImageNetInfo("imagenet-1k").label_names()


def test_every_name_is_unique_and_finds_its_own_class():
    for label in imagenet_labels():
        assert find_label(label.name) == label
        assert find_label(label.full_name) == label
        assert find_label(label.index) == find_label(str(label.index)) == label


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("tabby", 281),
        ("Tabby Cat", 281),
        (" espresso ", 967),
        ("billfish", 395),
        ("missile", 657),
        ("tabbies", 281),
        ("Espressos", 967),
        ("tench", 0),
        ("n02123045", 281),
        ("school buses", 779),
        ("tabby_cat", 281),
        ("golden__retrievers", 207),
    ],
)
def test_a_synonym_finds_its_class(wanted: str, index: int):
    assert find_label(wanted).index == index


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("crane", ["crane (bird) (134)", "crane (machine) (517)"]),
        ("cat", ["Kinds of cat: tabby (281), tiger cat (282)", "more."]),
        ("Cats", ["There is no class 'Cats' among the 1000. Kinds of cat: tabby (281)"]),
        ("person", ["Kinds of person: ballplayer (981)"]),
        ("people", ["Kinds of person: ballplayer (981)"]),
        ("rocket", ["missile (657)"]),
        ("saucer", ["Related classes: cup (968), coffee mug (504), soup bowl (809)."]),
        ("smartphone", ["The nearest in meaning: cellular telephone (487)."]),
        ("a flying cow", ["The nearest in meaning: ox (345)"]),
        ("espreso", ["espresso (967)"]),
        ("doog", ["The kind nearest in spelling is dog: Chihuahua (151)"]),
        ("snow", ["Related classes: snowplow (803), ski (795), alp (970)."]),
        ("lake", ["The nearest names: lakeside (975)"]),
        ("casa", ["The nearest in spelling: barrel (427, also “cask”)."]),
        ("tabbi", ["tabby (281)"]),
        (1000, ["0 to 999"]),
        ("-1", ["0 to 999"]),
        ("--5", ["There is no class"]),
        ("", ["0 to 999"]),
    ],
)
def test_an_unclear_name_gets_an_offer_of_the_nearest(wanted, offered: list[str]):
    with pytest.raises(LabelError) as caught:
        find_label(wanted)
    for words in offered:
        assert words in str(caught.value)


@pytest.mark.parametrize("word", ["cats", "dogs", "birds", "foods", "people", "saucer", "giraffe"])
def test_what_only_looks_like_a_word_is_not_offered_where_its_meaning_is_known(word: str):
    near = imagenet_labels().nearest(word)
    assert near is not None
    assert near.how != "name"
    assert not {"barrel", "patas", "crate"} & {imagenet_labels()[n].name for n in near.indices}


@pytest.mark.parametrize("word", ["skateboard", "carrots", "snowboards", "chat", "boar"])
def test_a_word_of_its_own_is_no_misspelling_of_another(word: str):
    near = imagenet_labels().nearest(word)
    assert near is None or near.how != "name"


@pytest.mark.parametrize(
    ("text", "index"), [("shih tzu", 155), ("Tea-Pots", 849), ("t shirt", 610), ("Coffee Pot", 505)]
)
def test_accents_hyphens_and_spaces_make_no_other_class(text: str, index: int):
    assert find_label(text).index == index
    own = labels_of(["Café crème", "grade 1-2", "cafe-cremes", "CD4+", "CD4-"])
    assert own.find("cafe creme").index == 0
    for other in ("grade 12", "CD4"):
        with pytest.raises(LabelError):
            own.find(other)


def test_underscores_in_a_persons_own_classes_are_found_as_they_are_and_as_spaces():
    labels = labels_of(["hair_line", "dent big"])
    assert [labels.find(name).index for name in ("hair_line", "dent_big", "Dent_Bigs")] == [0, 1, 1]


def test_a_persons_own_classes_are_found_by_plural_and_spelling_and_never_by_wordnet():
    labels = labels_of(["scratch", "dent", "lynx"])
    assert labels.find("scratches").index == 0
    with pytest.raises(
        LabelError, match=r"no class 'dint' among the 3. The nearest in spelling: dent"
    ):
        labels.find("dint")
    with pytest.raises(
        LabelError, match=r"Its classes are: scratch \(0\), dent \(1\), lynx \(2\)\.$"
    ):
        labels.find("cats")
