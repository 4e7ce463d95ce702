"""The live view, with Chromium's camera that is a film."""

from __future__ import annotations

import base64
import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

import gradcam_core as gc
from gradcam_core.images.rendering.render import colormap_table
from tests.support.browser import STAND_INS, Visits, box_of, panels, plain, wait_for_results
from tests.support.camera import CAMERA_SIDE, GREY

LITE = STAND_INS["resnet50"]

# The streams that the page gets, so that a test sees whether their camera is on.
WATCHED = """() => {
    if (window.streams) return;
    window.streams = [];
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await ask(wanted);
        streams.push(stream);
        return stream;
    };
}"""
CAMERAS = "streams.flatMap((s) => s.getTracks()).filter((t) => t.readyState === 'live').length"

# Both at the same moment: what a person sees at once.
SHOWN = """(panel) => ["canvas.photo", "canvas.heat"].map(
    (name) => panel.querySelector(name).toDataURL("image/png").split(",")[1])"""


def lively(page: Page) -> Page:
    """Opens the live view, with the first frame on the screen. Whoever closes it at the end spares
    the next test a visit."""
    page.evaluate(WATCHED)
    page.get_by_role("button", name="Live", exact=True).click()
    view = live(page)
    expect(view.locator(".live-panel .top .name").first).not_to_have_text("\u00a0")
    return page


def live(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Live")


def shown(page: Page) -> list[np.ndarray]:
    """The frame and its heat, uint8 [height, width, 4] each."""
    encoded = live(page).locator(".live-panel").first.evaluate(SHOWN)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGBA")) for one in encoded
    ]


def is_left(frame: np.ndarray) -> bool:
    """Whether the cup is in the left half of a frame; the other half is grey."""
    half = frame.shape[1] // 2
    apart = np.abs(frame[:, :, :3].astype(int) - np.array(GREY))
    left, right = apart[:, : half - 8].mean(), apart[:, half + 8 :].mean()
    assert max(left, right) > 5 * min(left, right)  # it is one frame, not two mixed
    return bool(left > right)


def test_each_map_lies_on_its_own_frame(one_panel: Page):
    one_panel.get_by_label("Whole photo").check()
    page = lively(one_panel)
    sides = set()
    for _ in range(60):
        frame, heat = shown(page)
        side = is_left(frame)
        sides.add(side)
        e = gc.explain(Image.fromarray(frame[:, :, :3]), LITE, view="whole")
        expected = e.heatmap_at((heat.shape[1], heat.shape[0]))
        alphas = colormap_table("inferno")[:, 3].astype(float)
        wanted = alphas[np.round(255 * expected).astype(int)]
        assert np.corrcoef(wanted.ravel(), heat[:, :, 3].ravel())[0, 1] > 0.9
        if len(sides) == 2 and _ > 8:
            break
        page.wait_for_timeout(70)
    else:
        pytest.fail("the camera's film stands still")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()
    page.get_by_label("Centre crop").check()


def test_a_class_is_pinned_by_a_click_and_a_frozen_frame_is_explained_for_it(visit: Visits):
    page = lively(visit("?example=1_cat&view=whole&models=resnet50,vgg19"))
    view = live(page)
    expect(view.locator(".live-panel h2")).to_have_text(
        ["EfficientNet-Lite0", "EfficientNet-Lite1"]
    )
    expect(view.locator(".live-panel .stands-in").first).to_have_text("in place of ResNet50")
    assert page.evaluate(CAMERAS) == 1
    row = view.locator(".live-panel").first.locator(".top button").nth(2)
    row.dispatch_event("pointerdown", {"button": 0})
    name = view.get_by_role("button", name="Unpin").inner_text().strip()
    explained = view.locator(".live-panel .explained strong")
    expect(explained).to_have_text([name, name])
    view.get_by_role("button", name="Unpin").click()
    expect(explained.first).to_be_hidden()
    row.dispatch_event("pointerdown", {"button": 0})
    name = view.get_by_role("button", name="Unpin").inner_text().strip()
    expect(explained).to_have_text([name, name])
    page.keyboard.press(" ")
    expect(view).to_be_hidden()
    assert page.evaluate(CAMERAS) == 0
    expect(page.locator(".panel[data-model] .explained strong")).to_have_text([name, name])
    wait_for_results(page, 2)
    photo = panels(page).first.locator("img.photo")
    size = photo.evaluate("(img) => [img.naturalWidth, img.naturalHeight]")
    assert size == [2 * CAMERA_SIDE, CAMERA_SIDE]  # as the camera gave it
    expect(page.locator("#photo img")).to_be_attached()
    page.get_by_role("button", name="Cover", exact=True).click()  # as with any other photo
    page.get_by_role("button", name="Cover the hottest", exact=True).click()
    expect(page.locator(".panel[data-model] .effect:not(.elsewhere) .numbers")).to_have_count(2)


def test_in_a_presentation_the_maps_are_as_large_as_on_the_page(one_panel: Page):
    page = lively(one_panel)
    picture = live(page).locator(".photo-layers")
    alone = box_of(picture)
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.keyboard.press("l")
    expect(live(page).locator(".live-panel .top .name").first).not_to_have_text("\u00a0")
    assert box_of(picture) == alone
    for _ in range(2):  # the view and the presentation
        page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()
    expect(page.locator(".presenting")).to_have_count(0)


def test_the_camera_is_on_only_while_the_view_is_seen(one_panel: Page):
    page = lively(one_panel)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """(isHidden) => {
            Object.defineProperty(document, "hidden", { get: () => window.isHidden });
            window.isHidden = true;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    assert page.evaluate(CAMERAS) == 0
    page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function(f"{CAMERAS} === 1")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()
    page.wait_for_function(f"{CAMERAS} === 0")  # a dialog tells a moment later that it has closed
    page.wait_for_timeout(300)
    asked.clear()
    page.wait_for_timeout(700)
    assert [url for url in asked if "/live" in url] == []
    page.keyboard.press("l")
    page.wait_for_function(f"{CAMERAS} === 1")
    expect(live(page).locator(".live-panel .top .name").first).not_to_have_text("\u00a0")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()


REASONS = {
    "NotFoundError": "No camera was found.",
    "NotAllowedError": "The browser does not let this page use the camera.",
    "NotReadableError": "another program may be using it",
    "AbortError": "No camera is available here.",
    "": "The camera has not answered yet.",  # it never does
}
MEANWHILE = {
    "mute": "The camera is paused.",
    "ended": "The camera no longer gives a picture.",  # unplugged, or no longer allowed
}
_HAPPEN = """async (name) => {
    const [track] = streams.at(-1).getTracks();
    Object.defineProperty(track, "muted", { value: name === "mute", configurable: true });
    track.dispatchEvent(new Event(name));
    await new Promise((resolve) => setTimeout(resolve, 500)); // answers on their way come
    return document.querySelector(".live-message").textContent;
}"""


def test_why_there_is_no_picture_is_told_in_a_sentence(one_panel: Page):
    page = one_panel
    for name, sentence in REASONS.items():
        page.evaluate(
            """(name) => {
                const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
                let failed = false;
                navigator.mediaDevices.getUserMedia = (wanted) => {
                    if (failed) return ask(wanted);
                    failed = true;
                    const refusal = new DOMException("", name);
                    return name ? Promise.reject(refusal) : new Promise(() => {});
                };
            }""",
            name,
        )
        page.get_by_role("button", name="Live", exact=True).click()
        expect(live(page).get_by_role("status").first).to_contain_text(sentence)
        live(page).get_by_role("button", name="Try again").click()
        expect(live(page).locator(".live-panel .top .name").first).not_to_have_text("\u00a0")
        page.keyboard.press("Escape")
        expect(live(page)).to_be_hidden()
    lively(page)
    for event, sentence in MEANWHILE.items():
        assert sentence in page.evaluate(_HAPPEN, event)
    assert page.evaluate(CAMERAS) == 0
    page.context.route("**/live/sender.js", lambda route: route.abort())
    live(page).get_by_role("button", name="Try again").click()
    expect(live(page).get_by_role("status").first).to_contain_text("The server does not answer.")
    page.context.unroute("**/live/sender.js")
    live(page).get_by_role("button", name="Try again").click()
    page.wait_for_function(f"{CAMERAS} === 1")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()


def test_a_busy_and_a_silent_server_are_told_and_asked_again(visit: Visits, one_panel: Page):
    page = lively(one_panel)
    answers = ['{"problem": "The maximum number of cameras is live.", "again": 0.3}', "", None]
    told = live(page).get_by_role("status").first

    def answer(route: Any) -> None:
        if answers[0] is None:
            route.continue_()
        elif answers[0]:
            route.fulfill(body=answers[0], content_type="application/json")
        else:
            route.abort()

    page.context.route("**/live?*", answer)
    expect(told).to_have_text("The maximum number of cameras is live.")
    answers.pop(0)
    expect(told).to_have_text("The server does not answer. Trying again …")
    answers.pop(0)
    expect(told).to_have_text("")
    page.context.unroute("**/live?*")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()
    visit.faults[:] = [one for one in visit.faults if "ERR_FAILED" not in one]


def test_the_next_frame_is_sent_before_the_answer_to_this_one_and_no_other(one_panel: Page):
    page = lively(one_panel)
    held: list[Route] = []

    def wait_for(count: int) -> None:
        for _ in range(300):
            if len(held) >= count:
                return
            page.wait_for_timeout(50)
        pytest.fail(f"{len(held)} frames were sent, not {count}")

    page.context.route("**/live?*", lambda route: held.append(route))
    wait_for(1)
    page.wait_for_timeout(400)  # so long that the next one need not be sent at once
    held.pop(0).continue_()
    wait_for(2)  # of these none is answered
    page.wait_for_timeout(1000)
    numbers = [int(parse_qs(urlsplit(one.request.url).query)["frame"][0]) for one in held]
    assert numbers == [numbers[0], numbers[0] + 1]
    held[0].continue_()
    wait_for(3)
    page.context.unroute("**/live?*")
    page.keyboard.press("Escape")
    expect(live(page)).to_be_hidden()


def test_on_a_phone_all_maps_are_on_the_screen_with_their_classes(visit: Visits, phone: Page):
    lively(visit.cat(tab=phone))
    button = phone.get_by_role("button", name="Live", exact=True)
    assert plain(button.inner_text()) == "Live"
    view = live(phone)
    for part in (".photo-layers", ".top li:first-child"):
        for one in view.locator(f".live-panel {part}").all():
            expect(one).to_be_in_viewport(ratio=1)
    for panel in view.locator(".live-panel").all():
        picture, classes = box_of(panel.locator(".photo-layers")), box_of(panel.locator(".top"))
        assert picture["width"] > 120
        assert picture["x"] + picture["width"] <= classes["x"]  # beside it
    expect(view.get_by_role("button", name="Freeze")).to_be_in_viewport(ratio=1)
    view.locator(".live-panel .top button").first.tap()
    expect(view.get_by_role("button", name="Unpin")).to_be_in_viewport(ratio=1)
    phone.keyboard.press("Escape")
    expect(view).to_be_hidden()
