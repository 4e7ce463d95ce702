"""What a person changes is seen at once, the same way everywhere, and nothing old remains."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Request, Route, expect

import gradcam_core as gc
from demo.server.answers import result_of
from gradcam_core.images.rendering.render import COLORMAPS, colormap_table
from tests.support.browser import (
    PHONE,
    STAND_INS,
    WIDE,
    assert_shows,
    canvas_pixels,
    examples,
    expect_explained,
    explained,
    levels,
    open_example,
    panels,
    remove_photo,
    show_colours,
    show_grey,
    wait_for_all,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"


def row(page: Page, panel: int, at: int) -> Locator:
    return panels(page).nth(panel).locator("ol.top button").nth(at)


@contextmanager
def requests_of(page: Page) -> Iterator[list[str]]:
    """The addresses asked for meanwhile."""
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.append(request.url)

    page.on("request", note)
    yield sent
    page.remove_listener("request", note)


FRAMES_ASKED_FOR = """async () => {
    const next = () => new Promise((done) => requestAnimationFrame(done));
    const number = () => {  // frames are numbered as they are asked for
        const frame = requestAnimationFrame(() => {});
        cancelAnimationFrame(frame);
        return frame;
    };
    let least = Infinity;
    for (let tries = 0; tries < 20 && least; tries += 1) {
        const before = number();
        for (let frame = 0; frame < 10; frame += 1) await next();
        least = Math.min(least, number() - before - 11);
    }
    return least;
}"""


def test_a_page_on_which_nothing_changes_asks_for_no_frames(cat_page: Page):
    """See `demo/web/loading_timer.js`."""
    assert cat_page.evaluate(FRAMES_ASKED_FOR) == 0


def as_shown(probability: float) -> str:
    return f"{probability:.1%}".replace("%", " %") if probability >= 0.001 else "< 0.1 %"


def test_a_click_on_any_prediction_explains_that_class_everywhere_on_the_page(cat_page: Page):
    held = [gc.examine(CAT, model) for model in STAND_INS.values()]
    for panel, at in ((0, 4), (1, 4), (2, 1), (1, 2)):
        prediction = held[panel].top[at]
        row(cat_page, panel, at).click()
        expect_explained(cat_page, prediction.name)
        for n, examination in enumerate(held):
            e = examination.explain(prediction.index)
            assert explained(cat_page)[n] == (
                f"{e.target.name} {as_shown(e.target.probability)}, rank {e.rank}"
            )
            # Marked where it is among the five, and nothing else is.
            marks = panels(cat_page).nth(n).locator("ol.top button[aria-pressed]")
            pressed = marks.evaluate_all("all => all.map((b) => b.ariaPressed)")
            wanted = [str(p.index == prediction.index).lower() for p in e.top]
            assert pressed == wanted
    assert {held[n].top[4].index for n in range(3)} != {held[0].top[4].index}  # not in all of them
    expect(cat_page.get_by_label("Class to explain")).to_have_value("tabby, tabby cat")
    headline = cat_page.get_by_role("heading", name="Explaining tabby")
    expect(headline).to_be_visible()


def test_opacity_display_and_colours_change_without_any_request(cat_page: Page):
    canvas = cat_page.locator("canvas.heat").first
    e = gc.explain(CAT, "efficientnet_lite2")
    with requests_of(cat_page) as sent:
        slider = cat_page.get_by_role("slider", name="Opacity")
        for key, opacity in (("Home", "0"), ("ArrowRight", "0.05"), ("End", "1")):
            slider.press(key)
            expect(canvas).to_have_css("opacity", opacity)
        for name, title in COLORMAPS.items():
            cat_page.get_by_label("Colours").select_option(title)
            shown = canvas_pixels(canvas)
            heat = e.heatmap_at((shown.shape[1], shown.shape[0]))
            table = colormap_table(name)
            # Where it is opaque, as in the canvas the colours of others are rounded.
            hot = heat > 0.6
            expected = table[np.round(heat * 255).astype(int)][hot]
            difference = np.abs(shown[hot].astype(int) - expected)
            assert np.percentile(difference, 99) <= 8
        photo = panels(cat_page).first.locator("img.photo")
        cat_page.get_by_role("radio", name="Photo", exact=True).check(force=True)
        expect(canvas).to_be_hidden()
        expect(photo).to_be_visible()
        cat_page.get_by_role("radio", name="Heat").check(force=True)
        expect(canvas).to_be_visible()
        expect(photo).to_be_hidden()
        assert (canvas_pixels(canvas)[:, :, 3] == 255).all()
        cat_page.get_by_role("radio", name="Overlay").check(force=True)
        expect(photo).to_be_visible()
        assert canvas_pixels(canvas)[:, :, 3].min() == 0
        cat_page.get_by_label("Colours").select_option("Inferno")
        slider.fill("0.75")
        expect(canvas).to_have_css("opacity", "0.75")
    assert sent == []


WIDTH = "document.querySelector('canvas.heat').width"


def test_the_heat_is_drawn_again_at_the_size_of_the_screen(cat_page: Page):
    page = cat_page
    fine = page.context.new_cdp_session(page)
    screen = {**WIDE, "deviceScaleFactor": 2, "mobile": False}
    fine.send("Emulation.setDeviceMetricsOverride", screen)
    open_example(page, "2_coffee")
    expect_explained(page, "espresso")
    wait_for_results(page)
    show_grey(page)
    panel = panels(page).first
    e = gc.explain(EXAMPLES / "2_coffee.jpg", "efficientnet_lite2")

    def sizes() -> list[int]:
        return panel.locator(".photo-layers").evaluate(
            """stage => {
                const { width, height } = stage.querySelector("canvas.heat");
                return [width, height, stage.clientWidth, stage.clientHeight];
            }"""
        )

    small = sizes()
    assert small[:2] == [2 * small[2], 2 * small[3]]
    panel.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    page.wait_for_function(f"{WIDTH} > {2 * small[0]}")
    large = sizes()
    # As fine as the screen, up to the bound of what is drawn at once.
    share = min(2, (2.5e6 / (large[2] * large[3])) ** 0.5)
    assert large[:2] == pytest.approx([share * large[2], share * large[3]], abs=1)
    assert_shows(page, 0, e)
    panel.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement === null")
    page.wait_for_function(
        "wide => document.querySelector('canvas.heat').width == wide", arg=small[0]
    )
    assert_shows(page, 0, e)
    fine.send("Emulation.clearDeviceMetricsOverride")
    fine.detach()
    show_colours(page)


# Every frame: what each panel says, which picture it shows, and its heat on a coarse raster.
WATCH = """() => {
    window.frames_seen = [];
    const small = document.createElement("canvas");
    small.width = small.height = 12;
    const context = small.getContext("2d", { willReadFrequently: true });
    const note = () => {
        if (!window.frames_seen) return;
        for (const panel of document.querySelectorAll(".panel[data-model]")) {
            const canvas = panel.querySelector("canvas.heat");
            const photo = panel.querySelector("img.photo");
            context.clearRect(0, 0, 12, 12);
            context.drawImage(canvas, 0, 0, 12, 12);
            const pixels = context.getImageData(0, 0, 12, 12).data;
            window.frames_seen.push({
                model: panel.dataset.model,
                says: panel.querySelector("ol.top").innerText,
                explains: panel.querySelector(".explained").innerText,
                photo: photo.complete ? `${photo.naturalWidth} x ${photo.naturalHeight}` : "",
                heat: [...pixels].filter((_, i) => i % 4 === 3),
            });
        }
        requestAnimationFrame(note);
    };
    note();
}"""


def test_no_map_or_label_of_one_picture_is_ever_beside_those_of_another(cat_page: Page):
    page = cat_page
    # A photo, what the panels say of it and their maps, as they are when nothing is under way.
    page.evaluate(WATCH)
    known: dict[tuple[str, str, str], tuple[str, np.ndarray]] = {}
    order = (1, 5, 0)
    for n in order:
        sentences = page.locator(".sentences p")
        sentences.evaluate_all("all => all.forEach((p) => (p.className = 'before'))")
        examples(page).nth(n).click()
        expect(page.locator(".sentences p.before")).to_have_count(0)
        wait_for_all(page)
        page.evaluate("() => (window.frames_seen = [])")
        page.wait_for_function("() => window.frames_seen.length > 9")
        for frame in page.evaluate("() => window.frames_seen.slice(-3)"):
            known[frame["model"], frame["says"], frame["explains"]] = (
                frame["photo"],
                np.array(frame["heat"]),
            )
    assert len(known) == 9
    page.evaluate("() => (window.frames_seen = [])")
    for pause in (0, 60, 250):
        for n in order:
            examples(page).nth(n).click()
            page.wait_for_timeout(pause)
    # The newest choice is the one that is shown in the end.
    expect(page.locator(".explained", has_text="cat")).to_have_count(3)
    wait_for_all(page)
    frames = page.evaluate("() => window.frames_seen")
    page.evaluate("() => (window.frames_seen = null)")
    shown = 0
    for frame in frames:
        if not frame["explains"].strip():
            assert not any(frame["heat"])  # nothing is said, nothing is shown
            continue
        photo, heat = known[frame["model"], frame["says"], frame["explains"]]
        assert frame["photo"] == photo
        assert np.abs(np.array(frame["heat"]) - heat).mean() < 6
        shown += 1
    assert shown > 30
    others = [heat for _, heat in known.values()]
    for i, one in enumerate(others):  # so that a wrong one would have been noticed
        assert all(np.abs(one - other).mean() > 6 for other in others[:i])


def asked(request: Request) -> dict[str, Any]:
    body = request.post_data_json
    assert body is not None
    return body


def test_a_newer_choice_ends_the_request_before(cat_page: Page):
    held: list[Route] = []
    cat_page.route("**/explain-stream", lambda route: held.append(route))
    with cat_page.expect_event("requestfailed") as failed:
        row(cat_page, 0, 1).click()
        row(cat_page, 0, 2).click()
    assert failed.value.failure == "net::ERR_ABORTED"
    assert asked(failed.value)["target"] == gc.find_label("tiger cat").index
    while len(held) < 2:
        cat_page.wait_for_timeout(20)
    newest = asked(held[1].request)
    assert newest["target"] == gc.find_label("tabby").index
    assert newest["shown_photo_id"]
    held[1].continue_()
    expect_explained(cat_page, "tabby")
    cat_page.unroute("**/explain-stream")


def test_where_no_network_has_a_result_nothing_is_said_of_the_maps_before(cat_page: Page):
    said = cat_page.locator(".comparison .sentences")

    def fail(route: Route) -> None:
        failed = [{"map": model, "failed": "It has no such class."} for model in STAND_INS]
        lines = [{"id": asked(route.request)["shown_photo_id"]}, *failed]
        route.fulfill(body="".join(f"{json.dumps(line)}\n" for line in lines))

    cat_page.route("**/explain-stream", fail)
    row(cat_page, 0, 1).click()
    expect(said).to_have_text("No network has a result.")
    cat_page.unroute("**/explain-stream")
    examples(cat_page).nth(1).click()
    wait_for_all(cat_page)
    expect(said).to_contain_text("EfficientNet")


def test_maps_of_the_photo_before_are_not_shown_without_a_word(cat_page: Page):
    held: list[Route] = []
    cat_page.route("**/explain-stream", lambda route: held.append(route))
    examples(cat_page).nth(1).click()
    status = cat_page.locator(".panel[data-model] figure .status")
    expect(status).to_have_text(["Waiting for the server …"] * 3)
    held[0].continue_()
    expect(status).to_have_text([""] * 3)
    wait_for_results(cat_page)
    cat_page.unroute("**/explain-stream")


PLACES = """() => {
    const places = {};
    const note = (name, element) => {
        const { left, top, width, height } = element.getBoundingClientRect();
        places[name] = [left, top + scrollY, width, height].map(Math.round);
    };
    document.querySelectorAll(".panel[data-model]").forEach((panel, p) => {
        note(`header ${p}`, panel.querySelector("header"));
        for (const part of [".photo-layers", ".explained", ".how"]) {
            note(`${part} ${p}`, panel.querySelector(part));
        }
        panel.querySelectorAll("ol.top li").forEach((row, i) => note(`row ${p} ${i}`, row));
    });
    note("toolbar", document.querySelector(".toolbar"));
    note("headline", document.querySelector(".headline"));
    const { left, top } = document.querySelector(".comparison").getBoundingClientRect();
    places.comparison = [left, top + scrollY].map(Math.round);
    return places;
}"""


def test_nothing_jumps_while_results_arrive_or_the_class_changes(
    cat_page: Page, coffee: Image.Image, tmp_path: Path
):
    page = cat_page
    remove_photo(page)
    expect(panels(page)).to_have_count(0)
    # A photo that is new to the server, so that its results take a moment.
    coffee.resize((1500, 1000)).save(tmp_path / "new.png")
    page.evaluate(
        """places => {
            window.seen_places = [];
            const note = () => {
                if (document.querySelector(".panel[data-model]")) {
                    const now = JSON.stringify(eval(places)());
                    if (window.seen_places.at(-1) !== now) window.seen_places.push(now);
                }
                if (!window.has_seen) requestAnimationFrame(note);
            };
            note();
        }""",
        PLACES,
    )
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "new.png")
    wait_for_all(page)
    row(page, 1, 2).click()
    expect(page.locator(".explained").first).not_to_contain_text("espresso")
    wait_for_all(page)
    all_seen = page.evaluate(
        """() => {
            window.has_seen = true;
            return window.seen_places.map((text) => JSON.parse(text));
        }"""
    )
    first = all_seen[0]
    moved = [
        (name, first[name], places[name])
        for places in all_seen
        for name in first
        if np.abs(np.subtract(places[name], first[name])).max() > 1
    ]
    assert moved == []


# Gradio fetches the scripts of its components one by one: each part may be the last to come.
MISSING = """() => {
    const y = () => document.querySelector(".examples").getBoundingClientRect().top;
    return ["#photo", ".block:has(> * .masthead)"].map((selector) => {
        const block = document.querySelector(selector);
        const before = y();
        const [after, parent] = [block.nextSibling, block.parentElement];
        block.remove();
        const moved = y() - before;
        parent.insertBefore(block, after);
        return Math.abs(moved);
    });
}"""


def test_what_comes_late_has_its_room_from_the_beginning(cat_page: Page):
    for size in (WIDE, PHONE):
        cat_page.set_viewport_size(size)
        assert max(cat_page.evaluate(MISSING)) < 1
    cat_page.set_viewport_size(WIDE)


PORTRAIT, STRIP = (600, 900), (2000, 100)


@pytest.mark.parametrize("view", ["crop", "whole"])
def test_the_heat_in_the_browser_is_that_of_python(cat_page: Page, view: str):
    spread = """async ([result, width, height]) => {
        const { spread } = await import(new URL("web/core/heat.js", location.href));
        const { readMap } = await import(new URL("web/results/photo_layers.js", location.href));
        return [...spread(readMap(result), width, height)];
    }"""
    with Image.open(CAT) as cat:
        photos = [cat.resize(size) for size in (PORTRAIT, STRIP, (60, 1200))]
    for photo, detail in zip(photos, (1, 2, 1), strict=True):
        e = gc.explain(photo, "efficientnet_lite0", detail=detail, view=view)  # type: ignore[arg-type]
        for size in ((97, 61), (150, 40), (33, 150), (photo.width, 20)):
            data = cat_page.evaluate(spread, [result_of(e.model, e), *size])
            heat = np.array(data).reshape(size[::-1])
            np.testing.assert_allclose(heat, e.heatmap_at(size), atol=2 / 255)


def test_the_canvas_shows_the_heat_of_python(no_photo: Page, tmp_path: Path):
    page = no_photo
    for size in (PORTRAIT, STRIP):
        path = tmp_path / f"{size[0]}.png"
        with Image.open(CAT) as cat:
            cat.resize(size).save(path)
        page.locator("#photo input[type=file]").set_input_files(path)
        wait_for_results(page, 1)
        show_grey(page)
        for label, view in (("Whole photo", "whole"), ("Centre crop", "crop")):
            page.get_by_label(label).check()
            e = gc.explain(path, "efficientnet_lite0", view=view)  # type: ignore[arg-type]
            whole = "0px" if view == "whole" else re.compile(r"%|[1-9]")
            expect(panels(page).first.locator(".view-box")).to_have_css("inset", whole)
            wait_for_results(page, 1)
            assert_shows(page, 0, e)
            assert levels(page, 0).max() == 1
        show_colours(page)
        remove_photo(page)
        expect(panels(page)).to_have_count(0)
