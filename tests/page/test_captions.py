"""What the page says is what the numbers are, everywhere on it."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import gradcam_core as gc
from demo.ui.page_data import LAYER_STEPS
from gradcam_core.analysis.agreement import agreement, looked_at
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.cam.methods.registry import METHODS
from tests.support.browser import (
    STAND_INS,
    Visits,
    assert_shows,
    box_of,
    canvas_pixels,
    choose,
    examples,
    expect_explained,
    levels,
    panels,
    plain,
    show_colours,
    show_grey,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
CAT_AND_COFFEE = EXAMPLES / "3_cat_and_coffee.jpg"


@pytest.fixture(scope="module")
def networks() -> list[gc.Model]:
    return [gc.load_model(name) for name in STAND_INS.values()]


def comparison_of(page: Page) -> dict[str, list[str]]:
    """What the strip says, as it is read."""
    comparison = page.locator(".comparison")
    return {
        name: [plain(text) for text in comparison.locator(selector).all_inner_texts()]
        for name, selector in (
            ("sentences", ".sentences p"),
            ("names", "tbody th"),
            ("numbers", "tbody td"),
            ("average", "tfoot td:first-of-type"),
            ("legend", ".legend li"),
        )
    }


def expected_comparison(found: list[gc.Explanation]) -> dict[str, list[str]]:
    compared = agreement(found)
    assert compared
    numbers = []
    for pair in compared.pairs:
        assert pair.overlap is not None
        numbers.append(f"{round(100 * pair.overlap)} %")
        assert pair.correlation is not None
        numbers.append(f"{pair.correlation:.2f}".replace("-", "\u2212"))
    assert compared.overlap is not None
    words = {3: "all three", 2: "two", 1: "one"}
    return {
        "sentences": [plain(sentence) for sentence in summary(found)],
        "names": [f"{found[p.first].title} – {found[p.second].title}" for p in compared.pairs],
        "numbers": numbers,
        "average": [f"{round(100 * compared.overlap)} %"],
        "legend": [f"{words[k]} {round(100 * compared.shares[k])} %" for k in (3, 2, 1)],
    }


def test_agreement_legend_and_sentences_are_those_of_the_core(cat_page: Page, networks):
    assert comparison_of(cat_page) == expected_comparison(
        [gc.explain(CAT, model) for model in networks]
    )
    panels(cat_page).nth(1).locator("ol.top button").nth(4).click()
    name = gc.explain(CAT, networks[1]).top[4].name
    expect_explained(cat_page, name)
    found = [gc.explain(CAT, model, name) for model in networks]
    expect(cat_page.locator(".comparison .sentences")).to_contain_text(name)
    assert comparison_of(cat_page) == expected_comparison(found)
    examples(cat_page).nth(1).click()
    found = [gc.explain(CAT_AND_COFFEE, model) for model in networks]
    first = plain(summary(found)[0])
    expect(cat_page.locator(".comparison .sentences p").first).to_have_text(first)
    assert comparison_of(cat_page) == expected_comparison(found)


def test_a_network_of_two_classes_has_two_rows(cat_page: Page):
    rows = cat_page.evaluate(
        """async (counts) => {
            const { Panel } = await import(new URL("web/results/panel.js", location.href));
            const panel = new Panel("own", "Own", { colors: () => [], point: () => {} });
            const network = { title: "Own", stands_in_for: null, notice: null };
            document.querySelector(".app .panels").append(panel.element);
            const found = counts.map((classes) => {
                panel.showNetwork({ ...network, classes });
                const rows = [...panel.element.querySelectorAll(".top li")];
                return rows.filter((row) => row.offsetHeight).length;
            });
            panel.element.remove();
            return found;
        }""",
        [2, 3, 5, 1000],
    )
    assert rows == [2, 3, 5, 5]


def test_of_many_pairs_the_most_and_the_least_alike_come_first(cat_page: Page):
    overlaps = [*range(10, 80, 10), None, 5, 95]
    few, many = cat_page.evaluate(
        """async (pairs) => {
            const file = new URL("web/sections/comparison.js", location.href);
            const { Comparison } = await import(file);
            const colors = () => new Uint32Array(256);
            const comparison = new Comparison({ colors, map: () => null, title: (name) => name });
            const rest = { region: [0, 0, 1, 1], looked_at: [], overlap: 0.4, shares: [] };
            const shown = () => {
                comparison.show({ sentences: [], agreement: { ...rest, pairs } });
                const rows = comparison.element.querySelectorAll("tbody tr");
                return [...rows].map((row) => row.textContent);
            };
            const few = shown();
            comparison.element.querySelector("tbody button").click();
            return [few, shown()];
        }""",
        [
            {"names": ["a", "b"], "overlap": n and n / 100, "words": "", "rank_correlation": None}
            for n in overlaps
        ],
    )
    in_order = ["95 %", "70 %", "60 %", "50 %", "40 %", "30 %", "20 %", "10 %", "5 %", "–"]
    overlaps_of = [plain(row).removeprefix("a – b").removesuffix("–") for row in few]
    assert overlaps_of == [*in_order[:3], "Show the 4 pairs between these", *in_order[-3:]]
    # Opened once, they stay so for the next class.
    assert [plain(row).removeprefix("a – b").removesuffix("–") for row in many] == in_order


def test_names_from_right_to_left_turn_no_number_around(cat_page: Page):
    placed = cat_page.evaluate(
        """async (names) => {
            const { together } = await import(new URL("web/dom.js", location.href));
            const app = document.querySelector(".page > .app");
            const placesIn = (element, signs) => {
                app.append(element);
                const found = [...signs].map((sign) => {
                    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
                    let at = null;
                    for (let node; (node = walker.nextNode()); ) {
                        const i = node.data.lastIndexOf(sign);
                        if (i < 0) continue;
                        const range = document.createRange();
                        range.setStart(node, i);
                        range.setEnd(node, i + 1);
                        at = range.getBoundingClientRect().x;
                    }
                    return at;
                });
                element.remove();
                return found;
            };
            return names.flatMap((name) => {
                const sentence = document.createElement("p");
                sentence.style.whiteSpace = "nowrap";
                sentence.textContent = together(`X says ${name} (87.5 %)`);
                const line = document.createElement("p");
                line.append("top class: ", document.createElement("span"), " 87.5 %");
                line.querySelector("span").textContent = name;
                const signs = `${name[0]}87.5%`;
                return [placesIn(sentence, `X${signs}`), placesIn(line, `t:${signs}`)];
            });
        }""",
        ["قطة مصرية", "כוס קפה (גדולה)", "cup (كوب)", "كلبٌ", "قطة 2"],
    )
    assert all(places == sorted(places) for places in placed)


def test_overlap_is_not_shown_where_there_is_no_map(cat_page: Page):
    told = cat_page.evaluate(
        """async (agreement) => {
            const file = new URL("web/sections/comparison.js", location.href);
            const { Comparison } = await import(file);
            const colors = () => new Uint32Array(256);
            const comparison = new Comparison({ colors, map: () => null, title: (name) => name });
            comparison.show({ sentences: [], agreement });
            const texts = (selector) =>
                [...comparison.element.querySelectorAll(selector)].map((one) => one.textContent);
            return [texts("tbody td"), texts("tfoot td"), texts(".legend li span:not(.swatch)")];
        }""",
        {
            "region": [0, 0, 1, 1],
            "looked_at": [
                {"name": n, "from_heat": heat}
                for n, heat in zip("abc", (0.5, None, 0.4), strict=True)
            ],
            "pairs": [
                {
                    "names": list(names),
                    "overlap": overlap,
                    "words": None,
                    "rank_correlation": overlap,
                }
                for names, overlap in (("ab", None), ("ac", 0.69), ("bc", None))
            ],
            "overlap": 0.69,
            "words": "mostly the same places",
            "shares": [0.7, 0.2, 0.1, 0],
        },
    )
    numbers, average, legend = told
    assert [plain(text) for text in numbers] == ["–", "–", "69 %", "0.69", "–", "–"]
    assert average == []  # of one pair there is none
    assert legend == ["two", "one"]


def test_the_picture_of_where_they_agree_is_drawn_where_they_looked(cat_page: Page, networks):
    found = [gc.explain(CAT, model) for model in networks]
    compared = agreement(found)
    assert compared
    cat_page.get_by_label("Colours").select_option("gray")
    shown = canvas_pixels(cat_page.locator(".comparison canvas.heat")).astype(int)
    cat_page.get_by_label("Colours").select_option("inferno")
    height, width = shown.shape[:2]
    expected = looked_at(found, compared, (width, height))
    # The greys of the legend say how many looked there.
    greys = {0: 0, 1: 89, 2: 172, 3: 255}
    count = np.zeros((height, width), dtype=int)
    for k in (1, 2, 3):
        near = (np.abs(shown[:, :, 0] - greys[k]) < 12) & (shown[:, :, 3] > 100)
        count[near] = k
    differs = count != expected
    # A place on the border of a fifth may lie on either side.
    border = np.zeros_like(differs)
    for axis in (0, 1):
        edge = np.diff(expected.astype(int), axis=axis) != 0
        for shift in range(-2, 3):
            padded = np.zeros_like(differs)
            padded[: edge.shape[0], : edge.shape[1]] = edge
            border |= np.roll(padded, shift, axis=axis)
    assert not (differs & ~border).any()
    assert differs.mean() < 0.01
    for k in (1, 2, 3):
        assert (count == k).mean() > 0.01


def test_rather_than_another_class_shows_the_contrast_in_all_panels(cat_page: Page, networks):
    tiger, tabby = gc.find_label("tiger cat").index, gc.find_label("tabby").index
    show_grey(cat_page)
    panels(cat_page).nth(0).locator("ol.top button").nth(1).click()
    expect_explained(cat_page, "tiger cat")
    choose(cat_page, "Rather than …", "tabby", "tabby, tabby cat")
    expect(cat_page.locator(".how", has_text="Grad-CAM, rather than tabby")).to_have_count(3)
    expect(cat_page.locator(".headline h2")).to_have_text("Explaining tiger cat rather than tabby")
    cat_page.get_by_label("For and against").uncheck()
    expect(cat_page.locator(".for-and-against:visible")).to_have_count(0)
    wait_for_results(cat_page)
    for n, model in enumerate(networks):
        e = gc.explain(CAT, model, tiger, contrast=tabby)
        assert_shows(cat_page, n, e)
        plainly = gc.explain(CAT, model, tiger).heatmap_at(levels(cat_page, n).shape[::-1])
        assert np.abs(levels(cat_page, n) - plainly).max() > 0.1
    # The other class itself, clicked, is explained plainly.
    panels(cat_page).nth(0).locator("ol.top button").nth(2).click()
    expect_explained(cat_page, "tabby")
    expect(cat_page.locator(".headline h2")).to_have_text("Explaining tabby")
    expect(cat_page.get_by_label("Rather than …")).to_have_value("No other class")
    expect(cat_page.locator(".how", has_text="contrast")).to_have_count(0)
    show_colours(cat_page)


def test_the_layer_slider_shows_the_map_of_the_layer_that_each_panel_names(
    cat_page: Page, networks
):
    slider = cat_page.get_by_role("slider", name="Layer")
    show_grey(cat_page)
    last = cat_page.locator(".how").all_inner_texts()
    for key, share, text in (
        ("Home", 0.0, "first"),
        ("ArrowRight", 1 / LAYER_STEPS, f"2 of {LAYER_STEPS + 1}"),
        ("End", 1.0, "last"),
    ):
        slider.press(key)
        expect(cat_page.locator(".layer-text")).to_have_text(text)
        expect(slider).to_have_attribute("aria-valuetext", text)
        for n, model in enumerate(networks):
            stage = model.stages[round(share * (len(model.stages) - 1))]
            rows, columns = stage.shape[1:]
            how = f"Grad-CAM · {stage.layer}, {columns} × {rows} cells"
            expect(panels(cat_page).nth(n).locator(".how")).to_have_text(how)
            layer = None if share == 1 else stage.layer
            assert_shows(cat_page, n, gc.explain(CAT, model, layer=layer))
    assert cat_page.locator(".how").all_inner_texts() == last
    show_colours(cat_page)


def test_all_methods_are_shown_for_one_network_and_one_can_be_chosen_for_all(
    visit: Visits, networks
):
    # In a view in which no other test has a slow method run: what was found of examples is kept.
    page = visit("?example=1_cat&models=xception,resnet50&view=whole")
    wait_for_all(page, 2)
    show_grey(page)
    page.get_by_role("button", name="Methods", exact=True).click()
    section = page.get_by_role("region", name="Methods and detail")
    expect(section).to_be_visible()
    section.get_by_label("Network").select_option("EfficientNet-Lite0")
    cards = section.get_by_role("listitem")
    common = [method for method in METHODS.values() if method.is_common]
    titles = [method.title for method in common]
    expect(cards.locator(".name")).to_have_text([*titles, "Grad-CAM, 2 ×", "Grad-CAM, 3 ×"])
    expect(cards.locator("button[aria-pressed=true] .name")).to_have_text("Grad-CAM")
    slow = cards.filter(has_text="Score-CAM").locator(".status")
    expect(slow).to_have_text(re.compile(r"Score-CAM: [1-9]\d*%"))
    slow = cards.filter(has_text="Ablation-CAM").locator(".status")
    expect(slow).to_have_text("Ablation-CAM: number 1 in the queue")
    for n, method in enumerate(common):
        if method.is_slow:
            continue
        expect(cards.nth(n).locator(".status")).to_be_empty()
        shown = canvas_pixels(cards.nth(n).locator("canvas.heat"))[:, :, 0] / 255
        e = gc.explain(CAT, networks[1], method=method.name, view="whole")
        expected = e.heatmap_at((shown.shape[1], shown.shape[0]))
        np.testing.assert_allclose(shown, expected, atol=2 / 255)
    cards.get_by_role("button", name=re.compile("LayerCAM$")).click()
    expect(page.locator(".panel .how", has_text=re.compile("^LayerCAM · "))).to_have_count(2)
    assert_shows(page, 1, gc.explain(CAT, networks[1], method="layercam", view="whole"))
    expect(cards.locator("button[aria-pressed=true] .name")).to_have_text("LayerCAM")
    expect(page.get_by_label("Other …")).to_be_checked()
    expect(page.get_by_label("Method", exact=True)).to_have_value("LayerCAM")
    cards.get_by_role("button", name=re.compile("LayerCAM, 2 ×")).click()
    how = re.compile("^LayerCAM, detail 2 × · ")
    expect(page.locator(".panel .how", has_text=how)).to_have_count(2)
    page.get_by_role("button", name="Methods", exact=True).click()
    expect(section).to_be_hidden()
    # On the page the line below says so; in a presentation, the label does.
    labels = page.locator(".explained .unusual")
    expect(labels.first).to_be_hidden()
    page.keyboard.press("p")
    expect(labels).to_have_text(["LayerCAM, detail 2 ×"] * 2)
    for label in labels.all():
        expect(label).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")


def test_the_other_methods_are_behind_a_button(one_panel: Page, networks):
    page = one_panel
    show_grey(page)
    page.get_by_role("button", name="Methods", exact=True).click()
    section = page.get_by_role("region", name="Methods and detail")
    cards = section.get_by_role("listitem")
    common = [method.title for method in METHODS.values() if method.is_common]
    details = ["Grad-CAM, 2 ×", "Grad-CAM, 3 ×"]
    names = cards.locator(".name")
    expect(names).to_have_text([*common, *details])
    expect(cards.nth(0).locator(".status")).to_be_empty()
    more = section.get_by_role("button", name="More methods")
    expect(more).to_have_attribute("aria-expanded", "false")
    with page.expect_request("**/explain-stream") as sent:
        more.press("Enter")
    requested = [one["id"] for one in json.loads(sent.value.post_data or "")["maps"]]
    assert "method legrad" not in requested  # it is for transformers
    assert "method gradcam" not in requested  # its map is there
    # Those that wait for each other the longest come last.
    assert requested[-2:] == ["method sscam", "method iscam"]
    expect(more).to_have_attribute("aria-expanded", "true")
    others = [
        method
        for method in METHODS.values()
        if not method.is_common and method.needs != "attention"
    ]
    expect(names).to_have_text([*common, *(method.title for method in others), *details])
    place = len(common) + [method.name for method in others].index("eigengradcam")
    expect(cards.nth(place).locator(".status")).to_be_empty()
    shown = canvas_pixels(cards.nth(place).locator("canvas.heat"))[:, :, 0] / 255
    expected = gc.explain(CAT, networks[1], method="eigengradcam")
    np.testing.assert_allclose(
        shown, expected.heatmap_at((shown.shape[1], shown.shape[0])), atol=2 / 255
    )
    cards.get_by_role("button", name="Eigen-Grad-CAM").click()
    expect(page.locator(".panel .how")).to_have_text(re.compile("^Eigen-Grad-CAM · "))
    more.click()
    # The one that is chosen stays.
    expect(names).to_have_text(
        [*common, "Eigen-Grad-CAM", *(f"Eigen-Grad-CAM, {times} ×" for times in (2, 3))]
    )


def test_what_was_not_seen_is_dimmed_and_named(cat_page: Page):
    panel = panels(cat_page).nth(1)
    stage, seen = box_of(panel.locator(".photo-layers")), box_of(panel.locator(".view-box"))
    e = gc.explain(CAT, "efficientnet_lite0")
    left, top, right, bottom = e.box
    width, height = e.geometry.photo_size
    assert seen["x"] - stage["x"] == pytest.approx(left / width * stage["width"], abs=1.5)
    assert seen["width"] == pytest.approx((right - left) / width * stage["width"], abs=1.5)
    assert seen["height"] == pytest.approx((bottom - top) / height * stage["height"], abs=1.5)
    names = panel.get_by_text("not seen")
    expect(names).to_have_count(2)
    for n, beside in enumerate((True, False)):
        strip = box_of(names.nth(n))
        middle = strip["x"] + strip["width"] / 2
        edge = seen["x"] if beside else seen["x"] + seen["width"]
        assert (middle < edge) == beside
    # The pixels beside it are darker than the photo, by the share that is said to be black.
    cat_page.get_by_role("radio", name="Photo", exact=True).check(force=True)
    picture = panel.locator(".photo-layers").screenshot()
    cat_page.get_by_role("radio", name="Overlay").check(force=True)
    with Image.open(io.BytesIO(picture)) as shot, Image.open(CAT) as photo:
        size = round(stage["width"]), round(stage["height"])
        shown = np.asarray(shot.convert("RGB").resize(size), dtype=float)
        bare = np.asarray(photo.convert("RGB").resize(size), dtype=float)
    column = round((seen["x"] - stage["x"]) / 2 / 2)
    outside = np.s_[:, : max(4, column)]
    assert shown[outside].mean() / bare[outside].mean() == pytest.approx(0.45, abs=0.05)
    middle_part = np.s_[size[1] // 3 : size[1] // 2, size[0] // 3 : size[0] // 2]
    assert shown[middle_part].mean() / bare[middle_part].mean() == pytest.approx(1, abs=0.05)


def test_pointing_at_a_place_reads_out_its_heat_in_all_panels(cat_page: Page, networks):
    stage = panels(cat_page).nth(0).locator(".photo-layers")
    box = box_of(stage)
    readouts = cat_page.locator(".panel .readout")
    for x, y in ((0.5, 0.5), (0.36, 0.62), (0.62, 0.3), (0.45, 0.75)):
        cat_page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        expect(readouts.first).to_be_visible()
        for n, model in enumerate(networks):
            shown = canvas_pixels(panels(cat_page).nth(n).locator("canvas.heat"))
            height, width = shown.shape[:2]
            heat = gc.explain(CAT, model).heatmap_at((width, height))
            share = heat[int(y * height), int(x * width)]
            text = plain(readouts.nth(n).inner_text())
            said = re.fullmatch(r"heat (\d+) %", text)
            assert said, text
            assert int(said[1]) == pytest.approx(100 * share, abs=3)
    cat_page.mouse.move(box["x"] + 0.04 * box["width"], box["y"] + 0.5 * box["height"])
    expect(readouts).to_have_text(["not seen"] * 3)
    cat_page.mouse.move(0, 0)
    for n in range(3):
        expect(readouts.nth(n)).to_be_hidden()
