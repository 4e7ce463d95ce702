"""The fields for a class: what they find, and that they never show another class than the maps."""

from __future__ import annotations

import re

from playwright.sync_api import Error, Locator, Page, expect

from tests.support.browser import (
    OWN_TOP,
    Visits,
    expect_explained,
)


def typed(page: Page, word: str) -> Locator:
    field = page.get_by_label("Class to explain")
    field.click()
    field.press("Control+a")
    field.press_sequentially(word)
    return field


def options(page: Page) -> Locator:
    return page.get_by_role("listbox").get_by_role("option")


def test_a_word_that_is_no_class_is_said_to_be_none_and_leaves_what_is_explained(cat_page: Page):
    page = cat_page
    field = typed(page, "person")
    note = page.get_by_text("“person” is not one of the 1000 classes. Kinds of person:")
    expect(note).to_be_visible()
    expect(options(page)).to_contain_text(["ballplayer", "groom", "scuba diver"])
    field.press("Enter")  # chooses nothing that nobody has pointed at
    expect(field).to_have_value("person")
    field.press("Tab")
    expect(field).to_have_value(OWN_TOP)
    expect(note).to_be_hidden()
    expect(page.locator(".headline h2")).to_have_text("Explaining each network's top class")
    typed(page, "person")
    expect(options(page)).to_have_count(3)
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("Enter")
    expect_explained(page, "groom")
    expect(field).to_have_value("groom, bridegroom")
    typed(page, "zzzzzz")
    expect(page.get_by_text("“zzzzzz” is not one of the 1000 classes.")).to_be_visible()
    field.press("Escape")
    expect(field).to_have_value("groom, bridegroom")


def test_plurals_and_kinds_are_found_and_a_name_typed_in_full_is_chosen(cat_page: Page):
    page = cat_page
    field = typed(page, "tea")
    note = page.get_by_text("“tea” is not one of the 1000 classes.")
    expect(note).to_have_text(re.compile("Names with a word that begins or ends like this:$"))
    expect(options(page)).to_have_text(["teapot"])  # and no steam locomotive
    field = typed(page, "Tea Pot")
    expect(options(page).first).to_have_text("teapot")
    field.press("Enter")
    expect_explained(page, "teapot")
    field = typed(page, "birds")
    expect(options(page).filter(has_text="goldfinch")).to_be_visible()
    field.press("Control+a")
    field.press_sequentially("Tabby Cat")
    field.press("Tab")
    expect(field).to_have_value("tabby, tabby cat")
    expect_explained(page, "tabby")
    # A click on a prediction is shown by the field, also while its list is open.
    field.click()
    page.locator("ol.top button").first.dispatch_event("click")
    expect_explained(page, "Egyptian cat")
    field.press("Escape")
    expect(field).to_have_value("Egyptian cat")


_TAKE_OUT = """
const late = (window.late = []);
new MutationObserver(() => {
    for (const selector of ["#photo", "#models", "[data-class-field=target]"]) {
        const element = document.querySelector(selector);
        if (!element || late.some((one) => one.element === element)) continue;
        late.push({ element, parent: element.parentNode, next: element.nextSibling });
        element.remove();
    }
}).observe(document, { childList: true, subtree: true });
"""


def test_the_page_waits_for_controls_that_gradio_puts_on_it_late(
    app: str, tab: Page, visit: Visits
):
    page = tab
    faults: list[str] = []

    def note(error: Error) -> None:
        faults.append(str(error))

    page.on("pageerror", note)
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    script = session.send("Page.addScriptToEvaluateOnNewDocument", {"source": _TAKE_OUT})
    try:
        with page.expect_response("**/wiring.js*"):  # which app.js is started with
            page.goto(app)
    finally:
        session.send("Page.removeScriptToEvaluateOnNewDocument", script)
        session.detach()
    page.wait_for_function("late.length === 3")
    page.wait_for_timeout(500)  # for it to have started
    expect(page.locator(".page:not([data-ready])")).to_be_attached()
    for of in ("id !== 'photo'", "id === 'photo'"):
        expect(page.locator(".page:not([data-ready])")).to_be_attached()
        page.evaluate(
            f"""late.filter(({{ element }}) => element.{of})
                    .forEach(({{ element, parent, next }}) => parent.insertBefore(element, next))"""
        )
        page.wait_for_timeout(300)
    expect(page.locator(".page[data-ready=true]")).to_be_attached()
    expect(page.get_by_title("Remove Xception")).to_be_visible()
    typed(page, "tabby")
    expect(options(page).filter(has_text="tabby, tabby cat")).to_be_visible()
    assert faults == []
    page.remove_listener("pageerror", note)
