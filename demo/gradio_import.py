"""Makes the import of Gradio a third faster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_WRITES_STUBS = "gradio.component_meta"


def leave_out_stubs() -> None:
    """Keeps Gradio from writing stub files for editors. Must be called before its import.

    At every import, Gradio 6 parses the source of its 83 components and writes a stub (.pyi) with
    the events of each into the folder where Gradio is installed, which takes a third of the time of
    the import. `tests/demo/test_gradio_internals.py` says when this can go.
    """
    sys.meta_path.insert(0, _WithoutStubs())


class _WithoutStubs(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == _WRITES_STUBS else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def without_stubs(module: ModuleType) -> None:
            execute(module)
            vars(module)["create_or_modify_pyi"] = _write_nothing

        vars(spec.loader)["exec_module"] = without_stubs
        return spec


def _write_nothing(component: type, name: str, events: Sequence[object]) -> None:
    pass
