"""How a map is made, and what speaks against a class, on the page."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Page, expect

import gradcam_core as gc
from tests.support.browser import (
    STAND_INS,
    Visits,
    canvas_pixels,
    panels,
    plain,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

CAT_AND_COFFEE = EXAMPLES / "3_cat_and_coffee.jpg"
FIRST = STAND_INS["xception"]


def steps_of(page: Page) -> list[str]:
    """What the first network's three steps say."""
    card = page.locator(".steps .made > div").first
    expect(card.locator(".step")).to_have_count(3)
    return [plain(text) for text in card.locator(".step").all_inner_texts()]


def test_a_map_is_shown_being_made_with_the_engines_numbers(cat_page: Page):
    cat_page.keyboard.press("h")
    forward, backward, _ = steps_of(cat_page)
    e = gc.explain(EXAMPLES / "1_cat.jpg", FIRST, steps=True)
    assert e.steps is not None
    rows, columns = e.steps.size
    assert f"{e.steps.channels:,} channels of {columns} × {rows} cells" in forward
    assert f"is {e.steps.score:.2f}." in forward
    largest, opposing = e.steps.speaking_for[0], e.steps.speaking_against[0]
    assert f"+{100 * largest.share:.1f} % channel {largest.index}" in backward
    assert f"−{-100 * opposing.share:.1f} % channel {opposing.index}" in backward
    assert f"{e.steps.counts[0]} channels speak for" in backward

    # The slider: from one channel, in cells, to the map as it is in the panel.
    card = cat_page.locator(".steps .made > div").first
    slider, canvas = card.get_by_role("slider", name="Channels added"), card.locator("canvas").last
    whole = canvas_pixels(canvas)
    slider.focus()
    cat_page.keyboard.press("Home")
    expect(card.locator(".sum output")).to_contain_text(f"1 of {e.steps.channels:,} channels added")
    one = canvas_pixels(canvas)
    cat_page.keyboard.press("End")
    expect(card.locator(".sum output")).to_contain_text("the map")
    assert not np.array_equal(one, whole)
    np.testing.assert_array_equal(canvas_pixels(canvas), whole)

    # Another class is made anew; a second press closes it.
    name = panels(cat_page).first.locator(".top .name").nth(1).inner_text()
    panels(cat_page).first.locator(".top button").nth(1).click()
    expect(card.locator("h3")).to_contain_text(name)
    cat_page.locator("body").press("h")
    expect(cat_page.locator(".steps")).to_be_hidden()


def test_what_speaks_against_a_class_is_shown_where_two_are_compared_or_one_wants_it(
    visit: Visits,
):
    tabby, espresso = (gc.find_label(name).index for name in ("tabby", "espresso"))
    query = f"?example=3_cat_and_coffee&view=whole&class={tabby}&contrast={espresso}"
    page = visit(f"{query}&models=xception")
    wait_for_results(page, 1)
    expect(page.locator(".headline h2")).to_have_text("Explaining tabby rather than espresso")
    switch = page.get_by_label("For and against")
    expect(switch).to_be_checked()
    legend = panels(page).first.locator(".for-and-against")
    expect(legend).to_contain_text(re.compile("for espresso.*for tabby", re.S))
    expected = gc.explain(
        CAT_AND_COFFEE, FIRST, tabby, contrast=espresso, signed=True, view="whole"
    )
    pixels = canvas_pixels(panels(page).first.locator("canvas"))
    signed = expected.signed_heatmap
    for place, is_orange in ((signed.argmax(), True), (signed.argmin(), False)):
        row, column = np.unravel_index(place, signed.shape)
        y = int((row + 0.5) / signed.shape[0] * pixels.shape[0])
        x = int((column + 0.5) / signed.shape[1] * pixels.shape[1])
        red, _, blue, _ = pixels[y, x]
        assert bool(red > blue) == is_orange
    page.keyboard.press("p")
    expect(page.locator(".explained .unusual")).to_have_text("rather than espresso")
    expect(page.locator(".explained .unusual")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    switch.uncheck()
    wait_for_results(page, 1)
    expect(legend).to_be_hidden()
    assert "signed=0" in page.url
