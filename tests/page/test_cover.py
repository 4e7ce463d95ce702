"""Cover it and look again: what a person draws is covered, by mouse, touch and keyboard."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import gradcam_core as gc
from gradcam_core.images.cover import MOST_COVERS, MOST_POINTS, MOST_RADIUS, covers_of
from gradcam_core.wording import percentage
from tests.support.browser import (
    READY,
    Visits,
    box_of,
    examples,
    expect_explained,
    open_example,
    panels,
    plain,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

COFFEE = EXAMPLES / "2_coffee.jpg"
LITE = ("efficientnet_lite2", "efficientnet_lite0", "efficientnet_lite1")


def covers_in(page: Page) -> tuple[gc.Cover, ...]:
    """Those that the link has."""
    found = re.search(r"cover=([^&]+)", page.url)
    return covers_of(found[1].split(";")) if found else ()


def expect_covers(page: Page, count: int) -> tuple[gc.Cover, ...]:
    """Waits until so many are covered, in the photo that is shown, too, and all panels have their
    results."""
    said = {0: "^$", 1: "^A place of"}.get(count, f"^{count} places of")
    expect(page.locator(".photo-notices [role=status]")).to_have_text(re.compile(said))
    page.wait_for_function(
        "count => (location.search.match(/cover=([^&]+)/)?.[1] ?? '').split(';').filter(Boolean)"
        ".length === count",
        arg=count,
    )
    expect(page.locator(f"{READY}[aria-busy=false]")).to_have_count(3)
    expect(page.locator(".effect:not(.elsewhere) .numbers")).to_have_count(3 if count else 0)
    return covers_in(page)


def changes(page: Page, kind: str = ":not(.elsewhere)") -> list[str]:
    """Of every panel, the probability before → after."""
    texts = page.locator(f".panel[data-model] .effect{kind} .numbers").all_inner_texts()
    return [plain(text) for text in texts]


def expected(covers: tuple[gc.Cover, ...], networks: Sequence[str] = LITE) -> list[str]:
    found = []
    for name in networks:
        effect = gc.cover_effect(gc.explain(COFFEE, name, cover=covers))
        assert effect is not None
        assert effect.before is not None
        assert effect.after is not None
        found.append(plain(f"{percentage(effect.before)} → {percentage(effect.after)}"))
    return found


def coffee_on(page: Page) -> None:
    open_example(page, "2_coffee")
    expect_explained(page, "espresso")
    wait_for_all(page)


def test_a_drawn_place_and_the_hottest_are_covered_beside_as_large_a_cold_one(cat_page: Page):
    page = cat_page
    coffee_on(page)
    page.get_by_role("button", name="Cover", exact=True).click()
    stage = box_of(panels(page).nth(1).locator(".photo-layers"))
    page.mouse.move(stage["x"] + 0.3 * stage["width"], stage["y"] + 0.2 * stage["height"])
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.6 * stage["width"], stage["y"] + 0.6 * stage["height"])
    expect(page.locator(".panel .covers .draft.over")).to_have_count(3 + 1)  # and on the photo
    page.mouse.up()
    (drawn,) = expect_covers(page, 1)
    assert drawn.box == pytest.approx((0.3, 0.2, 0.6, 0.6), abs=0.005)
    assert changes(page) == expected((drawn,))
    expect(page.locator(".photo-notices [role=status]")).to_have_text(
        "A place of the photo is covered, 12 % of it: blurred."
    )
    assert box_of(panels(page).nth(1).locator(".photo-layers")) == stage  # for the next place
    page.get_by_role("button", name="Same area at a cold place").click()
    beside = page.get_by_role("region", name="Does the place matter?")
    expect(beside.locator("li .numbers")).to_have_count(6)
    cold = gc.cold_places([gc.explain(COFFEE, name) for name in LITE], [drawn])
    assert changes(page, ".elsewhere") == expected(cold)
    told = [plain(text) for text in beside.locator("li .numbers").all_inner_texts()]
    assert told == [*expected((drawn,)), *expected(cold)]
    page.get_by_label("with", exact=True).select_option("grey")
    hottest = panels(page).nth(0).get_by_role("button", name="Cover the hottest place of this map")
    hottest.click()
    both = expect_covers(page, 2)
    after = gc.explain(COFFEE, LITE[0], cover=drawn)
    assert both == (drawn, gc.hottest_place(after, "grey"))
    assert changes(page) == expected(both)
    expect(beside).to_be_hidden()  # it was of another cover
    page.get_by_role("button", name="Undo").click()
    assert expect_covers(page, 1) == (drawn,)
    examples(page).nth(0).click()
    assert expect_covers(page, 0) == ()
    page.get_by_role("button", name="Leave the cover tool").click()


def test_a_finger_draws_and_does_not_scroll_and_keys_cover_in_a_presentation(
    visit: Visits, phone: Page
):
    visit.cat(tab=phone)
    coffee_on(phone)
    phone.get_by_role("button", name="Cover", exact=True).click()
    phone.get_by_role("radio", name="Brush").check(force=True)
    photo = panels(phone).nth(0).locator(".photo-layers")
    photo.scroll_into_view_if_needed()
    stage, scrolled = box_of(photo), phone.evaluate("scrollY")
    session = phone.context.new_cdp_session(phone)

    def touch(*places: tuple[float, float]) -> None:
        for n, (x, y) in enumerate(places):
            point = {"x": stage["x"] + x * stage["width"], "y": stage["y"] + y * stage["height"]}
            kind = "touchMove" if n else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    touch((0.3, 0.2), (0.4, 0.4), (0.5, 0.6))
    (stroke,) = expect_covers(phone, 1)
    np.testing.assert_allclose(stroke.points, [(0.3, 0.2), (0.4, 0.4), (0.5, 0.6)], atol=0.01)
    assert phone.evaluate("scrollY") == scrolled
    phone.get_by_role("button", name="Leave the cover tool").click()
    photo.scroll_into_view_if_needed()
    stage = box_of(photo)
    touch(*((x / 10, 0.5) for x in range(1, 10)))  # past the first map: the page is not left
    phone.wait_for_timeout(500)
    assert expect_covers(phone, 1) == (stroke,)
    examples(phone).first.tap()
    assert expect_covers(phone, 0) == ()
    page = visit.cat()
    coffee_on(page)
    for key in ("p", "c", "ArrowRight", "Shift+ArrowUp", "-", "Enter"):
        page.keyboard.press(key)
    (box,) = expect_covers(page, 1)
    assert box.box == pytest.approx((0.425, 0.25, 0.625, 0.55), abs=0.001)
    for change in page.locator(".effect:not(.elsewhere) .numbers").all():
        expect(change).to_be_in_viewport(ratio=1)
    page.keyboard.press("Control+z")
    assert expect_covers(page, 0) == ()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Cover a place")).to_be_hidden()
    expect(page.locator(".app.presenting")).to_be_attached()
    page.keyboard.press("Escape")
    expect(page.locator(".app.presenting")).to_have_count(0)


def test_a_link_and_a_person_cover_as_many_places_as_the_engine_allows(visit: Visits):
    boxes = [f"0,{n / 100},0.01,{n / 100 + 0.01}" for n in range(1, MOST_COVERS)]
    stroke = ",".join(["0.5"] * 2 * MOST_POINTS)
    link = f"?example=2_coffee&models=resnet50&cover={stroke}~{MOST_RADIUS};{';'.join(boxes)}"
    page = visit(link)
    expect(page.locator(".photo-notices [role=status]")).to_contain_text(f"{MOST_COVERS} places")
    wait_for_results(page, 1)
    assert len(covers_in(page)) == MOST_COVERS
    assert changes(page) == expected(covers_in(page), LITE[1:2])
    page.keyboard.press("c")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_have_text(
        f"At most {MOST_COVERS} places are covered. Undo one of them first."
    )
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".photo-notices [role=status]")).to_contain_text(
        f"{MOST_COVERS - 1} places"
    )
