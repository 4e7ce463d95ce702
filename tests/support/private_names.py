"""Finds the places where tests use private names of the code that they test."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OF_LIBRARIES = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_repr_png_"}
"""Names without a public alternative: the hooks of a PyTorch module, and Jupyter's protocol."""

_PATCHING = ("setattr", "delattr", "getattr", "hasattr")


def private_names(files: Mapping[str, Path], packages: Sequence[str]) -> list[str]:
    """Uses of private names in these files, as "module:line uses what": private attributes of
    anything but `self`, private names imported from the packages, and both as texts for
    `monkeypatch.setattr` and the like."""
    return [
        f"{name}:{line} uses {what}"
        for name, path in files.items()
        for line, what in _found_in(path, tuple(packages))
    ]


def _found_in(path: Path, packages: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in packages:
            for alias in node.names:
                if _is_private(alias.name):
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute):
            if _is_private(node.attr) and ast.unparse(node.value) not in ("self", "cls", "super()"):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(_PATCHING):
            texts = [given.value for given in node.args if isinstance(given, ast.Constant)]
            if any(isinstance(t, str) and _is_private(t.rpartition(".")[2]) for t in texts):
                yield node.lineno, ast.unparse(node)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in OF_LIBRARIES
