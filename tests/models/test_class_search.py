"""What a person who types a word is offered."""

from __future__ import annotations

import pytest

from gradcam_core import imagenet_labels
from gradcam_core.models.class_names.class_search import note, search
from gradcam_core.models.class_names.related import related_names, related_words


@pytest.mark.parametrize(
    ("text", "by", "name"),
    [
        ("tabb", "part", "tabby"),
        ("catamount", "name", "lynx"),
        ("espressos", "name", "espresso"),
        ("dog", "kind", "Maltese dog"),
        ("dogs", "kind", "Chihuahua"),
        ("birds", "kind", "cock"),
        ("saucer", "related", "cup"),
        ("beach", "related", "seashore"),
        ("river", "name", "hippopotamus"),
        ("giraffe", "meaning", "ibex"),
        ("smartphone", "meaning", "cellular telephone"),
        ("cats", "kind", "tabby"),
        ("dog", "name", "hotdog"),
        ("cow", "meaning", "ox"),
        ("cow", "part", "cowboy hat"),
        ("tea", "part", "teapot"),
        ("tea", None, "echidna"),
        ("kitten", "meaning", "Egyptian cat"),
        ("kitten", None, "mitten"),
        ("snow", "name", "snow leopard"),
        ("snow", "related", "snowplow"),
        ("lake", "part", "lakeside"),
        ("lake", None, "toilet tissue"),
        ("cats", None, "catamaran"),
        ("bat", "related", "baseball"),
        ("rooster", "related", "cock"),
        ("skateboards", "related", "unicycle"),
        ("moon", "related", "planetarium"),
        ("bycicle", "spelling", "mountain bike"),
        ("hores", "spelling", "sorrel"),
        ("eagel", "spelling", "bald eagle"),
        ("chiwawa", "spelling", "Chihuahua"),
        ("kanoe", "spelling", "canoe"),
        ("zylophone", "spelling", "marimba"),
        ("shih tzu", "name", "Shih-Tzu"),
        ("tea pots", "name", "teapot"),
        ("potter’s wheel", "name", "potter's wheel"),
        ("“Tabby”?", "name", "tabby"),
        ("café", "meaning", "restaurant"),
        ("téléphone", "kind", "pay-phone"),
        ("pit bull", "name", "American Staffordshire terrier"),
        ("zzzzzz", None, None),
    ],
)
def test_classes_are_found_by_name_kind_meaning_and_spelling(text, by, name):
    found = {match.label.name: match.by for match in search(imagenet_labels(), text)}
    assert found.get(name) == by
    assert bool(found) == (text != "zzzzzz")


def test_kinds_come_before_names_and_names_before_parts_of_words():
    order = [match.by for match in search(imagenet_labels(), "cat")]
    assert order == sorted(order, key=["kind", "name", "part"].index)
    assert len(search(imagenet_labels(), "")) == 1000


FOREIGN = "chien katze leche 犬"


def test_words_of_other_languages_are_no_slips_of_english_ones():
    for text in FOREIGN.split():
        assert search(imagenet_labels(), text) == [], text
        said = note(imagenet_labels(), text, [])
        assert "None near it was found; ImageNet's names are English." in said


FIRST = {
    "281": "tabby",
    "n02123045": "tabby",
    "0": "tench",
    "tiger_cat": "tiger cat",
    "tiger-cat": "tiger cat",
    "egyptian  cat": "Egyptian cat",
    "  Tiger Cat ": "tiger cat",
    "bee": "bee",
    "ox": "ox",
    "ant": "ant",
}


@pytest.mark.parametrize("text", FIRST)
def test_numbers_spaces_and_whole_words_are_found_first(text: str):
    assert search(imagenet_labels(), text)[0].label.name == FIRST[text]


NOTES: dict[str, str | None] = {
    "tabby": None,
    "Tabbies": None,
    "281": None,
    "dogs": "Kinds of dog, then names with this word:",
    "cow": "The nearest in meaning, then names with a word that begins or ends like this:",
    "cows": "Kinds of cattle: ox",
    "pants": "Kinds of trouser: jean",
    "calf": "The nearest in meaning: ox",
    "tea": "Names with a word that begins or ends like this: teapot",
    "man": "The nearest in meaning, then names with this word, then",
    "love": "",
    "doog": "The kind nearest in spelling is dog: Chihuahua",
}


@pytest.mark.parametrize("text", NOTES)
def test_a_text_that_names_no_class_is_said_so_and_what_is_listed(text: str):
    found = search(imagenet_labels(), text)
    said = note(imagenet_labels(), text, found)
    says = NOTES[text]
    listed = f"{said} {found[0].label.name}" if found else said
    expected = "" if says is None else f"“{text}” is not one of the 1000 classes. {says}"
    assert (said if says is None else listed).startswith(expected.strip())
    assert bool(said) == (says is not None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jaguar", ""),
        ("tigers", "“tigers”, then names with this word:"),
        ("ant", "“ant”, then names with a word that begins or ends like this:"),
    ],
)
def test_what_is_listed_below_a_class_that_was_named_is_said_to_be_what_it_is(text: str, said: str):
    found = search(imagenet_labels(), text)
    assert note(imagenet_labels(), text, found) == said
    assert (len(found) > 1) == bool(said)


SENSIBLE = {
    "kitten": {"tabby", "Egyptian cat"},
    "calf": {"ox"},
    "foal": {"sorrel"},
    "puppy": {"Chihuahua"},
    "cow": {"ox", "water buffalo"},
    "giraffe": {"ox", "ibex"},
    "chicken": {"cock", "hen"},
    "river": {"lakeside", "dam"},
    "island": {"seashore"},
    "teacher": {"scuba diver"},
    "helicopter": {"airliner", "airship"},
    "wheelchair": {"rocking chair"},
    "octopus": {"chambered nautilus"},
}
NONE = ["love", "waterfall", "river", "sky", "city", "farm", "garden", "milk", "shadow", "money"]


def test_the_nearest_in_meaning_are_sensible_and_none_is_better_than_an_odd_one():
    labels = imagenet_labels()
    for word, names in SENSIBLE.items():
        near = labels.nearest(word)
        assert near is not None
        assert names <= {labels[index].name for index in near.indices}, word
    for word in NONE:
        near = labels.nearest(word)
        assert near is None or near.how in ("name", "related")
        assert (
            near is None
            or near.how == "related"
            or all(word in labels[index].full_name.casefold() for index in near.indices)
        ), word


def test_all_that_is_offered_by_hand_is_a_class_and_its_words_are_none():
    labels = imagenet_labels()
    for word in related_words():
        for name in related_names((word,)):
            assert labels.find(name).name == name
        assert labels.known(word) is None, word
