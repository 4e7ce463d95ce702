"""The page in a real browser, as a person uses it. Every test also fails on an error in the
browser's console, an uncaught exception, or a request to another host."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import gradcam_core as gc
from demo.ui import texts
from gradcam_core.cam.methods import METHODS
from tests.support.browser import (
    OWN_TOP,
    Visits,
    assert_shows,
    box_of,
    choose_class,
    chosen_models,
    drop,
    drop_anywhere,
    examples,
    expect_explained,
    explained,
    heat,
    panels,
    plain,
    remove_photo,
    show_grey,
    toggle_models,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

EXAMPLE_CAT = EXAMPLES / "1_cat.jpg"
CAT = "?example=1_cat"
COFFEE = "?example=2_coffee"


@pytest.fixture(scope="module")
def slow_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes the server seconds to decode."""
    path = tmp_path_factory.mktemp("slow") / "slow.jpg"
    Image.effect_noise((7000, 5000), 80).convert("RGB").save(path, quality=60)
    return path


def test_a_dropped_photo_is_explained_by_three_networks(page: Page, coffee_path: Path):
    expect(page.get_by_text(texts.NO_PHOTO)).to_be_visible()
    drop(page, coffee_path)
    wait_for_results(page)
    networks = ["EfficientNet-Lite2", "EfficientNet-Lite0", "EfficientNet-Lite1"]
    assert panels(page).get_by_role("heading").all_inner_texts() == networks
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3
    assert "95.1 %, rank 1" in explained(page)[1]
    for n in range(3):
        rows = panels(page).nth(n).get_by_role("listitem")
        expect(rows).to_have_count(5)
        assert rows.first.inner_text().startswith("espresso")
        hottest = np.argwhere(heat(page, n) == 255).mean(axis=0) / heat(page, n).shape
        assert 0.05 < hottest[0] < 0.55  # down: inside the rim of the cup
        assert 0.28 < hottest[1] < 0.70  # across


def test_a_stand_in_says_so(cat_page: Page):
    for n, wanted in enumerate(["Xception", "ResNet50", "VGG19"]):
        expect(panels(cat_page).nth(n)).to_contain_text(f"in place of {wanted}")
        expect(panels(cat_page).nth(n)).to_contain_text(
            f"stands in for {wanted}, whose weights are not available: HF_HUB_OFFLINE is set"
        )


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


def test_a_class_outside_the_top_five_is_explained_with_its_rank(cat_page: Page):
    choose_class(cat_page, "espresso m", "espresso maker")
    expect_explained(cat_page, "espresso maker")
    for text in explained(cat_page):
        assert re.search(r"< 0.1 %, rank \d{2,3}$", text)


def test_the_classes_the_networks_named_come_first(cat_page: Page):
    examples(cat_page).nth(1).click()
    expect_explained(cat_page, "espresso")
    selector = cat_page.get_by_label("Class to explain")
    expect(selector).to_have_value(OWN_TOP)
    option = cat_page.get_by_role("option").nth(1)
    for _ in range(20):  # the list is told anew a moment after the results
        selector.click()
        if option.inner_text().strip(" ✓\n") == "espresso":
            break
        selector.press("Escape")
        selector.blur()
        cat_page.wait_for_timeout(200)
    names = [
        text.removeprefix("✓").strip().split(",")[0]
        for text in cat_page.get_by_role("option").all_inner_texts()[:8]
    ]
    assert names[:2] == [OWN_TOP, "espresso"]
    assert {"cup", "consomme", "chocolate sauce"} <= set(names)
    selector.press("Escape")


def test_results_that_arrive_leave_the_one_who_is_choosing_alone(cat_page: Page):
    selector = cat_page.get_by_label("Class to explain")
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially("espresso m")
    # Without the focus: it is as if the results had only come now.
    examples(cat_page).nth(1).dispatch_event("click")
    expect_explained(cat_page, "espresso")
    cat_page.wait_for_timeout(1000)
    expect(selector).to_have_value("espresso m")
    cat_page.get_by_role("option", name="espresso maker", exact=True).click()
    expect_explained(cat_page, "espresso maker")


def test_a_synonym_finds_its_class(cat_page: Page):
    choose_class(cat_page, "catamount", "lynx, catamount")
    expect_explained(cat_page, "lynx")


def test_an_example_replaces_the_photo_and_its_results(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    choose_class(page, "tabby", "tabby, tabby cat")
    expect_explained(page, "tabby")
    assert examples(page).count() >= 5
    examples(page).first.click()
    # A new picture is first explained by what each network sees in it.
    expect_explained(page, "Egyptian cat", 2)
    wait_for_results(page)
    expect(page.get_by_label("Class to explain")).to_have_value(OWN_TOP)
    expect(examples(page).first).to_have_attribute("aria-pressed", "true")
    assert "tiger cat" in explained(page)[1]


def test_the_whole_view_lifts_the_dimming_and_finds_what_was_outside(visit: Visits):
    page = visit("?example=7_wide_strip")
    wait_for_results(page)
    panel = panels(page).nth(1)
    stage = box_of(panel.locator(".stage"))
    assert box_of(panel.locator(".view-box"))["width"] < 0.5 * stage["width"]
    page.get_by_label("Whole photo").check()
    expect_explained(page, "tiger cat", 1)
    wait_for_results(page)
    after = box_of(panel.locator(".view-box"))
    assert after["width"] == pytest.approx(stage["width"], abs=1)
    rows = panel.get_by_role("listitem").all_inner_texts()
    assert {"tiger cat", "espresso"} <= {row.split("\n")[0] for row in rows}


PLACES_BELOW_MODELS = """() => [...document.querySelectorAll("#view, #kind")].map(
    (control) => Math.round(control.getBoundingClientRect().top + scrollY))"""


def test_several_models_are_chosen_in_a_dropdown(visit: Visits):
    page = visit(COFFEE)
    wait_for_results(page)
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


def test_panels_and_chips_stand_in_the_order_of_the_registry(visit: Visits):
    page = visit(f"{COFFEE}&models=vgg19")
    wait_for_results(page, 1)
    toggle_models(page, "ResNet50", "Xception")
    wait_for_results(page, 3)
    models = panels(page).evaluate_all("all => all.map((panel) => panel.dataset.model)")
    assert models == ["xception", "resnet50", "vgg19"]
    expect(page.locator("#models .token")).to_have_text(["Xception", "ResNet50", "VGG19"])


def test_without_a_model_the_page_asks_for_one(visit: Visits):
    page = visit(f"{COFFEE}&models=vgg19")
    wait_for_results(page, 1)
    page.get_by_label("Models", exact=True).click()
    page.keyboard.press("Backspace")
    expect(page.get_by_text("Choose at least one model.")).to_be_visible()
    expect(panels(page)).to_have_count(0)
    page.keyboard.press("Escape")
    toggle_models(page, "VGG19")
    wait_for_results(page, 1)


def test_what_is_no_picture_gets_a_sentence_and_the_next_works(
    page: Page, tmp_path: Path, coffee_path: Path
):
    text = tmp_path / "holiday.jpg"
    text.write_text("this is not a picture")
    drop(page, text, kind="image/jpeg")
    expect(page.get_by_role("alert")).to_contain_text("not a picture in a format that can be read")
    expect(panels(page)).to_have_count(0)
    remove_photo(page)
    expect(page.get_by_text(texts.NO_PHOTO)).to_be_visible()
    drop(page, coffee_path)
    wait_for_results(page)


def test_a_bad_file_after_an_example_gets_its_sentence_too(visit: Visits, tmp_path: Path):
    page = visit(CAT)
    wait_for_results(page)
    text = tmp_path / "holiday.jpg"
    text.write_text("this is not a picture")
    page.locator("#photo input[type=file]").set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("not a picture")
    expect(panels(page)).to_have_count(0)


def test_removing_the_photo_clears_the_panels(page: Page, coffee_path: Path):
    for choose_photo in (lambda: drop(page, coffee_path), lambda: examples(page).first.click()):
        choose_photo()
        wait_for_results(page)
        remove_photo(page)
        expect(page.get_by_text(texts.NO_PHOTO)).to_be_visible()
        expect(panels(page)).to_have_count(0)
        expect(page.locator(".insight, .toolbar").first).to_be_hidden()


def test_a_visitor_who_waits_reads_the_position_in_the_queue(page: Page):
    def answer(**line: object) -> None:
        page.unroute("**/explain-stream")
        body = json.dumps(line) + "\n"
        page.route("**/explain-stream", lambda route: route.fulfill(body=body))

    answer(waiting=1)
    examples(page).nth(0).click()
    message = page.locator(".panels > .message")
    expect(message).to_have_text("You are number 1 in the queue …")
    page.unroute("**/explain-stream")
    examples(page).nth(1).click()
    wait_for_all(page)
    answer(waiting=12)
    page.get_by_role("button", name="Trust", exact=True).click()
    cards = page.get_by_role("region", name="How far can I trust this?").get_by_role("listitem")
    expect(cards.locator(".status")).to_have_text(["You are number 12 in the queue …"] * 3)
    examples(page).nth(0).click()
    status = panels(page).locator(".status")
    expect(status).to_have_text(["You are number 12 in the queue …"] * 3)


def test_the_newest_of_many_quick_choices_is_shown(page: Page):
    for n in (0, 1, 3, 4, 0, 1):
        examples(page).nth(n).click()
        page.wait_for_timeout(150)
    expect_explained(page, "espresso")
    wait_for_all(page)
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3


def test_a_photo_that_decodes_slowly_does_not_replace_a_newer_one(page: Page, slow_photo: Path):
    with page.expect_request(re.compile("/explain-stream$")):
        page.locator("#photo input[type=file]").set_input_files(slow_photo)
    examples(page).nth(1).click()
    expect_explained(page, "espresso")
    page.get_by_label("Whole photo").check()
    expect(page.locator(".view-box").first).to_have_css("inset", "0px")
    wait_for_all(page)
    shown = page.locator("img.photo").first.evaluate("i => [i.naturalWidth, i.naturalHeight]")
    assert shown == [600, 400]
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3


def test_a_picture_can_be_dropped_or_pasted_anywhere_and_replaces_the_one_before(
    page: Page, coffee_path: Path, cat_path: Path
):
    drop_anywhere(page, coffee_path)
    expect_explained(page, "espresso")
    drop_anywhere(page, cat_path)
    expect(page.locator(".explained", has_text="cat")).to_have_count(3)
    drop_anywhere(page, coffee_path, "paste")
    expect_explained(page, "espresso")


def test_a_tall_photo_fits_on_the_screen(page: Page, tmp_path: Path):
    Image.new("RGB", (400, 3000), "grey").save(tmp_path / "tall.png")
    drop(page, tmp_path / "tall.png")
    wait_for_results(page)
    assert box_of(panels(page).first.locator(".stage"))["height"] <= 0.81 * 900


def test_a_class_for_which_nothing_speaks_is_said_to_be_so(cat_page: Page):
    held = gc.examine(EXAMPLE_CAT, "efficientnet_lite0")
    empty = next(c for c in range(1000) if held.explain(c).degenerate)
    label = gc.find_label(empty)
    choose_class(cat_page, label.full_name, label.full_name)
    expect(panels(cat_page).nth(1)).to_contain_text("Nothing here speaks for this class.")
    assert not heat(cat_page, 1).any()


def test_a_choice_made_while_the_photo_is_decoded_does_not_lose_the_photo(
    page: Page, slow_photo: Path
):
    page.locator("#photo input[type=file]").set_input_files(slow_photo)
    expect(page.locator("#photo img")).to_be_visible()
    page.get_by_label("Sharp", exact=True).check()
    wait_for_results(page)
    expect(page.locator(".how", has_text="Competitive")).to_have_count(3)
    named = panels(page).nth(1).get_by_role("listitem").first.inner_text().split("\n")[0]
    options = page.get_by_role("option")
    selector = page.get_by_label("Class to explain")
    for _ in range(20):
        selector.click()
        first = options.all_inner_texts()[1:16]
        if any(named in option for option in first):
            return
        selector.press("Escape")
    pytest.fail(f"{named} is not among {first}")


def test_sharp_maps_are_those_of_the_preset_and_the_predictions_stay(visit: Visits):
    page = visit(CAT)
    wait_for_results(page)
    show_grey(page)
    rows = page.locator("ol.top").all_inner_texts()
    page.get_by_label("Sharp", exact=True).check()
    expect(page.locator(".how", has_text="Competitive Grad-CAM, against")).to_have_count(3)
    assert page.locator("ol.top").all_inner_texts() == rows
    e = gc.explain(EXAMPLE_CAT, "efficientnet_lite0", preset="sharp")
    assert plain(page.locator(".how").all_inner_texts()[1]).startswith(f"{e.how} ")
    assert_shows(page, 1, e)
    page.get_by_label("Grad-CAM", exact=True).check()
    expect(page.locator(".how", has_text=re.compile("^Grad-CAM · "))).to_have_count(3)
    assert_shows(page, 1, gc.explain(EXAMPLE_CAT, "efficientnet_lite0"))


def choose_method(page: Page, title: str) -> None:
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name=title, exact=True).click()


def test_every_method_of_the_registry_can_be_chosen(visit: Visits):
    page = visit(CAT)
    wait_for_results(page)
    expect(page.get_by_label("Method", exact=True)).to_be_hidden()
    page.get_by_label("Other …").check()
    page.get_by_label("Method", exact=True).click()
    titles = page.get_by_role("listbox").get_by_role("option").all_inner_texts()
    assert [t.strip(" ✓\n") for t in titles] == [m.title for m in METHODS.values()]
    page.get_by_role("option", name="LayerCAM").click()
    expect(page.locator(".how", has_text=re.compile("^LayerCAM · "))).to_have_count(3)
    page.get_by_label("2 ×").check()
    expect(page.locator(".how", has_text=re.compile("^LayerCAM, detail 2 × · "))).to_have_count(3)
    page.get_by_label("Against its rivals").check()
    against = re.compile("^LayerCAM, against .+ and .+, detail 2 × · ")
    expect(page.locator(".how", has_text=against)).to_have_count(3)
    choose_method(page, "Eigen-CAM")
    expect(page.locator(".how", has_text="Eigen-CAM, which knows no class")).to_have_count(3)


def test_a_slow_method_shows_its_progress_and_another_choice_ends_it(visit: Visits):
    page = visit(CAT)
    wait_for_results(page)
    show_grey(page)
    page.get_by_label("Other …").check()
    choose_method(page, "Score-CAM")
    status = panels(page).first.locator(".status")
    expect(status).to_have_text(re.compile(r"Score-CAM: [1-9]\d*%"))
    choose_method(page, "Ablation-CAM")
    expect(page.locator(".how", has_text="Ablation-CAM")).to_have_count(3)
    wait_for_results(page)
    expect(status).to_be_empty()
    assert_shows(page, 1, gc.explain(EXAMPLE_CAT, "efficientnet_lite0", method="ablationcam"))


def test_an_overlay_fills_the_screen_with_its_labels(visit: Visits):
    page = visit(COFFEE)
    wait_for_results(page)
    first = panels(page).first
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    box = box_of(first.locator(".stage"))
    assert box["width"] / box["height"] == pytest.approx(600 / 400, rel=0.01)
    assert max(box["width"] / 1400, box["height"] / 900) > 0.75
    for words in ("EfficientNet-Lite2", "in place of Xception", "espresso"):
        expect(first.get_by_text(words).first).to_be_in_viewport()
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement === null")
    expect(panels(page).nth(2)).to_be_visible()
    expect(page.locator(".covering")).to_have_count(0)


def test_where_there_is_no_full_screen_the_panel_covers_the_page(visit: Visits):
    page = visit(COFFEE)
    page.evaluate("delete Element.prototype.requestFullscreen")
    wait_for_results(page)
    panels(page).first.get_by_label("Full screen").click()
    box = box_of(panels(page).first)
    assert (box["width"], box["height"]) == (1400, 900)
    page.keyboard.press("Escape")
    expect(page.locator(".covering")).to_have_count(0)


def test_a_photo_of_many_megapixels_that_lies_on_its_side_is_shown_upright(
    page: Page, coffee: Image.Image, tmp_path: Path
):
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone held upright stores it
    turned = coffee.resize((4000, 3000)).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "phone.jpg", exif=exif)
    drop(page, tmp_path / "phone.jpg", kind="image/jpeg")
    wait_for_results(page)
    box = box_of(panels(page).first.locator(".stage"))
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.01)
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3


def test_the_webcam_takes_a_picture(page: Page):
    page.get_by_label("Capture from camera").click()
    page.get_by_text(re.compile("access webcam", re.IGNORECASE)).click()
    page.wait_for_function("document.querySelector('#photo video')?.readyState >= 2")
    page.get_by_label(re.compile("capture photo", re.IGNORECASE)).click()
    wait_for_results(page)


def test_a_picture_can_be_pasted(page: Page, coffee_path: Path):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const blob = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        base64.b64encode(coffee_path.read_bytes()).decode(),
    )
    page.get_by_label("Paste from clipboard").click()
    wait_for_results(page)
    assert explained(page)[1].startswith("espresso")


def test_on_a_wide_screen_panels_stand_side_by_side(cat_page: Page):
    boxes = [box_of(panels(cat_page).nth(n)) for n in range(3)]
    assert len({round(box["y"]) for box in boxes}) == 1


def test_how_to_read_this_is_there(page: Page):
    page.get_by_role("button", name="How to read this").click()
    expect(page.get_by_text("What the colours do not say")).to_be_visible()
