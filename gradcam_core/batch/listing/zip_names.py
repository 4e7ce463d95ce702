"""Names in ZIP files that do not state their encoding: it is the code page of whoever packed them.

charset-normalizer alone errs on most names, which are too short: it takes "写真" in Shift JIS for
Chinese. So encodings are first compared by the share of letters that are common in them, over all
names of an archive, and the detector only chooses between equals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_DOUBLE_BYTES: dict[str, tuple[tuple[int, int], ...]] = {
    "gb18030": ((0xB0A1, 0xD7F9),),  # GB 2312, level 1
    "cp932": ((0x8158, 0x815B), (0x829F, 0x82F1), (0x8340, 0x8396), (0x889F, 0x9872)),
    "big5": ((0xA440, 0xC67E),),  # level 1
    "cp949": ((0xB0A1, 0xC8FE),),  # the syllables of KS X 1001
}
"""Encodings with two bytes per letter, and the codes of common letters: kana, syllables, and the
kanji and hanzi of the first level, which are nine of ten letters in texts."""

_ALPHABETS = {"cp437": "LATIN", "cp850": "LATIN", "cp866": "CYRILLIC", "cp1252": "LATIN"}
"""DOS code pages, with which Windows packs, and one of Windows; and the alphabet of each."""

USUAL = "cp437"
"""The encoding that the format specifies (APPNOTE, appendix D)."""

_LEAST = 0.5  # share of common letters; below it, the format's own encoding is as good
_WORD = re.compile(r"[^\W\d_]+")


def decoded(names: Sequence[bytes]) -> list[str]:
    """Decodes the names of one archive that do not state an encoding. No byte is dropped or
    replaced, so different names stay different."""
    if all(map(_is_utf8, names)):
        return [name.decode("utf-8") for name in names]
    encoding = encoding_of([name for name in names if not _is_utf8(name)])
    return [_decoded(name, encoding) for name in names]


def encoding_of(names: Sequence[bytes]) -> str:
    """The encoding in which most letters of the names are common; `USUAL` if none fits."""
    shares = {one: _share(names, one) for one in (*_DOUBLE_BYTES, *_ALPHABETS)}
    best = max(shares.values())
    if best < _LEAST:
        return USUAL
    equal = [encoding for encoding, share in shares.items() if share == best]
    return equal[0] if len(equal) == 1 else _detected(names, equal)


def _detected(names: Sequence[bytes], among: list[str]) -> str:
    import charset_normalizer

    found = charset_normalizer.from_bytes(b"\n".join(names), cp_isolation=among).best()
    return found.encoding if found and found.encoding in among else among[0]


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(name: bytes, encoding: str) -> str:
    if name.isascii():
        return name.decode("ascii")
    try:
        text = name.decode(encoding)
    except UnicodeDecodeError:
        return name.decode("utf-8" if _is_utf8(name) else USUAL)
    if _is_utf8(name) and not all(_is_usual(one, encoding) for one in text if not one.isascii()):
        return name.decode("utf-8")
    return text if text.encode(encoding) == name else name.decode(USUAL)


def _share(names: Sequence[bytes], encoding: str) -> float:
    """The share of common letters among those beyond ASCII, in [0, 1]; 0 if a name is not valid in
    the encoding."""
    letters = usual = 0
    for name in names:
        try:
            text = name.decode(encoding)
        except UnicodeDecodeError:
            return 0
        letters += sum(not one.isascii() for one in text)
        for word in _WORD.findall(text):
            if not word.isascii():
                usual += _usual_letters(word, encoding)
    return usual / letters if letters else 0


def _usual_letters(word: str, encoding: str) -> int:
    beyond = [one for one in word if not one.isascii()]
    if encoding in _DOUBLE_BYTES:
        if len(beyond) == 1 and len(word) > 2:  # one Chinese letter in a Latin word: unlikely
            return 0
        return sum(_is_usual(one, encoding) for one in beyond)
    is_written_so = word.islower() or word.isupper() or word.istitle()
    is_natural = len(word) > 1 and is_written_so and all(_is_usual(one, encoding) for one in word)
    return len(beyond) if is_natural else 0


def _is_usual(letter: str, encoding: str) -> bool:
    if encoding in _ALPHABETS:
        return unicodedata.name(letter, "").startswith(_ALPHABETS[encoding])
    code = int.from_bytes(letter.encode(encoding), "big")
    return any(low <= code <= high for low, high in _DOUBLE_BYTES[encoding])
