"""What a person chooses to see of a picture: the class, the models, the map, the view."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import gradcam_core as gc
from demo.ui import texts
from gradcam_core.cam.methods.registry import METHODS
from tests.support.browser import (
    OWN_TOP,
    WIDE,
    assert_shows,
    box_of,
    choose_class,
    chosen_models,
    expect_explained,
    explained,
    heat,
    listed_classes,
    open_example,
    panels,
    plain,
    show_colours,
    show_grey,
    toggle_models,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

EXAMPLE_CAT = EXAMPLES / "1_cat.jpg"

# The class


def test_another_class_changes_the_maps_and_not_the_predictions(cat_page: Page):
    rows, maps = cat_page.locator("ol.top").all_inner_texts(), [heat(cat_page, n) for n in range(3)]
    choose_class(cat_page, "tabby", "tabby, tabby cat")
    expect_explained(cat_page, "tabby")
    assert cat_page.locator("ol.top").all_inner_texts() == rows
    e = gc.explain(EXAMPLE_CAT, "efficientnet_lite0", "tabby")
    assert explained(cat_page)[1] == f"tabby {e.target.probability:.1%}, rank 3".replace("%", " %")
    for n in range(3):
        assert not np.array_equal(heat(cat_page, n), maps[n])
    choose_class(cat_page, "Each", OWN_TOP)
    expect_explained(cat_page, "tiger cat", 1)
    expect_explained(cat_page, "Egyptian cat", 2)
    for n in range(3):
        assert np.array_equal(heat(cat_page, n), maps[n])


def test_a_synonym_finds_its_class_and_one_outside_the_top_five_has_its_rank(cat_page: Page):
    choose_class(cat_page, "catamount", "lynx, catamount")
    expect_explained(cat_page, "lynx")
    choose_class(cat_page, "espresso m", "espresso maker")
    expect_explained(cat_page, "espresso maker")
    for text in explained(cat_page):
        assert re.search(r"< 0.1 %, rank \d{2,3}$", text)


def test_the_classes_the_networks_named_come_first(cat_page: Page):
    open_example(cat_page, "2_coffee")
    expect_explained(cat_page, "espresso")
    expect(cat_page.get_by_label("Class to explain")).to_have_value(OWN_TOP)
    assert {"cup", "consomme", "chocolate sauce"} <= set(listed_classes(cat_page, "espresso")[:7])


def test_results_that_arrive_leave_the_one_who_is_choosing_alone(cat_page: Page):
    selector = cat_page.get_by_label("Class to explain")
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially("espresso m")
    # Without the focus: it is as if the results had only come now.
    open_example(cat_page, "2_coffee")
    expect_explained(cat_page, "espresso")
    cat_page.wait_for_timeout(1000)
    expect(selector).to_have_value("espresso m")
    cat_page.get_by_role("option", name="espresso maker", exact=True).click()
    expect_explained(cat_page, "espresso maker")


def test_a_class_for_which_nothing_speaks_is_said_to_be_so(cat_page: Page):
    held = gc.examine(EXAMPLE_CAT, "efficientnet_lite0")
    empty = next(c for c in range(1000) if held.explain(c).degenerate)
    label = gc.find_label(empty)
    choose_class(cat_page, label.full_name, label.full_name)
    expect(panels(cat_page).nth(1)).to_contain_text("Nothing here is evidence for this class.")
    assert not heat(cat_page, 1).any()


# The models


def test_a_stand_in_says_so_and_panels_stand_side_by_side(cat_page: Page):
    for n, wanted in enumerate(["Xception", "ResNet50", "VGG19"]):
        expect(panels(cat_page).nth(n)).to_contain_text(f"in place of {wanted}")
        expect(panels(cat_page).nth(n)).to_contain_text(
            f"stands in for {wanted}, whose weights are not available: HF_HUB_OFFLINE is set"
        )
    boxes = [box_of(panels(cat_page).nth(n)) for n in range(3)]
    assert len({round(box["y"]) for box in boxes}) == 1
    # All that one needs is on a laptop's screen together.
    together = cat_page.locator("#photo, .class-field, #models, .photo-layers")
    for part in (*together.all()[:3], *panels(cat_page).locator(".photo-layers").all()):
        expect(part).to_be_in_viewport(ratio=1)
    # On a tablet's, either way up, so are all buttons and what is explained.
    for width, height in ((1280, 900), (1024, 768), (768, 1024), (641, 900)):
        cat_page.set_viewport_size({"width": width, "height": height})
        for part in cat_page.locator(".headline :is(h2, .action)").all():
            expect(part).to_be_in_viewport(ratio=1)
        headline = cat_page.locator(".headline h2")
        assert box_of(headline)["width"] > 100
        assert headline.evaluate("e => e.scrollHeight - e.clientHeight") <= 1  # nothing is cut off
    cat_page.set_viewport_size(WIDE)


PLACES_BELOW_MODELS = """() => [...document.querySelectorAll("#view, #kind")].map(
    (control) => Math.round(control.getBoundingClientRect().top + scrollY))"""


def test_several_models_are_chosen_in_a_dropdown_and_stand_in_the_order_of_the_registry(
    cat_page: Page,
):
    page = cat_page
    expect(page.get_by_role("combobox", name="Models")).to_have_count(1)
    assert chosen_models(page) == ["Xception", "ResNet50", "VGG19"]
    below = page.evaluate(PLACES_BELOW_MODELS)
    page.get_by_label("Models", exact=True).click()
    options = page.get_by_role("listbox").get_by_role("option").all_inner_texts()
    assert [text.strip(" ✓\n") for text in options] == [info.title for info in gc.list_models()]
    page.get_by_label("Models", exact=True).click()
    expect(page.get_by_role("listbox")).to_have_count(0)
    toggle_models(page, "EfficientNet-Lite0")
    wait_for_results(page, 4)
    expect(panels(page).nth(3).get_by_role("heading")).to_have_text("EfficientNet-Lite0")
    expect(panels(page).nth(3)).not_to_contain_text("in place of")
    assert np.array_equal(heat(page, 1), heat(page, 3))  # the network itself, as it stands in
    toggle_models(page, "EfficientNet-Lite2", "EfficientNet-Lite1")
    wait_for_results(page, 6)
    assert page.evaluate(PLACES_BELOW_MODELS) == below  # however many there are
    toggle_models(page, *(f"EfficientNet-Lite{n}" for n in range(3)), "Xception")
    wait_for_results(page, 2)
    page.get_by_role("button", name="Remove VGG19").click()
    wait_for_results(page, 1)
    assert panels(page).first.get_attribute("data-model") == "resnet50"
    page.get_by_label("Models", exact=True).click()
    page.keyboard.press("Backspace")
    expect(page.get_by_text("Choose at least one model.")).to_be_visible()
    expect(panels(page)).to_have_count(0)
    page.keyboard.press("Escape")
    toggle_models(page, "VGG19")
    wait_for_results(page, 1)
    toggle_models(page, "Xception", "ResNet50")
    wait_for_results(page, 3)
    models = panels(page).evaluate_all("all => all.map((panel) => panel.dataset.model)")
    assert models == ["xception", "resnet50", "vgg19"]
    expect(page.locator("#models .token")).to_have_text(["Xception", "ResNet50", "VGG19"])


# The map


def test_sharp_maps_are_those_of_the_preset_and_the_predictions_stay(one_panel: Page):
    page = one_panel
    show_grey(page)
    rows = page.locator("ol.top").all_inner_texts()
    page.get_by_label("Sharp", exact=True).check()
    how = page.locator(".how")
    expect(how).to_have_text(re.compile("^Competitive Grad-CAM, rather than"))
    assert page.locator("ol.top").all_inner_texts() == rows
    e = gc.explain(EXAMPLE_CAT, "efficientnet_lite0", preset="sharp")
    assert plain(how.inner_text()).startswith(f"{e.how} ")
    assert_shows(page, 0, e)
    page.get_by_label("Grad-CAM", exact=True).check()
    expect(how).to_have_text(re.compile("^Grad-CAM · "))
    assert_shows(page, 0, gc.explain(EXAMPLE_CAT, "efficientnet_lite0"))
    show_colours(page)


def choose_method(page: Page, title: str) -> None:
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name=title, exact=True).click()


def test_every_method_of_the_registry_can_be_chosen_and_a_slow_one_ends_with_the_next_choice(
    one_panel: Page,
):
    page = one_panel
    show_grey(page)
    expect(page.get_by_label("Method", exact=True)).to_be_hidden()
    for _ in range(5):  # on a busy machine Gradio may still be putting its controls up
        page.get_by_label(texts.AS_PUBLISHED).check()
        page.get_by_label("Other …").check()
        try:
            page.get_by_label("Method", exact=True).click(timeout=5000)
        except PlaywrightTimeout:
            continue
        break
    titles = page.get_by_role("listbox").get_by_role("option").all_inner_texts()
    assert [t.strip(" ✓\n") for t in titles] == [m.title for m in METHODS.values()]
    page.get_by_role("option", name="LayerCAM").click()
    how = page.locator(".how")
    expect(how).to_have_text(re.compile("^LayerCAM · "))
    page.get_by_label("2 ×").check()
    expect(how).to_have_text(re.compile("^LayerCAM, detail 2 × · "))
    page.get_by_label("Contrast: rather than the most probable others").check()
    expect(how).to_have_text(re.compile("^LayerCAM, rather than .+ and .+, detail 2 × · "))
    choose_method(page, "Eigen-CAM")
    expect(how).to_have_text(re.compile("Eigen-CAM, which ignores the class"))
    expect(page.locator(".headline h2")).not_to_contain_text("rather than")
    assert "contrast=auto" in page.url  # for the next method
    heat = panels(page).first.get_by_role("img")
    expect(heat).to_have_accessible_name(re.compile("^Heat of EfficientNet-Lite0 by Eigen-CAM, "))
    page.get_by_label("Contrast: rather than the most probable others").uncheck()
    page.get_by_label("1 ×").check()
    choose_method(page, "Score-CAM")
    status = panels(page).first.locator(".status")
    expect(status).to_have_text(re.compile(r"Score-CAM: [1-9]\d*%"))
    choose_method(page, "Ablation-CAM")
    expect(how).to_have_text(re.compile("^Ablation-CAM"))
    wait_for_results(page, 1)
    expect(status).to_be_empty()
    assert_shows(page, 0, gc.explain(EXAMPLE_CAT, "efficientnet_lite0", method="ablationcam"))


# The view


def test_the_whole_view_lifts_the_dimming_and_finds_what_was_outside(one_panel: Page):
    page = one_panel
    open_example(page, "7_wide_strip")
    page.wait_for_function("document.querySelector('img.photo').naturalWidth === 1200")
    wait_for_results(page, 1)
    panel = panels(page).first
    stage = box_of(panel.locator(".photo-layers"))
    assert box_of(panel.locator(".view-box"))["width"] < 0.5 * stage["width"]
    page.get_by_label("Whole photo").check()
    expect_explained(page, "tiger cat", 1)
    wait_for_results(page, 1)
    after = box_of(panel.locator(".view-box"))
    assert after["width"] == pytest.approx(stage["width"], abs=1)
    rows = panel.get_by_role("listitem").all_inner_texts()
    assert {"tiger cat", "espresso"} <= {row.split("\n")[0] for row in rows}
    page.get_by_label("Centre crop").check()


def test_an_overlay_fills_the_screen_with_its_labels_or_the_page_where_that_cannot_be(
    cat_page: Page,
):
    page = cat_page
    first = panels(page).first
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    box = box_of(first.locator(".photo-layers"))
    with Image.open(EXAMPLE_CAT) as photo:
        assert box["width"] / box["height"] == pytest.approx(photo.width / photo.height, rel=0.01)
    assert max(box["width"] / 1400, box["height"] / 900) > 0.75
    for words in ("EfficientNet-Lite2", "in place of Xception", "Egyptian cat"):
        expect(first.get_by_text(words).first).to_be_in_viewport()
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement === null")
    expect(panels(page).nth(2)).to_be_visible()
    expect(page.locator(".covering")).to_have_count(0)
    page.evaluate(
        "window.kept = Element.prototype.requestFullscreen;"
        "delete Element.prototype.requestFullscreen"
    )
    first.get_by_label("Full screen").click()
    box = box_of(first)
    assert (box["width"], box["height"]) == (1400, 900)
    page.keyboard.press("Escape")
    expect(page.locator(".covering")).to_have_count(0)
    page.evaluate("() => { Element.prototype.requestFullscreen = window.kept; }")


def test_how_to_read_this_is_there(cat_page: Page):
    section = cat_page.get_by_role("button", name="How to read this")
    section.click()
    expect(cat_page.get_by_text("What the colours do not say")).to_be_visible()
    section.click()
