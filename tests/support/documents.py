"""The documents of the project: their text, their links, and the examples in them.

How an example is marked: a block ```console has commands after "$ " with what each prints, a block
```python may be followed by a block without a name that has what it prints. Both are run (see
`tests/project/test_docs_examples.py`); below "<!-- … not compared -->" what they print may differ.
A block ```sh is not run: it starts a server, or needs a network, a cluster or somebody's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.app_server import ROOT

DOCUMENTS = sorted(
    (
        *(ROOT / name for name in ("README.md", "SECURITY.md", "assets/README.md")),
        *(ROOT / "benchmarks").rglob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / ".agents").rglob("*.md"),
    )
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(https?://[^>]+)>|(?:src|href)=\"([^\"]+)\"")
_UNCOMPARED = re.compile(r"<!--[^>]*not compared *-->\s*$")


@dataclass(frozen=True)
class Example:
    """A command or a program, and what it prints; None if that is not in the document."""

    language: str
    text: str
    printed: str | None


def prose(path: Path) -> str:
    """The document without its blocks of code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """The targets of its links and pictures, as they are written."""
    return [next(filter(None, found.groups())) for found in _LINK.finditer(prose(path))]


def code(path: Path) -> list[str]:
    """What stands in `code` in its text."""
    return re.findall(r"`([^`\n]+)`", prose(path))


def blocks(path: Path, *languages: str) -> list[str]:
    """Its blocks of code in these languages."""
    return [text for _, language, text in _fences(path) if language in languages]


def anchors(path: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", bare.lower()).strip().replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
        if found[anchor]:
            found[f"{anchor}-{found[anchor]}"] = 0
    return set(found)


def examples(path: Path) -> list[Example]:
    """Its examples that can be run, in their order."""
    found: list[Example] = []
    end = None
    text = path.read_text(encoding="utf-8")
    for place, language, block in _fences(path):
        is_output = end is not None and not language and not text[end : place[0]].strip()
        end = None
        if language == "console":
            found += _commands(block)
        elif language == "python":
            found.append(Example(language, block, None))
            end = place[1]
        elif is_output:
            found[-1] = replace(found[-1], printed=block)
        if _UNCOMPARED.search(text[: place[0]]):
            found[-1] = replace(found[-1], printed=None)
    return found


def _fences(path: Path) -> Iterator[tuple[tuple[int, int], str, str]]:
    """(start, end) in the text, language and content of each block of code."""
    for found in _FENCE.finditer(path.read_text(encoding="utf-8")):
        indent, language, block = found.groups()
        yield found.span(), language, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def _commands(block: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield Example("console", command, printed if printed.strip() else None)
