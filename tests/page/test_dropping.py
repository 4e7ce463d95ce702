"""Whatever is dropped or pasted anywhere becomes the photo, or the person is told what it is."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import (
    PLAIN_HTTP,
    Visits,
    examples,
    expect_explained,
    wait_for_results,
)
from tests.support.photos import EXAMPLES

RESNET = "?models=resnet50"

_GIVE = """([event, target, files, texts]) => {
    const data = new DataTransfer();
    for (const [name, type, base64] of files) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
    }
    for (const [type, text] of texts) data.items.add(text, type);
    const element = document.querySelector(target);
    const options = { bubbles: true, cancelable: true };
    if (event === "paste") {
        element.dispatchEvent(new ClipboardEvent(event, { ...options, clipboardData: data }));
        return;
    }
    for (const name of ["dragenter", "dragover", "drop"]) {
        element.dispatchEvent(new DragEvent(name, { ...options, dataTransfer: data }));
    }
}"""

BOX = "#photo button"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


CAT, COFFEE = (encoded((EXAMPLES / f"{name}.jpg").read_bytes()) for name in ("1_cat", "2_coffee"))


def give(
    page: Page,
    files: Sequence[tuple[str, str, str]] = (),
    texts: Sequence[tuple[str, str]] = (),
    target: str = "body",
    event: str = "drop",
) -> None:
    """files: name, type and content in base64 of each; texts: type and text."""
    page.evaluate(_GIVE, [event, target, list(files), list(texts)])


def assert_nothing_is_said_of_https_nor_of_text_that_is_dropped_into_a_field(page: Page) -> None:
    """page: opened anew: of nothing that was before, anything is said."""
    expect(page.get_by_label("Capture from camera")).to_be_visible()
    expect(page.get_by_label("Paste from clipboard")).to_be_visible()
    expect(page.locator(".photo-note")).to_be_hidden()
    for event in ("paste", "drop"):
        give(page, texts=[("text/plain", "hello")], target="input[name=picture]", event=event)
    page.wait_for_timeout(200)
    expect(page.locator(".toast")).to_be_empty()
    expect(page.locator(".toast")).to_have_css("display", "block")  # a screen reader waits for it


def test_a_picture_needs_neither_a_suffix_nor_a_type_that_is_right(no_photo: Page):
    page = no_photo
    for name, kind, target, content, explained in (
        ("IMG_1234.HEIC", "", BOX, CAT, "tiger cat"),
        ("photo", "", "body", COFFEE, "espresso"),
        ("notes.txt", "text/plain", ".masthead", CAT, "tiger cat"),
        ("IMG_0001.JPG", "application/octet-stream", "#photo", COFFEE, "espresso"),
    ):
        give(page, [(name, kind, content)], target=target)
        expect_explained(page, explained, 1)
    assert "dropping" not in (page.locator("body").get_attribute("class") or "")


def test_a_file_that_is_chosen_needs_no_type_either(no_photo: Page, tmp_path: Path):
    page = no_photo
    with page.expect_file_chooser() as chooser:
        page.get_by_label("Drop an image file here to upload").click()
    assert ".heic" in (page.locator("#photo input[type=file]").get_attribute("accept") or "")
    path = tmp_path / "IMG_1234"
    path.write_bytes((EXAMPLES / "2_coffee.jpg").read_bytes())
    chooser.value.set_files(path)
    expect_explained(page, "espresso", 1)


def test_what_is_no_picture_is_told(no_photo: Page):
    page = no_photo
    toast = page.locator(".toast")
    for words, files, texts in (
        ("The file empty.jpg is empty.", [("empty.jpg", "image/jpeg", "")], []),
        ("contains no picture", [], [("text/plain", "hello")]),
        ("The file none.png is empty.", [("none.png", "image/png", "")], []),
        ("contains no picture", [], []),
    ):
        give(page, files, texts)
        expect(toast).to_contain_text(words)
    give(page, texts=[("text/plain", "some words")], event="paste")
    expect(toast).to_contain_text("contains no picture")
    large = "new File([new Uint8Array(65 * 2 ** 20)], 'scan.tif')"
    page.evaluate(
        f"""() => {{
            const data = new DataTransfer();
            data.items.add({large});
            document.body.dispatchEvent(
                new DragEvent("drop", {{ bubbles: true, cancelable: true, dataTransfer: data }}));
        }}"""
    )
    expect(toast).to_have_text("The file scan.tif has 65 MB. Files of up to 64 MB can be uploaded.")
    give(page, [("report.pdf", "application/pdf", encoded(b"%PDF-1.7"))], target=BOX)
    expect(page.get_by_text("This is a PDF document, which is not supported")).to_be_visible()


def drop_from_file_manager(page: Page, *paths: Path) -> None:
    """Unlike a script's drop, it may contain folders."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for event in ("dragEnter", "dragOver", "drop"):
        place = {"x": 700, "y": 400}
        devtools.send("Input.dispatchDragEvent", {"type": event, "data": data} | place)


def test_several_files_join_the_sequence_and_the_first_picture_is_shown(
    visit: Visits, tmp_path: Path
):
    page = visit(RESNET)  # anew: its sequence has no pictures of others
    assert_nothing_is_said_of_https_nor_of_text_that_is_dropped_into_a_field(page)
    notes = ("notes.txt", "text/plain", encoded(b"hello"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    index = ("index.pkl", "", encoded(b"a list"))  # of a photo program; not a network
    give(page, [notes, index, ("coffee.HEIC", "", COFFEE), ("cat.jpg", "image/jpeg", CAT)])
    expect(page.get_by_role("dialog")).to_be_hidden()  # it would hide them
    expect(page.locator(".toast")).to_contain_text("2 of the 4 files are pictures")
    expect_explained(page, "espresso", 1)
    expect(page.locator(".example-caption")).to_have_text("coffee.HEIC 7 of 8")
    page.get_by_role("button", name="Next picture").click()
    expect_explained(page, "tiger cat", 1)
    page.keyboard.press("p")
    page.keyboard.press("ArrowLeft")
    expect_explained(page, "espresso", 1)
    page.keyboard.press("ArrowRight")
    expect_explained(page, "tiger cat", 1)
    expect(page.locator(".presentation-caption")).to_contain_text("cat.jpg 8 of 8")
    page.keyboard.press("ArrowRight")  # round to the first example
    expect(page.locator(".presentation-caption")).to_contain_text("1 of 8")
    page.keyboard.press("ArrowLeft")  # and back: one's own photo is not lost
    expect(page.locator(".presentation-caption")).to_contain_text("cat.jpg")
    expect_explained(page, "tiger cat", 1)
    page.keyboard.press("p")
    folder, weights = tmp_path / "photos", tmp_path / "own.pth"
    folder.mkdir()
    shutil.copy(EXAMPLES / "2_coffee.jpg", folder)
    weights.write_bytes(b"of a network")
    drop_from_file_manager(page, folder, weights)
    expect(page.locator(".toast")).to_contain_text("1 of the 2 files are pictures")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".example-caption")).to_have_text("2_coffee.jpg 9 of 9")


def test_a_talk_goes_on_after_ones_own_photo_and_a_link_opens_its_slide(no_photo: Page):
    names, reopened = no_photo.evaluate(
        """async () => {
            const { Sequence } = await import(new URL("web/commands/sequence.js", location.href));
            const cat = { example: "1_cat" };
            const slides = [
                { state: { photo: cat }, title: "cut off" },
                { state: { photo: cat, view: "whole" }, title: "whole" },
                { state: { photo: cat, view: "whole", target: 281 }, title: "tabby" },
            ];
            const shown = [];
            const sequence = new Sequence({ slides, show: (state) => shown.push(state) });
            sequence.note({ photo: cat, view: "crop", target: null });
            sequence.note({ photo: { upload: "a" } });
            const names = [sequence.current.title];
            for (const by of [1, -1, -1]) {
                await sequence.step(by);
                names.push(sequence.current.title);
            }
            const linked = new Sequence({ slides, show: () => {} });
            const states = [["crop", null], ["whole", null], ["whole", 281], ["crop", 5]];
            const reopened = states.map(([view, target]) => {
                linked.at = -1;
                linked.note({ photo: cat, view, target });
                return linked.current.title;
            });
            return [names, reopened];
        }"""
    )
    assert names == ["Your photo", "whole", "Your photo", "cut off"]
    assert reopened == ["cut off", "whole", "tabby", "cut off"]


def test_a_picture_dragged_from_another_site_is_asked_for_by_its_address(no_photo: Page):
    page = no_photo
    address = "https://pictures.example/b.jpg"
    html = f'<a href="https://pictures.example/page"><img src="{address}"></a>'
    give(page, texts=[("text/uri-list", "https://pictures.example/page"), ("text/html", html)])
    expect(page).to_have_url(re.compile(re.escape(f"picture={quote(address, safe=':')}")))
    data = f'<img src="data:image/jpeg;base64,{CAT}">'
    give(page, texts=[("text/html", data)])
    expect_explained(page, "tiger cat", 1)
    give(
        page, texts=[("text/uri-list", examples(page).nth(1).locator("img").evaluate("i => i.src"))]
    )
    expect_explained(page, "Egyptian cat", 1)


def test_without_https_the_page_says_before_a_click_what_cannot_work(app: str, browser: Browser):
    visits = Visits(browser, app.replace("127.0.0.1", PLAIN_HTTP))
    page = visits(RESNET, extra_http_headers={"X-Forwarded-Proto": "http"})  # as proxies say it
    expect(page.locator(".photo-note")).to_contain_text("The camera and the clipboard button need")
    for source in ("Capture from camera", "Paste from clipboard"):
        expect(page.get_by_label(source)).to_be_hidden()
    give(page, [("image.png", "image/png", COFFEE)], event="paste")
    wait_for_results(page, 1)
    # A browser says of a header that it has no effect over plain http.
    assert [fault for fault in visits.faults if "Cross-Origin-Opener-Policy" not in fault] == []
    visits.close("without_https", is_failed=False)


def test_a_clipboard_without_a_picture_or_kept_by_the_browser_is_told(no_photo: Page):
    page = no_photo
    page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('words')")
    page.get_by_label("Paste from clipboard").click()
    expect(page.locator(".toast")).to_contain_text("There is no picture in the clipboard.")
    page.context.clear_permissions()
    page.context.grant_permissions(["camera"])
    page.evaluate(
        "() => { navigator.clipboard.read = () => Promise.reject(new DOMException('no')); }"
    )
    page.get_by_label("Paste from clipboard").click()
    expect(page.locator(".toast")).to_contain_text("Ctrl+V also pastes a picture.")
    page.evaluate("delete navigator.clipboard.read")
