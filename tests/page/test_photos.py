"""How a picture comes to the page and goes again: dropped, pasted, taken, chosen, replaced. As all
tests of the page, these also fail on an error in the browser's console, an uncaught exception, or a
request to another host."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import tifffile
from PIL import Image
from playwright.sync_api import Page, Route, expect

import gradcam_core as gc
from demo.examples import EXAMPLES, OPENING, examples_folder
from demo.ui import texts
from tests.support.bad_pictures.corpus import corpus
from tests.support.browser import (
    OWN_TOP,
    Visits,
    assert_shows,
    box_of,
    choose_class,
    drop,
    drop_anywhere,
    examples,
    expect_explained,
    explained,
    heat,
    listed_classes,
    open_example,
    panels,
    remove_photo,
    show_colours,
    show_grey,
    wait_for_all,
    wait_for_results,
)

RESNET = "?models=resnet50"
"""A page with one panel, where their number does not matter."""


def expect_no_photo(page: Page) -> None:
    expect(page.get_by_text(texts.NO_PHOTO)).to_be_visible()
    expect(panels(page)).to_have_count(0)
    expect(page.locator(".comparison, .toolbar").first).to_be_hidden()


def test_the_page_opens_with_an_example_explained_and_a_visitor_s_photo_replaces_it(
    page: Page, coffee_path: Path
):
    wait_for_all(page)
    opening = next(one for one in EXAMPLES if one.name == OPENING)
    expect(page.locator(".example-caption")).to_have_text(f"{opening.title} {opening.caption}")
    assert {text.rsplit(" ", 4)[0] for text in explained(page)} == {"espresso", "Egyptian cat"}
    assert urlsplit(page.url).query == ""  # who has chosen nothing, shares nothing
    page.locator("#photo input[type=file]").set_input_files(coffee_path)
    expect_explained(page, "espresso")
    wait_for_results(page)
    expect(page.locator(".example-caption")).to_be_empty()
    expect(page.locator("[data-example][aria-pressed=true]")).to_have_count(0)
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
    remove_photo(page)
    expect_no_photo(page)


def test_what_is_dropped_or_pasted_anywhere_or_chosen_replaces_the_picture_before(
    cat_page: Page, coffee_path: Path, cat_path: Path
):
    drop_anywhere(cat_page, coffee_path)
    expect_explained(cat_page, "espresso")
    drop_anywhere(cat_page, cat_path)
    expect(cat_page.locator(".explained", has_text="cat")).to_have_count(3)
    drop_anywhere(cat_page, coffee_path, "paste")
    expect_explained(cat_page, "espresso")
    choose_class(cat_page, "tabby", "tabby, tabby cat")
    expect_explained(cat_page, "tabby")
    assert examples(cat_page).count() >= 5
    examples(cat_page).first.click()
    # A new picture is first explained by what each network sees in it.
    expect_explained(cat_page, "Egyptian cat", 2)
    wait_for_results(cat_page)
    expect(cat_page.get_by_label("Class to explain")).to_have_value(OWN_TOP)
    expect(examples(cat_page).first).to_have_attribute("aria-pressed", "true")
    assert "tiger cat" in explained(cat_page)[1]
    remove_photo(cat_page)
    expect_no_photo(cat_page)


BAD = {
    "progressive JPEG, gigapixels": "too large",
    "EPS that starts a program": "not supported",
    "SVG with a file of the server": "not supported",
    "PNG cut at 60 %": "damaged or incomplete",
}


def test_what_is_no_picture_gets_a_sentence_wherever_it_is_put_and_the_next_works(
    cat_page: Page, tmp_path: Path
):
    pictures = {picture.name: picture for picture in corpus()}
    path = tmp_path / "holiday.jpg"
    for name, sentence in BAD.items():
        path.write_bytes(pictures[name].data)
        drop_anywhere(cat_page, path)  # another picture is there at first
        expect(cat_page.get_by_role("alert")).to_contain_text(sentence)
        expect(panels(cat_page)).to_have_count(0)
        expect(cat_page.locator("#photo img")).to_be_hidden()  # the sentence is of another
    drop(cat_page, path, kind="image/jpeg")
    expect(cat_page.get_by_role("alert")).to_contain_text(sentence)
    examples(cat_page).first.click()
    wait_for_results(cat_page)
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(pictures["HEIC: four tiles, turned, and EXIF says so too"].data)
    remove_photo(cat_page)
    expect_no_photo(cat_page)
    drop(cat_page, path, kind="image/heic")  # as an iPhone makes it
    wait_for_results(cat_page)
    expect(cat_page.locator("#photo img")).to_be_visible()


def test_what_was_chosen_in_reading_a_photo_stays_beside_it(cat_page: Page, tmp_path: Path):
    path = tmp_path / "microscope.tif"
    cat = np.asarray(Image.open(examples_folder() / "1_cat.jpg").convert("L"), np.uint16)
    pages = np.stack([cat * 8 + 1024] * 12)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata=None)
    notices = cat_page.locator(".photo-notices")
    expect(notices).to_be_hidden()
    drop_anywhere(cat_page, path)
    expect(notices).to_be_visible()
    expect(notices.get_by_text("The file has 12 pages; the first one is shown.")).to_be_visible()
    expect(notices.get_by_text(f"The value {pages.min()} is shown black")).to_be_visible()
    wait_for_results(cat_page)
    before = panels(cat_page).first.bounding_box()
    choose_class(cat_page, "tabby", "tabby, tabby cat")
    expect_explained(cat_page, "tabby")
    assert panels(cat_page).first.bounding_box() == before
    assert notices.get_by_role("status").locator("p").count() == 2
    examples(cat_page).first.click()
    expect(notices).to_be_hidden()


def test_another_range_of_brightness_explains_the_photo_anew(cat_page: Page, tmp_path: Path):
    path = tmp_path / "camera.tif"
    cat = np.asarray(Image.open(examples_folder() / "1_cat.jpg").convert("L"), np.uint16)
    tifffile.imwrite(path, cat * 8 + 1024, photometric="minisblack")
    form = cat_page.get_by_role("form", name="Brightness")
    low, high = form.get_by_label("Lowest value"), form.get_by_label("Highest value")
    expect(form).to_be_hidden()  # of an ordinary photo
    drop_anywhere(cat_page, path)
    expect(low).to_have_value(str(cat.min() * 8 + 1024))
    expect(high).to_have_value(str(cat.max() * 8 + 1024))
    choose_class(cat_page, "tabby", "tabby, tabby cat")
    low.fill("1500")
    low.press("Enter")
    expect(form.get_by_role("alert")).to_be_hidden()
    low.fill("4000")
    low.press("Enter")
    expect(form.get_by_role("alert")).to_contain_text("the lower one first")
    low.fill("1024")
    high.fill("2000")
    high.press("Enter")
    said = "The value 1024 is shown black and 2000 white: as requested."
    expect(cat_page.locator(".photo-notices").get_by_text(said)).to_be_visible()
    expect(high).to_be_focused()
    expect_explained(cat_page, "tabby")
    wait_for_all(cat_page)
    show_grey(cat_page)
    e = gc.explain(path, "efficientnet_lite0", "tabby", window=(1024, 2000))
    assert_shows(cat_page, 1, e)
    show_colours(cat_page)
    assert "window=1024,2000" in cat_page.url
    bodies: list[dict[str, object]] = []

    def note(route: Route) -> None:
        bodies.append(route.request.post_data_json)  # type: ignore[arg-type]
        route.fulfill(body="made by the test")

    cat_page.route("**/download", note)
    cat_page.locator(".headline").get_by_role("button", name="Download").click()
    with cat_page.expect_download():
        cat_page.locator(".menu:popover-open").get_by_role("button").first.click()
    assert bodies[0]["window"] == [1024, 2000]
    form.get_by_role("button", name="Automatic").press("Enter")
    expect(high).to_have_value(str(cat.max() * 8 + 1024))
    assert "window" not in cat_page.url
    form.get_by_role("button", name="Full range").press("Enter")
    expect(cat_page.locator(".photo-notices").get_by_text("as requested")).to_be_visible()
    examples(cat_page).first.click()
    expect(form).to_be_hidden()
    assert "window" not in cat_page.url


def test_what_is_chosen_or_typed_before_the_page_s_script_has_come_is_not_lost(
    tab: Page, app: str, visit: Visits, coffee_path: Path
):
    held: list[Route] = []
    tab.route("**/web/app.js", lambda route: held.append(route))
    tab.goto(app + RESNET)
    drop(tab, coffee_path)
    expect(tab.locator("#photo img")).to_be_visible()
    field = tab.get_by_label("Class to explain")
    field.click()
    field.press("Control+a")
    field.press_sequentially("tabby")
    expect(field).to_have_value("tabby")
    (script,) = held
    script.continue_()
    wait_for_results(tab, 1)
    tabby = tab.get_by_role("option", name="tabby, tabby cat")
    expect(tabby).to_be_visible()
    expect(field).to_have_value("tabby")
    tab.unroute("**/web/app.js")


@pytest.fixture
def held(no_photo: Page) -> tuple[Page, list[Route]]:
    """A page whose first request gets no answer, as long as the server decodes the photo."""
    page, held = no_photo, list[Route]()

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/explain-stream", hold)
    return page, held


def test_a_photo_that_decodes_slowly_does_not_replace_a_newer_one(
    held: tuple[Page, list[Route]], cat_path: Path
):
    page, _ = held
    with page.expect_request(re.compile("/explain-stream$")):
        page.locator("#photo input[type=file]").set_input_files(cat_path)
    open_example(page, "2_coffee")
    expect_explained(page, "espresso", 1)
    page.get_by_label("Whole photo").check()
    expect(page.locator(".view-box").first).to_have_css("inset", "0px")
    wait_for_results(page, 1)
    shown = page.locator("img.photo").first.evaluate("i => [i.naturalWidth, i.naturalHeight]")
    assert shown == [600, 400]
    assert explained(page)[0].startswith("espresso")
    page.get_by_label("Centre crop").check()


def test_a_choice_made_while_the_photo_is_decoded_does_not_lose_the_photo(
    held: tuple[Page, list[Route]], coffee_path: Path
):
    page, requests = held
    with page.expect_request(re.compile("/explain-stream$")):
        page.locator("#photo input[type=file]").set_input_files(coffee_path)
    page.get_by_label("Sharp", exact=True).check()
    wait_for_results(page, 1)
    expect(page.locator("#photo img")).to_be_visible()
    assert len(requests) == 1
    expect(page.locator(".how", has_text="Competitive")).to_have_count(1)
    assert listed_classes(page, "espresso")
    page.get_by_label("Grad-CAM", exact=True).check()


def test_tall_photos_and_those_that_lie_on_their_side_fit_and_stand_upright(
    no_photo: Page, coffee: Image.Image, tmp_path: Path
):
    page = no_photo
    stage = panels(page).first.locator(".photo-layers")
    Image.new("RGB", (400, 3000), "grey").save(tmp_path / "tall.png")
    drop(page, tmp_path / "tall.png")
    wait_for_results(page, 1)
    assert box_of(stage)["height"] <= 0.81 * 900
    page.keyboard.press("p")
    expect(stage).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    remove_photo(page)
    expect_no_photo(page)
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone held upright stores it
    turned = coffee.resize((4000, 3000)).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "phone.jpg", exif=exif)
    drop(page, tmp_path / "phone.jpg", kind="image/jpeg")
    wait_for_results(page, 1)
    box = box_of(stage)
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.01)
    assert explained(page)[0].startswith("espresso")


REFUSED_ONCE = """() => {
    const { mediaDevices } = navigator;
    const ask = mediaDevices.getUserMedia;
    mediaDevices.getUserMedia = () => {
        mediaDevices.getUserMedia = ask;
        return Promise.reject(new DOMException("", "NotAllowedError"));
    };
}"""


def test_the_webcam_and_the_clipboard_give_a_picture(no_photo: Page, coffee_path: Path):
    page = no_photo
    page.get_by_label("Capture from camera").click()
    page.evaluate(REFUSED_ONCE)
    page.get_by_text(re.compile("access webcam", re.IGNORECASE)).click()
    expect(page.locator(".toast")).to_contain_text("does not let this page use the camera")
    page.get_by_text(re.compile("access webcam", re.IGNORECASE)).click()
    page.wait_for_function("document.querySelector('#photo video')?.readyState >= 2")
    page.get_by_label(re.compile("capture photo", re.IGNORECASE)).click()
    wait_for_results(page, 1)
    page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const blob = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        base64.b64encode(coffee_path.read_bytes()).decode(),
    )
    page.get_by_label("Paste from clipboard").click()
    expect_explained(page, "espresso", 1)


def test_a_visitor_who_waits_reads_the_position_in_the_queue(cat_page: Page):
    page = cat_page
    remove_photo(page)
    expect_no_photo(page)

    def answer(line: str) -> None:
        page.unroute("**/explain-stream")
        page.route("**/explain-stream", lambda route: route.fulfill(body=line + "\n"))

    answer('{"waiting": 1}')
    examples(page).nth(0).click()
    message = page.locator(".panels > .message")
    expect(message).to_have_text("You are number 1 in the queue …")
    page.unroute("**/explain-stream")
    examples(page).nth(1).click()
    wait_for_all(page)
    answer('{"waiting": 12}')
    page.get_by_role("button", name="Trust", exact=True).click()
    cards = page.get_by_role("region", name="How far can I trust this?").get_by_role("listitem")
    expect(cards.locator(".status")).to_have_text(["You are number 12 in the queue …"] * 3)
    examples(page).nth(0).click()
    status = panels(page).locator(".status")
    expect(status).to_have_text(["You are number 12 in the queue …"] * 3)
    page.unroute("**/explain-stream")
    page.get_by_role("button", name="Trust", exact=True).click()
    examples(page).nth(1).click()
    wait_for_results(page)


def test_a_page_whose_server_was_away_recovers_by_itself_and_sends_the_photo_again(
    visit: Visits, no_photo: Page, coffee_path: Path, cat_path: Path
):
    page = no_photo
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    drop(page, coffee_path, "mine?.png")
    wait_for_results(page, 1)
    gone = '{"problem": "The picture is no longer on the server. Choose it again."}\n'
    server = ["away"]

    def answer(route: Route) -> None:
        if server[-1] == "away":
            route.abort()
        elif server[-1] == "without the photo":
            server.append("back")
            route.fulfill(body=gone)
        else:
            route.continue_()

    page.route("**/explain-stream", answer)
    panels(page).first.get_by_role("button", name="cup").click()
    message = page.locator(".panels > .message")
    expect(message).to_contain_text("The server does not answer. Trying again …")
    server.append("without the photo")
    with page.expect_request("**/upload"):
        pass
    wait_for_results(page, 1)
    assert len([url for url in sent if "/upload" in url]) == 2, sent
    page.unroute_all()
    for _ in range(2):  # the second time, the server gives it the name of the shown photo
        page.route(re.compile("/(upload|toast.js)$"), lambda route: route.abort())
        drop(page, coffee_path, "next.png")
        expect(message).to_contain_text("next.png is sent as soon as it does.")
        page.unroute_all()
        message.get_by_role("button", name="Try again").click()
        wait_for_results(page, 1)
    page.route(re.compile("/(upload|toast.js|explain-stream)$"), lambda route: route.abort())
    drop(page, cat_path, "last.png")
    expect(message).to_contain_text("last.png is sent as soon as it does.")
    for _ in range(2):
        page.keyboard.press("s")  # any setting, and back
    page.unroute_all()
    message.get_by_role("button", name="Try again").click()
    expect(page.locator(".explained", has_text="cat")).to_have_count(1)
    expect(page.locator(".toast, .toast-body")).to_have_text([""])
    page.route("**/explain-stream", lambda route: route.abort())
    panels(page).first.get_by_role("button", name="cat").first.click()
    expect(message).to_contain_text("Trying again …")
    page.unroute_all()
    proxies: tuple[Callable[[Route], None], ...] = (
        lambda route: route.abort(),  # as for too large a file
        lambda route: route.fulfill(body="<h1>Welcome</h1>"),
        lambda route: route.fulfill(body="{}"),
    )
    for proxy in proxies:
        page.route("**/upload", proxy)
        drop(page, coffee_path, "large.png")
        expect(page.locator(".toast")).to_contain_text("large.png could not be sent to the server")
        wait_for_results(page, 1)  # of the photo before
    remove_photo(page)
    expect_no_photo(page)
    assert all("ERR_FAILED" in fault for fault in visit.faults)
    visit.faults.clear()
