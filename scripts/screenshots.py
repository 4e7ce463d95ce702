"""Makes README's pictures of the page: `python -m scripts.screenshots`.

Screenshots, and a short animation of a visitor who uses the page.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from demo.compute.service import start
from demo.ui.layout import build, launch_options
from scripts.chromium import ARGUMENTS, find

OUT = Path(__file__).parents[1] / "assets" / "screenshots"

LARGEST = 4_000_000
"""The most bytes that the animation may have."""


@dataclass(frozen=True)
class Shot:
    """A screenshot. link: the view's parameters in the page's address; keys: to press once the view
    is there; shown: the element to scroll to, if any."""

    name: str
    width: int
    height: int
    theme: str
    link: str
    is_phone: bool = False
    keys: tuple[str, ...] = ()
    shown: str = ""


SHOTS = (
    Shot("page", 1400, 1310, "light", ""),
    Shot("dark", 1400, 1310, "dark", "example=3_cat_and_coffee&class=967&contrast=285"),
    Shot("phone", 390, 844, "light", "example=2_coffee", is_phone=True),
    Shot("presentation", 1920, 1080, "dark", "example=6_astronaut", keys=("p",)),
    Shot("cover", 1400, 1000, "light", "example=2_coffee&cover=0.35,0.2,0.65,0.6"),
    Shot("steps", 1400, 1000, "light", "example=1_cat", keys=("h",), shown=".steps"),
)

WALK: ViewportSize = {"width": 1400, "height": 880}
WALK_SHOWN = 1120, 704

# A pointer, which a headless browser does not show by itself, and a caption.
ACTOR = """
const pointer = document.createElement("div");
pointer.style.cssText = "position:fixed;z-index:9999;width:22px;height:22px;margin:-11px;" +
    "border-radius:50%;background:#f59e0bcc;border:2px solid #fff;pointer-events:none;left:-50px";
const caption = document.createElement("div");
caption.style.cssText = "position:fixed;z-index:9998;left:50%;bottom:18px;translate:-50% 0;" +
    "padding:8px 18px;border-radius:20px;background:#111e;color:#fff;font:600 18px system-ui";
document.addEventListener("mousemove", (event) => {
    pointer.style.left = `${event.clientX}px`;
    pointer.style.top = `${event.clientY}px`;
});
window.actor = { say: (text) => { caption.textContent = text; } };
addEventListener("DOMContentLoaded", () => document.body.append(pointer, caption));
"""


class Film:
    """The frames of a film of a page, each with its duration."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._seen: list[int] = []

    def scene(
        self,
        caption: str,
        act: Callable[[], object],
        milliseconds: int = 1800,
        stays: bool = False,
    ) -> None:
        """Adds a scene. caption: its text; act: does what the visitor does; milliseconds: for which
        the result is shown; stays: whether to keep the scroll position."""
        self._page.evaluate("text => actor.say(text)", caption)
        self._take(700)
        act()
        self._page.wait_for_timeout(500)  # until the page has sent its request
        _wait_for_results(self._page)
        if not stays:
            self._page.evaluate("scrollTo(0, 0)")  # from a control further down to the maps
        self._take(milliseconds)

    def _take(self, milliseconds: int) -> None:
        picture = Image.open(io.BytesIO(self._page.screenshot()))
        self._frames.append(picture.convert("RGB").resize(WALK_SHOWN, Image.Resampling.LANCZOS))
        self._seen.append(milliseconds)

    def save(self, path: Path) -> None:
        first, *rest = self._frames
        first.save(
            path,
            save_all=True,
            append_images=rest,
            duration=self._seen,
            loop=0,
            quality=72,
            method=6,
        )
        if path.stat().st_size > LARGEST:
            raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {LARGEST}.")


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as uploads, sync_playwright() as playwright:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        start()
        page = build()
        options = {"server_port": port, "prevent_thread_lock": True}
        _, url, _ = page.launch(**launch_options(), **options)
        browser = playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS))
        for shot in SHOTS:
            print(_screenshot(browser, url, shot).relative_to(OUT.parents[1]))
        print(_walk(browser, url).relative_to(OUT.parents[1]))
        browser.close()
        page.close(verbose=False)
    return 0


def _screenshot(browser: Browser, url: str, shot: Shot) -> Path:
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        has_touch=shot.is_phone,
        is_mobile=shot.is_phone,
        device_scale_factor=2 if shot.is_phone else 1,
    )
    tab = context.new_page()
    tab.goto(f"{url}?{shot.link}&__theme={shot.theme}")
    _wait_for_results(tab)
    for key in shot.keys:
        tab.keyboard.press(key)
        tab.wait_for_timeout(3000)
    if shot.shown:
        tab.locator(shot.shown).scroll_into_view_if_needed()
        tab.locator(shot.shown).evaluate("element => element.scrollIntoView()")
    path = OUT / f"{shot.name}.jpg"
    tab.screenshot(path=path, type="jpeg", quality=88)
    context.close()
    return path


def _walk(browser: Browser, url: str) -> Path:
    tab = browser.new_page(viewport=WALK)
    tab.add_init_script(ACTOR)
    tab.goto(f"{url}?__theme=light")
    _wait_for_results(tab)
    film = Film(tab)

    def click(selector: str, n: int = 0) -> None:
        target = tab.locator(selector).nth(n)
        target.hover()
        target.click()

    def point() -> None:
        box = tab.locator(".photo-layers").first.bounding_box()
        assert box
        tab.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.55 * box["height"])

    def key(name: str) -> Callable[[], None]:
        return lambda: tab.keyboard.press(name)

    def steps() -> None:
        tab.keyboard.press("h")
        expect(tab.locator(".steps .three > *").first).to_be_visible(timeout=30_000)
        tab.locator(".steps").evaluate("element => element.scrollIntoView()")

    def sums() -> None:
        tab.locator(".steps [type=range]").first.evaluate(
            "slider => { slider.value = 4; slider.dispatchEvent(new Event('input')); }"
        )

    def trust() -> None:
        tab.keyboard.press("h")
        tab.keyboard.press("t")
        expect(tab.locator(".trust figure img").first).to_be_visible(timeout=60_000)
        tab.locator(".trust").evaluate("element => element.scrollIntoView()")

    def cover() -> None:
        tab.keyboard.press("t")
        click("button[aria-label^='Cover the hottest']")

    def agreement() -> None:
        tab.keyboard.press("a")
        tab.locator(".comparison").scroll_into_view_if_needed()

    row = ".panel .top button"
    film.scene("The page opens with an example. Drop your own photo", lambda: None, 2200)
    film.scene("Click any prediction: all networks explain it", lambda: click(row, 2), 2200)
    film.scene("Point at a place to read its heat", point)
    film.scene("What speaks for the class, what against it?", key("a"), 2400)
    film.scene("Where do the networks agree?", agreement, 2600, stays=True)
    film.scene("How is this map made?", steps, 2600, stays=True)
    film.scene("Add channel after channel", sums, 2200, stays=True)
    film.scene("Can it be trusted?", trust, 2600, stays=True)
    film.scene("Does the hot place matter? Cover it", cover, 2600)
    film.scene("In front of an audience", key("p"), 2200)
    film.scene("The next example", key("ArrowRight"), 2200)
    path = OUT / "walk.webp"
    film.save(path)
    tab.close()
    return path


def _wait_for_results(tab: Page) -> None:
    ready = tab.locator("section.panel[data-status=ready]:not(.empty)")
    expect(ready).to_have_count(3, timeout=120_000)
    expect(tab.locator(".comparison .sentences .subtle")).to_have_count(0, timeout=60_000)
    tab.wait_for_timeout(900)


if __name__ == "__main__":
    sys.exit(main())
