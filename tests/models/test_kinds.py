"""What ImageNet's classes are kinds of, and which are near a word that none of them has."""

from __future__ import annotations

import pytest

import gradcam_core as gc
from gradcam_core.models.class_names.kinds import kinds, near_in_meaning, singulars


def indices(*names: str) -> list[int]:
    return [gc.find_label(name).index for name in names]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("tabby", "Egyptian cat"), "cat"),
        (("tabby", "tiger cat", "Persian cat"), "cat"),
        (("golden retriever", "Chihuahua"), "dog"),
        (("jeep", "sports car"), "car"),
        (("goldfish", "great white shark"), "fish"),
        (("goldfish", "tabby"), "animal"),
        (("jaguar", "lion", "tabby"), "feline"),
        (("jaguar", "leopard"), "big cat"),
        (("lynx", "tabby"), "cat"),
        (("timber wolf", "Siberian husky"), "canine"),
        (("zebra", "sorrel"), "equine"),
        (("gorilla", "macaque"), "primate"),
        (("hamster", "beaver"), "rodent"),
        (("killer whale", "grey whale"), "whale"),
        (("bald eagle", "kite"), "bird of prey"),
        (("monarch", "admiral"), "butterfly"),
        (("American lobster", "crayfish"), "crustacean"),
        (("scorpion", "tarantula"), "arachnid"),
        (("snail", "slug"), "mollusk"),
        (("pickup", "convertible"), "motor vehicle"),
        (("violin", "acoustic guitar"), "stringed instrument"),
        (("sax", "flute"), "woodwind"),
        (("sandal", "clog"), "footwear"),
        (("guacamole", "consomme"), "food"),
    ],
)
def test_classes_share_the_narrowest_kind_that_has_a_plain_word(names, kind):
    assert kinds().shared(indices(*names)) == kind


@pytest.mark.parametrize("names", [("soccer ball", "tabby"), ("espresso", "tripod")])
def test_classes_that_only_share_something_vague_share_nothing(names):
    assert kinds().shared(indices(*names)) is None


def test_every_class_is_of_some_kind_and_every_kind_has_a_class():
    table = kinds()
    assert len(table.parents) == 1000
    assert all(table.parents)
    assert all(table.members)


@pytest.mark.parametrize(
    ("word", "singular"),
    [("cats", "cat"), ("Mice", "mouse"), ("wolves", "wolf"), ("boxes", "box"), ("puppies", "puppy"),
     ("snowmen", "snowman"), ("glasses", "glass")],
)  # fmt: skip
def test_plurals_are_understood(word, singular):
    assert singular in singulars(word)


@pytest.mark.parametrize(
    ("word", "among"),
    [("cats", "tabby"), ("giraffe", "ibex"), ("saucer", "soup bowl"), ("rocket", "missile"),
     ("person", "ballplayer"), ("people", "groom"), ("teacher", "scuba diver"),
     ("smartphone", "cellular telephone"), ("smartphones", "cellular telephone"),
     ("TVs", "television"), ("sinks", "washbasin"), ("tyres", "car wheel"), ("bugs", "ladybug"),
     ("tulips", "daisy"), ("yachts", "canoe"), ("carrots", "broccoli"), ("cakes", "trifle")],
)  # fmt: skip
def test_words_lead_to_the_classes_nearest_in_meaning(word, among):
    assert among in [gc.imagenet_labels()[index].name for index in near_in_meaning(word)[:8]]


@pytest.mark.parametrize("word", ["justice", "qwertz", ""])
def test_nothing_is_near_a_word_without_things(word):
    assert near_in_meaning(word) == []
