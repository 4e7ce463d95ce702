"""Checks the sentences about a map's trust checks: compares them with the numbers beside them.
Shares no code with what made them; its limits are those of docs/trust.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.support.photo_facts import percent

NUMBER = r"(\u2212?\d+(?:\.\d+)?)"
ORDER = ("holds", "unclear", "fails")
BEGINNINGS = {
    "holds": "This map holds: ",
    "unclear": "It is not clear whether this map holds: ",
    "fails": "This map fails: ",
}


def check_trust(record: dict[str, Any], name: str) -> None:
    """Raises AssertionError for a wrong statement. record: of the checks, as in JSON; name: of the
    class."""
    reasons = record["reasons"]
    verdict = max((one["outcome"] for one in reasons), key=ORDER.index)
    assert record["verdict"] == verdict
    worst = [one["text"] for one in reasons if one["outcome"] == verdict]
    rest = record["sentence"].removeprefix(BEGINNINGS[verdict])
    assert rest != record["sentence"]
    assert all(one in rest for one in worst), rest
    others = [one["text"] for one in reasons if one["outcome"] != verdict]
    assert not any(one in rest for one in others), rest
    for one in reasons:
        assert one["passed"] == (one["outcome"] == "holds")
        CHECKS[one["check"]](record, one["text"], one["outcome"], name)


def _deletion_insertion(record: dict[str, Any], text: str, outcome: str, name: str) -> None:
    lead = record["lead"]
    name = re.escape(name)
    if found := re.fullmatch(rf"“{name}” has (.+ %) here, too little to find out .+", text):
        assert outcome == "unclear"
        assert lead is None
        assert record["probability"] < 0.01
        exact = re.fullmatch(r"([\d.]+) %", found[1])
        assert (float(exact[1]) < 1) if exact else found[1] == "< 0.1 %", text
        if found[1] != percent(record["probability"]):
            assert exact
            assert abs(float(exact[1]) - 100 * record["probability"]) < 0.01
        return
    found = re.fullmatch(
        r"its hottest places matter "
        r"(more|less|about as much|neither clearly more nor clearly less) "
        rf"for “{name}” (than|as) those of the same map laid elsewhere "
        rf"\(lead {NUMBER} ± {NUMBER}, (\d+) places"
        r"(; the probability differs by less than a twentieth)?\)(?:, but (.+))?",
        text,
    )
    assert found, text
    value, error = lead["value"], lead["error"]
    assert _is(found[3], value), text
    assert _is(found[4], error), text
    assert int(found[5]) == lead["count"], text
    assert (found[2] == "as") == (found[1] == "about as much"), text
    assert bool(found[6]) == (abs(lead["difference"]) < 0.05), text
    assert bool(found[6]) == (found[1] == "about as much"), text
    sure = {"more": value, "less": -value}.get(found[1])
    if sure is not None:
        assert sure > 2.9 / lead["count"] ** 0.5, text
        assert not found[6], text
    else:
        is_sure = abs(value) >= 5.1 / lead["count"] ** 0.5 and lead["difference"] * value > 0
        assert found[6] or not is_sure, text
    if doubt := found[7]:
        assert (found[1], outcome) == ("more", "unclear"), text
        if doubt == "the class is no less probable without them":
            assert record["without"]["probability"] >= record["probability"], text
        elif doubt == "taking them out lowers the probability no more than elsewhere":
            assert lead["deletion"] <= 0, text
        else:
            assert doubt == "shown alone they raise the probability no more than elsewhere", text
            assert lead["insertion"] <= 0, text
        return
    assert outcome == {"more": "holds", "less": "fails"}.get(found[1], "unclear"), text
    if outcome == "holds":
        assert record["without"]["probability"] < record["probability"], text
        assert min(lead["deletion"], lead["insertion"]) >= 0, text


def _randomisation(record: dict[str, Any], text: str, outcome: str, name: str) -> None:
    known = [one for one in record["random_weights"] if one is not None]
    if not known:
        assert (text, outcome) == ("with random weights nothing is left of it", "holds")
        return
    words = re.fullmatch(
        r"with random weights (the map differs|it stays similar|it stays much the same)"
        r"( on average)? \((.+)\)(, so it says nothing about the network)?",
        text,
    )
    assert words, text
    low, high, expected = {
        "the map differs": (-1.0, 0.5, "holds"),
        "it stays similar": (0.5, 0.7, "unclear"),
        "it stays much the same": (0.7, 1.0, "fails"),
    }[words[1]]
    assert outcome == expected, text
    assert bool(words[4]) == (outcome == "fails"), text
    assert low <= sum(known) / len(known) <= high, text
    is_so_of_each = all(low <= one <= high for one in known)
    assert is_so_of_each or words[2], text
    _spread(words[3], record["random_weights"])


def _stability(record: dict[str, Any], text: str, outcome: str, name: str) -> None:
    words = re.fullmatch(r"(.+) \((.+)\)", text)
    assert words, text
    shifts, noises = (_lowest(record[kind]) for kind in ("shifts", "noises"))
    steady = {
        "small shifts and a little noise hardly change it": (True, True),
        "a little noise changes it, small shifts hardly do": (True, False),
        "small shifts change it, a little noise hardly does": (False, True),
        "small shifts and a little noise change it": (False, False),
        "some small shifts and some noise change it, others do not": (False, False),
    }[words[1].removesuffix(" on average")]
    assert steady == (shifts >= 0.8, noises >= 0.8), text
    every = [one or 0.0 for one in (*record["shifts"], *record["noises"])]
    mean = sum(every) / len(every)
    if "noise change it" in words[1] and mean < 0.8:
        assert words[1].endswith(" on average") == (max(every) >= 0.8), text
    expected = "holds" if all(steady) else "unclear" if mean >= 0.8 else "fails"
    assert outcome == expected, text
    _spread(words[2], [*record["shifts"], *record["noises"]])


def _lowest(found: Sequence[float | None]) -> float:
    return min(one or 0.0 for one in found)


def _spread(text: str, correlations: Sequence[float | None]) -> None:
    """Fails unless a text has the lowest and highest correlation, and how many are missing."""
    known = [one for one in correlations if one is not None]
    missing = len(correlations) - len(known)
    found = re.fullmatch(
        rf"(?:rank correlation {NUMBER}(?: to {NUMBER})?)?(?:, )?(?:no map in (\d+) of (\d+))?",
        text,
    )
    assert found, text
    assert (found[3] or "0", found[4]) == (
        str(missing),
        str(len(correlations)) if missing else None,
    )
    assert bool(found[1]) == bool(known), text
    if known:
        assert _is(found[1], min(known)), text
        assert _is(found[2] or found[1], max(known)), text
        for limit in (0.5, 0.7, 0.8):  # the text must show on which side of a limit they are
            for told, one in ((found[1], min(known)), (found[2] or found[1], max(known))):
                assert (_value(told) >= limit) == (one >= limit), text


def _value(told: str) -> float:
    return float(told.replace("\u2212", "-"))


def _is(told: str, value: float) -> bool:
    """Whether the text is this number, rounded."""
    digits = len(told.partition(".")[2])
    return abs(_value(told) - value) <= 0.5001 * 10**-digits


CHECKS = {
    "deletion_insertion": _deletion_insertion,
    "randomisation": _randomisation,
    "stability": _stability,
}
