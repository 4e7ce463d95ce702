"""Make README's pictures of the page: `python -m scripts.screenshots`."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from demo.page import EXAMPLES, build, launch_options
from scripts.chromium import ARGUMENTS, find

OUT = Path(__file__).parents[1] / "assets" / "screenshots"

SHOTS = (
    # name, width, height, theme, example, class to choose or None
    ("page", 1400, 900, "light", "3_cat_and_coffee.jpg", None),
    ("dark", 1400, 900, "dark", "3_cat_and_coffee.jpg", "espresso"),
    ("phone", 390, 844, "light", "1_cat.jpg", None),
)


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as uploads, sync_playwright() as playwright:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = build()
        options = {"server_port": port, "prevent_thread_lock": True, "quiet": True}
        _, url, _ = page.launch(**launch_options(), **options)
        browser = playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS))
        for name, width, height, theme, example, wanted in SHOTS:
            size: ViewportSize = {"width": width, "height": height}
            tab = browser.new_page(viewport=size)
            tab.goto(f"{url}?__theme={theme}")
            _show(tab, EXAMPLES / example, wanted)
            picture = OUT / f"{name}.jpg"
            tab.screenshot(path=picture, full_page=True, type="jpeg", quality=88)
            print(picture.relative_to(OUT.parents[1]))
            tab.close()
        browser.close()
        page.close(verbose=False)
    return 0


def _show(tab: Page, photo: Path, wanted: str | None) -> None:
    tab.locator("#photo input[type=file]").set_input_files(photo)
    ready = tab.locator("section.panel[data-status=ready]:not(.empty)")
    expect(ready).to_have_count(3, timeout=120_000)
    if wanted:
        selector = tab.get_by_label("Class to explain")
        selector.click()
        selector.press("Control+a")
        selector.press_sequentially(wanted)
        tab.get_by_role("option", name=wanted, exact=True).click()
        expect(tab.locator(".explained", has_text=wanted)).to_have_count(3)
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(500)


if __name__ == "__main__":
    sys.exit(main())
