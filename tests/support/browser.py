"""Uses the page in a browser as a person does, and reads what it shows."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import gradcam_core as gc
from demo.ui import texts
from demo.ui.page_data import LAYER_STEPS
from scripts.chromium import ARGUMENTS, find
from tests.support.camera import camera_arguments

WIDE: ViewportSize = {"width": 1400, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 780}
ON_A_PHONE: dict[str, Any] = {
    "viewport": PHONE,
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
"""Options of a tab."""

expect.set_options(timeout=30_000)  # for busy machines

OWN_TOP = texts.OWN_TOP
READY = "section.panel[data-model][data-status=ready]:not(.empty)"

STAND_INS = {
    "xception": "efficientnet_lite2",
    "resnet50": "efficientnet_lite0",
    "vgg19": "efficientnet_lite1",
}
"""The titles shown in place of the page's networks, in their order."""


PLAIN_HTTP = "plain-http.example"
"""A name for this machine under which a browser takes the page for another machine's."""

_ONLY_HERE = f"--host-resolver-rules=MAP {PLAIN_HTTP} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.*"
"""Makes all other hosts unreachable. Unlike a Playwright route, this does not disable the cache."""


@contextmanager
def chromium(camera: Path | None = None) -> Iterator[Browser]:
    """Starts Chromium. camera: a film that it uses as its camera, see `film`."""
    path = find()
    assert path, "Chromium is needed: python -m scripts.chromium"
    arguments = (*ARGUMENTS, *camera_arguments(camera), _ONLY_HERE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


def new_tab(browser: Browser, **options: Any) -> Page:
    """A tab that shares nothing with others. options: of its browser context."""
    settings: dict[str, Any] = {"viewport": WIDE, "permissions": ["camera"]}
    page = browser.new_context(**settings | options).new_page()
    page.set_default_timeout(20_000)
    return page


class Visits:
    """The pages that a test opens. It records errors in the console, uncaught exceptions, and
    requests to other hosts.

    tab: the tab in which they are opened, one after the other. It has cached the page's scripts,
    which takes a third of the time of a new tab. Between visits it shows a small file of the app:
    for about:blank, Chromium would start another process, which must compile the scripts anew.
    """

    def __init__(self, browser: Browser, app: str, tab: Page | None = None) -> None:
        self.faults: list[str] = []
        self.pages: list[Page] = []
        self._browser = browser
        self._app = app
        self._blank = f"{app.rstrip('/')}/theme.css"
        self._tab = tab
        self._kept = [tab] if tab else []
        self._opened: list[Page] = []

    def __call__(self, address: str = "", tab: Page | None = None, **options: Any) -> Page:
        """Opens the page anew, and returns it once it is ready. address: appended to the app's
        address; tab: None for the usual tab; options: of a browser context of its own, which takes
        three times as long."""
        usual = None if options else self._tab
        page = tab or usual or new_tab(self._browser, **options)
        if tab:
            self._kept.append(tab)
        self._watch(page)
        self._opened.append(page)
        self._open(page, address)
        return page

    def cat(self, models: str = "", tab: Page | None = None) -> Page:
        """The page with the results for the cat. It is not opened anew if the previous test has
        changed only the picture and what is of a picture, such as the class, or has undone its
        changes. models: their names with commas; "" for the default models. tab: None for the
        usual tab."""
        page = self._shared(models, tab)
        query = f"{CAT_QUERY}&models={models}" if models else CAT_QUERY
        if page.url == self._blank:
            self._open(page, query)
        elif page.url != self._app + query:
            cat, coffee = examples(page).all()[:2]
            coffee.click()
            cat.click()  # another picture: no class is chosen
        count = len(models.split(",")) if models else len(STAND_INS)
        (wait_for_all if count > 1 else wait_for_results)(page, count)
        expect(page.locator(".explained").first).to_contain_text("cat")
        return page

    def no_photo(self, models: str = "") -> Page:
        """The page without a photo, opened anew only if `cat` would do so."""
        page = self._shared(models)
        if page.url == self._blank:
            self._open(page, f"?models={models}" if models else "")
            remove_opening(page)
        elif page.locator("#photo img").count():
            remove_photo(page)
        expect(page.locator(".panels > .message")).to_be_visible()
        expect(panels(page)).to_have_count(0)
        return page

    def _shared(self, models: str, tab: Page | None = None) -> Page:
        """The tab, as the previous test has left it if its state differs from the initial one only
        in the picture and what another picture resets; otherwise blank."""
        page = tab or self._tab
        assert page
        self._kept.append(page)
        self._watch(page)
        address, *others = page.evaluate(_STATE)
        query = parse_qs(urlsplit(address).query)
        is_here = address.startswith(self._app) and query.pop("models", [""]) == [models]
        if not is_here or others != _STATE_AT_FIRST or query.keys() - _OF_A_PICTURE:
            page.goto(self._blank)
        return page

    def _open(self, page: Page, address: str) -> None:
        page.goto(self._app + address)
        expect(page.locator(".page[data-ready=true]")).to_be_attached()

    def _watch(self, page: Page) -> None:
        if page in self.pages:
            return
        self.pages.append(page)
        for event, note in self._notes():
            page.on(event, note)  # type: ignore[call-overload]

    def _notes(self) -> Iterator[tuple[str, Callable[[Any], None]]]:
        yield "request", self._note_request
        yield "pageerror", self._note_error
        yield "console", self._note

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self._app, "data:", "blob:")):
            self.faults.append(f"asked {request.url}")

    def _note_error(self, error: Error) -> None:
        self.faults.append(str(error))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def keep_pictures(self, test: str) -> None:
        """Saves screenshots of all pages, to show why a test failed."""
        folder = Path("test-results")
        folder.mkdir(exist_ok=True)
        name = re.sub(r"[^\w.-]", "_", test)
        for n, page in enumerate(self.pages):
            page.screenshot(path=folder / f"{name}_{n}.png", full_page=True)

    def close(self, test: str, is_failed: bool) -> None:
        if is_failed or self.faults:
            self.keep_pictures(test)
        for page in self.pages:
            if page not in self._kept:
                page.context.close()
                continue
            for event, note in self._notes():
                page.remove_listener(event, note)
            page.unroute_all()
            if page is self._tab:
                page.set_viewport_size(WIDE)
            if page in self._opened or is_failed:
                page.goto(self._blank)  # ends the test's page and its running requests


CAT_QUERY = "?example=1_cat"

_OF_A_PICTURE = {"example", "picture", "class", "cover", "window"}
"""Parameters of the address that another picture resets."""

# The address contains the choices, but not how the results are displayed.
_STATE = """() => {
    document.activeElement?.blur();  // the next test may begin with a key
    const app = document.querySelector(".page[data-ready=true] > .app");
    if (!app) return [""];
    const values = [...app.querySelectorAll(".toolbar select, .toolbar input[type=range]")];
    const sheets = ":is(.methods, .trust, .steps, .cover-bar):not([hidden])";
    const name = app.className.replace(" without-photo", "");
    return [location.href, name, app.dataset.layers, ...values.map((e) => e.value),
            app.querySelectorAll(`${sheets}, dialog[open], .covering`).length];
}"""
_STATE_AT_FIRST = ["app", "overlay", "0.75", "inferno", str(LAYER_STEPS), 0]


def remove_opening(page: Page) -> None:
    """Removes the example that the page opens with, if it is there, so that results that are ready
    afterwards are not the example's."""
    if page.locator("[data-example][aria-pressed=true]").count():
        remove_photo(page)
        expect(page.locator(".panels > .message")).to_be_visible()


def drop(page: Page, path: Path, name: str | None = None, kind: str = "image/png") -> None:
    """Drops a file on the empty photo control, as from a file manager."""
    remove_opening(page)
    data = base64.b64encode(path.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """([data, name, type]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        }""",
        [data, name or path.name, kind],
    )
    target = page.get_by_label("Drop an image file here to upload")
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": transfer})


def drop_anywhere(page: Page, path: Path, event: str = "drop") -> None:
    """Drops a file on the page's background, or pastes it; again if the page was not ready."""
    data = base64.b64encode(path.read_bytes()).decode()
    for _ in range(5):
        try:
            with page.expect_request(re.compile("/upload"), timeout=5000):
                page.evaluate(_DROP, [data, event])
        except PlaywrightTimeout:
            continue
        return
    pytest.fail("the page did not take the picture")


_DROP = """([data, event]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(
        event === "paste"
            ? new ClipboardEvent(event, { ...options, clipboardData: dataTransfer })
            : new DragEvent(event, { ...options, dataTransfer }),
    );
}"""


def panels(page: Page) -> Locator:
    return page.locator("section.panel[data-model]")


def examples(page: Page) -> Locator:
    return page.locator("button[data-example]")


def open_example(page: Page, name: str) -> None:
    """Chooses an example; it may also be one that only links can name."""
    page.evaluate(
        """name => {
            const button = document.createElement("button");
            button.dataset.example = name;
            document.body.append(button);
            button.click();
            button.remove();
        }""",
        name,
    )


def wait_for_results(page: Page, count: int = 3) -> None:
    expect(panels(page)).to_have_count(count)
    expect(page.locator(READY)).to_have_count(count)


def wait_for_all(page: Page, count: int = 3) -> None:
    """Waits until the results and their comparison are there."""
    wait_for_results(page, count)
    expect(page.locator(".comparison .agreement:not(.empty)")).to_have_count(1)


def explained(page: Page) -> list[str]:
    """For every panel: the explained class, its probability and its rank."""
    texts = page.locator(".panel[data-model] .explained").all_inner_texts()
    return [plain(text).split(" ", 1)[1] for text in texts]


def plain(text: str) -> str:
    """The text on one line, with ordinary spaces."""
    return " ".join(text.split())


def expect_explained(page: Page, name: str, count: int = 3) -> None:
    """Waits until `count` panels explain this class."""
    marked = page.locator(".explained strong").get_by_text(name, exact=True)
    expect(marked).to_have_count(count)


def heat(page: Page, panel: int = 0) -> np.ndarray:
    """The opacity of a panel's heat, uint8 [height, width]."""
    return canvas_pixels(panels(page).nth(panel).locator("canvas.heat"))[:, :, 3]


def canvas_pixels(canvas: Locator) -> np.ndarray:
    """The pixels of a canvas, uint8 [height, width, 4] (RGBA)."""
    url = canvas.evaluate("canvas => canvas.toDataURL()")
    data = base64.b64decode(url.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def show_grey(page: Page) -> None:
    """Shows only the heat, in greys: a pixel's brightness is its heat."""
    page.get_by_label("Colours").select_option("gray")
    page.get_by_role("radio", name="Heat").check(force=True)


def show_colours(page: Page) -> None:
    """Restores the initial display after `show_grey`."""
    page.get_by_role("radio", name="Overlay").check(force=True)
    page.get_by_label("Colours").select_option("inferno")


def levels(page: Page, panel: int = 0) -> np.ndarray:
    """The heat of a panel that shows it in greys, [height, width] in [0, 1]."""
    return canvas_pixels(panels(page).nth(panel).locator("canvas.heat"))[:, :, 0] / 255


def assert_shows(page: Page, panel: int, e: gc.Explanation) -> None:
    """Fails unless the heat of a panel, shown in greys, is that of the explanation."""
    shown = levels(page, panel)
    expected = e.heatmap_at((shown.shape[1], shown.shape[0]))
    np.testing.assert_allclose(shown, expected, atol=2 / 255)


def choose(page: Page, label: str, typed: str, option: str) -> None:
    """Types into a class field and chooses one of the classes found."""
    selector = page.get_by_label(label)
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially(typed)
    page.get_by_role("option", name=option, exact=True).click()


def choose_class(page: Page, typed: str, option: str) -> None:
    choose(page, "Class to explain", typed, option)


def listed_classes(page: Page, first: str) -> list[str]:
    """The classes in the class field, once the first is `first`, which happens a moment after the
    results; none if it does not happen."""
    selector = page.get_by_label("Class to explain")
    options = page.get_by_role("listbox").get_by_role("option")
    names: list[str] = []
    for _ in range(20):
        selector.click()
        expect(options.nth(1)).to_be_visible()
        names = [text.strip(" ✓\n").split(",")[0] for text in options.all_inner_texts()]
        selector.press("Escape")
        if names[1] == first:
            return names[1:]
        selector.blur()
        page.wait_for_timeout(200)
    return []


def toggle_models(page: Page, *titles: str) -> None:
    """Opens the dropdown of models, toggles these, and closes it."""
    models = page.get_by_label("Models", exact=True)
    models.click()
    for title in titles:
        page.get_by_role("option", name=title, exact=True).click()
    models.click()


def chosen_models(page: Page) -> list[str]:
    return page.locator("#models .token").all_inner_texts()


def remove_photo(page: Page) -> None:
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()


def box_of(locator: Locator) -> dict[str, float]:
    box = locator.bounding_box()
    assert box
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
