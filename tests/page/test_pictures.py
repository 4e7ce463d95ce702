"""What a person takes along from the page: figures, overlays, heatmaps, and a link to the view."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

import gradcam_core as gc
from demo.examples import OPENING
from gradcam_core.images.cover import FILLS
from gradcam_core.images.rendering.render import overlay
from tests.support.browser import (
    STAND_INS,
    Visits,
    choose,
    chosen_models,
    drop,
    expect_explained,
    explained,
    levels,
    panels,
    show_grey,
    toggle_models,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
FIGURE = (1920, 1080)


def downloaded(page: Page, opener: Locator, entry: re.Pattern[str]) -> tuple[str, bytes]:
    """The name and the content of what an entry of a menu gives."""
    opener.click()
    with page.expect_download() as download:
        page.locator(".menu:popover-open").get_by_role("button", name=entry).click()
    expect(page.locator(".menu:popover-open")).to_have_count(0)
    return download.value.suggested_filename, download.value.path().read_bytes()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def of_page(page: Page) -> Locator:
    return page.locator(".headline").get_by_role("button", name="Download")


def of_panel(page: Page, n: int) -> Locator:
    return panels(page).nth(n).get_by_role("button", name="Download of")


def test_the_figure_is_a_slide_in_light_and_dark_and_as_a_drawing(cat_page: Page):
    name, data = downloaded(cat_page, of_page(cat_page), re.compile("PNG, 16:9, dark"))
    assert name == "comparison.png"
    picture = opened(data)
    assert (picture.format, picture.size) == ("PNG", FIGURE)
    assert np.asarray(picture.convert("L"))[2, 2] < 60
    name, data = downloaded(cat_page, of_page(cat_page), re.compile("SVG, light"))
    assert name == "comparison.svg"
    root = ET.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = data.decode()
    assert "EfficientNet-Lite0" in text
    assert "tiger cat" in text
    # The other two are asked for, and not made.
    asked: list[tuple[str, str]] = []

    def note(route: Route) -> None:
        body = route.request.post_data_json
        asked.append((body["file"], body["theme"]))  # type: ignore[index]
        route.fulfill(body="made by the test")

    cat_page.route("**/download", note)
    for entry in ("PNG, 16:9, light", "SVG, dark"):
        downloaded(cat_page, of_page(cat_page), re.compile(entry))
    assert asked == [("comparison.png", "light"), ("comparison.svg", "dark")]


def test_overlays_and_heatmaps_are_those_of_the_core(cat_page: Page):
    cat_page.get_by_label("Colours").select_option("viridis")
    cat_page.get_by_role("slider", name="Opacity").fill("0.5")
    panels(cat_page).nth(0).locator("ol.top button").nth(2).click()
    expect_explained(cat_page, "tabby")
    with Image.open(CAT) as photo:
        cat = photo.convert("RGB")
    for n, stand_in in enumerate(STAND_INS.values()):
        e = gc.explain(CAT, stand_in, "tabby")
        name, data = downloaded(cat_page, of_panel(cat_page, n), re.compile("Overlay"))
        assert name == f"{stand_in}_output.png"
        expected = overlay(cat, e.heatmap, e.box, 0.5, "viridis")
        difference = np.abs(np.asarray(opened(data), dtype=int) - np.asarray(expected, dtype=int))
        assert difference.max() <= 3
        name, data = downloaded(cat_page, of_panel(cat_page, n), re.compile("NumPy"))
        assert name == f"{stand_in}_heatmap.npy"
        heatmap = np.load(io.BytesIO(data))
        assert heatmap.dtype == np.float32
        np.testing.assert_allclose(heatmap, e.heatmap, atol=1e-4)
        name, data = downloaded(cat_page, of_panel(cat_page, n), re.compile("16-bit grey PNG"))
        assert name == f"{stand_in}_heatmap.png"
        grey = opened(data)
        assert (grey.mode, grey.size) == ("I;16", cat.size)
        np.testing.assert_allclose(np.asarray(grey) / 65535, e.heatmap, atol=1e-4)
    cat_page.get_by_label("Colours").select_option("inferno")
    cat_page.get_by_role("slider", name="Opacity").fill("0.75")


def test_everything_comes_in_one_archive(cat_page: Page):
    name, data = downloaded(cat_page, of_page(cat_page), re.compile("Everything"))
    assert name == "everything.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        kinds = ("output.png", "heatmap.npy", "heatmap.png")
        maps = {f"{model}_{kind}" for model in STAND_INS.values() for kind in kinds}
        figures = {"input_image.jpg", "comparison.png", "comparison.svg"}
        assert set(archive.namelist()) == maps | figures | {"captions.txt", "explanations.json"}
        assert opened(archive.read("comparison.png")).size == FIGURE
        records = json.loads(archive.read("explanations.json"))["explanations"]
        assert [record["asked_for"] for record in records] == list(STAND_INS)
        for record, stand_in in zip(records, STAND_INS.values(), strict=True):
            e = gc.explain(CAT, stand_in)
            assert (record["model"], record["rank"], record["layer"]) == (stand_in, 1, e.layer)
            assert record["target"]["name"] == e.target.name
            assert record["weights"]["sha256"] == e.weights.sha256
            heatmap = np.load(io.BytesIO(archive.read(record["heatmap"])))
            np.testing.assert_allclose(heatmap, e.heatmap, atol=1e-4)


def test_captions_are_copied_or_else_selected(cat_page: Page):
    titles = {info.name: info.title for info in gc.list_models()}
    captions = "\n\n".join(
        replace(gc.explain(CAT, stand_in), stands_in_for=titles[name]).caption(CAT.name)
        for name, stand_in in STAND_INS.items()
    )
    button = cat_page.get_by_role("button", name="Copy captions")
    done = cat_page.locator(".captions").get_by_role("status")
    cat_page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    button.press("Enter")
    expect(done).to_have_text("Copied")
    assert cat_page.evaluate("navigator.clipboard.readText()") == captions
    # As on a page that came over plain HTTP.
    cat_page.evaluate("Object.defineProperty(navigator, 'clipboard', {configurable: true})")
    button.press("Enter")
    expect(done).to_contain_text("copy them with Ctrl+C")
    assert cat_page.evaluate("getSelection().toString()") == captions
    cat_page.evaluate("delete navigator.clipboard")


def test_a_download_that_is_refused_can_be_tried_again(visit: Visits, cat_page: Page):
    busy = {"problem": "There are too many visitors at the moment.", "again": 7}
    cat_page.route("**/download", lambda route: route.fulfill(status=503, json=busy), times=1)
    of_page(cat_page).click()
    menu = cat_page.locator(".menu:popover-open")
    menu.get_by_role("button", name=re.compile("PNG")).first.click()
    toast = cat_page.get_by_role("status").filter(has_text="too many visitors")
    with cat_page.expect_download() as downloading:
        toast.get_by_role("button", name="Try again").click()
    assert downloading.value.path().stat().st_size > 1000
    assert all("503" in fault for fault in visit.faults)
    visit.faults.clear()


def shared_link(page: Page) -> tuple[str, str]:
    """The link that the dialog offers, and what it says of it."""
    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_role("dialog", name="Share this view")
    expect(dialog).to_be_visible()
    link = dialog.get_by_label("Link to this view").input_value()
    note = dialog.locator("p").first.inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    return link, note


def view_of(page: Page) -> dict[str, object]:
    """What is chosen and what is shown of it."""
    return {
        "headline": page.locator(".headline h2").inner_text(),
        "explained": explained(page),
        "how": page.locator(".panel[data-model] .how").all_inner_texts(),
        "titles": panels(page).get_by_role("heading").all_inner_texts(),
        "class": page.get_by_label("Class to explain").input_value(),
        "rather than": page.get_by_label("Rather than …").input_value(),
        "models": chosen_models(page),
        "radios": page.locator("#view input, #kind input, #detail input").evaluate_all(
            "all => all.map((i) => i.checked)"
        ),
        "method": page.locator("#method input").input_value(),
        "layer": page.get_by_role("slider", name="Layer").input_value(),
        "example": page.locator("[data-example][aria-pressed=true]").get_attribute("data-example"),
    }


def test_the_link_of_a_view_opens_the_same_view(visit: Visits):
    page = visit("?example=3_cat_and_coffee&models=resnet50,vgg19")
    wait_for_all(page, 2)
    choose(page, "Class to explain", "tiger cat", "tiger cat")
    choose(page, "Rather than …", "tabby", "tabby, tabby cat")
    page.get_by_label("Whole photo").check()
    page.get_by_label("Other …").check()
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name="LayerCAM").click()
    page.get_by_label("2 ×").check()
    slider = page.get_by_role("slider", name="Layer")
    slider.press("ArrowLeft")
    toggle_models(page, "EfficientNet-Lite0", "VGG19")
    how = re.compile("^LayerCAM, rather than tabby, detail 2 × · ")
    expect(panels(page).locator(".how", has_text=how)).to_have_count(2)
    wait_for_all(page, 2)
    page.get_by_label("For and against").uncheck()  # it is on where two classes are compared
    wait_for_all(page, 2)
    show_grey(page)
    link, note = shared_link(page)
    assert "same picture" in note
    assert link == page.url  # so a reload keeps the view, too
    asked = parse_qs(urlsplit(link).query)
    assert asked["models"] == ["resnet50,efficientnet_lite0"]
    view, maps = view_of(page), [levels(page, n) for n in range(2)]
    page = visit(link.split("/", 3)[3])
    wait_for_all(page, 2)
    show_grey(page)
    expect(page.get_by_label("Class to explain")).to_have_value("tiger cat")
    assert view_of(page) == view
    for n in range(2):
        np.testing.assert_allclose(levels(page, n), maps[n], atol=1 / 255)
    assert shared_link(page)[0] == link


def test_a_link_of_the_first_version_still_asks_for_a_map_in_contrast(visit: Visits):
    page = visit("?example=1_cat&class=282&rivals=1&models=resnet50")
    wait_for_results(page, 1)
    expect(panels(page).locator(".how")).to_contain_text("Grad-CAM, rather than ")
    said = "Explaining tiger cat rather than the most probable others"
    expect(page.locator(".headline h2")).to_have_text(said)
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["contrast"], asked["map"]) == (["auto"], ["own"])
    page.get_by_role("button", name="Trust").click()
    expect(page.locator(".trust")).to_contain_text("tiger cat rather than ")
    expect(page.locator(".trust .verdict")).to_be_visible()
    page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy captions").click()
    expect(page.locator(".captions").get_by_role("status")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"\n(This map (holds|fails)|It is not clear whether this map holds): ", copied)


CONTRASTS = {
    "contrast=auto": "auto",
    "contrast=auto&map=published": "auto",
    "contrast=auto&map=own&method=eigencam": "auto",
    "contrast=287&rivals=1": 287,
    "contrast=287&rather_than=285": 287,
    "rather_than=287": 287,
    "rivals=1": "auto",
    "rivals=0": None,
}
READ = """async ([queries, props]) => {
    const { readLink } = await import(new URL("web/link.js", location.href));
    return queries.map((query) => readLink(new URL(`?${query}`, location.href), props));
}"""


def test_the_contrast_of_a_link_is_read_also_from_old_ones(one_panel: Page):
    props = {"classes": [""] * 1000, "kinds": {"own": "", "published": ""}, "methods": []}
    read = one_panel.evaluate(READ, [list(CONTRASTS), props])
    found = ["auto" if one.get("auto_contrast") else one.get("contrast") for one in read]
    assert found == list(CONTRASTS.values())
    # A map that has no such choice becomes one's own.
    assert [one.get("kind") for one, of in zip(read, found, strict=True) if of == "auto"] == [
        "own"
    ] * 4


def test_the_dialog_says_what_the_link_of_an_upload_cannot_carry(no_photo: Page, cat_path: Path):
    page = no_photo
    drop(page, cat_path)
    wait_for_results(page, 1)
    page.get_by_label("Whole photo").check()
    panels(page).first.locator("ol.top button").nth(1).click()
    expect(page.locator(".headline h2")).not_to_contain_text("each network")
    link, note = shared_link(page)
    assert "The link cannot carry an uploaded photo." in note
    asked = parse_qs(urlsplit(link).query)
    assert set(asked) == {"class", "models", "view"}
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text(
        re.compile("Copied|copy it with Ctrl")
    )


def test_a_link_without_a_photo_keeps_its_other_choices_for_the_next_one(
    visit: Visits, coffee_path: Path
):
    page = visit("?class=968&view=whole&models=resnet50")
    drop(page, coffee_path)
    expect_explained(page, "cup", 1)
    expect(page.get_by_label("Whole photo")).to_be_checked()
    expect(page.get_by_label("Class to explain")).to_have_value("cup")


NONSENSE = (
    "example=1_cat&models=alexnet&class=1000&rather_than=-1&view=sideways&map=best"
    "&method=guess&detail=9&layer=2&rivals=7&colour=red",
    "example=1_cat&models=,&class=NaN&rather_than=1e999&view=&map=constructor&method=__proto__"
    "&detail=2.5&layer=nonsense&<script>alert(1)</script>",
    "example=../../LICENSE",
)


LACKING = """async ([queries, props]) => {
    const { lackingOf, readLink } = await import(new URL("web/link.js", location.href));
    return queries.map((query) => {
        const address = new URL(`?${query}`, location.href);
        return lackingOf(address, readLink(address, props)).join(", ");
    });
}"""
IN_VAIN = {
    "models=alexnet": "models “alexnet”",
    "models=vgg19,alexnet,": "models “alexnet”",
    "models=vgg19&class=1&contrast=auto&signed=0&utm_source=x": "",
    "class=crane&map=best&layer=2&view=": "class “crane”, layer “2”, map “best”",
    "window=3,1&signed=7": "window “3,1”, signed “7”",
    "example=none": "example “none”",
    "cover=0.1,0.1,0.4,0.4;0.2,0.2,0.3,0.3~0.1:mean": "",
    "cover=1,2,3": "cover “1,2,3”",
    "cover=0.4,0.1,0.1,0.4": "cover “0.4,0.1,0.1,0.4”",
    "cover=0.10001,0,0.10002,1": "cover “0.10001,0,0.10002,1”",
    "cover=0,0,1,1.1": "cover “0,0,1,1.1”",
    "cover=0.1,0.2,0.3~0.1": "cover “0.1,0.2,0.3~0.1”",
    "cover=0.1,0.2~0.6": "cover “0.1,0.2~0.6”",
    "cover=0.1,0.2~0.5": "",
    "cover=0,0,0,0,0,0~0.5": "cover “0,0,0,0,0,0~0.5”",
    "cover=0,0,0.5,0.5:pink": "cover “0,0,0.5,0.5:pink”",
    "cover=0,0,1,1;0,0,1,0.5;0,0,1,0.6": "cover “0,0,1,1;0,0,1,0.5;0,0,1,0.6”",
}


PROPS = {
    "models": [{"name": "vgg19"}],
    "methods": [],
    "classes": [""] * 1000,
    "kinds": {"own": "", "published": ""},
    "views": ["crop"],
    "details": [1, 2],
    "layers": 4,
    "exampleNames": ["1_cat"],
    "coverLimits": {"fills": FILLS, "covers": 2, "points": 2, "radius": 0.5},
}
"""Of the page, as far as links are read by it."""


def test_what_a_link_asks_for_in_vain_is_told(one_panel: Page):
    told = one_panel.evaluate(LACKING, [list(IN_VAIN), PROPS])
    assert dict(zip(IN_VAIN, told, strict=True)) == IN_VAIN


def test_nonsense_in_a_link_is_ignored(visit: Visits, one_panel: Page):
    cat = {"photo": {"example": "1_cat"}}
    assert one_panel.evaluate(READ, [NONSENSE, PROPS]) == [cat, cat, {}]
    page = visit(f"?{NONSENSE[2]}&{NONSENSE[0].partition('&')[2]}")
    pressed = page.locator("[data-example][aria-pressed=true]")
    expect(pressed).to_have_attribute("data-example", OPENING)  # as without a link
    wait_for_all(page)
    expect(page.get_by_label("Class to explain")).to_have_value("Each network's top class")
    assert chosen_models(page) == ["Xception", "ResNet50", "VGG19"]
