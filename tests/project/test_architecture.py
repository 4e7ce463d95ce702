"""The walls between the rooms: who may import whom. `docs/architecture.md` draws them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app_server import ROOT
from tests.support.imports import Import, circles, imports, modules, room_of, upward
from tests.support.private_names import private_names

PACKAGES = ("gradcam_core", "demo", "app", "scripts")
FILES = modules(ROOT, [*PACKAGES, "tests", "benchmarks"])


@pytest.fixture(scope="module")
def found() -> list[Import]:
    """The imports of all files."""
    return imports(FILES)


def is_test(module: str) -> bool:
    return module.startswith("tests.") and room_of(module) != room_of("tests.support")


def of_the_engine(one: Import) -> bool:
    return one.by.split(".")[0] == "gradcam_core"


def test_every_file_is_in_a_room():
    outside = ("gradcam_core", "demo")  # a new file beside the rooms says how high it is
    rooms = {name: room_of(name) for name in FILES}
    assert [name for name, room in rooms.items() if room is None] == []
    assert [n for n, room in rooms.items() if room and room[1] in outside and n != room[1]] == []
    assert len(FILES) > 150


def test_no_room_imports_a_higher_one(found: list[Import]):
    assert [str(one) for one in upward(found)] == []


def test_no_files_import_each_other_in_a_circle(found: list[Import]):
    assert circles(found, FILES) == []


def test_the_engine_knows_nothing_of_the_page(found: list[Import]):
    pages = ("gradio", "gradio_client", "demo", "app")
    known = [one for one in found if of_the_engine(one) and one.of.split(".")[0] in pages]
    assert [str(one) for one in known] == []


def test_no_test_imports_another(found: list[Import]):
    others = [one for one in found if is_test(one.by) and is_test(one.of) and one.by != one.of]
    assert [str(one) for one in others] == []


def test_tests_import_no_benchmark(found: list[Import]):
    of_benchmarks = [
        one for one in found if one.by.startswith("tests.") and one.of.startswith("benchmarks")
    ]
    assert [str(one) for one in of_benchmarks] == []


def test_no_test_touches_what_is_private():
    tests = {name: path for name, path in FILES.items() if is_test(name)}
    assert private_names(tests, PACKAGES) == []


# The checks themselves, on trees made for them.

ROOMS = (("low",), ("left", "right"), ("high",))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    def make(**files: str) -> dict[str, Path]:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return modules(tmp_path, [path.stem for path in tmp_path.iterdir()])

    return make


@pytest.mark.parametrize(
    ("low", "found"),
    [
        ("import high.inner", "low.a:1 imports high.inner"),
        ("import left.inner as other", None),
        ("from high import inner", "low.a:1 imports high.inner"),
        ("from high.inner import name", "low.a:1 imports high.inner"),
        ("def f():\n    from high import inner", "low.a:2 imports high.inner"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import high",
            "low.a:3 imports high",
        ),
        ("from . import b", None),
        ("from .. import high", None),
        ("import json", None),
        ("import highest", None),
    ],
)
def test_an_import_of_a_higher_room_is_found(tree, low: str, found: str | None):
    files = tree(low__a=low, low__b="", high__inner="from low import a", left__inner="")
    wrong = [str(one) for one in upward(imports(files), (("low", "left"), ("high",)))]
    wrong = [one for one in wrong if "left" not in one]
    assert wrong == ([found] if found else [])


def test_rooms_side_by_side_do_not_import_each_other(tree):
    files = tree(left__a="import right.b", right__b="import left", high__c="import left.a, right.b")
    wrong = sorted(str(one) for one in upward(imports(files), ROOMS))
    assert wrong == ["left.a:1 imports right.b", "right.b:1 imports left"]


def test_circles_are_found_also_long_ones_and_those_inside_functions(tree):
    files = tree(
        low__a="from low import b",
        low__b="def f():\n    import low.c",
        low__c="from .a import name",
        low__d="import low.a",
    )
    assert circles(imports(files), files) == [["low.a", "low.b", "low.c"]]
    files = tree(low__c="")
    assert circles(imports(files), files) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("from low.a import _name", True),
        ("from low import a\na._name", True),
        ("from low import a\na.thing(1)[0]._name.other", True),
        ("from low import a\nmonkeypatch.setattr(a, '_name', 1)", True),
        ("monkeypatch.setattr('low.a._name', 1)", True),
        ("from low import a\na.name, a.__doc__, a.name_", False),
        ("class Own:\n    def f(self):\n        return self._name", False),
        ("from elsewhere import _name", False),
        ("module._forward_hooks", False),
    ],
)
def test_private_names_are_found(tree, text: str, is_found: bool):
    assert bool(private_names(tree(t=text), ("low",))) == is_found
