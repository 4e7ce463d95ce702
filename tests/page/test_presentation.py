"""What the labels of a presentation say."""

from __future__ import annotations

import pytest
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect

import gradcam_core as gc
from tests.support.browser import (
    PHONE,
    WIDE,
    box_of,
    choose_class,
    examples,
    expect_explained,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

FULL_HD: ViewportSize = {"width": 1920, "height": 1080}
LONG = "American Staffordshire terrier"
CAT_AND_COFFEE, RACCOON = 1, 5  # places of the examples

SMALL: ViewportSize = {"width": 700, "height": 450}
"""As a window of a usual laptop that is enlarged to 200 %."""

with Image.open(EXAMPLES / "3_cat_and_coffee.jpg") as photo:
    RATIO = photo.width / photo.height


def assert_nothing_lies_under_the_photo(page: Page) -> None:
    """Of the maps and their texts, under the photo in its corner."""
    photo = box_of(page.locator(".panel.tile"))
    texts = "header, .photo-layers, .explained, .top"
    for part in page.locator(".panel[data-model]").locator(texts).all():
        box = box_of(part)
        is_beside = box["x"] >= photo["x"] + photo["width"]
        assert is_beside or box["y"] + box["height"] <= photo["y"]


def leave(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.locator(".presenting, .covering")).to_have_count(0)
    page.wait_for_function("document.fullscreenElement === null")


def assert_long_names_are_broken(page: Page) -> None:
    names = page.locator(".panel[data-model]").locator("h2, .explained strong")
    names.evaluate_all("all => all.forEach((e) => (e.textContent = 'Fahrtgesellschaft'.repeat(6)))")
    for panel in page.locator(".panel[data-model]").all():
        box = box_of(panel)
        for part in panel.locator(".photo-layers, h2, .explained strong").all():
            assert box_of(part)["width"] <= box["width"] + 1
            assert part.evaluate("e => e.scrollWidth - e.clientWidth") <= 1


def test_the_photo_in_its_corner_lies_over_no_text_of_any_map(cat_page: Page):
    page = cat_page
    for example, size in ((RACCOON, WIDE), (CAT_AND_COFFEE, PHONE), (CAT_AND_COFFEE, SMALL)):
        if size != SMALL:
            page.set_viewport_size(WIDE)
            examples(page).nth(example).click()
            choose_class(page, LONG, gc.find_label(LONG).full_name)
            page.get_by_label("Class to explain").blur()
            page.set_viewport_size(size)
        wait_for_results(page)
        expect_explained(page, LONG)
        page.keyboard.press("p")
        page.keyboard.press("v")
        assert_nothing_lies_under_the_photo(page)
        panel = page.locator(".panel[data-model]").first
        heading, seen = box_of(panel.locator("header")), box_of(panel.locator(".photo-layers"))
        assert 0 <= heading["y"] <= seen["y"] - heading["height"]
        for part in ("header", ".explained", ".top li >> nth=0"):
            assert box_of(panel.locator(part))["width"] <= box_of(panel)["width"] + 1
        if size == SMALL:
            assert_long_names_are_broken(page)
        page.keyboard.press("v")
        leave(page)


def test_the_class_is_read_in_full_where_a_place_is_covered(cat_page: Page):
    page = cat_page
    examples(page).nth(CAT_AND_COFFEE).click()
    expect_explained(page, "espresso", 2)
    for key in ("c", "Enter", "Escape"):
        page.keyboard.press(key)
    expect(page.locator(".effect:not(.elsewhere) .numbers")).to_have_count(3)
    wait_for_results(page)
    for viewport in (WIDE, FULL_HD, PHONE):
        page.set_viewport_size(viewport)
        page.keyboard.press("p")
        panel = page.locator(".panel[data-model]").first
        for _ in range(2):  # in the row, and alone on the screen
            name, map_shown = panel.locator(".explained strong"), panel.locator(".photo-layers")
            expect(name).to_be_in_viewport(ratio=1)
            assert box_of(name)["height"] > 15
            expect(map_shown).to_be_in_viewport(ratio=1)
            box = box_of(map_shown)
            assert box["width"] / box["height"] == pytest.approx(RATIO, rel=0.02)
            page.keyboard.press("f")
        leave(page)


def test_all_maps_stand_in_one_row_with_numbered_predictions_and_keys_lead_everywhere(
    cat_page: Page,
):
    page = cat_page
    page.set_viewport_size(FULL_HD)
    examples(page).nth(CAT_AND_COFFEE).click()
    expect_explained(page, "espresso", 2)
    wait_for_results(page)
    page.keyboard.press("p")
    expect(page.locator(".explained .unusual")).to_have_text([""] * 3)
    boxes = [box_of(stage) for stage in page.locator(".panel[data-model] .photo-layers").all()]
    assert len({box["y"] for box in boxes}) == 1
    assert all(box["width"] > 0.3 * 1920 for box in boxes)
    button = page.locator(".panel[data-model] .top button").first
    expect(button).to_be_in_viewport(ratio=1)
    number = button.evaluate("one => getComputedStyle(one, '::before').content")
    assert "counter" in number

    page.keyboard.press("v")
    expect(page.locator(".panel.tile")).to_be_in_viewport(ratio=1)
    assert_nothing_lies_under_the_photo(page)
    page.keyboard.press("v")
    expect(page.locator(".panel.tile")).to_be_hidden()

    page.keyboard.press("/")
    page.get_by_label("Name, synonym or kind").fill("tabby")
    page.keyboard.press("Enter")
    expect_explained(page, "tabby")
    page.keyboard.press("a")
    expect(page.locator(".for-and-against").first).to_be_visible()

    page.keyboard.press("h")  # one step of one network at a time
    step = page.locator(".steps .step:visible h4")
    expect(step).to_have_text(["1 Forward"])
    assert box_of(page.locator(".steps .step:visible .photo-layers"))["width"] > 0.6 * 1920
    page.keyboard.press("ArrowRight")
    expect(step).to_have_text(["2 Backward"])
    page.keyboard.press("ArrowRight")
    expect(step).to_have_text(["3 Heatmap"])
    said = page.locator(".steps .sum output:visible")
    expect(said).to_contain_text("1 of 1,280 channels")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("2 of 1,280 channels")
    page.keyboard.press("c")  # one thing at a time lies over the maps
    expect(page.locator(".steps")).to_be_hidden()
    expect(page.locator(".cover-bar")).to_be_in_viewport(ratio=1)
    page.keyboard.press("h")
    expect(step).to_have_text(["1 Forward"])
    expect(page.locator(".cover-bar")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".steps")).to_be_hidden()

    page.keyboard.press("q")
    expect(page.get_by_role("dialog")).to_contain_text("Only this machine can reach the page")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator(".panel.covering .photo-layers")).to_have_count(1)
    assert box_of(page.locator(".panel.covering .photo-layers"))["width"] > 0.5 * 1920
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".presenting")).to_have_count(0)
    page.wait_for_function("() => !document.fullscreenElement")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement?.matches('.panel.covering')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.fullscreenElement")
