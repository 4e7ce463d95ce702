"""Which file of a tree imports which, and which rooms may import which.

Imports inside functions and for type checkers count, too: code depends on what it names, whenever
Python imports it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ORDER: tuple[tuple[str, ...], ...] = (
    ("gradcam_core.errors",),
    ("gradcam_core.old_names", "gradcam_core.version", "gradcam_core.wording"),
    ("gradcam_core.system",),
    ("gradcam_core.upstream",),
    ("gradcam_core.cam.network", "gradcam_core.cam.methods"),
    ("gradcam_core.cam.target_layers",),
    ("gradcam_core.images", "gradcam_core.cam"),
    ("gradcam_core.models",),
    ("gradcam_core.explanation",),
    ("gradcam_core.analysis",),
    ("gradcam_core.export",),
    ("gradcam_core",),
    ("gradcam_core.batch",),
    ("gradcam_core.cli",),
    ("gradcam_core.__main__",),
    ("demo",),
    (
        *("demo.examples", "demo.gradio_import", "demo.gradio_internals", "demo.listening"),
        *("demo.logs", "demo.settings"),
    ),
    ("demo.compute",),
    ("demo.middleware",),
    ("demo.server",),
    ("demo.api",),
    ("demo.ui",),
    ("demo.main", "demo.serve_cluster"),
    ("app",),
    ("scripts",),
    ("tests.support",),
    ("tests", "benchmarks"),
)
"""The rooms, from the lowest. A module belongs to the room with the longest matching name."""


@dataclass(frozen=True)
class Import:
    """An import. by: the importing module; of: the imported module, by its name in the tree."""

    by: str
    of: str
    line: int

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.of}"


def modules(root: Path, tops: Sequence[str]) -> dict[str, Path]:
    """The Python files below these folders (or files) of a tree, by module name."""
    found = {}
    for top in tops:
        folder = root / top
        for path in (
            sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        ):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(files: Mapping[str, Path]) -> list[Import]:
    """All imports in the files, of these modules and of other packages."""
    return [one for name, path in files.items() for one in _imports_of(name, path, files)]


def _imports_of(name: str, path: Path, files: Mapping[str, Path]) -> Iterator[Import]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield Import(name, whole if whole in files else base, node.lineno)


def room_of(module: str, order: Sequence[Sequence[str]] = ORDER) -> tuple[int, str] | None:
    """The height of a module's room, and its name; None if the module is in no room."""
    rooms = [
        (len(room), height, room)
        for height, rooms in enumerate(order)
        for room in rooms
        if module == room or module.startswith(f"{room}.")
    ]
    return max(rooms)[1:] if rooms else None


def upward(found: Sequence[Import], order: Sequence[Sequence[str]] = ORDER) -> list[Import]:
    """The imports of a higher room, or of another room at the same height."""
    wrong = []
    for one in found:
        by, of = room_of(one.by, order), room_of(one.of, order)
        if by and of and by[1] != of[1] and of[0] >= by[0]:
            wrong.append(one)
    return wrong


def circles(found: Sequence[Import], files: Mapping[str, Path]) -> list[list[str]]:
    """Groups of modules in which each imports all others of its group, directly or indirectly."""
    graph: dict[str, set[str]] = {name: set() for name in files}
    for one in found:
        if one.of in graph and one.of != one.by:
            graph[one.by].add(one.of)
    reached = {name: _reached(graph, name) for name in graph}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in graph
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    rest = list(graph[start])
    while rest:
        name = rest.pop()
        if name not in seen:
            seen.add(name)
            rest += graph[name]
    return seen
