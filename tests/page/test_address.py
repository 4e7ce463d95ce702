"""Pictures by their address, on the page."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, Request, expect

from tests.support.app_server import Started
from tests.support.browser import Visits, remove_opening, wait_for_results
from tests.support.fake_web import Server, at, response
from tests.support.stream import map_requests


@pytest.fixture
def pictures(shelf: Server, cat_bytes: bytes) -> Server:
    shelf.answers = {"/cat.jpg": response(cat_bytes)}
    shelf.asked.clear()
    return shelf


def open_address(page: Page, given: str) -> None:
    remove_opening(page)
    field = page.get_by_label("Address of a picture")
    field.fill(given)
    field.press("Enter")


def test_the_page_shows_a_picture_by_its_address_and_its_link_brings_it_back(
    pictures: Server, visit: Visits, shared_app: Started
):
    page = visit("?models=resnet50")
    open_address(page, at(pictures, "cat.jpg", "127.0.0.1"))
    wait_for_results(page, 1)
    expect(page.locator(".explained")).to_contain_text("cat")
    page.locator(".panel .top button", has_text="lynx").click()
    expect(page.locator(".explained")).to_contain_text("lynx")
    page = visit("?" + page.url.split("?")[1])
    wait_for_results(page, 1)
    expect(page.locator(".explained")).to_contain_text("lynx")
    assert str(pictures.port) not in shared_app.log.read_text()


def test_an_address_that_failed_can_be_opened_once_more(
    pictures: Server, no_photo: Page, cat_bytes: bytes
):
    page = no_photo
    open_address(page, at(pictures, "later.jpg", "127.0.0.1"))
    expect(page.get_by_role("alert")).to_contain_text("status 404")
    pictures.answers["/later.jpg"] = response(cat_bytes)
    page.get_by_role("button", name="Open").click()
    wait_for_results(page, 1)


FOCUS = """() => {
    const element = document.activeElement;
    return element === document.body || Boolean(element.closest(".presenting"));
}"""
WATCH_FOCUS = """() => {
    window.left = [];
    document.addEventListener("focusin", ({ target }) => {
        if (!target.closest(".presenting")) window.left.push(target.outerHTML);
    });
}"""


NO_FULL_SCREEN = """() => {
    window.kept = Element.prototype.requestFullscreen;
    Element.prototype.requestFullscreen = () => Promise.reject(new Error());
}"""


def test_in_a_presentation_no_picture_is_fetched(pictures: Server, no_photo: Page, app: str):
    given, other = (at(pictures, name, "127.0.0.1") for name in ("cat.jpg", "other.jpg"))
    page = no_photo
    open_address(page, given)
    wait_for_results(page, 1)
    field = page.get_by_label("Address of a picture")
    field.fill(other)
    page.get_by_role("button", name="Keys").focus()
    pictures.asked.clear()
    looks: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url == f"{app}explain-stream":
            looks.append(json.loads(request.post_data or ""))

    page.on("request", note)
    # In full screen the browser itself keeps the focus inside; a phone or a frame may have none.
    page.evaluate(NO_FULL_SCREEN)
    page.keyboard.press("p")
    expect(page.locator(".presenting")).to_be_visible()
    page.evaluate(WATCH_FOCUS)
    for key in ["Tab"] * 20 + ["Shift+Tab"] * 20:
        page.keyboard.press(key)
    assert page.evaluate("left") == []
    page.evaluate("document.querySelector('[data-address] input').focus()")
    assert page.evaluate(FOCUS)
    page.evaluate("document.querySelector('[data-address]').requestSubmit()")
    # What is on the page and still kept is shown on.
    page.keyboard.press("2")
    expect(page.locator(".explained strong").first).to_be_visible()
    expect(page.locator(".panel[data-model][data-status=ready] .explained")).to_have_count(1)
    page.wait_for_function("location.search.includes('class=')")
    wait_for_results(page, 1)
    assert [(look["address"], look["may_fetch"]) for look in looks] == [(given, False)]
    assert pictures.asked == []
    # Once other pictures have taken its place, it is not fetched anew.
    for n in range(4):
        pictures.answers[f"/{n}.jpg"] = response(bytes([n]) * (300 * 2**10))
        asked = {"address": at(pictures, f"{n}.jpg", "127.0.0.1"), "maps": map_requests("resnet50")}
        assert "problem" in requests.post(f"{app}explain-stream", json=asked, timeout=30).text
    pictures.asked.clear()
    page.keyboard.press("3")
    expect(page.get_by_role("alert")).to_contain_text("no picture is fetched during a presentation")
    assert pictures.asked == []
    page.keyboard.press("Escape")
    expect(page.locator(".presenting")).to_have_count(0)
    open_address(page, given)
    wait_for_results(page, 1)
    assert len(pictures.asked) == 1
    page.evaluate("() => { Element.prototype.requestFullscreen = window.kept; }")
