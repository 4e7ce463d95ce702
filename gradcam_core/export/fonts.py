"""Names in any script, drawn as well as this machine can.

matplotlib's own font covers Latin, Greek, Cyrillic, Arabic, Hebrew and a few more scripts. Other
characters are drawn with fonts of the machine. A word with a character that no font has is written
in Latin letters (AnyAscii) instead of empty boxes. Scripts whose letters join, change or run from
right to left need a matplotlib that shapes text, version 3.11 or later.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from anyascii import anyascii
from matplotlib import ft2font
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font

from gradcam_core.upstream import ignore_missing_weights
from gradcam_core.wording import TIED

FAMILY = "DejaVu Sans"
"""The default font, which comes with matplotlib."""

PREFERRED = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK TC"),
    *("Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC", "Source Han Sans"),
    *("Microsoft YaHei", "Yu Gothic", "Meiryo", "Malgun Gothic", "SimHei", "MS Gothic"),
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "STHeiti"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic"),
    *("NanumGothic", "Noto Sans Devanagari", "Nirmala UI", "Mangal", "Kohinoor Devanagari"),
    *("Lohit Devanagari", "Noto Sans Thai", "Leelawadee UI", "Thonburi", "Noto Sans Arabic"),
    *("Noto Sans Hebrew", "Segoe UI", "Noto Emoji", "Segoe UI Symbol", "Symbola"),
    *("Arial Unicode MS", "FreeSans", "Unifont"),
)
"""Families of the machine that are tried after `FAMILY` and before all others, in this order."""

SHAPES = hasattr(ft2font, "__libraqm_version__")
"""Whether the installed matplotlib joins letters, and orders those of right-to-left scripts."""

# An enumeration since matplotlib 3.10.
_NO_SCALE: Any = getattr(getattr(ft2font, "LoadFlags", None), "NO_SCALE", 1)

_font_lock = threading.Lock()  # only one thread at a time may use a font

_NO_FONTS = re.compile(
    r"LastResort|Last Resort|Adobe Blank|NotDef|Tofu|^cm[a-z]+10$|^STIX", re.IGNORECASE
)
"""Families to skip: their glyphs are placeholders, or do not match their code points."""

_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
_RIGHT_TO_LEFT = ("R", "AL")
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"

# Blocks of scripts whose letters change with their neighbours, or stand above and below each other:
# Hebrew to Mongolian and the like, with their later extensions.
_COMPLEX = (
    *((0x0590, 0x109F), (0x1700, 0x18AF), (0x1900, 0x1CFF), (0xA800, 0xABFF)),
    *((0xFB1D, 0xFDFF), (0xFE70, 0xFEFE), (0x10800, 0x11FFF), (0x1E800, 0x1EFFF)),
)


def drawable(text: str) -> str:
    """The text without invisible characters, and with Latin letters for parts that cannot be drawn.
    Empty if nothing is left."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        part if _can_be_drawn(part, is_complex) else anyascii(part)
        for part, is_complex in _parts(_visible(text))
    )


def name_or_number(name: str, number: int | None) -> str:
    """The name of a class, or "class <number>" if no character of the name can be drawn."""
    return name if number is None or drawable(name).strip() else f"class {number}"


def families(text: str) -> list[str]:
    """Font families for a `drawable` text; matplotlib takes the first that has a character."""
    found = {FAMILY: None}
    if not text.isascii():
        found |= dict.fromkeys(family for c in text if (family := _family_of(c)))
    return list(found)


def in_order(line: str) -> str:
    """The line with marks of no width around names that run from right to left, so that the line
    itself runs from left to right. Otherwise a name at its start would turn the whole line."""
    if line.isascii() or not any(_runs_left(c) for c in line):
        return line
    marked, inside = [_LEFT_TO_RIGHT], False
    for word in re.split(r"( +)", line):
        if word.strip():
            runs_left = any(map(_runs_left, word))
            if inside and not runs_left:
                marked.append(_LEFT_TO_RIGHT)
            inside = runs_left
        marked.append(_marked(word) if inside else word)
    return "".join(marked)


def _marked(word: str) -> str:
    """The word with a mark after its last right-to-left letter: a comma belongs to the sentence."""
    last = max((n for n, c in enumerate(word) if _runs_left(c)), default=None)
    if last is None or last == len(word) - 1:
        return word
    while last + 1 < len(word) and unicodedata.category(word[last + 1]).startswith("M"):
        last += 1
    return f"{word[: last + 1]}{_LEFT_TO_RIGHT}{word[last + 1 :]}"


def is_inside_letter(text: str, at: int) -> bool:
    """Whether a line break before text[at] would separate a letter from its marks."""
    if not 0 < at < len(text):
        return False
    is_mark = unicodedata.category(text[at]).startswith("M") or text[at] in _JOINERS
    before = text[at - 1]
    return is_mark or before in _JOINERS or unicodedata.combining(before) == 9  # a virama


def _visible(text: str) -> str:
    """The text in NFC, with plain spaces, and without characters that have no shape of their own:
    control, format, private and unassigned characters, surrogates and variation selectors."""
    composed = unicodedata.normalize("NFC", text)
    kept = (c for c in composed if c.isspace() or not _has_no_form(c))
    return "".join(" " if c.isspace() and c != TIED else c for c in kept)


def _has_no_form(c: str) -> bool:
    if c in _JOINERS:
        return False
    is_selector = 0xFE00 <= ord(c) <= 0xFE0F or 0xE0000 <= ord(c) <= 0xE01EF
    return is_selector or unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co", "Cs")


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Splits the text into pieces that are drawn or transliterated as a whole: words of scripts
    that need shaping, words that the default font lacks, and the text between them. Yields each
    piece and whether it needs shaping."""
    start, kind = 0, ""
    for n, c in enumerate(text):
        belongs = unicodedata.category(c).startswith("M") or c in _JOINERS
        its_kind = kind if belongs and n > start else _kind(c)
        if its_kind != kind:
            if n > start:
                yield text[start:n], kind == "complex"
            start, kind = n, its_kind
    if text:
        yield text[start:], kind == "complex"


def _kind(c: str) -> str:
    if any(first <= ord(c) <= last for first, last in _COMPLEX) or c in _JOINERS:
        return "complex"
    return "usual" if _family_of(c) == FAMILY else "foreign"


def _can_be_drawn(part: str, is_complex: bool) -> bool:
    found = {_family_of(c) for c in part if c not in _JOINERS}
    if is_complex or any(c in _JOINERS for c in part):
        return SHAPES and is_complex and len(found) == 1 and None not in found
    return None not in found


def _runs_left(c: str) -> bool:
    return unicodedata.bidirectional(c) in _RIGHT_TO_LEFT


@lru_cache(maxsize=65536)
def _family_of(c: str) -> str | None:
    """The first family that has the character in regular and bold; None if no family has."""
    with _font_lock:
        for family in _preferred():
            if all(_draws(font, c) for font in _fonts(family)):
                return family
        other = _others().get(ord(c))
        return other if other and all(_draws(font, c) for font in _fonts(other)) else None


def _names() -> set[str]:
    return {entry.name for entry in fontManager.ttflist}


@lru_cache(maxsize=1)
def _preferred() -> Sequence[str]:
    """`FAMILY` and the families of `PREFERRED` that this machine has."""
    names = _names()
    return [name for name in (FAMILY, *PREFERRED) if name in names]


@lru_cache(maxsize=1)
def _others() -> dict[int, str]:
    """For each code point, the first other family of this machine that has it, by name."""
    codes: dict[str, set[int]] = {}
    for entry in fontManager.ttflist:
        if entry.name in _preferred() or _NO_FONTS.search(entry.name) or entry.style != "normal":
            continue
        font = _open(entry.fname, getattr(entry, "index", 0))
        its_codes = set(font.get_charmap()) if font else set()
        codes[entry.name] = its_codes & codes.get(entry.name, its_codes)
    found: dict[int, str] = {}
    for name in sorted(codes):
        for code in codes[name]:
            found.setdefault(code, name)
    return found


@lru_cache(maxsize=len(PREFERRED) + 1)
def _fonts(family: str) -> Sequence[FT2Font | None]:
    """The regular and the bold font, opened for this module alone; None for one that is missing."""
    ignore_missing_weights()
    return [_font(FontProperties(family=family, weight=weight)) for weight in ("normal", "bold")]


def _font(properties: FontProperties) -> FT2Font | None:
    try:
        file = fontManager.findfont(properties, fallback_to_default=False)
    except ValueError:
        return None
    return _open(str(file), getattr(file, "face_index", 0))


def _open(file: str, number: int) -> FT2Font | None:
    """The font; None if it cannot be opened or scaled. number: its index in a file of several, as
    matplotlib supports since version 3.11."""
    which: dict[str, Any] = {"face_index": number} if number else {}
    try:
        font = FT2Font(file, **which)
    except (OSError, RuntimeError, ValueError):
        return None
    return font if font.scalable else None


def _draws(font: FT2Font | None, c: str) -> bool:
    """Whether the font has an outline for the character. Fonts of coloured emoji have none."""
    if font is None or not font.get_char_index(ord(c)):
        return False
    if c.isspace() or unicodedata.category(c) in ("Cf", "Mn"):
        return True
    try:
        font.load_char(ord(c), flags=_NO_SCALE)
        return bool(len(font.get_path()[0]))
    except RuntimeError:
        return False
    finally:
        font.clear()
