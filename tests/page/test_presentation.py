"""What the labels of a presentation say."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.browser import Visits, wait_for_results

CUP, ESPRESSO = 968, 967


def test_it_says_rather_than_which_class_and_the_method_where_they_are_not_the_usual(visit: Visits):
    unusual = f"&class={CUP}&contrast={ESPRESSO}&map=own&method=layercam&detail=2"
    page = visit(f"?example=2_coffee{unusual}")
    wait_for_results(page)
    labels = page.locator(".explained .unusual")
    for label in labels.all():
        expect(label).to_be_hidden()  # the line below it says so on the page
    page.keyboard.press("p")
    expect(labels).to_have_text(["rather than espresso · LayerCAM, detail 2 ×"] * 3)
    for label in labels.all():
        expect(label).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    plain = visit("?example=2_coffee")
    wait_for_results(plain)
    plain.keyboard.press("p")
    expect(plain.locator(".explained .unusual")).to_have_text([""] * 3)
