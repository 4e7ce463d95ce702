"""One browser, one tab, one phone and one app for all tests of the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.app_server import Started, started_app
from tests.support.browser import ON_A_PHONE, chromium, new_tab
from tests.support.camera import CAMERA_SIDE, film, left_and_right
from tests.support.fake_web import Server, serving
from tests.support.photos import EXAMPLES

ALLOWING = (
    "import demo.server.remote_pictures as a;"
    " from gradcam_core.images.remote.ssrf_guard import Guard;"
    " a.Guard = lambda: Guard(frozenset({{{port}}}), frozenset({{'127.0.0.1'}}));"
    " a.KEPT_BYTES = 2**20; import app; app.main()"
)


@pytest.fixture(scope="package")
def shelf() -> Iterator[Server]:
    """A server of pictures that the page's server may ask."""
    server = Server("127.0.0.1")
    with serving(server):
        yield server


@pytest.fixture(scope="package")
def shared_app(shelf: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The app, as a person starts it but for the shelf, and with little room for its pictures."""
    command = [sys.executable, "-c", ALLOWING.format(port=shelf.port)]
    with started_app(tmp_path_factory.mktemp("app"), command=command) as started:
        yield started


@pytest.fixture(scope="package")
def app(shared_app: Started) -> str:
    return shared_app.url


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its camera sees a cup of coffee, in every other frame at the left and else at the right."""
    camera = tmp_path_factory.mktemp("camera") / "coffee.mjpeg"
    frames = left_and_right(EXAMPLES / "2_coffee.jpg", CAMERA_SIDE)
    with chromium(film(frames, camera)) as running:
        yield running


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Page:
    return new_tab(browser)


@pytest.fixture(scope="package")
def phone(browser: Browser) -> Page:
    """A tab as on a phone, for all tests that need one."""
    return new_tab(browser, **ON_A_PHONE)
