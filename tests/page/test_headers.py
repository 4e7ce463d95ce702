"""What the headers of the server's answers have a browser do, and that the page works with them."""

from __future__ import annotations

from contextlib import suppress

import requests
from playwright.sync_api import Error, Page, Route, expect

from tests.support.browser import READY, Visits


def test_no_script_runs_that_does_not_come_with_the_page(visit: Visits, cat_page: Page):
    page = cat_page  # with the policy in force
    assert visit.faults == []
    page.evaluate(
        """async () => {
            const image = document.createElement("div");
            image.innerHTML = '<img src="no_such_picture" onerror="window.ran = true">';
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            const other = document.createElement("script");
            other.src = "data:text/javascript,window.ran = true";
            document.body.append(image, script, other);
            await new Promise((resolve) => image.firstChild.addEventListener("error", resolve));
            for (const one of [image, script, other]) one.remove();
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in fault for fault in visit.faults) >= 3
    visit.faults.clear()


def test_the_host_of_a_space_may_frame_the_page_and_no_other(app: str, tab: Page):
    def frames(route: Route) -> None:
        frame = f'<iframe src="{app}" style="width: 1200px; height: 800px"></iframe>'
        route.fulfill(body=frame, content_type="text/html")

    # The server of this test is in a local network, as Chromium sees it, and its framer is not.
    page = tab
    page.context.grant_permissions(["camera", "local-network-access"])
    page.route("https://huggingface.co/**", frames)
    page.goto("https://huggingface.co/spaces/someone/side-by-side")
    frame = page.frame_locator("iframe")
    expect(frame.locator(".page[data-ready=true]")).to_be_attached()
    # The frame has no allow="camera; clipboard-read".
    note = "does not let it use the camera and the clipboard. Open it in a tab of its own."
    expect(frame.locator(".photo-note")).to_contain_text(note)
    frame.locator("button[data-example]").first.click()
    expect(frame.locator(READY)).to_have_count(3)
    page.route("https://example.com/**", frames)
    # The page before may have left a request behind.
    with page.expect_event("requestfailed", lambda one: one.is_navigation_request()) as failed:
        page.goto("https://example.com/spaces/someone/side-by-side")
    assert failed.value.url == app
    assert failed.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"
    page.unroute_all()
    page.context.clear_permissions()
    page.context.grant_permissions(["camera"])


MARK = b"<script>localStorage.setItem('ran', 'yes')</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'>" + MARK + b"</svg>"


def test_what_was_uploaded_never_runs_as_a_page_of_ours(app: str, tab: Page):
    page = tab
    for name, content, claimed in (
        ("page.html", b"<html>" + MARK + b"</html>", "text/html"),
        ("picture.svg", SVG, "image/svg+xml"),
        ("page.xhtml", SVG, "application/xhtml+xml"),
        ("feed.xml", SVG, "text/xml"),
        ("photo.jpg", b"<html>" + MARK + b"</html>", "text/html"),
        ("note.txt", b"<html>" + MARK + b"</html>", "text/html"),
        ("without", b"<html>" + MARK + b"</html>", "text/html"),
    ):
        files = {"files": (name, content, claimed)}
        (path,) = requests.post(f"{app}gradio_api/upload", files=files, timeout=30).json()
        address = f"{app}gradio_api/file={path}"
        answer = requests.get(address, timeout=30)
        assert answer.content == content  # it is the file
        policy = answer.headers["Content-Security-Policy"]
        assert "sandbox" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        if name.split(".")[-1] not in ("jpg", "txt"):
            assert answer.headers["Content-Disposition"].startswith("attachment")
        with suppress(Error):  # of a page that is saved instead of shown
            page.goto(address)
        page.goto(f"{app}robots.txt")
        assert page.evaluate("localStorage.getItem('ran')") is None, name
    page.goto("about:blank")
