"""How far can I trust this? The page says what the checks have found, and of which maps."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

import gradcam_core as gc
from gradcam_core.analysis.trust import trust
from gradcam_core.analysis.verdict import Trust
from tests.support.browser import PHONE, WIDE, Visits, plain, wait_for_results
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
RESNET = "?example=1_cat&models=resnet50"


@pytest.fixture(scope="module")
def found() -> Trust:
    photo, model = gc.read_image(CAT), gc.load_model("efficientnet_lite0")
    return trust(photo, model, gc.explain(photo, model))


def section(page: Page) -> Locator:
    return page.get_by_role("region", name="How far can I trust this?")


def open_checks(page: Page) -> Locator:
    page.get_by_role("button", name="Trust", exact=True).click()
    cards = section(page).locator(".checks > div")
    expect(cards.locator(".verdict")).to_have_count(cards.count())
    return cards


def test_it_says_what_the_checks_have_found_and_of_which_class(visit: Visits, found: Trust):
    page = visit(RESNET)
    wait_for_results(page, 1)
    card = open_checks(page)
    expect(card).to_have_count(1)
    assert plain(card.locator("h3").inner_text()).startswith("EfficientNet-Lite0")
    verdict = "This map holds" if found.verdict == "holds" else "Be careful with this map"
    expect(card.locator(".verdict")).to_have_text(verdict)
    reasons = [plain(text) for text in card.locator(".reasons li").all_inner_texts()]
    words = {True: "Passed: ", False: "Failed: "}
    assert reasons == [
        words[one.passed] + one.text[0].upper() + one.text[1:] for one in found.reasons
    ]
    plots = card.get_by_role("img")
    expect(plots).to_have_count(2)
    for plot, by_heat, by_chance in zip(
        plots.all(),
        (found.deletion, found.insertion),
        (found.random_deletion, found.random_insertion),
        strict=True,
    ):
        label = plot.get_attribute("aria-label")
        assert label
        areas = [float(area) for area in re.findall(r"\d\.\d\d", label)]
        assert areas == pytest.approx([by_heat.area, by_chance.area], abs=0.011)
    numbers = [plain(text) for text in card.locator("tr").all_inner_texts()]
    assert numbers[0].startswith("Only the heat shown ")
    names = [plain(text) for text in card.locator("tr th").all_inner_texts()[2:]]
    assert names[:3] == ["photo shifted by 2 %", "a little noise added", "head random"]
    assert names[-1] == "all weights random"
    said = [plain(text).replace("−", "-") for text in card.locator(".number").all_inner_texts()]
    shown = [float(text) for text in said[1:] if text != "no map"]
    expected = [min(one or 0 for one in found.shifts), min(one or 0 for one in found.noises)]
    expected += [one.correlation for one in found.sanity if one.correlation is not None]
    assert shown == pytest.approx(expected, abs=0.011)
    assert len(said) == 3 + len(found.sanity)
    page.set_viewport_size(PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(WIDE)
    # Nothing of it stands beside another class.
    again = section(page).get_by_role("button", name="Check these maps")
    expect(again).to_be_hidden()
    other = page.locator(".panel .top button").nth(2)
    name = other.locator(".name").inner_text()
    other.click()
    expect(card).to_have_count(0)
    again.click()
    expect(card.locator(".verdict")).to_have_count(1)
    assert name in plain(card.locator("h3").inner_text())
    assert name in card.locator(".reasons").inner_text()


def test_reasons_are_shown_whatever_they_are_punctuated_with(visit: Visits, found: Trust):
    """The page once split a sentence at its first colon."""
    text = "a class named “screen: CRT” counts 50 % – and −0.12"
    record = found.record() | {
        "verdict": "fails",
        "reasons": [{"check": "stability", "passed": False, "text": text}],
        "sentence": "No longer of the form that it had.",
    }
    page = visit(RESNET)
    wait_for_results(page, 1)
    answers = [{"id": "x"}, {"cell": "resnet50", "trust": record}]
    body = "".join(json.dumps(answer) + "\n" for answer in answers)
    page.route("**/explain-stream", lambda route: route.fulfill(body=body))
    card = open_checks(page)
    expect(card.locator(".verdict")).to_have_text("Be careful with this map")
    (reason,) = card.locator(".reasons li").all_inner_texts()
    assert plain(reason) == f"Failed: A{text[1:]}"


def test_closing_it_ends_the_checks(visit: Visits):
    page = visit("?example=2_coffee&models=resnet50")
    wait_for_results(page, 1)
    button = page.get_by_role("button", name="Trust", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(section(page).locator(".status").first).to_have_text(re.compile("Checking: "))
    with page.expect_event("requestfailed") as ended:
        button.click()
    assert ended.value.failure == "net::ERR_ABORTED"
    expect(section(page)).to_have_count(0)
    expect(button).to_have_attribute("aria-expanded", "false")
    # What they stood in line for is free: others need not wait for them.
    cards = open_checks(page)
    expect(cards).to_have_count(1)
