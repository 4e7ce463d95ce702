"""How the code is written, where no test of what it does can tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.app_server import ROOT

SCOPES = {"TaskGroup", "create_task_group", "timeout", "timeout_at", "move_on_after", "fail_after"}


def yields(node: ast.AST) -> Iterator[int]:
    """The lines at which a function yields, without those of functions in it."""
    if isinstance(node, ast.Yield | ast.YieldFrom):
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from yields(child)


def test_no_generator_yields_where_a_task_group_or_a_timeout_would_cancel_its_caller():
    """PEP 789: the scope cancels the task that happens to run, which need not be its own."""
    found = []
    for path in [*ROOT.glob("demo/**/*.py"), *ROOT.glob("gradcam_core/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.AsyncWith):
                continue
            names = {part.attr for item in node.items for part in ast.walk(item.context_expr)
                     if isinstance(part, ast.Attribute)}  # fmt: skip
            if names & SCOPES:
                found += [f"{path.relative_to(ROOT)}:{line}" for line in yields(node)]
    assert found == []


def at_import(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that are made when a module is imported."""
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(child)


def test_no_thread_pool_or_cache_is_made_at_import():
    threads = {"ThreadPoolExecutor", "Thread", "Timer", "FileMaker", "RemotePictures"}
    makers = threads | {"SingleFlight", "PhotoStore", "RequestQueue", "LRUCache", "TTLCache"}
    found = []
    for path in ROOT.glob("demo/**/*.py"):
        for call in at_import(ast.parse(path.read_text())):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else None
            name = call.func.id if isinstance(call.func, ast.Name) else name
            if name in makers:
                found.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert found == []


def names_in(node: ast.AST) -> set[str]:
    """All names and attributes in a tree."""
    return {part.attr if isinstance(part, ast.Attribute) else part.id for part in ast.walk(node)
            if isinstance(part, ast.Attribute | ast.Name)}  # fmt: skip


def test_no_signal_sets_an_event_for_which_the_interrupted_code_may_wait():
    """A handler runs between two lines of the main thread, which may hold the event's lock: neither
    would ever go on."""
    found = []
    for path in [*ROOT.glob("demo/**/*.py"), *ROOT.glob("gradcam_core/**/*.py")]:
        tree = ast.parse(path.read_text())
        handlers = {one.id if isinstance(one, ast.Name) else one.attr
                    for call in ast.walk(tree) if isinstance(call, ast.Call)
                    if ast.unparse(call.func) == "signal.signal"
                    if isinstance(one := call.args[1], ast.Name | ast.Attribute)}  # fmt: skip
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or node.name not in handlers:
                continue
            if names_in(node) & {"set", "acquire", "put", "notify", "notify_all"}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
