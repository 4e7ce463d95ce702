"""Shell patterns: which files match, and which folders may contain such files."""

from __future__ import annotations

import fnmatch
import os
import re
from functools import cache
from pathlib import Path
from typing import TypeAlias

WILD = "*?["
ANY_DEPTH = "**"

States: TypeAlias = "frozenset[int]"
"""The numbers of parts of a pattern that a path may have matched; several because of `**`."""


class Pattern:
    """A pattern for paths. root: the folder in which its first wildcard is searched. A part that
    exists as it stands, such as a folder `photos [1]`, is no wildcard."""

    def __init__(self, where: str) -> None:
        parts = Path(where).parts
        fixed, root = 0, Path()
        while fixed < len(parts) - 1 and (
            not is_wild(parts[fixed]) or os.path.lexists(root / parts[fixed])
        ):
            root /= parts[fixed]
            fixed += 1
        self.root = root
        self._parts = parts[fixed:]
        self.start = self._closed({0})

    def step(self, states: States, name: str) -> States:
        """The states after one more part of a path."""
        found: set[int] = set()
        for state in states:
            if state == len(self._parts):
                continue
            part = self._parts[state]
            if part == ANY_DEPTH:
                if not name.startswith("."):
                    found.add(state)
            elif _fits(name, part):
                found.add(state + 1)
        return self._closed(found)

    def is_met(self, states: States) -> bool:
        """Whether a file with these states matches."""
        return len(self._parts) in states

    def goes_on(self, states: States) -> bool:
        """Whether a folder with these states may contain a file that matches."""
        return any(state < len(self._parts) for state in states)

    def _closed(self, states: set[int]) -> States:
        """Adds the states in which `**` matches no folder at all."""
        for state in sorted(states):
            while state < len(self._parts) and self._parts[state] == ANY_DEPTH:
                state += 1
                states.add(state)
        return frozenset(states)


def is_wild(text: str) -> bool:
    return any(sign in text for sign in WILD)


def _fits(name: str, part: str) -> bool:
    if name.startswith(".") and not part.startswith("."):
        return False
    return any(one.match(os.path.normcase(name)) for one in _compiled(part))


@cache
def _compiled(part: str) -> list[re.Pattern[str]]:
    """A part as a pattern, and with its brackets as plain text: names may contain brackets."""
    part = os.path.normcase(part)
    ways = dict.fromkeys((part, part.replace("[", "[[]")))
    return [re.compile(fnmatch.translate(way)) for way in ways]
