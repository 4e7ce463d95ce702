"""Numbers as people read them."""

from __future__ import annotations

_TIED = "\N{NO-BREAK SPACE}"


def percentage(share: float) -> str:
    """A share in [0, 1] in labels and tables: "39.1 %", with a space that does not break.

    The same as the page and the report write. A network is never wholly sure, so rounding must not
    say it: "> 99.9 %" and "< 0.1 %".
    """
    if share >= 0.9995:
        return f"> 99.9{_TIED}%"
    return f"< 0.1{_TIED}%" if share < 0.001 else f"{100 * share:.1f}{_TIED}%"


def percentage_in_sentence(share: float) -> str:
    """A share in [0, 1] within a sentence: "39 %", "more than 99 %", "0.15 %".

    Not as in labels: a sentence reads better with whole numbers and words, and has to tell small
    probabilities apart ("0.15 % and 0.02 %"), which labels need not.
    """
    percent = 100 * share
    if percent >= 99.5:
        return "more than 99 %"
    if percent >= 1:
        return f"{percent:.0f} %"
    return f"{round(percent, 2):g} %" if percent >= 0.01 else "less than 0.01 %"


def correlation_text(value: float) -> str:
    """A number in [-1, 1] with two decimals and a real minus sign: "0.93", "−0.21"."""
    return f"{value:.2f}".replace("-", "−")
