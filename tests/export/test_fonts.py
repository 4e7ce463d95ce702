"""Names in any script: drawn by a font that has them, else in Latin letters, never as boxes."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import FontProperties, fontManager, get_font
from PIL import Image

import gradcam_core as gc
from gradcam_core.explanation.text import Prediction
from gradcam_core.export import fonts
from gradcam_core.export.figure import figure, png, svg
from gradcam_core.export.fonts import (
    drawable,
    families,
    in_order,
    is_inside_letter,
    name_or_number,
)
from gradcam_core.export.text import Font

NAMES = {
    "Chinese": ("虎斑猫", "HuBanMao"),
    "Japanese": ("とらネコ", "toraneko"),
    "Korean": ("고양이", "GoYangI"),
    "Hindi": ("बिल्ली", "billi"),
    "Thai": ("แมว", "aemw"),
    "Arabic": ("قط منزلي", "qt mnzly"),
    "Persian": ("می‌خواهم", "mykhwhm"),
    "Hebrew": ("חתול", "htvl"),
    "Amharic": ("አማርኛ", "'amarnya"),
    "emoji": ("🐕", ":dog2:"),
    "emoji of several": ("🐕‍🦺", ":dog2::safety_vest:"),
    "hieroglyph": ("𓃠", "E13"),
    "mixed": ("ResNet-猫 v2 → é", "ResNet-Mao v2 → é"),
}


@pytest.fixture(scope="module")
def tabby(cat: Image.Image, lite0: gc.Model) -> gc.Explanation:
    return gc.explain(cat, lite0, "tabby")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A machine that has matplotlib's own fonts, and those that are added to it."""
    own = [entry for entry in fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)

    def forget() -> None:
        for cached in ("_family_of", "_preferred", "_others", "_fonts"):
            vars(fonts)[cached].cache_clear()

    def add(*files: Path) -> None:
        for file in files:
            fontManager.addfont(file)
        forget()

    forget()
    yield add
    forget()


def made(folder: Path, family: str, letters: str) -> Path:
    """A font with a triangle for each of these letters."""
    names = [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    pen = TTGlyphPen(None)
    for move, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (900, 0)), (pen.lineTo, (450, 900))):
        move(point)
    pen.closePath()
    triangle = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(letter): f"u{ord(letter):x}" for letter in letters})
    font.setupGlyf(dict.fromkeys(names, triangle))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=900, descent=-100)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    file = folder / f"{family}.ttf"
    font.save(file)
    return file


def has_all(text: str) -> bool:
    """Whether its families have all of its characters, as the fonts' own tables say."""
    for weight in ("normal", "bold"):
        files = [
            fontManager.findfont(FontProperties(family=one, weight=weight))
            for one in families(text)
        ]
        charmaps = [get_font(file).get_charmap() for file in files]
        if not all(any(ord(c) in charmap for charmap in charmaps) for c in text):
            return False
    return True


@pytest.mark.parametrize("name", ["\ue000", " \u200b", "\ud800", "\U00012000\U0001204d"])
def test_a_name_of_which_nothing_can_be_drawn_is_an_index(name: str, machine: Callable[..., None]):
    assert name_or_number(name, 7) == "class 7"
    assert name_or_number(f"{name} 猫", 7) == f"{name} 猫"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_whole_with_whatever_fonts_there_are(name: str):
    """Those of the machine that this runs on."""
    given, latin = NAMES[name]
    assert drawable(given) in (given, latin)
    assert has_all(drawable(given))


def test_what_no_font_has_is_written_in_latin_letters(machine: Callable[..., None]):
    of_matplotlib = {"Arabic", "Persian", "Hebrew"} if fonts.SHAPES else set()
    for name, (given, latin) in NAMES.items():
        assert drawable(given) == (given if name in of_matplotlib else latin)
        assert families(drawable(given)) == [fonts.FAMILY]


def test_a_font_of_the_machine_is_used_for_what_it_has_whole(
    machine: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    machine(made(tmp_path, "Of Tigers", "虎猫\ue000"), made(tmp_path, "Noto Emoji", "🐕"))
    assert drawable("虎猫 🐕") == "虎猫 🐕"
    assert families("虎猫 🐕") == [fonts.FAMILY, "Of Tigers", "Noto Emoji"]
    assert drawable("虎斑猫") == "HuBanMao"
    assert Font(20).width("虎猫") > Font(20).width("|")
    assert Font(20, bold=True).width("虎猫") > 0
    assert drawable("\ue000") == ""  # which is another sign in every font
    assert caplog.text == ""  # not a word of a bold that is not there


def test_a_script_that_must_be_shaped_is_transliterated_where_matplotlib_does_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(fonts, "SHAPES", False)
    for name in ("Arabic", "Persian", "Hebrew", "Hindi", "Thai"):
        given, latin = NAMES[name]
        assert drawable(f"{given}, 39 %") == f"{latin}, 39 %"


@pytest.mark.parametrize(
    ("given", "drawn"),
    [
        ("tabby, “é” − 39 %", "tabby, “é” − 39 %"),
        ("γάτα кошка", "γάτα кошка"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("a\u202eb\u200fc\ufeff", "abc"),
        ("two\nlines\tof\x07it", "two lines ofit"),
        ("x\ud800\ue000\U0010ffffy", "xy"),
        ("\ue000", ""),
        ("", ""),
    ],
)
def test_what_has_no_form_is_left_out_and_all_else_stays(given: str, drawn: str):
    assert drawable(given) == drawn


def test_a_sentence_runs_from_left_to_right_whatever_names_are_in_it():
    """By the rules of Unicode: what comes before each letter that has a direction is known."""
    line = in_order("قط منزلي rather than כלב, 39 %, rank 1")
    assert line.replace("\u200e", "") == "قط منزلي rather than כלב, 39 %, rank 1"
    assert unicodedata.bidirectional(line[0]) == "L"
    for end in ("ي", "ב"):
        assert line[line.index(end) + 1] in " \u200e"
    assert line.index("\u200e", 1) < line.index("rather")
    assert line[line.index("ב") + 1] == "\u200e"
    assert "قط منزلي" in line
    for plain in ("tabby rather than lynx", "虎斑猫"):
        assert in_order(plain) == plain


def test_no_line_ends_inside_a_letter(machine: Callable[..., None], tmp_path: Path):
    machine(made(tmp_path, "Of Vowels", "की"))
    word = "की" * 10  # a letter and its vowel sign, which has a width of its own
    font = Font(20)
    for width in range(20, 200, 15):
        pieces = font.pieces(word, width)
        assert "".join(pieces) == word
        assert not any(unicodedata.category(piece[0]).startswith("M") for piece in pieces)
        cut = font.cut(word, width).rstrip("…")
        assert not is_inside_letter(word, len(cut))


@pytest.mark.parametrize("is_bare", [True, False])
def test_a_figure_has_no_box_and_nothing_is_warned_of(
    is_bare: bool,
    tabby: gc.Explanation,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
):
    if is_bare:
        request.getfixturevalue("machine")
    photo = Image.new("RGB", (451, 300), (150, 120, 90))
    names = [given for given, _ in NAMES.values()] + ["\ue000", "\x1b[31mred\0"]
    named = [
        replace(
            tabby,
            title=f"{name} 网络",
            target=Prediction(number, name, 0.4),
            contrast=(Prediction(99, names[number - 1], 0.1),),
            notice=f"{name} stands in for שבכה.",
        )
        for number, name in enumerate(names)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, drawn = (figure(photo, some) for some in (named[:7], named[7:]))
        for text in [*first.texts, *drawn.texts]:
            assert has_all(text.get_text().replace("\u200e", "")), text.get_text()
        assert png(first).startswith(b"\x89PNG")
        vector = svg(drawn)
        assert b"<text" not in vector
        minidom.parseString(vector)
    assert any("class 13 rather than" in text.get_text() for text in drawn.texts)
    assert named[7].title in drawn.metadata["Title"]
    assert capfd.readouterr() == ("", "")
