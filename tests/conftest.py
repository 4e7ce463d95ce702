"""Fixtures that several test modules share: photographs, a real network, empty caches for weights,
and the page in a browser."""

# ruff: noqa: E402, because three things must come before the imports

from __future__ import annotations

import gc as garbage
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

# Four processes test at the same time, because tests often wait for servers and browsers. These are
# processes, too: with a thread for each core in each of them, they would slow each other down.
# PyTorch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Off during the imports: a third of their time would go to collecting garbage among the libraries'
# objects.
garbage.disable()

from demo.gradio_import import leave_out_stubs

leave_out_stubs()  # as the page does

if "PYTEST_XDIST_WORKER" in os.environ:
    from gradcam_core.upstream import import_timm

    import_timm()  # before a test does, so that it is imported without PyTorch's compiler

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadFileScheduling, Scheduling  # type: ignore[import-untyped]

# Not imported here because the process that only distributes the tests does not need them.
if TYPE_CHECKING:
    from PIL import Image
    from playwright.sync_api import Browser, Page

    import gradcam_core as gc
    from tests.support.app_server import Started
    from tests.support.browser import Visits

OF_THE_SHARED_APP = (
    *("test_start", "test_route_allow_list", "test_bad_arguments", "test_functions"),
    *("test_docs_examples", "test_every_door", "test_leaving", "test_settings", "test_headers"),
    *("test_notices_every_door", "test_stream", "test_remote_pictures"),
)
"""Files whose tests use it, besides those of the page: elsewhere it would start once more."""

OF_PEERS = (
    "test_methods",
    "test_layouts",
    "test_run_options",
    "test_road",
    "test_deletion_insertion",
    "test_quality",
)
"""Files whose tests compare with pytorch-grad-cam. Its import takes a second, so these tests import
it themselves, and a single process runs all of them."""

LONG = (
    *("page", "app", "test_replicas", "test_ray_data", "test_custom_digits", "test_hosting"),
    *("peers", "test_report", "test_weights", "test_custom", "test_bad_pictures"),
    *("test_package", "test_batch", "test_faults"),
)
"""Long units of work, each for a single process, the longest first. Ray waits for its processes
half of the time, while the page and the app compute."""


def work_of(test: str) -> str:
    """The unit of work of a test, which a single process runs: the tests of its file; or all tests
    of the page, or all others of the shared app, so that only two processes start the app.

    test: its node id.
    """
    return _work_of_file(test.partition("::")[0])


@cache
def _work_of_file(file: str) -> str:
    path = Path(file)
    if path.parent.name == "page":
        return "page"
    if path.stem in OF_THE_SHARED_APP or path.match("tests/server/test_bad_pictures.py"):
        return "app"
    return "peers" if path.stem in OF_PEERS else str(path)


class WorkScheduling(LoadFileScheduling):
    """Like `--dist loadfile`, but by `work_of`."""

    def _split_scope(self, nodeid: str) -> str:
        return work_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return WorkScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


NOT_WANTED = {
    "GRADIO_SHARE": "true",
    "GRADIO_ALLOWED_PATHS": "/",
    "GRADIO_PROFILING": "1",
    "GRADIO_NUM_WORKERS": "1",
    "GRADIO_RUN_HISTORY": "true",
    "GRADIO_DEBUG": "1",
    **dict.fromkeys(
        (
            "GRADIO_ANALYTICS_CACHE_FREQUENCY",
            "GRADIO_DEFAULT_CONCURRENCY_LIMIT",
            "GRADIO_NODE_NUM_PORTS",
            "WEB_CONCURRENCY",
        ),
        "many",
    ),
}
"""An environment that asks Gradio for what the app must not do, or that Gradio cannot read. It
changes nothing for other tests, so the shared app always has it."""

SYSTEM_FIXTURES = {"shared_app", "app", "browser"}
SYSTEM_NAMES = {
    *("running_app", "started_app", "slow_page", "chromium", "ray"),
    *("serving", "served_network", "Machine"),
}


def is_of_the_system(item: pytest.Item) -> bool:
    """Whether a test needs a running app, another server, a browser or Ray: it uses one of their
    fixtures, or its file imports a function that starts them."""
    names = vars(item.module).keys()  # type: ignore[attr-defined]
    return bool(SYSTEM_FIXTURES & set(item.fixturenames) or SYSTEM_NAMES & names)  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that `make check` leaves out. Sorts long work first, so that all test
    processes finish at about the same time."""
    for item in items:
        if is_of_the_system(item):
            item.add_marker("system")
        if "shared_app" in item.fixturenames and work_of(item.nodeid) not in ("app", "page"):  # type: ignore[attr-defined]
            raise pytest.UsageError(f"{item.nodeid} uses the app: see OF_THE_SHARED_APP")
    items.sort(
        key=lambda item: (
            _place_of(work_of(item.nodeid)),
            _page_wanted(item) if work_of(item.nodeid) == "page" else 0,
        )
    )


@cache
def _place_of(work: str) -> int:
    name = Path(work).stem
    return LONG.index(name) if name in LONG else len(LONG)


def _page_wanted(item: pytest.Item) -> int:
    """A sort key by which tests that need the page in the same state follow each other, so that
    they need not open it again."""
    wanted: list[str] = item.fixturenames  # type: ignore[attr-defined]
    return 0 if "cat_page" in wanted else 1 if {"one_panel", "no_photo"} & set(wanted) else 2


def pytest_collection_finish() -> None:
    """Exempts the imported objects from garbage collection in the tests, too."""
    garbage.freeze()
    garbage.enable()


@pytest.fixture(scope="session")
def cat_path() -> Path:
    from tests.support.photos import PHOTOS

    return PHOTOS / "chelsea.png"


@pytest.fixture(scope="session")
def cat_bytes(cat_path: Path) -> bytes:
    return cat_path.read_bytes()


@pytest.fixture(scope="session")
def coffee_path() -> Path:
    from tests.support.photos import PHOTOS

    return PHOTOS / "coffee.png"


@pytest.fixture(scope="session")
def cat(cat_path: Path) -> Image.Image:
    import gradcam_core as gc

    return gc.read_image(cat_path)


@pytest.fixture(scope="session")
def coffee(coffee_path: Path) -> Image.Image:
    import gradcam_core as gc

    return gc.read_image(coffee_path)


@pytest.fixture(scope="session")
def lite0() -> gc.Model:
    """EfficientNet-Lite0 with its real weights."""
    import gradcam_core as gc

    return gc.load_model("efficientnet_lite0")


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips drawing the figure, which takes most of a command's time, in tests that ignore it."""
    for kind in ("png", "svg"):
        monkeypatch.setattr(f"gradcam_core.export.result_files.{kind}", lambda _: b"")


@pytest.fixture
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leaves this process and its children no weights but those in packages; gives the folder of
    the empty caches."""
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    # The Hub's client reads its environment once, when it is imported.
    hub = huggingface_hub.constants
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    return tmp_path


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The app as users start it, shared by all tests that need no other settings."""
    from tests.support.app_server import started_app

    with started_app(tmp_path_factory.mktemp("app"), **NOT_WANTED) as started:
        yield started


@pytest.fixture(scope="session")
def app(shared_app: Started) -> str:
    """The address of the page of the shared app."""
    return shared_app.url


# Not with session scope: while it runs, no other test can have its own event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.support.browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Page:
    """A tab in which the tests open the page one after the other: it has cached the scripts."""
    from tests.support.browser import new_tab

    return new_tab(browser)


@pytest.fixture
def visit(
    app: str, browser: Browser, tab: Page, request: pytest.FixtureRequest
) -> Iterator[Visits]:
    """Opens the page. The test also fails on any error in the browser."""
    from tests.support.browser import Visits

    visits = Visits(browser, app, tab)
    failed_before = request.session.testsfailed
    yield visits
    visits.close(request.node.name, request.session.testsfailed > failed_before)
    assert visits.faults == []


@pytest.fixture
def page(visit: Visits) -> Page:
    """The page in its initial state."""
    return visit()


@pytest.fixture
def cat_page(visit: Visits) -> Page:
    """The page with the results for the cat. A test that undoes all changes except picture and
    class spares the next test opening the page."""
    return visit.cat()


@pytest.fixture
def one_panel(visit: Visits) -> Page:
    """Like `cat_page`, but with ResNet50 alone, for tests to which the number of panels does not
    matter."""
    return visit.cat("resnet50")


@pytest.fixture
def no_photo(visit: Visits) -> Page:
    """The page without a photo and with ResNet50 alone, reused like `cat_page`."""
    return visit.no_photo("resnet50")
