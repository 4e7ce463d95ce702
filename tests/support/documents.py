"""The documents of the project: their text, their links, and the examples in them.

How an example is marked: a block ```console has commands after "$ ", each with its output; a block
```python may be followed by a block without a language that has its output. Both are run (see
`tests/project/test_docs_examples.py`); below "<!-- … not compared -->" their output may differ.
A block ```sh is not run: it starts a server, or needs a network, a cluster or the reader's files.
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
    """A command or a program, and its output; None if the document does not show it."""

    language: str
    text: str
    printed: str | None


def prose(path: Path) -> str:
    """The document without its code blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """The targets of the document's links and pictures, as written."""
    return [next(filter(None, found.groups())) for found in _LINK.finditer(prose(path))]


def code(path: Path) -> list[str]:
    """The inline `code` in the document's text."""
    return re.findall(r"`([^`\n]+)`", prose(path))


def blocks(path: Path, *languages: str) -> list[str]:
    """The document's code blocks in these languages."""
    return [text for _, language, text in _fences(path) if language in languages]


def anchors(path: Path) -> set[str]:
    """The anchors of the document's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", bare.lower()).strip().replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
        if found[anchor]:
            found[f"{anchor}-{found[anchor]}"] = 0
    return set(found)


def examples(path: Path) -> list[Example]:
    """The document's runnable examples, in their order."""
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
    """Yields for each code block its (start, end) in the text, its language and its content."""
    for found in _FENCE.finditer(path.read_text(encoding="utf-8")):
        indent, language, block = found.groups()
        yield found.span(), language, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def _commands(block: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield Example("console", command, printed if printed.strip() else None)
