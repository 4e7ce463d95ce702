"""How the tests of the page use it, as a person does, and read what is on it."""

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

expect.set_options(timeout=30_000)  # a busy machine takes its time

OWN_TOP = texts.OWN_TOP
READY = "section.panel[data-model][data-status=ready]:not(.empty)"

STAND_INS = {
    "xception": "efficientnet_lite2",
    "resnet50": "efficientnet_lite0",
    "vgg19": "efficientnet_lite1",
}
"""Who is shown in place of the networks of the page, in their order."""


PLAIN_HTTP = "plain-http.example"
"""A name for this machine under which the page is, for a browser, that of another one."""

_ONLY_HERE = f"--host-resolver-rules=MAP {PLAIN_HTTP} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.*"
"""No other host can be reached, as with no network. Unlike a route this leaves the cache alone."""


@contextmanager
def chromium(camera: Path | None = None) -> Iterator[Browser]:
    """camera: the film that it takes for one, see `film`."""
    path = find()
    assert path, "Chromium is needed: python -m scripts.chromium"
    arguments = (*ARGUMENTS, *camera_arguments(camera), _ONLY_HERE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


def new_tab(browser: Browser, **options: Any) -> Page:
    """A page that shares nothing with others. options: of its context."""
    settings: dict[str, Any] = {"viewport": WIDE, "permissions": ["camera"]}
    page = browser.new_context(**settings | options).new_page()
    page.set_default_timeout(20_000)
    return page


class Visits:
    """Pages that one test opens. What goes wrong on any of them is noted: an error in the console,
    an uncaught exception, a request to another host.

    tab: where they are opened, one after the other. It has the page's scripts already, so that
    takes a third of the time of a new tab. Between them it shows a small file of the app: for a
    page of no site, Chromium starts another process, which must compile the scripts anew.
    """

    def __init__(self, browser: Browser, app: str, tab: Page | None = None) -> None:
        self.faults: list[str] = []
        self.pages: list[Page] = []
        self._browser = browser
        self._app = app
        self._blank = f"{app.rstrip('/')}/theme.css"
        self._tab = tab
        self._kept: list[Page] = []
        self._is_opened = False

    def __call__(self, address: str = "", tab: Page | None = None, **options: Any) -> Page:
        """The page, opened anew and ready. address: what follows that of the app; tab: where, if
        not in the usual one; options: of the browser's context, which is one of its own then, and
        takes thrice as long."""
        usual = None if options else self._tab
        page = tab or usual or new_tab(self._browser, **options)
        if tab:
            self._kept.append(tab)
        self._watch(page)
        self._is_opened |= page is self._tab
        self._open(page, address)
        return page

    def cat(self, models: str = "") -> Page:
        """The page with the results for the cat. It is not opened anew where the test before has
        only changed the picture and the class, or has put back what it has changed. models: which,
        if not the usual ones."""
        page = self._shared(models, {"example", "class"})
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
        """The page without a photo, opened anew only where `cat` does so."""
        page = self._shared(models, {"example"})
        if page.url == self._blank:
            self._open(page, f"?models={models}" if models else "")
            remove_opening(page)
        elif page.locator("#photo img").count():
            remove_photo(page)
        expect(page.locator(".panels > .message")).to_be_visible()
        expect(panels(page)).to_have_count(0)
        return page

    def _shared(self, models: str, changed: set[str]) -> Page:
        """The tab: as the test before has left it, if nothing differs from what it is at first but
        the picture and, in its address, what may be changed; else blank."""
        assert self._tab
        page = self._tab
        self._watch(page)
        address, *others = page.evaluate(_STATE)
        query = parse_qs(urlsplit(address).query)
        is_here = address.startswith(self._app) and query.pop("models", [""]) == [models]
        if not is_here or others != _STATE_AT_FIRST or query.keys() - changed:
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
        """Of what is seen, for whoever asks why a test failed."""
        folder = Path("test-results")
        folder.mkdir(exist_ok=True)
        name = re.sub(r"[^\w.-]", "_", test)
        for n, page in enumerate(self.pages):
            page.screenshot(path=folder / f"{name}_{n}.png", full_page=True)

    def close(self, test: str, is_failed: bool) -> None:
        if is_failed or self.faults:
            self.keep_pictures(test)
        for page in self.pages:
            if page is not self._tab and page not in self._kept:
                page.context.close()
                continue
            for event, note in self._notes():
                page.remove_listener(event, note)
            page.unroute_all()
            if page is self._tab:
                page.set_viewport_size(WIDE)
            if page is not self._tab or self._is_opened or is_failed:
                page.goto(self._blank)  # what the test has left there, and has asked for, ends


CAT_QUERY = "?example=1_cat"

# The address has all that is chosen, but not how it is shown.
_STATE = """() => {
    const app = document.querySelector(".page[data-ready=true] > .app");
    if (!app) return [""];
    const values = [...app.querySelectorAll(".toolbar select, .toolbar input[type=range]")];
    const sheets = ":is(.methods, .trust, .steps, .cover-bar):not([hidden])";
    return [location.href, app.className, app.dataset.layers, ...values.map((e) => e.value),
            app.querySelectorAll(`${sheets}, dialog[open], .covering`).length];
}"""
_STATE_AT_FIRST = ["app", "overlay", "0.75", "inferno", str(LAYER_STEPS), 0]


def remove_opening(page: Page) -> None:
    """Remove the example that the page opens with, if it is there: what is ready afterwards is not
    the example's."""
    if page.locator("[data-example][aria-pressed=true]").count():
        remove_photo(page)
        expect(page.locator(".panels > .message")).to_be_visible()


def drop(page: Page, path: Path, name: str | None = None, kind: str = "image/png") -> None:
    """Drop a file on the photo, as from a file manager, where no other is."""
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
    """Drop a file on the page's background, or paste it; again if the page was not ready for it."""
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
    """Choose an example, also one that the page does not offer, but links may name."""
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
    """Until the results are there and what they have in common."""
    wait_for_results(page, count)
    expect(page.locator(".comparison .agreement:not(.empty)")).to_have_count(1)


def explained(page: Page) -> list[str]:
    """Of every panel, what it explains, how probable it is and its rank."""
    texts = page.locator(".panel[data-model] .explained").all_inner_texts()
    return [plain(text).split(" ", 1)[1] for text in texts]


def plain(text: str) -> str:
    """On one line, with usual spaces."""
    return " ".join(text.split())


def expect_explained(page: Page, name: str, count: int = 3) -> None:
    """Waits until so many panels explain this class."""
    marked = page.locator(".explained strong").get_by_text(name, exact=True)
    expect(marked).to_have_count(count)


def heat(page: Page, panel: int = 0) -> np.ndarray:
    """The opacity of the heat, pixel by pixel."""
    return canvas_pixels(panels(page).nth(panel).locator("canvas.heat"))[:, :, 3]


def canvas_pixels(canvas: Locator) -> np.ndarray:
    """uint8 [height, width, 4] (RGBA)."""
    url = canvas.evaluate("canvas => canvas.toDataURL()")
    data = base64.b64decode(url.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def show_grey(page: Page) -> None:
    """Heat alone, in greys: a pixel's brightness is its heat."""
    page.get_by_label("Colours").select_option("gray")
    page.get_by_role("radio", name="Heat").check(force=True)


def show_colours(page: Page) -> None:
    """As at first, after `show_grey`."""
    page.get_by_role("radio", name="Overlay").check(force=True)
    page.get_by_label("Colours").select_option("inferno")


def levels(page: Page, panel: int = 0) -> np.ndarray:
    """The heat in [0, 1], pixel by pixel, of a panel that shows it in greys."""
    return canvas_pixels(panels(page).nth(panel).locator("canvas.heat"))[:, :, 0] / 255


def assert_shows(page: Page, panel: int, e: gc.Explanation) -> None:
    """That the heat of a panel, shown in greys, is that of an explanation."""
    shown = levels(page, panel)
    expected = e.heatmap_at((shown.shape[1], shown.shape[0]))
    np.testing.assert_allclose(shown, expected, atol=2 / 255)


def choose(page: Page, label: str, typed: str, option: str) -> None:
    """Type into one of the selectors and choose one of what it finds."""
    selector = page.get_by_label(label)
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially(typed)
    page.get_by_role("option", name=option, exact=True).click()


def choose_class(page: Page, typed: str, option: str) -> None:
    choose(page, "Class to explain", typed, option)


def listed_classes(page: Page, first: str) -> list[str]:
    """The classes in the selector, which comes to have this one first a moment after the results;
    none if it does not."""
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
    """Choose models in their dropdown, or no longer, and close it."""
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
