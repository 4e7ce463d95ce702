"""Numbers and lists as people read them.

`web/numbers.js` writes numbers the same way for page and report. Halves are rounded away from zero,
as JavaScript's `toFixed` does.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

_NAME_LETTERS = 80  # of a file, at most

_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # of emoji, and within words

_MOVES = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]")

_LONGEST = 1e12  # of values, that are written in full
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

TIED = "\N{NO-BREAK SPACE}"
"""A space at which no line breaks."""


def percentage(share: float) -> str:
    """A probability, in [0, 1]: "39.1 %", with a space that does not break.

    A network is never wholly sure, so rounding must not say it: "> 99.9 %" and "< 0.1 %".
    """
    if share >= 0.9995:
        return f">{TIED}99.9{TIED}%"
    return f"<{TIED}0.1{TIED}%" if share < 0.001 else f"{decimal(100 * share, 1)}{TIED}%"


def percentage_in_sentence(share: float) -> str:
    """The same text with spaces as in any sentence."""
    return percentage(share).replace(TIED, " ")


def whole_percentage(share: float) -> str:
    """A share of places, in [0, 1]: "54 %". Only all of them are "100 %", only none are "0 %"."""
    if 0 < share < 0.005:
        return f"<{TIED}1{TIED}%"
    return f">{TIED}99{TIED}%" if 0.995 <= share < 1 else f"{decimal(100 * share, 0)}{TIED}%"


def whole_percentage_in_sentence(share: float) -> str:
    """The same text with spaces as in any sentence."""
    return whole_percentage(share).replace(TIED, " ")


def counted_percentage(count: int, total: int) -> str:
    """How many of all: "54.4 %". Only all of them are "100.0 %", only none are "0.0 %"."""
    share = count / total
    return percentage(share) if 0 < count < total else f"{decimal(100 * share, 1)}{TIED}%"


def amount(value: float, unit: str, digits: int = 4) -> str:
    """A value with its unit, to four digits, or to ones if it has more: "41.3 years", "−0.12",
    "250120 €", "1.2 × 10⁻⁹"."""
    written = f"{value + 0.0:.{digits}g}"  # -0.0 is 0, too
    if "e" in written:
        if 1 <= abs(value) < _LONGEST:
            written = f"{value:.0f}"
        else:
            factor, power = written.split("e")
            written = f"{factor} × 10{str(int(power)).translate(_RAISED)}"
    return f"{written} {unit}".replace("-", "\N{MINUS SIGN}", written.startswith("-")).strip()


def amounts(first: float, second: float) -> tuple[str, str]:
    """Two finite values as `amount` writes them, with as many digits as it takes to tell how far
    apart they are, to a hundredth of that."""
    for digits in range(4, 18):
        error = max(abs(float(f"{one:.{digits}g}") - one) for one in (first, second))
        if error <= abs(first / 100 - second / 100):
            break
    return amount(first, "", digits), amount(second, "", digits)


def decimal(value: float, digits: int = 2) -> str:
    """A finite number with so many decimals: "0.54", "−0.12" with a minus sign and not a hyphen."""
    written = Decimal(abs(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"\N{MINUS SIGN}{written}" if value < 0 and written else str(written)


def decimal_beside(value: float, limits: Sequence[float], digits: int = 2) -> str:
    """The same with as many decimals as it takes to see on which side of a limit it is: 0.797,
    where 0.80 is one."""
    while digits < 6 and any(
        value != limit and decimal(value, digits) == decimal(limit, digits) for limit in limits
    ):
        digits += 1
    return decimal(value, digits)


def digits_of_error(error: float) -> int:
    """The decimals, two at most, in which two digits of a standard error are seen: 0 of 30.09, 1 of
    4.23, 2 of 0.351. More would say of a figure what was not measured."""
    if not 0 < error < math.inf:
        return 2
    return min(2, max(0, 1 - math.floor(math.log10(error))))


def listed(words: Sequence[str], last: str = " and ") -> str:
    """Words or clauses, of which there is at least one, as a list: "a, b and c"."""
    return last.join(filter(None, (", ".join(words[:-1]), words[-1])))


def counted(number: int, thing: str) -> str:
    """A number of things: "1 picture", "3 pictures"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def as_whole(value: object) -> int | None:
    """A whole number of any type, such as NumPy's, that a person gave; None for anything else, also
    for True."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def kind_of(value: object) -> str:
    """What a person gave, where it cannot be what was expected: "A list"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'An' if name[0] in 'aeiouAEIOU' else 'A'} {name}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message; empty if it has none."""
    return (str(error).strip().splitlines() or [""])[0]


def printable(text: str) -> str:
    """A text with what would move a terminal's cursor, turn the order of its letters, or is none,
    written out: "\\x1b", "\\u202e", "\\ud800"."""
    return "".join(
        letter.encode("unicode_escape").decode() if _MOVES.match(letter) else letter
        for letter in text
    )


def file_name(name: object) -> str:
    """The name of a file as it stands in a text: one line of visible letters, its middle left out
    if it is very long. On Linux a name may be any bytes but "/"."""
    decoded = str(name).encode(errors="replace").decode()
    visible = "".join(
        letter if letter.isprintable() or letter in _JOINERS else " " for letter in decoded
    )
    words = " ".join(visible.split())
    if len(words) <= _NAME_LETTERS:
        return words
    end = _NAME_LETTERS // 4  # with the kind of file
    return f"{words[: _NAME_LETTERS - end - 1]}…{words[-end:]}"
