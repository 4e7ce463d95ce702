"""The page in a real browser, as a person uses it. Every test also fails on an error in the
browser's console, an uncaught exception, or a request to another host."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import gradcam_core as gc
from demo.page import EXAMPLES
from gradcam_core.methods import METHODS
from gradcam_core.overlay import overlay
from scripts.chromium import ARGUMENTS, find
from tests.server import running_app

WIDE: ViewportSize = {"width": 1400, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
expect.set_options(timeout=30_000)  # a busy machine takes its time

OWN_TOP = "Each network's own top prediction"
EXAMPLE_CAT = EXAMPLES / "1_cat.jpg"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find()
    assert path, "Chromium is needed: python -m scripts.chromium"
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *camera])
        yield running
        running.close()


@pytest.fixture
def page(app: str, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    size: ViewportSize = getattr(request, "param", WIDE)
    context = browser.new_context(viewport=size, permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(20_000)
    faults: list[str] = []

    def note_request(sent) -> None:
        if not sent.url.startswith((app, "data:", "blob:")):
            faults.append(f"asked {sent.url}")

    page.on("request", note_request)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    failed_before = request.session.testsfailed
    page.goto(app)
    expect(page.locator(".panels .message")).to_be_visible()
    yield page
    if request.session.testsfailed > failed_before or faults:
        folder = Path("test-results")
        folder.mkdir(exist_ok=True)
        page.screenshot(path=folder / f"{request.node.name}.png", full_page=True)
    context.close()
    assert faults == []


def drop(page: Page, path: Path, name: str | None = None, kind: str = "image/png") -> None:
    """Drop a file on the photo, as from a file manager."""
    data = base64.b64encode(path.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """([data, name, type]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        }""",
        [data, name or path.name, kind],
    )
    target = page.get_by_label("Drop an image file here to upload")
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": transfer})


def panels(page: Page) -> Locator:
    return page.locator("section.panel")


def wait_for_results(page: Page, count: int = 3) -> None:
    expect(panels(page)).to_have_count(count)
    expect(page.locator("section.panel[data-status=ready]:not(.empty)")).to_have_count(count)


def explained(page: Page) -> list[str]:
    return [text.split(" ", 1)[1] for text in page.locator(".explained").all_inner_texts()]


def heat(page: Page, panel: int = 0) -> np.ndarray:
    """The opacity of the heat, pixel by pixel."""
    url = page.locator("canvas.heat").nth(panel).evaluate("canvas => canvas.toDataURL()")
    data = base64.b64decode(url.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)))[:, :, 3]


def choose_class(page: Page, typed: str, option: str) -> None:
    selector = page.get_by_label("Class to explain")
    selector.click()
    selector.press("Control+a")
    selector.press_sequentially(typed)
    page.get_by_role("option", name=option, exact=True).click()


def test_a_dropped_photo_is_explained_by_three_networks(page: Page, coffee_path: Path):
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


def test_a_stand_in_says_so(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    for n, wanted in enumerate(["Xception", "ResNet50", "VGG19"]):
        expect(panels(page).nth(n)).to_contain_text(f"in place of {wanted}")
        expect(panels(page).nth(n)).to_contain_text(
            f"stands in for {wanted}, whose weights cannot be had: HF_HUB_OFFLINE is set"
        )


def test_another_class_changes_the_maps_and_not_the_predictions(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    rows, maps = page.locator("ol.top").all_inner_texts(), [heat(page, n) for n in range(3)]
    choose_class(page, "tabby", "tabby, tabby cat")
    expect(page.locator(".explained", has_text="tabby")).to_have_count(3)
    assert page.locator("ol.top").all_inner_texts() == rows
    assert "17.0 %, rank 3" in explained(page)[1]
    for n in range(3):
        assert not np.array_equal(heat(page, n), maps[n])
    choose_class(page, "Each", OWN_TOP)
    expect(page.locator(".explained", has_text="tiger cat")).to_have_count(1)
    for n in range(3):
        assert np.array_equal(heat(page, n), maps[n])


def test_a_class_outside_the_top_five_is_explained_with_its_rank(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    choose_class(page, "espresso m", "espresso maker")
    expect(page.locator(".explained", has_text="espresso maker")).to_have_count(3)
    for text in explained(page):
        assert re.search(r"< 0.1 %, rank \d{2,3}$", text)


def test_the_classes_the_networks_named_come_first(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    selector = page.get_by_label("Class to explain")
    expect(selector).to_have_value(OWN_TOP)
    selector.click()
    options = page.get_by_role("option").all_inner_texts()
    names = [text.removeprefix("✓").strip().split(",")[0] for text in options[:8]]
    assert names[:2] == [OWN_TOP, "espresso"]
    assert {"cup", "consomme", "chocolate sauce"} <= set(names)


def test_a_synonym_finds_its_class(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    choose_class(page, "catamount", "lynx, catamount")
    expect(page.locator(".explained", has_text="lynx")).to_have_count(3)


def test_an_example_replaces_the_photo_and_its_results(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    choose_class(page, "tabby", "tabby, tabby cat")
    expect(page.locator(".explained", has_text="tabby")).to_have_count(3)
    examples = page.locator("#examples button")
    assert examples.count() >= 5
    examples.first.click()
    # A new picture is first explained by what each network sees in it.
    expect(page.locator(".explained", has_text="Egyptian cat")).to_have_count(2)
    wait_for_results(page)
    expect(page.get_by_label("Class to explain")).to_have_value(OWN_TOP)
    assert "tiger cat" in explained(page)[1]


def test_the_whole_view_lifts_the_dimming_and_finds_what_was_outside(page: Page):
    page.locator("#examples button").nth(6).click()
    wait_for_results(page)
    before = panels(page).nth(1).locator(".seen").bounding_box()
    stage = panels(page).nth(1).locator(".stage").bounding_box()
    assert before
    assert stage
    assert before["width"] < 0.5 * stage["width"]
    page.get_by_label("Whole photo").check()
    expect(page.locator(".explained", has_text="tiger cat")).to_have_count(1)
    wait_for_results(page)
    after = panels(page).nth(1).locator(".seen").bounding_box()
    assert after
    assert after["width"] == pytest.approx(stage["width"], abs=1)
    assert {"tiger cat", "espresso"} <= {
        row.split("\n")[0] for row in panels(page).nth(1).get_by_role("listitem").all_inner_texts()
    }


def test_opacity_changes_in_the_browser_without_a_request(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    page.wait_for_timeout(500)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    slider = page.get_by_role("slider", name=re.compile("Opacity"))
    slider.focus()
    for _ in range(5):
        slider.press("ArrowLeft")
    canvas = page.locator("canvas.heat").first
    expect(canvas).to_have_css("opacity", "0.5")
    page.wait_for_timeout(500)
    assert sent == []


def test_models_can_be_added_and_removed(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    first = heat(page, 0)
    models = page.get_by_label("Models")
    models.click()
    page.get_by_role("option", name="EfficientNet-Lite0", exact=True).click()
    wait_for_results(page, 4)
    expect(panels(page).nth(3).get_by_role("heading")).to_have_text("EfficientNet-Lite0")
    expect(panels(page).nth(3)).not_to_contain_text("in place of")
    assert np.array_equal(heat(page, 0), first)
    for _ in range(3):
        models.press("Backspace")
    wait_for_results(page, 1)
    models.press("Backspace")
    expect(page.get_by_text("Choose at least one model.")).to_be_visible()
    page.get_by_role("option", name="VGG19", exact=True).click()
    wait_for_results(page, 1)


def test_what_is_no_picture_gets_a_sentence_and_the_next_works(
    page: Page, tmp_path: Path, coffee_path: Path
):
    text = tmp_path / "holiday.jpg"
    text.write_text("this is not a picture")
    drop(page, text, kind="image/jpeg")
    expect(page.get_by_role("alert")).to_contain_text("not a picture in a format that can be read")
    expect(panels(page)).to_have_count(0)
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    expect(page.get_by_text("Drop a photo above")).to_be_visible()
    drop(page, coffee_path)
    wait_for_results(page)


def test_a_bad_file_after_an_example_gets_its_sentence_too(page: Page, tmp_path: Path):
    page.locator("#examples button").first.click()
    wait_for_results(page)
    text = tmp_path / "holiday.jpg"
    text.write_text("this is not a picture")
    page.locator("#photo input[type=file]").set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("not a picture")
    expect(panels(page)).to_have_count(0)


def test_removing_the_photo_clears_the_panels(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    expect(page.get_by_text("Drop a photo above")).to_be_visible()
    expect(panels(page)).to_have_count(0)


def test_the_newest_of_many_quick_choices_is_shown(page: Page):
    examples = page.locator("#examples button")
    for n in (0, 1, 3, 4, 0, 1):
        examples.nth(n).click()
        page.wait_for_timeout(150)
    expect(page.locator(".explained", has_text="espresso")).to_have_count(3)
    page.wait_for_timeout(2500)  # late answers to the earlier ones
    wait_for_results(page)
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3


def downloaded(page: Page, panel: int) -> tuple[str, np.ndarray]:
    with page.expect_download() as download:
        panels(page).nth(panel).get_by_label("Download this picture").click()
    with Image.open(download.value.path()) as picture:
        return download.value.suggested_filename, np.asarray(picture.convert("RGB"), dtype=float)


def test_a_photo_that_decodes_slowly_does_not_replace_a_newer_one(page: Page, tmp_path: Path):
    slow = tmp_path / "slow.jpg"
    Image.effect_noise((9000, 7000), 80).convert("RGB").save(slow, quality=60)
    page.locator("#photo input[type=file]").set_input_files(slow)
    page.wait_for_timeout(700)
    page.locator("#examples button").nth(1).click()
    expect(page.locator(".explained", has_text="espresso")).to_have_count(3)
    page.wait_for_timeout(4000)  # the slow one is decoded by now
    page.get_by_label("Whole photo").check()
    expect(page.locator(".seen").first).to_have_css("inset", "0px")
    wait_for_results(page)
    shown = page.locator("img.photo").first.evaluate("i => [i.naturalWidth, i.naturalHeight]")
    assert shown == [600, 400]
    assert [text.split()[0] for text in explained(page)] == ["espresso"] * 3


def test_a_heat_that_decodes_slowly_is_not_drawn_on_another_photo(page: Page, coffee_path: Path):
    page.evaluate(
        """() => {
            const decode = Image.prototype.decode;
            Image.prototype.decode = async function () {
                await new Promise((done) => setTimeout(done, 900));
                return decode.call(this);
            };
        }"""
    )
    page.locator("#examples button").first.click()
    expect(page.locator("section.panel[data-status=ready]")).to_have_count(3)
    drop_anywhere(page, coffee_path)
    seen: set[str] = set()
    for _ in range(40):
        if page.locator("img.photo").first.evaluate("i => i.naturalWidth") == 600:
            texts = page.locator(".explained strong").all_inner_texts()
            seen |= {text for text in texts if text}
        page.wait_for_timeout(50)
    assert seen <= {"espresso"}
    wait_for_results(page)


def test_a_picture_can_be_dropped_anywhere_and_replaces_the_one_before(
    page: Page, coffee_path: Path, cat_path: Path
):
    drop_anywhere(page, coffee_path)
    expect(page.locator(".explained", has_text="espresso")).to_have_count(3)
    drop_anywhere(page, cat_path)
    expect(page.locator(".explained", has_text="cat")).to_have_count(3)


def drop_anywhere(page: Page, path: Path, event: str = "drop") -> None:
    """Drop a file on the page's background, or paste it; again if the page was not ready for it."""
    data = base64.b64encode(path.read_bytes()).decode()
    for _ in range(5):
        try:
            with page.expect_request(re.compile("/upload"), timeout=5000):
                page.evaluate(DROP, [data, event])
        except PlaywrightTimeout:
            continue
        return
    pytest.fail("the page did not take the picture")


DROP = """([data, event]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(
        event === "paste"
            ? new ClipboardEvent(event, { ...options, clipboardData: dataTransfer })
            : new DragEvent(event, { ...options, dataTransfer }),
    );
}"""


def test_a_picture_can_be_pasted_with_the_keyboard(page: Page, coffee_path: Path):
    drop_anywhere(page, coffee_path, "paste")
    expect(page.locator(".explained", has_text="espresso")).to_have_count(3)


def test_a_tall_photo_fits_on_the_screen(page: Page, tmp_path: Path):
    Image.new("RGB", (400, 3000), "grey").save(tmp_path / "tall.png")
    drop(page, tmp_path / "tall.png")
    wait_for_results(page)
    box = panels(page).first.locator(".stage").bounding_box()
    assert box
    assert box["height"] <= 0.81 * 900


def test_a_class_for_which_nothing_speaks_is_said_to_be_so(page: Page, tmp_path: Path):
    held = gc.examine(EXAMPLE_CAT, "efficientnet_lite0")
    empty = next(c for c in range(1000) if held.explain(c).degenerate)
    label = gc.find_label(empty)
    page.locator("#examples button").first.click()
    wait_for_results(page)
    choose_class(page, label.full_name, label.full_name)
    expect(panels(page).nth(1)).to_contain_text("Nothing here speaks for this class.")


def test_a_choice_made_while_the_photo_is_decoded_does_not_lose_the_photo(
    page: Page, tmp_path: Path
):
    slow = tmp_path / "slow.jpg"
    Image.effect_noise((9000, 7000), 80).convert("RGB").save(slow, quality=60)
    page.locator("#photo input[type=file]").set_input_files(slow)
    expect(page.locator("#photo img")).to_be_visible()
    page.get_by_label("Sharp", exact=True).check()
    wait_for_results(page)
    expect(page.locator(".how", has_text="Competitive")).to_have_count(3)
    selector = page.get_by_label("Class to explain")
    named = panels(page).nth(1).get_by_role("listitem").first.inner_text().split("\n")[0]
    selector.click()
    first = page.get_by_role("option").all_inner_texts()[1:16]
    assert any(named in option for option in first)


def test_sharp_maps_are_those_of_the_preset_and_the_predictions_stay(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    rows, plain = page.locator("ol.top").all_inner_texts(), heat(page, 1)
    page.get_by_label("Sharp", exact=True).check()
    expect(page.locator(".how", has_text="Competitive Grad-CAM, against")).to_have_count(3)
    assert page.locator("ol.top").all_inner_texts() == rows
    e = gc.explain(cat_path, "efficientnet_lite0", preset="sharp")
    assert page.locator(".how").all_inner_texts()[1] == e.how
    shown = heat(page, 1)
    assert not np.array_equal(shown, plain)
    expected = e.heatmap_at((shown.shape[1], shown.shape[0]))
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9
    page.get_by_label("Grad-CAM", exact=True).check()
    expect(page.locator(".how", has_text=re.compile("^Grad-CAM$"))).to_have_count(3)
    assert np.array_equal(heat(page, 1), plain)


def choose_method(page: Page, title: str) -> None:
    page.get_by_label("Method").click()
    page.get_by_role("option", name=title, exact=True).click()


def test_every_method_of_the_registry_can_be_chosen(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    expect(page.get_by_label("Method")).to_be_hidden()
    page.get_by_label("Other …").check()
    page.get_by_label("Method").click()
    titles = page.get_by_role("option").all_inner_texts()
    assert [t.strip(" ✓\n") for t in titles] == [m.title for m in METHODS.values()]
    page.get_by_role("option", name="LayerCAM").click()
    expect(page.locator(".how", has_text=re.compile("^LayerCAM$"))).to_have_count(3)
    page.get_by_label("2 ×").check()
    expect(page.locator(".how", has_text=re.compile("^LayerCAM, detail 2 ×$"))).to_have_count(3)
    page.get_by_label("Against its rivals").check()
    against = re.compile("^LayerCAM, against .+ and .+, detail 2 ×$")
    expect(page.locator(".how", has_text=against)).to_have_count(3)
    choose_method(page, "Eigen-CAM")
    expect(page.locator(".how", has_text="Eigen-CAM, which knows no class")).to_have_count(3)


def test_a_slow_method_shows_its_progress_and_another_choice_ends_it(page: Page, cat_path: Path):
    drop(page, cat_path)
    wait_for_results(page)
    page.get_by_label("Other …").check()
    choose_method(page, "Score-CAM")
    status = panels(page).first.locator(".status")
    expect(status).to_have_text(re.compile(r"Score-CAM … [1-9]\d*%"))
    choose_method(page, "Ablation-CAM")
    expect(page.locator(".how", has_text="Ablation-CAM")).to_have_count(3)
    wait_for_results(page)
    expect(status).to_be_empty()
    expected = gc.explain(cat_path, "efficientnet_lite0", method="ablationcam")
    shown = heat(page, 1)
    wanted = expected.heatmap_at((shown.shape[1], shown.shape[0]))
    assert np.corrcoef(shown.ravel(), wanted.ravel())[0, 1] > 0.9


def test_an_overlay_can_be_downloaded_as_it_is_shown(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    name, shown = downloaded(page, 1)
    assert name == "resnet50_espresso.png"
    photo = np.asarray(Image.open(coffee_path).convert("RGB"), dtype=float)
    e = gc.explain(coffee_path, "efficientnet_lite0")
    expected = overlay(Image.open(coffee_path).convert("RGB"), e.heatmap, e.box)
    assert shown.shape == photo.shape
    assert np.abs(shown - np.asarray(expected, dtype=float)).mean() < 4  # JPEG and rounding
    assert np.abs(shown - photo).mean() > 20
    page.get_by_role("slider", name=re.compile("Opacity")).press("Home")
    expect(page.locator("canvas.heat").first).to_have_css("opacity", "0")
    _, bare = downloaded(page, 1)
    left, top, right, bottom = e.box
    inside = np.s_[top + 2 : bottom - 2, left + 2 : right - 2]
    assert np.abs(bare[inside] - photo[inside]).mean() < 4


def test_an_overlay_fills_the_screen_with_its_labels(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    first = panels(page).first
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    box = first.locator(".stage").bounding_box()
    assert box
    assert box["width"] / box["height"] == pytest.approx(600 / 400, rel=0.01)
    assert max(box["width"] / 1400, box["height"] / 900) > 0.75
    for words in ("EfficientNet-Lite2", "in place of Xception", "espresso"):
        expect(first.get_by_text(words).first).to_be_in_viewport()
    first.get_by_label("Full screen").click()
    page.wait_for_function("document.fullscreenElement === null")
    expect(panels(page).nth(2)).to_be_visible()
    expect(page.locator(".covering")).to_have_count(0)


def test_where_there_is_no_full_screen_the_panel_covers_the_page(page: Page, coffee_path: Path):
    page.evaluate("delete Element.prototype.requestFullscreen")
    drop(page, coffee_path)
    wait_for_results(page)
    panels(page).first.get_by_label("Full screen").click()
    box = panels(page).first.bounding_box()
    assert box
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
    box = panels(page).first.locator(".stage").bounding_box()
    assert box
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
            const blob = await (await fetch("data:image/png;base64," + data)).blob();
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        base64.b64encode(coffee_path.read_bytes()).decode(),
    )
    page.get_by_label("Paste from clipboard").click()
    wait_for_results(page)
    assert explained(page)[1].startswith("espresso")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_on_a_phone_panels_are_stacked_and_nothing_scrolls_sideways(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    boxes = [panels(page).nth(n).bounding_box() for n in range(3)]
    assert all(boxes)
    tops = [box["y"] for box in boxes if box]
    assert tops == sorted(tops)
    assert len({round(box["x"]) for box in boxes if box}) == 1
    assert all(box["width"] > 320 for box in boxes if box)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    choose_class(page, "cup", "cup")
    expect(page.locator(".explained", has_text="cup")).to_have_count(3)


def test_on_a_wide_screen_panels_stand_side_by_side(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    wait_for_results(page)
    boxes = [panels(page).nth(n).bounding_box() for n in range(3)]
    assert len({round(box["y"]) for box in boxes if box}) == 1


def test_nothing_jumps_while_results_arrive(page: Page, coffee_path: Path):
    drop(page, coffee_path)
    expect(panels(page)).to_have_count(3)
    first = page.locator("section.panel .stage").evaluate_all("all => all.map(e => e.offsetHeight)")
    wait_for_results(page)
    last = page.locator("section.panel .stage").evaluate_all("all => all.map(e => e.offsetHeight)")
    assert first == last


def test_how_to_read_this_is_there(page: Page):
    page.get_by_role("button", name="How to read this").click()
    expect(page.get_by_text("What the colours do not say")).to_be_visible()
