"""How far can I trust this? The page says what the checks have found, and of which maps."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

import gradcam_core as gc
from gradcam_core.analysis.trust.deletion_insertion import Curve
from gradcam_core.analysis.trust.limits import OF_CORRELATIONS
from gradcam_core.analysis.trust.result import Trust
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.analysis.trust.verdict import OUTCOMES, Outcome
from gradcam_core.wording import percentage
from tests.support.browser import PHONE, WIDE, plain
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
VERDICTS = {"holds": "This map holds", "unclear": "Not clear", "fails": "This map fails"}
WORDS = {"holds": "Holds: ", "unclear": "Not clear: ", "fails": "Fails: "}


def points(curve: Curve) -> Iterator[tuple[float, float]]:
    return zip(curve.shares, curve.probabilities, strict=True)


@pytest.fixture(scope="module")
def found() -> Trust:
    photo, model = gc.read_image(CAT), gc.load_model("efficientnet_lite0")
    return run_checks(photo, model, gc.explain(photo, model))


def section(page: Page) -> Locator:
    return page.get_by_role("region", name="How far can I trust this?")


def open_checks(page: Page) -> Locator:
    page.get_by_role("button", name="Trust", exact=True).click()
    cards = section(page).locator(".checks > div")
    expect(cards.locator(".verdict")).to_have_count(cards.count())
    return cards


@pytest.fixture
def card(one_panel: Page) -> Iterator[Locator]:
    """What the page says of the checks of its one map."""
    yield open_checks(one_panel)
    one_panel.get_by_role("button", name="Trust", exact=True).click()


def test_it_says_what_the_checks_have_found(one_panel: Page, card: Locator, found: Trust):
    page = one_panel
    expect(card).to_have_count(1)
    assert plain(card.locator("h3").inner_text()).startswith("EfficientNet-Lite0")
    expect(card.locator(".verdict")).to_have_text(VERDICTS[found.verdict])
    reasons = [plain(text) for text in card.locator(".reasons li").all_inner_texts()]
    assert reasons == [
        WORDS[one.outcome] + one.text[0].upper() + one.text[1:] for one in found.reasons
    ]
    plots = card.locator(".plot")
    expect(plots).to_have_count(2)
    for plot, own, elsewhere in zip(
        plots.all(),
        (found.deletion, found.insertion),
        zip(*found.elsewhere, strict=True),
        strict=True,
    ):
        label = plot.get_by_role("img").get_attribute("aria-label")
        assert label
        said = plain(label).split(": ")[1].split("; ")
        shares = [f"{percentage(one)} at {100 * share:.0f} %" for share, one in points(own)]
        assert said[0] == plain(", ".join(shares))
        mean = np.mean([curve.area for curve in elsewhere])
        areas = [float(area) for area in plot.locator(".areas b").all_inner_texts()]
        assert areas == pytest.approx([own.area, mean], abs=0.011)
        expect(plot.locator(".band")).to_have_count(1)
    numbers = [plain(text) for text in card.locator("tr").all_inner_texts()]
    assert numbers[0].startswith("Only the heat shown ")
    names = [plain(text) for text in card.locator("tr th").all_inner_texts()[2:]]
    assert names[:3] == ["photo shifted by 2 %", "a little noise added", "head random"]
    assert names[-2:] == ["all weights random", "other random weights"]
    said = [plain(text).replace("−", "-") for text in card.locator(".number").all_inner_texts()]
    shown = [float(one) for text in said[1:] for one in text.split(", ") if one != "no map"]
    expected = [min(one or 0 for one in found.shifts), min(one or 0 for one in found.noises)]
    randomised = (*(one.correlation for one in found.sanity), *found.random_weights[1:])
    expected += [one for one in randomised if one is not None]
    assert shown == pytest.approx(expected, abs=0.011)
    assert len(said) == 4 + len(found.sanity)
    page.set_viewport_size(PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(WIDE)


CARD = """async (trust) => {
    const { TrustCard } = await import(new URL("web/sections/trust_card.js", location.href));
    const card = new TrustCard("Net");
    card.setExplained("Net", "tabby", "");
    card.show(trust);
    const texts = (part) => [...card.element.querySelectorAll(part)].map((one) => one.textContent);
    return {
        numbers: texts(".number"),
        verdict: texts(".verdict"),
        reasons: texts(".reasons li"),
        measures: texts(".measures li"),
        plots: texts(".plot").length,
        bands: texts(".band").length,
    };
}"""


def test_checks_that_the_server_could_not_answer_can_be_asked_for_again(one_panel: Page):
    page, asked = one_panel, []

    def refuse(route: Route) -> None:
        asked.append(route)
        route.fulfill(body='{"problem": "The server is away."}\n')

    page.route("**/explain-stream", refuse)
    page.get_by_role("button", name="Trust", exact=True).click()
    again = page.get_by_role("button", name="Check these maps")
    for count in (1, 2):
        expect(section(page).get_by_text("The server is away.")).to_be_visible()
        assert len(asked) == count
        with page.expect_request("**/explain-stream"):
            again.click()
    page.get_by_role("button", name="Trust", exact=True).click()


ARRIVES = """async () => {
    const { TrustCard } = await import(new URL("web/sections/trust_card.js", location.href));
    const card = new TrustCard("Xception");
    card.setExplained("EfficientNet-Lite2", "tabby", "rather than lynx");
    return [card.element.querySelector("h3").textContent, card.element.ariaLabel];
}"""


def test_checks_that_began_before_the_map_was_there_name_the_network_that_ran(one_panel: Page):
    heading, name = one_panel.evaluate(ARRIVES)
    assert plain(heading) == "EfficientNet-Lite2 tabby rather than lynx"
    assert name == "EfficientNet-Lite2"


def test_a_correlation_that_was_not_measured_is_no_number(one_panel: Page, found: Trust):
    record = found.record() | {
        "pictures": {"without": "", "alone": ""},
        "limits": OF_CORRELATIONS,
        "shifts": [None, 0.91],
        "noises": [None, None],
        "sanity": [{"part": "head", "correlation": None}],
        "random_weights": [None, None, 0.4979],
    }
    said = [plain(text) for text in one_panel.evaluate(CARD, record)["numbers"]]
    assert said[1:] == ["0.91, no map in 1 of 2", "no map", "no map", "no map, 0.498"]


def test_it_shows_parts_of_the_photo_and_what_the_network_says_of_them(card: Locator, found: Trust):
    figures = card.locator(".altered")
    expect(figures).to_have_count(2)
    name = found.explanation.target.name
    for figure, part in zip(figures.all(), (found.without, found.alone), strict=True):
        text = plain(figure.inner_text())
        assert f"hottest {100 * part.share:.0f} %" in text
        assert name in text
        change = f"{percentage(found.probability)} → {percentage(part.probability)}"
        assert plain(change) in text
        top = part.top[0]
        assert plain(f"top class: {top.name} {percentage(top.probability)}") in text
        source = figure.get_by_role("img").get_attribute("src")
        assert source
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as shown:
            assert shown.size == part.picture.size
            difference = np.abs(np.asarray(shown, int) - np.asarray(part.picture, int))
        assert difference.mean() < 4


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_has_its_words_whatever_the_reasons_are_punctuated_with(
    one_panel: Page, found: Trust, outcome: Outcome
):
    """The page once split a sentence at its first colon."""
    text = "a class named “screen: CRT” counts 50 % – and −0.12"
    record = found.record() | {
        "verdict": outcome,
        "reasons": [{"check": "stability", "outcome": outcome, "passed": False, "text": text}],
        "sentence": "No longer of the form that it had.",
        "pictures": {"without": "", "alone": ""},
        "limits": OF_CORRELATIONS,
        "lead": None,
        "random_deletion": None,
        "random_insertion": None,
    }
    said = one_panel.evaluate(CARD, record)
    assert said["verdict"] == [VERDICTS[outcome]]
    # Of a class that is too improbable the map is not laid elsewhere.
    assert (said["plots"], said["bands"]) == (2, 0)
    assert [plain(reason) for reason in said["reasons"]] == [f"{WORDS[outcome]}A{text[1:]}"]
    assert [plain(one) for one in said["measures"]] == [one.sentence for one in found.measures]


def test_nothing_of_it_stands_beside_another_class_and_closing_it_ends_the_checks(
    one_panel: Page,
):
    page, card = one_panel, open_checks(one_panel)
    button = page.get_by_role("button", name="Trust", exact=True)
    again = section(page).get_by_role("button", name="Check these maps")
    expect(again).to_be_hidden()
    other = page.locator(".panel .top button").nth(2)
    name = other.locator(".name").inner_text()
    other.click()
    expect(card).to_have_count(0)
    again.click()
    expect(section(page).locator(".status").first).to_have_text(re.compile("Checking: "))
    with page.expect_event("requestfailed") as ended:
        button.click()
    assert ended.value.failure == "net::ERR_ABORTED"
    expect(section(page)).to_have_count(0)
    expect(button).to_have_attribute("aria-expanded", "false")
    # What they stood in line for is free: others need not wait for them.
    card = open_checks(page)
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(card).to_have_count(1)
    assert name in plain(card.locator("h3").inner_text())
    assert name in card.locator(".reasons").inner_text()
    button.click()
