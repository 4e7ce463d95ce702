"""What is said of predictions: the words for given ones."""

from __future__ import annotations

import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.analysis.sentences.summary import summary
from tests.support.explanations import explained
from tests.support.spots import (
    CRANE_BIRD,
    EGYPTIAN,
    ESPRESSO,
    NAMES,
    TABBY,
    TIGER_CAT,
    of,
    spot,
)

BEAGLE, GOLDFISH, TRIPOD, CONSOMME, CUP = 162, 1, 872, 925, 968


def saying(*tops: tuple[int, float], **options) -> list[gc.Explanation]:
    """One network for each: its class and probability."""
    return [
        of(spot("top"), name, top=[best, (0, 0.001)], **options)
        for name, best in zip(NAMES, tops, strict=False)
    ]


def test_a_prediction_is_named_with_its_probability():
    assert summary(saying((TABBY, 0.83)))[0] == "Xception says tabby (83.0 %)."


@pytest.mark.parametrize(
    ("count", "words"),
    [(2, "Both"), (3, "All three"), (4, "All four"), (5, "All five"), (6, "All six")],
)
def test_networks_that_agree_are_counted_in_words(count: int, words: str):
    shown = saying(*[(TABBY, 0.8)] * count)
    assert summary(shown)[0] == f"{words} say tabby (80.0 %)."


def test_networks_that_see_the_same_kind_of_thing_only_differ_on_which():
    shown = saying((TIGER_CAT, 0.39), (TABBY, 0.45), (TABBY, 0.6))
    assert summary(shown)[0] == (
        "All three see a cat but differ on which: Xception says tiger cat (39.0 %); "
        "ResNet50 and VGG19 say tabby (45.0 % and 60.0 %)."
    )
    assert summary(saying((ESPRESSO, 0.5), (CONSOMME, 0.4)))[0] == (
        "Both see food but differ on which: Xception says espresso (50.0 %); "
        "ResNet50 says consomme (40.0 %)."
    )


def test_some_that_see_the_same_kind_of_thing_are_named():
    assert summary(saying((TIGER_CAT, 0.39), (TRIPOD, 0.6), (TABBY, 0.45)))[0] == (
        "They disagree: Xception (tiger cat, 39.0 %) and VGG19 (tabby, 45.0 %) see a cat; "
        "ResNet50 says tripod (60.0 %)."
    )
    assert summary(saying((TIGER_CAT, 0.39), (BEAGLE, 0.6), (TABBY, 0.45)))[0] == (
        "All three see a mammal: Xception (tiger cat, 39.0 %) and VGG19 (tabby, 45.0 %) see a cat; "
        "ResNet50 says beagle (60.0 %)."
    )


def test_networks_that_see_different_things_disagree():
    assert summary(saying((TRIPOD, 0.39), (TABBY, 0.45)))[0] == (
        "They disagree: Xception says tripod (39.0 %); ResNet50 says tabby (45.0 %)."
    )
    # WordNet's cup is a drink; what ImageNet shows is not.
    assert summary(saying((ESPRESSO, 0.39), (CUP, 0.45)))[0].startswith("They disagree: ")


@pytest.mark.parametrize(
    "name", ["a", "none", "no finding", "cat, or dog", "smile :)", "f(x)", "Homo sp.", "0.5", "C#"]
)
def test_a_class_that_could_be_taken_for_other_words_stands_in_quotation_marks(name: str):
    names, quoted = (name, "well"), f"“{name}”"
    first, second = (
        explained(spot("top"), title=title, top=top, target=(0, 0.004), names=names, classes=2)
        for title, top in (("Ada", [(0, 0.6), (1, 0.4)]), ("Ben", [(1, 0.996), (0, 0.004)]))
    )
    assert f"Ada says {quoted} (60.0 %); " in summary([first, second])[0]
    assert summary([second])[0] == f"Ben says well (99.6 %), not {quoted}."
    assert not [
        label
        for label in gc.imagenet_labels()
        if label.name != gc.Prediction(0, label.name, 1).in_sentence
    ]


def test_only_classes_of_imagenet_are_of_a_kind():
    own = [
        explained(
            spot("top"),
            title=name,
            top=[(index, 0.6), (1 - index, 0.4)],
            names=("ill", "well"),
            classes=2,
        )
        for name, index in (("Ada", 0), ("Ben", 1))
    ]
    assert summary(own)[0] == "They disagree: Ada says ill (60.0 %); Ben says well (60.0 %)."
    assert summary([own[0], *saying((TABBY, 0.45))])[0] == (
        "They know different classes: Ada says ill (60.0 %); Xception says tabby (45.0 %)."
    )
    assert summary([*own, *saying((TABBY, 0.45))])[0].startswith(  # of whom only two disagree
        "Their most probable classes differ: Ada says ill (60.0 %); Ben says well "
    )
    # Whether the twenty classes have a tabby is not known.
    many = explained(spot("top"), title="Ben", top=[(0, 0.9)], names=("ill", "well"), classes=20)
    said = "Ben says ill (90.0 %); Xception says tabby (45.0 %)."
    assert (
        summary([many, *saying((TABBY, 0.45))])[0] == f"Their most probable classes differ: {said}"
    )


def test_a_class_that_no_network_says_is_named():
    shown = saying(
        (TIGER_CAT, 0.39), (EGYPTIAN, 0.45), (EGYPTIAN, 0.6), target=(TABBY, 0.05), rank=3
    )
    assert summary(shown)[0].endswith("; none says tabby.")
    assert summary(shown[:2])[0].endswith("; neither says tabby.")
    assert summary(shown[1:])[0] == "Both say Egyptian cat (45.0 % and 60.0 %), not tabby."


def test_a_name_that_ends_in_brackets_gets_no_second_ones():
    assert summary(saying((CRANE_BIRD, 0.9)))[0] == "Xception says crane (bird, 90.0 %)."


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (0.5, 0.46, "its top two are close (50.0 % and 46.0 %)"),
        (0.5, 0.499999, "its top two are close (50.0 % and 50.0 %)"),
        (0.22, 0.02, "its best guess has only 22.0 %"),
        (0.22, 0.21, "its best guess has only 22.0 %"),
    ],
)
def test_an_unsure_network_says_by_how_much(first: float, second: float, words: str):
    sure = of(spot("top"))
    unsure = of(spot("top"), "ResNet50", top=[(TABBY, first), (TIGER_CAT, second)])
    assert summary([sure, unsure])[-1] == f"ResNet50 is unsure: {words}."


def test_a_sure_network_is_not_called_unsure():
    for top in ([(TABBY, 0.31), (TIGER_CAT, 0.2)], [(TABBY, 0.9), (TIGER_CAT, 0.1)]):
        assert "unsure" not in " ".join(summary([of(spot("top"), top=top)]))


def test_several_unsure_networks_share_a_sentence():
    weak = [(TABBY, 0.2), (TIGER_CAT, 0.1)]
    close = [(TABBY, 0.5), (TIGER_CAT, 0.45)]
    sure = [(TABBY, 0.9), (TIGER_CAT, 0.1)]

    def last(*tops: list) -> str:
        return summary([of(spot("top"), n, top=t) for n, t in zip(NAMES, tops, strict=False)])[-1]

    assert last(weak, weak) == "Both are unsure: their best guesses have only 20.0 %."
    assert last(close, sure, close) == (
        "Xception and VGG19 are unsure: their top two are less than 10 points apart."
    )
    assert last(close, weak, sure) == (
        "ResNet50 is unsure: its best guess has only 20.0 %; "
        "Xception is unsure, too: its top two are close (50.0 % and 45.0 %)."
    )


@pytest.mark.parametrize(
    ("probability", "classes", "words"),
    [
        (0.5003, 2, "no better than guessing between its 2 classes (50.0 %)"),
        (0.503, 2, "hardly better than guessing between its 2 classes (50.3 %)"),
        (0.53, 2, "hardly better than guessing between its 2 classes (53.0 %)"),
        (0.33334, 3, "no better than guessing among its 3 classes (33.3 %)"),
    ],
)
def test_at_chance_is_said_as_at_chance(probability: float, classes: int, words: str):
    top = [
        (n, probability if n == 0 else (1 - probability) / (classes - 1)) for n in range(classes)
    ]
    shown = summary([of(spot("top"), "Ada", top=top, classes=classes)])
    assert shown[-1] == f"Ada is {words}."
    assert "unsure" not in " ".join(shown)


def test_classes_with_a_probability_each_may_be_close():
    top = [(TABBY, 0.97), (TIGER_CAT, 0.96)]
    shown = [of(spot("top"), top=top, independent=True, classes=2)]
    assert len(summary(shown)) == 2  # it is not unsure: both may be there


def test_who_is_as_unsure_of_hundreds_of_classes_does_not_say_one_of_them_too():
    grey = of(spot("top"), "Ada", top=[(TRIPOD, 0.0011)], target=(TABBY, 0.0010), rank=259)
    first, *others = summary([grey])
    assert first == "Ada says tripod (0.1 %), not tabby."
    assert "For Ada, tabby is improbable (0.1 %, rank 259): its map shows where it " in others[1]


def labelled(name: str, *top: tuple[int, float], classes: int = 20) -> gc.Explanation:
    """By a network whose classes have a probability each."""
    return of(spot("top"), name, top=top, independent=True, classes=classes)


def test_who_also_says_what_another_one_says_does_not_disagree():
    many = labelled("Ada", (ESPRESSO, 0.9), (CRANE_BIRD, 0.6), (TRIPOD, 0.1))
    crane = of(spot("top"), "Ben", top=[(CRANE_BIRD, 0.7)])
    said = "Ada says espresso (90.0 %) and crane (bird, 60.0 %); Ben says crane (bird, 70.0 %)."
    assert summary([many, crane])[0] == f"Their most probable classes differ: {said}"
    unlikely = labelled("Ada", (ESPRESSO, 0.9), (CRANE_BIRD, 0.4))
    assert summary([unlikely, crane])[0] == (
        "They disagree: Ada says espresso (90.0 %); Ben says crane (bird, 70.0 %)."
    )
    tabby = labelled("Ada", (TABBY, 0.9), (TIGER_CAT, 0.6), (TRIPOD, 0.1))
    tiger = of(spot("top"), "Ben", top=[(TIGER_CAT, 0.7)])
    assert summary([tabby, tiger])[0].startswith("Both see a cat: Ada says tabby (90.0 %) and tig")
    only = labelled("Ben", (TABBY, 0.95), (TIGER_CAT, 0.4))
    assert summary([tabby, only])[0] == (
        "Both say tabby: Ada says tabby (90.0 %) and tiger cat (60.0 %); Ben says tabby (95.0 %)."
    )
    shown = [labelled("Ada", (ESPRESSO, 0.9), (CRANE_BIRD, 0.6)), *saying(*[(ESPRESSO, 0.9)] * 2)]
    assert summary(shown)[0].startswith("All three say espresso: Ada says espresso (90.0 %), cr")


def test_classes_with_a_probability_each_are_all_said_or_none():
    two = labelled("Ada", (TABBY, 0.9), (ESPRESSO, 0.5), (TRIPOD, 0.49))
    assert summary([two])[0] == "Ada says tabby (90.0 %) and espresso (50.0 %)."
    other = labelled("Ben", (TABBY, 0.8), (ESPRESSO, 0.6), (TRIPOD, 0.1))
    both = "Both say tabby (90.0 % and 80.0 %) and espresso (50.0 % and 60.0 %)."
    assert summary([two, other])[0] == both
    many = [(TABBY, 0.9), (ESPRESSO, 0.8), (TRIPOD, 0.7), (BEAGLE, 0.6), (GOLDFISH, 0.6)]
    assert summary([labelled("Ada", *many)])[0].endswith(
        ", beagle (60.0 %), goldfish (60.0 %) and perhaps more."
    )
    assert "perhaps" not in summary([labelled("Ada", *many, classes=5)])[0]
    none = labelled("Ada", (TABBY, 0.2), (TRIPOD, 0.1))
    assert summary([none])[0] == "Ada says none of its 20 classes (at most 20.0 %, for tabby)."
    tripod = labelled("Ben", (TRIPOD, 0.4))
    said = "Both say none of their classes (at most 20.0 % and 40.0 %)."
    assert summary([none, tripod])[0] == said
    assert summary([none, *saying((TABBY, 0.8))])[0] == (
        "They disagree: Ada says none of its 20 classes (at most 20.0 %, for tabby); "
        "Xception says tabby (80.0 %)."
    )
    assert "unsure" not in " ".join(summary([none, tripod]))


def test_a_network_whose_scores_are_not_numbers_predicts_nothing():
    broken = of(np.full((7, 7), np.nan), "VGG19", top=[(0, 0.0), (1, 0.0)], target=(TABBY, 0.0))
    shown = [of(spot("left")), of(spot("left"), "ResNet50"), broken]
    assert summary(shown)[0] == "Xception and ResNet50 say tabby (80.0 %)."
    assert summary([broken])[0].startswith("VGG19 has no map of tabby")
