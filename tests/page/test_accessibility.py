"""The page for those who use a keyboard, a screen reader, a phone, or stand before an audience."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from PIL import Image
from playwright.sync_api import Page, expect

import gradcam_core as gc
from demo.examples import EXAMPLES as OFFERED
from gradcam_core.analysis.location import where
from tests.support.browser import (
    PHONE,
    STAND_INS,
    Visits,
    box_of,
    examples,
    expect_explained,
    explained,
    panels,
    remove_photo,
    toggle_models,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
FINGER = 44  # pixels that a thumb needs

FOCUSED = """() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.innerText || element.getAttribute("aria-label");
    const shown = element.matches(".segments input") ? element.nextElementSibling : element;
    const style = getComputedStyle(shown);
    const parents = [shown];
    for (let e = shown; (e = e.parentElement) && parents.length < 5; ) parents.push(e);
    const isMarked = (e) => {
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
        return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
    };
    const { width, height } = shown.getBoundingClientRect();
    return {
        tag: element.tagName,
        name: (label || element.innerText || element.title || element.id || "").trim(),
        example: element.dataset.example ?? "",
        panel: element.closest(".panel[data-model]")?.dataset.model ?? "",
        isMarked: parents.some(isMarked),
        outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
        isSeen: width > 0 && height > 0,
        isOurs: Boolean(element.closest(".page > .app, .skip, .examples, .address, .unfold")),
    };
}"""


# Where focus goes next depends on what was clicked last, which `blur` does not change.
FROM_THE_TOP = """() => {
    const top = document.createElement("span");
    top.tabIndex = -1;
    document.body.prepend(top);
    top.focus();
    top.remove();
}"""


def tabbed(page: Page) -> list[dict[str, Any]]:
    """Whatever the Tab key reaches, one after the other, until it begins anew."""
    page.evaluate(FROM_THE_TOP)
    reached: list[dict[str, Any]] = []
    for _ in range(150):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if reached and now["name"] == reached[0]["name"]:
            return reached
        if now["tag"] != "BODY":  # where Gradio's list of choices was that closes at once
            reached.append(now)
    return pytest.fail(f"no end of it: {[one['name'] for one in reached]}")


def test_tab_reaches_everything_in_a_sensible_order_and_shows_where_it_is(cat_page: Page):
    all_reached = tabbed(cat_page)
    names = [one["name"].split("\n")[0] for one in all_reached]
    for wanted in ("Opacity", "Colours", "Layer", "Class to explain", "Contrast: rather than …"):
        assert wanted in names, names
    for wanted in ("Methods", "Download", "Share", "Present", "Keys", "Overlay", "Grad-CAM"):
        assert wanted in names, names
    assert "Centre crop" in names, names
    assert [one["example"] for one in all_reached if one["example"]] == [
        example.name for example in OFFERED
    ]
    for model, stand_in in STAND_INS.items():
        reached = [one["name"] for one in all_reached if one["panel"] == model]
        title = gc.load_model(stand_in).info.title
        tools = ["Cover the hottest place of this map", f"Download of {title}"]
        assert reached[:3] == [*tools, "Full screen on or off"]
        top = [prediction.name for prediction in gc.explain(CAT, stand_in).top]
        assert [name.split("\n")[0] for name in reached[3:]] == top
    # As one reads: the picture, what to explain, how to show it, the results, how to read it.
    firsts = ["Example: cat", "Class to explain", "Methods", "Opacity", "Download of", "How to"]
    at = [next(i for i, name in enumerate(names) if name.startswith(text)) for text in firsts]
    assert at == sorted(at)
    assert all(one["isSeen"] for one in all_reached), [
        one for one in all_reached if not one["isSeen"]
    ]
    unmarked = [one["name"] for one in all_reached if not one["isMarked"]]
    assert unmarked == []
    assert [one["name"] for one in all_reached if one["isOurs"] and not one["outline"]] == []


def test_the_models_can_be_chosen_with_the_keyboard_alone(cat_page: Page):
    page = cat_page
    page.get_by_role("button", name="Remove ResNet50").press("Enter")
    wait_for_all(page, 2)
    page.get_by_role("button", name="Remove Xception").focus()
    for name in ("Remove VGG19", "Models"):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED)["name"] == name
    expect(page.get_by_role("listbox")).to_be_visible()
    for key in ("ArrowDown", "Enter"):  # the first is active when the list opens
        page.keyboard.press(key)
    expect(page.get_by_role("option", name="ResNet50")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    wait_for_all(page, 3)
    expect(page.locator("#models .token")).to_have_text(["Xception", "ResNet50", "VGG19"])


def layers_of(page: Page) -> str | None:
    return page.locator(".page > .app").get_attribute("data-layers")


def test_keys_choose_classes_toggle_and_open_what_they_say(cat_page: Page):
    page = cat_page
    app = page.locator(".page > .app")
    tops = [gc.explain(CAT, model).top for model in STAND_INS.values()]
    for n in (2, 5, 1):
        page.keyboard.press(str(n))
        expect_explained(page, tops[0][n - 1].name)
    panels(page).nth(1).locator("ol.top button").first.focus()
    page.keyboard.press("5")  # of the panel that has the focus
    expect_explained(page, tops[1][4].name)
    page.keyboard.press("o")
    expect(app).to_have_attribute("data-layers", "photo")
    page.keyboard.press("o")
    expect(app).to_have_attribute("data-layers", "overlay")
    # From the examples to the first prediction, past all settings.
    examples(page).last.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip the settings")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(panels(page).first.locator("ol.top button").first).to_be_focused()
    # Esc closes what a key opened, and a list that is left closes, too.
    methods = page.get_by_role("button", name="Methods", exact=True)
    methods.press("Enter")
    expect(page.locator(".methods h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".methods")).to_be_hidden()
    expect(methods).to_be_focused()
    page.get_by_label("Class to explain").press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("listbox")).to_have_count(0)
    assert page.evaluate(FOCUSED)["name"] == "Remove Xception"
    panels(page).nth(1).locator("ol.top button").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("o")  # keys do nothing behind a dialog
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert layers_of(page) == "overlay"
    page.keyboard.press("f")
    expect(panels(page).nth(1)).to_have_class("panel covering")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    expect(page.locator(".covering")).to_have_count(0)
    page.wait_for_function("document.fullscreenElement === null")
    page.keyboard.press("p")
    expect(app).to_have_class("app presenting")
    page.keyboard.press("Escape")
    expect(app).to_have_class("app")
    expect_explained(page, tops[1][4].name)


def test_keys_do_nothing_while_one_types_or_works_with_another_control(cat_page: Page):
    page = cat_page
    before = explained(page)
    for label in ("Class to explain", "Rather than …", "Address of a picture"):
        field = page.get_by_label(label)
        field.click()
        page.keyboard.type("1of?p2")
        page.keyboard.press("Escape")
    page.get_by_label("Colours").focus()
    page.keyboard.press("p")
    slider = page.get_by_role("slider", name="Opacity")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+p")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".presenting, .covering")).to_have_count(0)
    assert layers_of(page) == "overlay"
    assert explained(page) == before


def test_alternative_texts_say_where_the_heat_lies(cat_page: Page):
    for n, model in enumerate(STAND_INS.values()):
        e = gc.explain(CAT, model)
        picture = panels(cat_page).nth(n).get_by_role("img")
        expect(picture).to_have_count(1)
        said = f"Heat of {e.title} for the class {e.target.name}: {where(e)}"
        expect(picture).to_have_accessible_name(said)
    agreement = cat_page.locator(".comparison").get_by_role("img")
    legend = cat_page.locator(".comparison .legend li").all_inner_texts()
    for text in legend:
        in_words = re.compile(r"\s*".join(map(re.escape, text.split())))
        expect(agreement).to_have_accessible_name(in_words)


def faults_of(page: Page, part: str, rules: Sequence[str]) -> list[str]:
    """What axe-core calls serious or critical in a part of the page, as "rule: element". rules:
    the only ones, if not empty."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = page.evaluate("([part, options]) => axe.run(part, options)", [part, options])
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe-core that a theme can break."""


AT_ONCE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important; }");
    document.adoptedStyleSheets.push(sheet);
}"""
"""Colours are not on their way from one theme to the other when they are looked at."""


def test_axe_finds_nothing_serious(cat_page: Page):
    page = cat_page
    page.evaluate(AT_ONCE)
    found: dict[str, list[str]] = {}

    def look(state: str, part: str = "html") -> None:
        found[state] = faults_of(page, part, [])
        page.evaluate("document.body.classList.add('dark')")  # as Gradio does
        found[f"{state}, dark"] = faults_of(page, part, ABOUT_COLOURS)
        page.evaluate("document.body.classList.remove('dark')")

    remove_photo(page)
    look("empty")
    page.get_by_role("button", name="How to read this").click()
    examples(page).first.click()
    wait_for_all(page)
    page.get_by_label("Other …").check()
    look("results")
    page.get_by_label("Models", exact=True).click()
    expect(page.locator("#models .options")).to_have_css("opacity", "1")  # it fades in
    look("models", "#models")
    page.keyboard.press("Escape")
    panels(page).first.get_by_role("button", name="Download of").click()
    look("menu", ".menu:popover-open")
    page.keyboard.press("Escape")
    for name in ("Share", "Keys"):
        page.get_by_role("button", name=name).click()
        look(name, "dialog[open]")
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Methods", exact=True).click()
    expect(page.locator(".methods .status:empty")).not_to_have_count(0)
    look("methods", ".methods")
    page.get_by_role("button", name="Methods", exact=True).click()
    page.get_by_role("button", name="Present").click()
    expect(page.locator(".presenting")).to_be_visible()
    look("presentation", ".presenting")
    page.keyboard.press("Escape")
    page.get_by_label("Grad-CAM", exact=True).check()
    page.get_by_role("button", name="How to read this").click()
    page.evaluate("document.adoptedStyleSheets.pop()")
    assert {state: faults for state, faults in found.items() if faults} == {}


SMALL = """(finger) => {
    const chosen = "button, select, input[type=range], .segments label, a.action, summary";
    const small = [];
    for (const element of document.querySelectorAll(chosen)) {
        if (!element.closest(".page > .app, .examples, .address, .unfold-block")) continue;
        if (!element.checkVisibility({ visibilityProperty: true })) continue;
        const { width, height } = element.getBoundingClientRect();
        if (width < finger - 0.5 || height < finger - 0.5) {
            const name = element.getAttribute("aria-label") || element.innerText || element.id;
            small.push(`${name}: ${Math.round(width)} x ${Math.round(height)}`);
        }
    }
    return small;
}"""


SWIPE = "(e, n) => e.scrollTo({ left: (n - 0.2) * (e.scrollWidth / 3) })"
"""Not quite to a panel: the rest of the way it goes by itself."""


def test_on_a_phone_everything_fits_and_is_large_enough_for_a_thumb(visit: Visits, phone: Page):
    page = visit.cat(tab=phone)
    fits = "() => document.documentElement.scrollWidth <= 360 && innerWidth <= 360"
    assert page.evaluate(fits)
    boxes = [box_of(panels(page).nth(n)) for n in range(3)]
    assert all(box["width"] > 300 for box in boxes)
    # The maps are swiped side by side; of each one the class and its probability stay in sight.
    assert len({round(box["y"]) for box in boxes}) == 1
    for n in range(3):
        panel = panels(page).nth(n)
        page.locator(".panels").evaluate(SWIPE, n)
        expect(panel.locator(".photo-layers")).to_be_in_viewport(ratio=0.5)
        for seen in (panel.locator(".explained strong"), panel.locator(".how-probable")):
            expect(seen).to_be_in_viewport(ratio=1)
    # Icons have words.
    for word in ("Trust", "Methods", "Share", "Present", "Keys"):
        expect(page.locator(".headline .action").get_by_text(word)).to_be_visible()
    expect(panels(page).first.get_by_text("Full screen")).to_be_visible()
    page.locator(".panels").evaluate("e => e.scrollTo({ left: 0 })")
    # The picture comes first, then the results; the controls are folded away.
    photo = box_of(page.locator("#photo"))
    assert photo["y"] < box_of(page.locator(".headline"))["y"] < boxes[0]["y"]
    assert boxes[0]["y"] < PHONE["height"]
    target = page.get_by_label("Class to explain")
    expect(target).to_be_hidden()
    expect(page.locator(".toolbar")).to_be_hidden()
    assert page.evaluate(SMALL, FINGER) == []
    unfold = page.get_by_role("button", name="Class, models, view and map")
    expect(unfold).to_have_attribute("aria-expanded", "false")
    unfold.tap()
    expect(unfold).to_have_attribute("aria-expanded", "true")
    expect(target).to_be_visible()
    expect(page.locator(".toolbar")).to_be_visible()
    page.get_by_role("button", name="Methods", exact=True).tap()
    expect(page.locator(".methods")).to_be_visible()
    assert page.evaluate(SMALL, FINGER) == []
    assert page.evaluate(fits)
    page.get_by_role("button", name="Methods", exact=True).tap()
    panels(page).first.get_by_role("button", name="Download of").tap()
    assert page.evaluate(SMALL, FINGER) == []
    menu = box_of(page.locator(".menu:popover-open"))
    assert menu["x"] >= 0
    assert menu["x"] + menu["width"] <= 360
    page.keyboard.press("Escape")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.wait_for_function(f"({CUT})().length === 0")
    assert target.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 28
    page.evaluate("document.documentElement.style.fontSize = ''")
    toggle_models(page, "ResNet50", "VGG19")
    expect(panels(page)).to_have_count(1)
    row = box_of(page.locator(".page > .app"))
    assert abs(box_of(panels(page))["width"] - row["width"]) < 1  # nothing to swipe to
    toggle_models(page, "ResNet50", "VGG19")
    wait_for_results(page)
    unfold.tap()
    expect(target).to_be_hidden()
    panels(page).nth(2).locator("ol.top button").nth(2).tap()
    expect_explained(page, "tabby")


# Texts that do not fit into their boxes, and what is wider than its panel or the page.
CUT = """() => {
    const texts = [...document.querySelectorAll(".panel :is(.explained strong, .top .name, h2)")];
    const tools = [...document.querySelectorAll(".panel .tools > *, .toolbar :is(select, label)")];
    const icons = [...document.querySelectorAll("#photo .source-selection svg")];
    const edge = (e) => (e.closest(".panel") ?? document.body).getBoundingClientRect().right;
    return [
        ...texts.filter((e) => e.scrollWidth > e.clientWidth + 1 || e.clientWidth < 40),
        ...icons.filter((e) => e.clientWidth > e.closest("button").clientWidth),
        ...tools.filter((e) => e.getBoundingClientRect().right > edge(e)),
    ].map((e) => e.outerHTML.slice(0, 80));
}"""


def assert_a_system_s_own_colours_leave_the_map(page: Page) -> None:
    def shown() -> np.ndarray:
        png = panels(page).first.locator(".photo-layers").screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))[12:-12, 12:-12].astype(int)

    usual = shown()
    chosen = panels(page).first.locator(".top [aria-pressed=true]")
    try:
        page.emulate_media(forced_colors="active")
        assert np.abs(shown() - usual).mean() < 2
        expect(chosen).to_have_css("outline-width", "3px")
    finally:
        page.emulate_media(forced_colors="none")


def test_a_presentation_shows_only_picture_maps_and_large_labels(cat_page: Page):
    page = cat_page
    assert_a_system_s_own_colours_leave_the_map(page)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.keyboard.press("p")
    app = page.locator(".page > .app")
    expect(app).to_have_class("app presenting")
    assert box_of(app) == {"x": 0, "y": 0, "width": 1920, "height": 1080}
    for hidden in (".headline", ".toolbar", ".comparison", ".how", ".notice", ".tools"):
        for each in page.locator(hidden).all():
            expect(each).to_be_hidden()
    tile = page.get_by_role("region", name="Photo")
    page.keyboard.press("v")
    expect(tile.get_by_role("img")).to_be_visible()
    page.keyboard.press("v")
    for n, model in enumerate(STAND_INS.values()):
        e = gc.explain(CAT, model)
        panel = panels(page).nth(n)
        for text in (e.title, e.target.name, f"rank {e.rank}"):
            label = panel.get_by_text(text, exact=False).first
            expect(label).to_be_in_viewport(ratio=1)
            assert label.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 24
        expect(panel.locator(".photo-layers")).to_be_in_viewport(ratio=0.99)
    stages = [box_of(panels(page).nth(n).locator(".photo-layers")) for n in range(3)]
    assert sum(box["width"] * box["height"] for box in stages) > 0.2 * 1920 * 1080
    for key, example in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowLeft", 0)):
        page.keyboard.press(key)
        expect(examples(page).nth(example)).to_have_attribute("aria-pressed", "true")
        wait_for_results(page)
        for n in range(3):
            expect(panels(page).nth(n).locator(".photo-layers")).to_be_in_viewport(ratio=0.99)
            expect(panels(page).nth(n).locator(".explained")).to_be_in_viewport(ratio=0.99)
    page.keyboard.press("ArrowLeft")  # from the first to the last
    expect(examples(page).last).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    expect(examples(page).first).to_have_attribute("aria-pressed", "true")
    # The results of the picture before stand until those of this one are there.
    expect(page.locator(".explained").first).to_contain_text("cat")
    wait_for_results(page)
    page.keyboard.press("2")
    expect_explained(page, "tiger cat")
    page.keyboard.press("Escape")
    expect(page.locator(".toolbar")).to_be_visible()
    expect(tile).to_be_hidden()


def test_the_page_works_where_no_other_host_can_be_reached(visit: Visits, cat_page: Page):
    page = cat_page
    reached = page.evaluate(
        "() => fetch('http://example.com/', { mode: 'no-cors' }).then(() => true, () => false)"
    )
    assert not reached
    # That one was ours, and so were its complaints. The page's own policy forbids it already.
    assert any("example.com" in fault for fault in visit.faults)
    visit.faults[:] = [fault for fault in visit.faults if "example.com" not in fault]
    loaded = page.evaluate("() => performance.getEntriesByType('resource').map((e) => e.name)")
    assert loaded
    origin = page.url.split("?")[0]
    assert [url for url in loaded if not url.startswith((origin, "data:", "http://example"))] == []
