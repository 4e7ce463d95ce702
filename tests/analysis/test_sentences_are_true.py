"""Every statement that is made of maps and predictions is so: sentences are generated for real
photographs and for maps made by hand, and compared with the numbers they speak of by code that
shares no line with what made them. Planted lies of each kind are found."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import gradcam_core as gc
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.images.geometry import ViewName
from tests.support.app_server import ROOT
from tests.support.explanations import LITE, explained
from tests.support.photo_facts import PhotoFacts
from tests.support.photos import EXAMPLES, PHOTOS
from tests.support.sentence_checker import CHECKS, check

Story = tuple[PhotoFacts, tuple[str, ...]]

FILES = [
    *sorted(EXAMPLES.glob("*.jpg")),
    *sorted((ROOT / "benchmarks" / "photos").glob("*.jpg"))[::3],
    PHOTOS / "retina.jpg",
    PHOTOS / "ihc.png",
    PHOTOS / "hubble_deep_field.jpg",
]

TABBY, LYNX, BEAGLE, GOLDFISH, ESPRESSO, CRANE = 281, 287, 162, 1, 967, 134


def story_of(shown: list[gc.Explanation]) -> Story:
    compared = agreement(shown)
    names = [str(number) for number in range(len(shown))]
    record = None if compared is None else compared.record(names)
    return PhotoFacts(shown, record), summary(shown)


def views_of(path: Path, number: int) -> Iterator[Image.Image]:
    """The photo and, in turn, another one made of it."""
    photo = gc.read_image(path)
    if max(photo.size) > 400:
        photo.thumbnail((400, 400))
    yield photo
    if number % 6:
        return
    width, height = photo.size
    part = photo.crop((width // 4, 0, width, round(0.8 * height)))
    yield part if number % 4 else ImageOps.mirror(photo)


@pytest.fixture(scope="module")
def photographs() -> list[Story]:
    """Of each photo or part: the networks' own classes, and one that they are asked for."""
    models = [gc.load_model(name) for name in LITE]
    stories = []
    for number, path in enumerate(FILES):
        for part, photo in enumerate(views_of(path, number)):
            view: ViewName = "whole" if (number + part) % 3 == 0 else "crop"
            count = 2 if number % 3 else 3
            held = [gc.examine(photo, model, view) for model in models[:count]]
            asked = held[number % len(held)].top[1 + part].index if number % 4 else TABBY
            method = ("gradcam", "layercam", "eigencam")[number % 3]
            stories.append(story_of([one.explain() for one in held]))
            stories.append(story_of([one.explain(asked, method) for one in held]))
    return stories


def map_by_hand(chance: random.Random) -> np.ndarray:
    side = chance.choice((7, 9, 10, 14))
    down, across = np.mgrid[:side, :side] / (side - 1)
    x, y = chance.random(), chance.random()
    wide, high = chance.uniform(0.05, 0.5), chance.uniform(0.05, 0.5)
    spot = np.exp(-(((across - x) / wide) ** 2) - ((down - y) / high) ** 2)
    kind = chance.randrange(9)
    if kind == 0:
        return np.random.default_rng(chance.randrange(1000)).random((side, side)) ** 3
    if kind == 1:
        return np.exp(-(((np.hypot(across - 0.5, down - 0.5) - x / 2) / 0.1) ** 2))  # a ring
    if kind == 2:
        along, beside = chance.choice(((across, down), (down, across)))
        return np.exp(-(((beside - x) / 0.12) ** 2)) * (1 - 0.2 * along)  # a band
    if kind == 3:
        other = np.exp(-(((across - y) / high) ** 2) - ((down - x) / wide) ** 2)
        return np.maximum(spot, chance.uniform(0.4, 1) * other)
    if kind == 4:
        return chance.choice((np.zeros, np.ones))((side, side))
    if kind == 5:
        return np.maximum(spot - 0.5, 0)  # without heat elsewhere
    return spot


def network_by_hand(
    chance: random.Random, title: str, size: tuple[int, int], cells: np.ndarray
) -> gc.Explanation:
    classes = chance.choice((2, 3, 1000, 1000, 1000))
    few = (
        range(min(classes, 5)) if classes < 5 else (TABBY, LYNX, BEAGLE, GOLDFISH, ESPRESSO, CRANE)
    )
    best = chance.uniform(1 / min(classes, 8), 1) ** chance.choice((1, 1, 0.01))
    if classes < 5 and chance.random() < 0.4:
        best = chance.choice((1, 1.005, 1.05)) / classes
    independent = classes == 1000 and chance.random() < 0.15
    if independent:
        best = chance.uniform(0.3, 1)
    second = (best if independent else min(best, 1 - best)) * chance.choice((1, 0.9, 0.1))
    rest = [second / 10, second / 100, 0.0]
    indices = chance.sample(list(few), min(len(few), 5))
    top = list(zip(indices, [best, second, *rest], strict=False))
    own = chance.random() < 0.5
    others = (0.2, 0.004, 0.00001) if not independent else (0.2, 0.6 * best, best)
    return explained(
        cells,
        size,
        view=chance.choice(("crop", "whole")),
        crop_share=chance.choice((1.0, 0.875)),
        title=title,
        stands_in_for="VGG19" if title == "Lite" else "",
        top=top,
        target=None if own else (CRANE, chance.choice(others)),
        rank=1 if own else chance.randint(2, 900),
        classes=classes,
        independent=independent,
    )


@pytest.fixture(scope="module")
def by_hand() -> list[Story]:
    chance = random.Random(3)
    stories = []
    for _ in range(120):
        size = chance.choice([(200, 200), (300, 200), (150, 240), (450, 150)])
        titles = ["Xception", "ResNet50", "VGG19", "Ada", "Ben", "Lite"]
        maps = [map_by_hand(chance) for _ in range(chance.choice((1, 2, 3, 6)))]
        count = chance.choice((1, 2, 2, 3, 3, 3, 4, 6))
        shown = [
            network_by_hand(chance, title, size, chance.choice(maps)) for title in titles[:count]
        ]
        stories.append(story_of(shown))
    return stories


def test_what_is_said_of_photographs_is_so(photographs: list[Story]):
    assert len(photographs) >= 40
    found = Counter(kind for facts, sentences in photographs for kind in check(facts, sentences))
    assert found["check_predictions"] == len(photographs)
    assert found["check_alike"] > 40


def test_what_is_said_of_maps_made_by_hand_is_so(by_hand: list[Story]):
    found = Counter(kind for facts, sentences in by_hand for kind in check(facts, sentences))
    assert set(found) == {one.__name__ for one in CHECKS.values()} - {"check_values"}


def regression_by_hand(chance: random.Random, title: str, size: tuple[int, int]) -> gc.Explanation:
    count = chance.choice((1, 2, 7))
    values = chance.choices((0.0, 41.3, -0.004, 250123.4, 0.02, -1.2e-9, 3e15), k=count)
    return explained(
        map_by_hand(chance),
        size,
        title=title,
        top=list(enumerate(values))[:5],
        target=(0, values[0]),
        classes=count,
        names=["age", "height", "depth", "x", "y", "z", "w"],
        unit=chance.choice(("years", "")),
    )


def test_what_is_said_of_regressions_is_so():
    chance, found = random.Random(7), Counter[str]()
    for _ in range(80):
        size = chance.choice([(200, 200), (300, 200)])
        shown = [
            regression_by_hand(chance, title, size)
            for title in ("Ada", "Ben")[: chance.choice((1, 2))]
        ]
        if chance.random() < 0.5:
            shown.append(network_by_hand(chance, "Xception", size, map_by_hand(chance)))
        facts, sentences = story_of(shown)
        assert sum(" says that " in one for one in sentences) == sum(
            e.unit is not None for e in shown
        )
        found.update(check(facts, sentences))
    assert found["check_values"] > 80
    assert found["check_predictions"] > 15
    assert found["check_alike"] > 15


LIES: dict[str, tuple[str, Any]] = {
    "another overlap": (r"overlap (\d)(\d) %", lambda m: f"overlap {10 - int(m[1])}{m[2]} %"),
    "another overlap with one": (r"(\d+) % with", lambda m: f"{int(m[1]) + 2} % with"),
    "another overlap of a third": (r"is (\d+) %(?= with)", lambda m: f"is {int(m[1]) + 3} %"),
    "a higher grade": ("about half the same", "mostly the same"),
    "a lower grade": ("mostly the same", "about half the same"),
    "chance as a part": ("few of the same", "some of the same"),
    "other places": (r"at (some of|mostly|almost) the same places", "at different places"),
    "no chance": (r", by chance [\d to]+ %", ""),
    "another chance": (r"by chance 11", "by chance 13"),
    "not the best pair": (r"(?s)^(\S+) and (\S+) (look .*; )(\S+) looks", r"\1 and \4 \3\2 looks"),
    "another pair": (
        r"^(\S+) and (\S+) (look .*; the overlap of )(\S+) is",
        r"\4 and \2 \3\1 is",
    ),
    "the least as the most": ("^Most alike (.*); least", r"Least alike \1; most"),
    "right as upper left": ("right of the centre", "at the upper left"),
    "right as left": ("right of the centre", "left of the centre"),
    "centre as right": (r"at the centre\b", "at the right"),
    "top as bottom": (r"at the (top|upper left)\b", "at the bottom"),
    "a place for all over": ("is spread over much of the picture", "lies at the upper left"),
    "all over for a place": ("lies at the ", "is spread over much of the picture at the "),
    "a band for several places": ("in several places", "across the top"),
    "several places for one": ("lies (right|left) of the centre", "lies in several places"),
    "a band the other way": ("across the middle", "down the middle"),
    "another band": ("across the middle", "across the top"),
    "a larger area": (r"at least (twice|1.5 times)", "at least 6 times"),
    "another probability": (r"(\d+)\.(\d) %\)", lambda m: f"{m[1]}.{(int(m[2]) + 1) % 10} %)"),
    "two ways to write": (r" \(< 0.1 %", " (0.09 %"),
    "another class": (r"says? [\w ]+? \(", lambda m: f"{m[0].split()[0]} abacus ("),
    "a class left out": (r"(says? [\w ]+ \([^)]*\)) and [\w ]+ \([^)]*\)(?=[.;])", r"\1"),
    "another most": (r"at most (\d)", lambda m: f"at most {int(m[1]) + 1}"),
    "none by who says some": (
        r" says [\w ]+ \(([^(]* %)\)\.$", r" says none of its 1000 classes (at most \1)."
    ),
    "another kind": (r"see an? \w+", "see a parrot"),
    "no kind": (r"^.* see an? \w+ but differ on which:", "They disagree:"),
    "too much agreement": (r"^They disagree:", "All three see an animal but differ on which:"),
    "none says what one says": (r"^(.* says? (\w+) .*)\.$", r"\1; none says \2."),
    "another rank": (r"rank (\d+)", lambda m: f"rank {int(m[1]) + 1}"),
    "probable": (r"\((.*) %(.*)\): (its|their) map", r"(3.0 %\2): \3 map"),
    "better than a guess": ("no better than", "hardly better than"),
    "no better than a guess": ("hardly better than", "no better than"),
    "other classes": (r"(its|their) (\d+) classes", lambda m: f"{m[1]} {int(m[2]) + 1} classes"),
    "said by others": (r", too \((\d+)", lambda m: f", too ({int(m[1]) + 1}"),
    "decided": (r"undecided: its (.*) \d\d\.", r"undecided: its \1 88."),
    "surer": (r"has only (\d)", lambda m: f"has only {int(m[1]) + 1}"),
    "not so close": (r"close \((\d)", lambda m: f"close ({int(m[1]) + 1}"),
    "another reason": ("nothing here is evidence for this", "nothing here is evidence for any"),
    "one of several": (r"^All (three|four|six) say ", "Both say "),
    "something new": (r"\.$", " with great care."),
}  # fmt: skip
"""What is planted, and in place of what. Never so, wherever it fits."""

MOST = 20  # lies of one kind, of which the last are found as the first are


@pytest.mark.parametrize("lie", LIES)
def test_a_planted_lie_is_found(photographs: list[Story], by_hand: list[Story], lie: str):
    planted = 0
    pattern, instead = LIES[lie]
    for facts, sentences in photographs + by_hand:
        for sentence in sentences:
            told = re.sub(pattern, instead, sentence)
            if told != sentence:
                planted += 1
                assert not is_believed(facts, told), told
        if planted >= MOST:
            break
    assert planted


def test_what_is_said_of_the_wrong_network_is_found(by_hand: list[Story]):
    planted = 0
    for facts, sentences in by_hand:
        for sentence in sentences:
            named = [name for name in facts.e if name in sentence]
            for other in facts.e.keys() - named if WHO_ALONE.search(sentence) else ():
                for name in named:
                    planted += 1
                    told = sentence.replace(name, other)
                    assert not is_believed(facts, told), told
    assert planted > 50


WHO_ALONE = re.compile("reaches the edge|a?no? map of|is improbable|than guessing")
"""Sentences on all networks of which they are so, and on no others."""


def is_believed(facts: PhotoFacts, sentence: str) -> bool:
    try:
        check(facts, [sentence])
    except AssertionError:
        return False
    return True
