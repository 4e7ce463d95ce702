"""The report of a batch, opened from its file in a real browser: 1,600 pictures, three networks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    expect,
)

import gradcam_core as gc
from gradcam_core.analysis.overlap_grades import grade_of
from gradcam_core.batch.listing.skipped import SKIPPED, write_skipped
from gradcam_core.batch.listing.source import Skipped
from gradcam_core.batch.report.write import write_report
from gradcam_core.errors import ReportError
from gradcam_core.images.rendering.render import colormap_table, levels, overlay
from tests.support.browser import WIDE, canvas_pixels
from tests.support.synthetic_batch import (
    HOSTILE,
    NETWORKS,
    SCHEMA,
    VERDICTS,
    Tile,
    row_of,
    write_data_set,
)

PICTURES = 1600
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Batch:
    """A report, the rows of each picture in its data set, and what the first pictures show."""

    path: Path
    pictures: dict[str, Rows]
    tiles: list[Tile]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    out = tmp_path_factory.mktemp("batch")
    tiles = write_data_set(out, PICTURES, count=21)
    columns = ["path", "title", "stands_in_for", "class", "probability", "top"]
    columns += ["picture_agreement", "error", "trust", "label", "correct", "elsewhere"]
    pictures: dict[str, Rows] = {}
    for row in pq.read_table(out / "data", columns=columns).to_pylist():
        pictures.setdefault(row["path"], []).append(row)
    return Batch(write_report(out), pictures, tiles)


@pytest.fixture(scope="module")
def short(batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of some of these pictures, for what does not depend on how many there are."""
    out = tmp_path_factory.mktemp("short")
    (out / "data").mkdir()
    part = pq.read_table(batch.path.parent / "data" / "part-00000.parquet")
    pq.write_table(part.slice(0, 300), out / "data" / "part-00000.parquet")
    return write_report(out)


class Visit:
    """Opens a report in the browser, and notes what goes wrong there.

    tab: where it is opened, one after the other: a third of the time of a new tab. count: of all
    that were opened.
    """

    count = 0

    def __init__(self, browser: Browser, tab: Page, path: Path) -> None:
        self.faults: list[str] = []
        self._browser = browser
        self._tab = tab
        self._path = path
        self._contexts: list[BrowserContext] = []
        self._watch(tab)

    def __call__(self, hash: str = "", path: Path | None = None, **options: Any) -> Page:
        """hash: of the address; options: of the browser's context, which is one of its own then."""
        page = self._tab
        if options:
            settings: dict[str, Any] = {"viewport": WIDE}
            context = self._browser.new_context(**settings | options)
            self._contexts.append(context)
            page = context.new_page()
            self._watch(page)
        Visit.count += 1  # of another hash alone nothing is opened
        page.goto(f"{(path or self._path).as_uri()}?{Visit.count}{hash}")
        return page

    def _watch(self, page: Page) -> None:
        for event, note in self._notes():
            page.on(event, note)  # type: ignore[call-overload]

    def _notes(self) -> Iterator[tuple[str, Callable[[Any], None]]]:
        yield "request", self._note_request
        yield "pageerror", self._note_error
        yield "console", self._note

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:image/jpeg;")):
            self.faults.append(f"asked {request.url}")

    def _note_error(self, error: Error) -> None:
        self.faults.append(str(error))

    def _note(self, said: ConsoleMessage) -> None:
        self.faults.append(said.text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        for event, note in self._notes():
            self._tab.remove_listener(event, note)


@pytest.fixture
def visit(browser: Browser, tab: Page, batch: Batch) -> Iterator[Visit]:
    """The test also fails on whatever goes wrong in the browser."""
    visit = Visit(browser, tab, batch.path)
    yield visit
    visit.close()
    assert visit.faults == []


def cards(page: Page) -> Locator:
    return page.locator("#cards > .card")


def paths_in_order(page: Page) -> list[str]:
    return page.evaluate("order.map((i) => pictures.path[i])")


def in_words(shown: int) -> str:
    return f"{shown:,} of {PICTURES:,} pictures"


def natural(path: str) -> list[Any]:
    """Picture 2 before picture 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path)]


def draw_all(page: Page) -> None:
    until(page, "[...cards.cards.values()].every((card) => card.isDrawn)")


def until(page: Page, is_so: str) -> None:
    """Playwright's own way evaluates a string in the page, which the report's policy forbids."""
    wait = f"while (!({is_so})) await new Promise(requestAnimationFrame);"
    page.evaluate(f"async () => {{ {wait} }}")


def test_few_of_many_pictures_are_on_the_page_wherever_one_scrolls(visit: Visit, batch: Batch):
    page = visit()
    expect(page.locator(".count")).to_have_text(in_words(PICTURES))
    wanted = sorted(batch.pictures, key=natural)
    assert len(wanted) == PICTURES
    for scroll, seen in ((0, wanted[:4]), (1e9, wanted[-2:]), (-1e9, wanted[:4])):
        page.evaluate("by => scrollBy(0, by)", scroll)
        for path in seen:
            name = page.get_by_role("button", name=path, exact=True)
            expect(name).to_be_in_viewport()
        draw_all(page)
        assert cards(page).count() <= 20
        assert page.evaluate("document.querySelectorAll('*').length") < 1200
        places = cards(page).evaluate_all("all => all.map((card) => card.ariaPosInSet)")
        assert places == sorted(places, key=int)  # in the order that they are read in


def difference(rows: Rows) -> float | None:
    overlap = rows[0]["picture_agreement"]
    return None if overlap is None else 1 - overlap


def classes_differ(rows: Rows) -> bool:
    return len({row["top"][0]["name"] for row in rows if row["top"]}) > 1


def probabilities(rows: Rows) -> list[float]:
    return [row["probability"] for row in rows if row["probability"] is not None]


KEYS: dict[str, Callable[[Rows], float]] = {
    "difference": lambda rows: -(difference(rows) or 0),
    "highest": lambda rows: -max(probabilities(rows), default=0),
    "lowest": lambda rows: min(probabilities(rows), default=2),
    "classes": lambda rows: not classes_differ(rows),
    "errors": lambda rows: not any(row["error"] for row in rows),
}


def test_sorting_gives_the_right_order(visit: Visit, batch: Batch):
    page = visit()
    sort = page.get_by_label("Sort by")
    for name, key in KEYS.items():
        sort.select_option(name)
        paths = paths_in_order(page)
        values = [round(key(batch.pictures[path]), 5) for path in paths]
        assert len(set(paths)) == PICTURES
        assert np.diff(values).min() >= -2e-5
        expect(cards(page).first.get_by_role("button")).to_have_text(paths[0])
        if name in ("classes", "errors"):  # the others have hardly two that are alike
            same = [natural(path) for path, value in zip(paths, values, strict=True) if value]
            assert same == sorted(same)
    sort.select_option("path")
    assert paths_in_order(page) == sorted(batch.pictures, key=natural)


def some(rows: Rows, fits: Callable[[dict[str, Any]], bool]) -> bool:
    return any(row["class"] is not None and fits(row) for row in rows)


def verdict_is(outcome: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: (row["trust"] or {}).get("verdict") == outcome


FILTERS: dict[str, Callable[[str, Rows], bool]] = {
    "text=PICTURE+12": lambda path, rows: "picture 12" in path,
    "class=espresso": lambda path, rows: some(rows, lambda row: row["class"] == "espresso"),
    "class=cat": lambda path, rows: some(rows, lambda row: "cat" in row["class"].lower()),
    "network=EfficientNet-Lite1+for+VGG19&from=50": lambda path, rows: some(
        rows, lambda row: row["stands_in_for"] == "VGG19" and row["probability"] >= 0.5
    ),
    "from=20&to=30": lambda path, rows: some(rows, lambda row: 0.2 <= row["probability"] <= 0.3),
    "difference=70": lambda path, rows: (difference(rows) or 0) >= 0.7,
    "differ=1": lambda path, rows: classes_differ(rows),
    "verdict=unclear": lambda path, rows: some(rows, verdict_is("unclear")),
    "verdict=fails": lambda path, rows: some(rows, verdict_is("fails")),
    "outcome=correct": lambda path, rows: any(row["correct"] for row in rows),
    "label=espresso&outcome=wrong&network=EfficientNet-Lite1+for+VGG19": lambda path, rows: any(
        (row["stands_in_for"], row["label"], row["correct"]) == ("VGG19", "espresso", False)
        for row in rows
    ),
    "outcome=elsewhere": lambda path, rows: any(row["elsewhere"] for row in rows),
    "outcome=none": lambda path, rows: all(row["label"] is None for row in rows),
    "failed=1": lambda path, rows: any(row["error"] for row in rows),
    "class=espresso&from=20&differ=1&text=7": lambda path, rows: (
        "7" in path
        and classes_differ(rows)
        and some(rows, lambda row: row["class"] == "espresso" and row["probability"] >= 0.2)
    ),
    "text=nothing+has+this": lambda path, rows: False,
}


def test_filters_leave_the_right_pictures(visit: Visit, batch: Batch):
    page = visit()
    for said, fits in FILTERS.items():
        page.evaluate("hash => { location.hash = hash; }", said)
        wanted = {path for path, rows in batch.pictures.items() if fits(path, rows)}
        assert said.startswith("text=nothing") or 0 < len(wanted) < PICTURES, said
        expect(page.locator(".count")).to_have_text(in_words(len(wanted)))
        assert set(paths_in_order(page)) == wanted, said
    expect(page.get_by_text("No picture matches these filters.")).to_be_visible()


def test_what_is_chosen_on_the_page_is_in_its_address(visit: Visit, batch: Batch):
    page = visit()
    page.get_by_label("Class", exact=True).fill("espresso")
    page.get_by_label("Probability from, in percent").fill("10")
    page.get_by_label("Difference ≥").fill("30")
    page.get_by_label("Classes differ").check()
    page.get_by_label("Sort by").select_option("lowest")
    page.get_by_role("radio", name="Heat").check(force=True)
    chosen = paths_in_order(page)
    assert 0 < len(chosen) < PICTURES
    cards(page).nth(1).get_by_role("button").click()
    until(page, "location.hash.includes('picture=')")
    again = visit("#" + page.url.split("#")[1])
    assert paths_in_order(again) == chosen
    expect(again.get_by_role("heading", level=2, name=chosen[1], exact=True).first).to_be_visible()
    expect(again.get_by_role("dialog")).to_be_visible()
    again.keyboard.press("Escape")
    expect(again.get_by_label("Difference ≥")).to_have_value("30")
    expect(again.get_by_role("radio", name="Heat")).to_be_checked()
    again.get_by_role("button", name="Show all").click()
    expect(again.locator(".count")).to_have_text(in_words(PICTURES))
    until(again, "location.hash === '#sort=lowest&show=heat'")


def test_classes_are_suggested_with_how_many_pictures_have_them(visit: Visit, batch: Batch):
    page = visit()
    assert page.locator("datalist option").count() == 0  # made when needed
    page.get_by_label("Class", exact=True).focus()
    options = page.locator("datalist option").evaluate_all("all => all.map((o) => o.label)")
    counts: dict[str, int] = {}
    for rows in batch.pictures.values():
        for name in {row["class"] for row in rows} - {None}:
            counts[name] = counts.get(name, 0) + 1
    plural = {1: "picture"}
    wanted = [f"{name}, {n:,} {plural.get(n, 'pictures')}" for name, n in counts.items()]
    assert options == sorted(wanted, key=lambda text: text.rsplit(",", 1)[0].split(", ")[0])


@pytest.fixture
def fine_screen(tab: Page) -> Iterator[None]:
    """The tab, as on a screen of twice as many pixels."""
    session = tab.context.new_cdp_session(tab)
    screen = {**WIDE, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", screen)
    yield
    session.send("Emulation.clearDeviceMetricsOverride")
    session.detach()


@pytest.mark.usefixtures("fine_screen")
def test_the_heat_drawn_is_that_of_the_explanations(visit: Visit, batch: Batch, short: Path):
    page = visit(path=short)
    assert page.evaluate("devicePixelRatio") == 2
    table = colormap_table().astype(float)
    for number in (0, 3, 6, 9, 13, 20):
        page.evaluate("hash => { location.hash = hash; }", f"text={quote(f'/picture {number}.')}")
        expect(cards(page)).to_have_count(1)
        draw_all(page)
        stages = cards(page).locator(".network .photo-layers")
        for n, of_one in enumerate(batch.tiles[number].explanations):
            e = of_one[0]
            shown = canvas_pixels(stages.nth(n).locator("canvas")).astype(float)
            heat = e.heatmap_at((shown.shape[1], shown.shape[0]))
            wanted = table[levels(heat)]
            # As they are laid on black: where a colour is faint, a canvas keeps few bits of it.
            apart = np.abs((shown * shown[..., 3:] - wanted * wanted[..., 3:]) / 255)
            assert apart.max() <= 8, (number, e.model)
            assert apart.mean() <= 1
            assert (shown[heat == 0, 3] == 0).all()


def test_what_is_seen_is_the_overlay_of_the_app(visit: Visit, batch: Batch, short: Path):
    page = visit("#text=" + quote("/picture 0."), short)
    cards(page).get_by_role("button").click()
    stage = page.get_by_role("dialog").locator(".photo-layers").first
    shown = picture_of(stage)
    tile = batch.tiles[0]
    e = tile.explanations[0][0]
    small = Image.open(io.BytesIO(tile.thumbnails[0])).resize(shown.size, Image.Resampling.BILINEAR)
    scales = shown.width / tile.photo.width, shown.height / tile.photo.height
    left, top, right, bottom = (round(edge * scales[i % 2]) for i, edge in enumerate(e.box))
    wanted = overlay(small, e.heatmap_at(shown.size), (left, top, right, bottom))
    apart = difference_of(shown, wanted)
    assert apart < 3  # the frame around what was seen is a part of it
    for other in (small, overlay(small, e.heatmap_at(shown.size), (0, 0, *shown.size))):
        assert difference_of(shown, other) > 4 * apart


def difference_of(first: Image.Image, second: Image.Image) -> float:
    """On average, in grey levels."""
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


def picture_of(locator: Locator) -> Image.Image:
    return Image.open(io.BytesIO(locator.screenshot())).convert("RGB")


def test_a_card_says_what_each_network_makes_of_the_picture(
    visit: Visit, batch: Batch, short: Path
):
    page = visit("#text=" + quote("/picture 2."), short)
    card = cards(page)
    rows = next(rows for path, rows in batch.pictures.items() if path.endswith("/picture 2.jpg"))
    overlap = rows[0]["picture_agreement"]
    expect(card.locator(".overlap-grade")).to_contain_text(grade_of(overlap).words)
    expect(card.locator(".overlap-grade .unit")).to_have_text("mean overlap")
    on_average = re.compile("^On average, the networks look at ")
    expect(card.locator(".overlap-grade")).to_have_attribute("title", on_average)
    expect(card.locator(".tags")).to_contain_text(f"label: {rows[0]['label']}")
    expect(card.locator(".overlap-grade b")).to_have_text(f"{100 * overlap:.0f}\u00a0%")
    for n, (row, of_one) in enumerate(zip(rows, batch.tiles[2].explanations, strict=True)):
        network = card.locator(".network").nth(n)
        expect(network.locator(".title")).to_have_text(f"{row['title']} for {row['stands_in_for']}")
        expect(network.locator("strong")).to_have_text(row["class"])
        percent = f"{100 * row['probability']:.1f}\u00a0%"
        expect(network.locator(".probability")).to_have_text(percent)
        outcome = "✓ correct" if row["correct"] else "✗ wrong"
        expect(network.locator(".outcome")).to_contain_text(outcome)
        expect(network.locator(".where")).to_have_text(f"heat: {batch.tiles[2].places[n][0]}")
        said = f"Heat of {row['title']} for the class {of_one[0].target.name}"
        expect(network.get_by_role("img", name=said)).to_be_visible()


def test_the_heat_of_a_method_that_knows_no_class_is_said_to_be_of_none(
    visit: Visit, short: Path, tmp_path: Path
):
    text = short.read_text(encoding="utf-8")
    other = tmp_path / "report.html"
    other.write_text(text.replace('"method":"gradcam"', '"method":"eigencam"'), encoding="utf-8")
    page = visit("#text=" + quote("/picture 2."), other)
    heat = cards(page).get_by_role("img").first
    said = re.compile("^Heat of .* by Eigen-CAM, which ignores the class: ")
    expect(heat).to_have_accessible_name(said)


def test_a_picture_opens_with_all_that_its_rows_say(visit: Visit, batch: Batch, short: Path):
    page = visit("#text=" + quote("/picture 0."), short)
    cards(page).get_by_role("button").click()
    dialog = page.get_by_role("dialog", name="photos/000/picture 0.jpg")
    expect(dialog).to_be_visible()
    for n, of_one in enumerate(batch.tiles[0].explanations):
        e = of_one[0]
        network = dialog.locator("section").nth(n)
        expect(network.get_by_role("heading")).to_have_text(e.title)
        expect(network.get_by_text(f"stands in for {NETWORKS[e.model]}")).to_be_visible()
        names = network.locator(".top li > span:first-child")
        expect(names).to_have_text([one.name for one in e.top])
        found = batch.pictures["photos/000/picture 0.jpg"][n]["trust"]
        expect(network.locator(".trust .verdict")).to_contain_text(VERDICTS[found["verdict"]])
        text = found["reasons"][0]["text"]
        expect(network.locator(".trust li")).to_contain_text(text[0].upper() + text[1:])
        expect(network.locator(".trust td")).to_have_count(
            5
        )  # no rank correlations: the reasons have them
        link = network.get_by_role("link", name="Full-size overlay")
        address = link.evaluate("link => link.href")
        folder = short.parent / "overlays" / "photos" / "000"
        assert address == (folder / f"picture 0.jpg_{e.model}.jpg").as_uri()
        assert canvas_pixels(network.locator("canvas")).shape[1] > 300


def test_what_was_chosen_in_reading_a_picture_is_said_where_it_opens(
    visit: Visit, batch: Batch, tmp_path: Path
):
    schema = SCHEMA.append(pa.field("photo_notices", pa.list_(pa.string())))
    notice = "The file has 2 <b>pages</b>; the first one is shown."
    row = row_of("a/1.tif", batch.tiles[1].explanations[0][0], "left", 0.5, 1)
    page = visit(path=report_of(tmp_path, [row | {"photo_notices": [notice]}], schema))
    cards(page).get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(notice)).to_be_visible()
    expect(dialog).not_to_contain_text("null")  # in place of labels, which no row has


def test_a_hostile_name_is_text(visit: Visit, batch: Batch):
    page = visit("#text=hostile")
    expect(cards(page).get_by_role("button")).to_have_text(HOSTILE)
    cards(page).get_by_role("button").click()
    expect(page.get_by_role("dialog").get_by_role("heading").first).to_have_text(HOSTILE)
    expect(page.get_by_role("dialog").get_by_text("not a picture that can be read")).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert page.locator("[onerror], script[src]").count() == 0


BAD = '</script><!--<script><img src=x onerror="window.broken=3">'


def test_nothing_that_a_data_set_says_is_markup(visit: Visit, batch: Batch, tmp_path: Path):
    first = dict.fromkeys(SCHEMA.names) | {"path": BAD, "model": BAD, "title": BAD, "width": 4}
    first |= {"height": 3, "class": BAD, "class_index": 1, "probability": float("nan"), "rank": 1}
    first |= {"where": BAD, "error": BAD, "overlay": f"javascript:alert(1)/{BAD}", "method": BAD}
    first |= {
        "stands_in_for": BAD,
        "trust": {"sentence": BAD},
        "view": BAD,
        "layer": BAD,
        "label": BAD,
    }
    first |= {"weights": {"source": BAD, "sha256": BAD}, "versions": {"torch": BAD}}
    first |= {"top": [{"index": 1, "name": BAD, "probability": 0.5}]}
    page = visit(path=report_of(tmp_path, [first]))
    cards(page).get_by_role("button").click()
    link = page.get_by_role("dialog").get_by_role("link")
    assert link.evaluate("link => link.href").startswith(tmp_path.as_uri())
    for shown in (page.get_by_role("dialog"), page.locator("body")):
        assert BAD in shown.inner_text()
    assert page.evaluate("window.broken") is None
    assert page.locator("#cards img[src=x]").count() == 0


def test_a_name_that_the_browser_would_show_as_boxes_is_in_latin_letters(
    visit: Visit, batch: Batch, tmp_path: Path
):
    """U+0378 and U+0379 are no characters, so that no font of any machine has them."""
    (part,) = (batch.path.parent / "data").glob("part-00000.parquet")
    (row,) = pq.read_table(part).slice(0, 1).to_pylist()
    names = ["虎斑猫", "\ue000", "é → ✓"]
    top = [{"index": n, "name": name, "probability": 0.3 - n / 10} for n, name in enumerate(names)]
    row |= {"stands_in_for": None, "path": "相片/猫.jpg", "title": "网络"}
    row |= {"class": names[0], "class_index": 0, "top": top}
    page = visit(path=report_of(tmp_path, [row]))
    latin = {"\u0378": "ab", "\u0379": "c"}
    said = page.evaluate("(latin) => drawable('é \u0378\u0379 → \u0378', latin)", latin)
    assert said == "é abc → ab"
    card = cards(page).first
    shown = [card.locator(part).inner_text() for part in ("strong", ".title", ".file")]
    for text, ways in zip(
        shown,
        (("虎斑猫", "HuBanMao"), ("网络", "WangLuo"), ("猫.jpg", "Mao.jpg")),
        strict=True,
    ):
        assert text in ways
    card.locator(".open").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("class 1")
    expect(dialog).to_contain_text("é → ✓")


def test_what_the_batch_left_out_is_counted_and_named(visit: Visit, batch: Batch, tmp_path: Path):
    (part,) = (batch.path.parent / "data").glob("part-00000.parquet")
    rows = pq.read_table(part).slice(0, 1).to_pylist()
    films = [Skipped(f"films/{n}.mov", "a video") for n in range(1, 205)]
    write_skipped(tmp_path, [*films, Skipped("<b>notes</b>.txt", "not a picture by its name")])
    page = visit(path=report_of(tmp_path, rows))
    page.get_by_text("Left out: 205 files and folders").click()
    table = page.get_by_role("region", name="Left out")
    by_reason = table.locator("tbody tr")
    expect(by_reason.nth(0).get_by_role("cell").first).to_have_text("204")
    names = by_reason.nth(0).get_by_role("listitem").all_inner_texts()
    assert names == [f"films/{n}.mov" for n in range(1, 201)] + ["4 more, in skipped.parquet"]
    expect(by_reason.nth(1)).to_contain_text("not a picture by its name")
    expect(by_reason.nth(1).get_by_role("listitem")).to_have_text("<b>notes</b>.txt")
    (tmp_path / SKIPPED).unlink()
    write_report(tmp_path)
    page.reload()
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_text("Left out")).to_be_hidden()


def report_of(out: Path, rows: Rows, schema: pa.Schema = SCHEMA) -> Path:
    (out / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / "data" / "part-0.parquet")
    return write_report(out)


def test_no_network_can_be_asked(visit: Visit, short: Path):
    page = visit(path=short)
    assert page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)") == []
    for asks in ("fetch('http://example.com/')", "fetch(location.href)"):
        assert not page.evaluate(f"() => {asks}.then(() => true, () => false)")
    image = "image.onload = good; image.onerror = bad; image.src = 'http://example.com/a.png';"
    asks = f"new Promise((good, bad) => {{ const image = new Image(); {image} }})"
    assert not page.evaluate(f"() => {asks}.then(() => true, () => false)")
    # These were ours, and so were the complaints of the page's policy.
    asked = "asked http://example.com/a.png"  # as the browser says before it asks the policy
    complaints = [fault for fault in visit.faults if fault != asked]
    assert len(complaints) >= 3
    assert all("Content Security Policy" in fault for fault in complaints), complaints
    visit.faults.clear()


ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe-core that a theme can break."""


def faults_of(page: Page) -> list[str]:
    """All that axe-core finds in the light and, of colours, in the dark, as "rule: element"."""
    found = []
    page.evaluate(AXE_SCRIPT)
    for theme, rules in (("dark", ABOUT_COLOURS), ("light", None)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found += page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}"
        for violation in found
        for node in violation["nodes"]
    ]


def test_axe_finds_nothing(visit: Visit, short: Path):
    page = visit("#sort=errors&text=picture", short)
    page.get_by_text("Networks and weights", exact=True).first.click()
    draw_all(page)
    found = {"list": faults_of(page)}
    page.evaluate("location.hash = 'sort=difference&text=picture'")
    draw_all(page)
    found["difference"] = faults_of(page)
    cards(page).first.get_by_role("button").click()
    found["dialog"] = faults_of(page)
    assert {state: faults for state, faults in found.items() if faults} == {}


def test_a_keyboard_reaches_every_picture(visit: Visit, batch: Batch):
    page = visit()
    wanted = sorted(batch.pictures, key=natural)

    def focused() -> str:
        return page.evaluate("document.activeElement.textContent")

    page.get_by_role("checkbox", name="Errors").focus()
    page.keyboard.press("Tab")
    assert focused() == wanted[0]
    for key, place in (("ArrowRight", 1), ("ArrowDown", 3), ("ArrowLeft", 2), ("End", -1)):
        page.keyboard.press(key)
        assert focused() == wanted[place]
    expect(page.get_by_role("button", name=wanted[-1], exact=True)).to_be_in_viewport()
    page.evaluate("scrollTo(0, 0)")  # the one with the focus stays
    expect(page.get_by_role("button", name=wanted[1], exact=True)).to_be_in_viewport()
    assert focused() == wanted[-1]
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading").first).to_have_text(wanted[2])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=wanted[1], exact=True)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.name") == "failed"
    page.keyboard.press("Tab")
    assert focused() == wanted[1]
    page.set_viewport_size({"width": 800, "height": 700})  # as zooming in does
    until(page, "cards.columns === 1")
    assert focused() == wanted[1]


def test_it_fits_a_phone(visit: Visit, short: Path):
    page = visit("#sort=difference", short, **PHONE)
    draw_all(page)
    fits = "() => document.documentElement.scrollWidth <= 390 && innerWidth <= 390"
    assert page.evaluate(fits)
    expect(page.get_by_label("Path", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Filters").tap()
    page.get_by_label("Path", exact=True).fill("picture 12")
    expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
    assert page.evaluate(fits)
    cards(page).first.get_by_role("button").tap()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate(fits)
    page.get_by_role("button", name="Close").tap()
    assert faults_of(page) == []


def test_the_summary_says_who_stands_in_for_whom_and_where_weights_are_from(
    visit: Visit, batch: Batch
):
    page = visit()
    failed = sum(any(row["error"] for row in rows) for rows in batch.pictures.values())
    facts = page.locator("#facts")
    for fact in ("1,600 pictures", "3 networks", "Grad-CAM", f"{failed} pictures with errors"):
        expect(facts).to_contain_text(fact)
    page.get_by_text("Networks and weights", exact=True).first.click()
    for of_one in batch.tiles[0].explanations:
        e = of_one[0]
        expect(page.locator("#stand-ins")).to_contain_text(f"{e.title} for {NETWORKS[e.model]}")
        row = page.get_by_role("row", name=e.title)
        expect(row).to_contain_text(NETWORKS[e.model])
        expect(row).to_contain_text(e.weights.sha256)
        expect(row).to_contain_text(e.weights.source)
    labelled = sum(rows[0]["label"] is not None for rows in batch.pictures.values())
    expect(page.locator("#accuracy")).to_contain_text(
        f"{labelled:,} of 1,600 pictures have a label"
    )
    its = [row for rows in batch.pictures.values() for row in rows if row["title"] == e.title]
    outcomes = [row["correct"] for row in its if row["correct"] is not None]
    correct, known = sum(outcomes), len(outcomes)
    words = f"{100 * correct / known:.1f}\u00a0% correct ({correct:,} of {known:,})"
    expect(page.locator("#accuracy")).to_contain_text(words)
    spread = [rows[0]["picture_agreement"] for rows in batch.pictures.values()]
    words = "mostly the same places"
    same = sum(overlap is not None and grade_of(overlap).words == words for overlap in spread)
    expect(page.locator(f"#spread [title='{words}']")).to_have_text(f"{same:,} {words}")


def test_one_network_is_enough_and_what_a_data_set_lacks_is_left_out(
    visit: Visit, batch: Batch, tmp_path: Path
):
    e: gc.Explanation = replace(batch.tiles[1].explanations[0][0], stands_in_for="")
    kept = ["path", "model", "title", "class", "class_index", "probability", "error"]
    schema = pa.schema([SCHEMA.field(name) for name in kept])
    row = {"path": "a/1.jpg", "model": e.model, "title": e.title, "class": "cup"}
    row |= {"class_index": 968, "probability": 0.25}  # type: ignore[dict-item]
    broken = {"path": "a/2.jpg", "error": "No picture."}
    page = visit(path=report_of(tmp_path, [row, broken], schema))
    expect(page.locator(".count")).to_have_text("2 of 2 pictures")
    expect(cards(page)).to_have_count(2)
    expect(cards(page).first.locator("strong")).to_have_text("cup")
    expect(cards(page).first.locator(".overlap-grade")).to_be_hidden()
    expect(cards(page).nth(1).get_by_text("No picture.")).to_be_visible()
    expect(page.get_by_label("Difference ≥")).to_be_hidden()
    expect(page.get_by_label("Classes differ")).to_be_hidden()
    for name in ("Label", "Outcome"):
        expect(page.get_by_label(name, exact=True)).to_be_hidden()
    expect(page.locator("#accuracy, .outcome")).to_have_count(3)
    for hidden in page.locator("#accuracy, .outcome").all():
        expect(hidden).to_be_hidden()
    sorts = ["path", "highest probability", "lowest probability", "errors first"]
    expect(page.get_by_label("Sort by").locator("option")).to_have_text(sorts)
    expect(page.locator("#spread")).to_be_hidden()


def test_where_there_is_no_heat_none_is_drawn(visit: Visit, batch: Batch, tmp_path: Path):
    e = batch.tiles[1].explanations[0][0]
    warm, flat = (row_of(f"{n}.jpg", e, "spread", 1, 1) for n in range(2))
    flat |= {"heat_box": None, "where": "the heat is the same everywhere"}
    flat["map"]["levels"] = b"\xff" * len(flat["map"]["levels"])
    warm["thumbnail"] = flat["thumbnail"] = batch.tiles[1].thumbnails[0]
    page = visit(path=report_of(tmp_path, [warm, flat]))
    draw_all(page)
    expect(cards(page).locator("img.photo")).to_have_count(2)
    expect(cards(page).nth(0).locator("canvas")).to_be_visible()
    expect(cards(page).nth(1).locator("canvas")).to_be_hidden()
    expect(cards(page).nth(1).locator("img.photo")).to_be_visible()
    expect(cards(page).nth(1)).to_contain_text("heat: the heat is the same everywhere")


def test_rows_that_are_read_apart_stay_together(tmp_path: Path):
    write_data_set(tmp_path, pictures=60, count=3)
    written = re.compile(rb'"written":"[^"]+"')  # the time, which differs
    once = written.sub(b"", write_report(tmp_path).read_bytes())
    assert written.sub(b"", write_report(tmp_path, rows_at_once=2).read_bytes()) == once


def test_without_a_whole_data_set_the_report_that_is_there_stays(tmp_path: Path):
    with pytest.raises(ReportError, match="Run the batch first"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
    write_data_set(tmp_path, pictures=20, count=1)
    (tmp_path / "report.html").write_text("before")
    whole = (tmp_path / "data" / "part-00000.parquet").read_bytes()
    (tmp_path / "data" / "part-00001.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReportError, match=r"part-00001\.parquet cannot be read"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "report.html"]
