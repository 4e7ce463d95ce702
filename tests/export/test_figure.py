"""The figure for a slide: what it shows, that it can be read, and its files."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

import gradcam_core as gc
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.explanation.text import NOT_NUMBERS
from gradcam_core.export.figure import THEMES, Slide, Theme, figure, png, svg
from gradcam_core.export.layout import MOST, NOTHING
from gradcam_core.images.geometry import view_of
from gradcam_core.images.rendering.render import DIMMING, colormap_table, overlay
from gradcam_core.wording import TIED

SIZE = (1920, 1080)

CROWDED = [(451, 300), (900, 1600), (2000, 100), (100, 2000)]
"""Sizes of photos, the most extreme last."""

LONG_NAMES = sorted((label.name for label in gc.imagenet_labels()), key=len)[-6:]

COUNTS = [
    *((3, size) for size in CROWDED),
    *((1, size) for size in CROWDED[1:3]),
    *((6, size) for size in CROWDED[::3]),
]
"""Of networks, with each of which there are photos of several shapes."""

XLINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def tabby(cat: Image.Image, lite0: gc.Model) -> gc.Explanation:
    return gc.explain(cat, lite0, "tabby")


@pytest.fixture(scope="module")
def plain(cat: Image.Image) -> Image.Image:
    """A photo of the cat's size, of one colour, which takes a third of the time to be written."""
    return Image.new("RGB", cat.size, (150, 120, 90))


@pytest.fixture(scope="module")
def slide(plain: Image.Image, tabby: gc.Explanation) -> Slide:
    """As it is if nothing is asked for."""
    return figure(plain, [tabby])


@pytest.fixture(scope="module")
def rendered(slide: Slide) -> tuple[bytes, bytes]:
    """Its PNG and its SVG."""
    return png(slide), svg(slide)


def several(e: gc.Explanation, lite0: gc.Model, count: int, size: tuple[int, int], **changes):
    """So many explanations of a photo of this size, with the longest names that there are and as
    much to say as there can be."""
    others = tuple(gc.Prediction(n, name, 0.1) for n, name in enumerate(LONG_NAMES))
    return [
        replace(
            e,
            title=f"EfficientNet-Lite{n}",
            stands_in_for=f"Xception{n}",
            notice=f"EfficientNet-Lite{n}, a smaller network, stands in for Xception{n}, whose "
            "weights are not available: there is no connection to huggingface.co.",
            target=gc.Prediction(n, LONG_NAMES[-1 - n % 6], 0.0001),
            rank=1000 - n,
            contrast=others if count <= 3 else (),
            geometry=view_of(size, lite0.preprocessing, "crop"),
            **changes,
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def crowded(tabby: gc.Explanation, lite0: gc.Model) -> Callable[[int, tuple[int, int]], Slide]:
    """The figure of `several` on a black photo, drawn once for all who look at it."""

    @cache
    def drawn(count: int, size: tuple[int, int]) -> Slide:
        return figure(Image.new("RGB", size), several(tabby, lite0, count, size))

    return drawn


def texts(drawn: Figure) -> str:
    return "\n".join(text.get_text() for text in drawn.texts)


def picture(drawn: Figure, name: str) -> Axes:
    (found,) = (axes for axes in drawn.axes if axes.get_label() == name)
    return found


def place(axes: Axes) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels of the slide."""
    box = axes.get_position()
    edges = (box.x0 * 1920, (1 - box.y1) * 1080, box.x1 * 1920, (1 - box.y0) * 1080)
    rounded = [round(edge) for edge in edges]
    np.testing.assert_allclose(edges, rounded, atol=1e-6)
    return rounded[0], rounded[1], rounded[2], rounded[3]


def shown(drawn: Slide) -> Image.Image:
    with Image.open(io.BytesIO(png(drawn))) as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        return opened.copy()


def test_it_names_networks_classes_probabilities_and_how_it_was_made(cat, tabby):
    other = replace(
        tabby,
        title="EfficientNet-Lite2",
        stands_in_for="VGG19",
        notice="EfficientNet-Lite2 stands in for VGG19: no connection.",
        target=gc.Prediction(5, "electric ray", 0.00001),
        rank=987,
    )
    said = texts(figure(cat, [tabby, other])).replace("\nfor", " for")
    for words in (tabby.heading, other.heading, "tabby", "electric ray", other.notice, "Photo"):
        assert words in said
    assert f"{100 * tabby.target.probability:.1f} %, rank {tabby.rank}" in said
    assert "< 0.1 %, rank 987" in said
    assert "Grad-CAM, centre crop." in said
    assert "did not see is darkened" in said
    assert NOTHING in said
    assert MOST in said
    paragraph = said.replace("\n", " ").replace(TIED, " ")
    assert " ".join(summary([tabby, other])) in paragraph
    sure = replace(tabby, target=gc.Prediction(5, "tabby", 0.99999))
    assert "> 99.9 %, rank" in texts(figure(cat, [sure]))


def test_what_is_said_only_where_it_is_true(cat):
    whole = gc.explain(cat, "efficientnet_lite0", view="whole")
    said = texts(figure(cat, [whole]))
    assert "whole photo" in said
    assert "darkened" not in said
    competitive = [
        gc.explain(cat, "efficientnet_lite0", "tabby", "competitive"),
        gc.explain(cat, "efficientnet_lite1", "tabby", "finercam", detail=2),
    ]
    said = texts(figure(cat, competitive)).replace("\n", " ")
    assert f"{NOTHING} rather than others" in said
    for e in competitive:
        assert f"{e.title}: {e.how}" in said


def test_labels_say_rather_than_which_class_and_by_which_method(cat):
    e = gc.explain(cat, "efficientnet_lite0", "tabby", "layercam", contrast="lynx")
    bold = [text for text in figure(cat, [e]).texts if text.get_fontweight() == "bold"]
    assert " ".join(text.get_text() for text in bold) == "tabby rather than lynx"
    assert "LayerCAM" in [text.get_text() for text in figure(cat, [e]).texts]


def test_a_map_without_heat_says_why(cat, tabby):
    broken = replace(tabby, feature_map=np.full_like(tabby.feature_map, np.nan))
    assert NOT_NUMBERS in texts(figure(cat, [broken])).replace("\n", " ")
    assert NOT_NUMBERS not in texts(figure(cat, [tabby])).replace("\n", " ")


@pytest.mark.parametrize(
    ("size", "theme"),
    [((1, 1), "dark"), ((60_000, 1), "light"), ((1, 60_000), "light")],
)
def test_it_is_16_to_9_to_the_pixel_for_any_photo(lite0, tabby, size, theme: Theme):
    photo = Image.new("RGB", size, "red")
    drawn = shown(figure(photo, several(tabby, lite0, 3, size), theme))
    assert drawn.size == SIZE
    background = drawn.getpixel((0, 0))
    assert background == ((255, 255, 255) if theme == "light" else (15, 17, 22))
    edge = np.asarray(drawn).copy()
    edge[40:-40, 40:-40] = background
    assert (edge == background).all()


def hot(tabby: gc.Explanation, column: int, row: int, title: str) -> gc.Explanation:
    """Nothing but one hot cell of 7 x 7, in a view of the whole photo."""
    feature_map = np.zeros((7, 7), np.float32)
    feature_map[row, column] = 1
    return replace(tabby, feature_map=feature_map, title=title)


@pytest.mark.parametrize(("size", "theme"), [((400, 700), "dark"), ((1400, 500), "light")])
def test_each_networks_heat_is_in_its_own_picture_at_its_own_place(lite0, tabby, size, theme):
    photo = Image.new("RGB", size, (90, 90, 90))
    e = replace(tabby, geometry=view_of(size, lite0.preprocessing, "whole"), view="whole")
    cells = {"first": (0, 0), "second": (6, 2), "third": (3, 6)}
    explanations = [hot(e, *cell, title) for title, cell in cells.items()]
    drawn = figure(photo, explanations, theme, opacity=1)
    pixels = shown(drawn)
    hottest = colormap_table()[255, :3]
    everywhere = (np.abs(np.asarray(pixels).astype(int) - hottest) < 30).all(axis=2)
    left, top, right, bottom = place(picture(drawn, "colour bar"))
    everywhere[top:bottom, left:right] = False
    found = 0
    for title, (column, row) in cells.items():
        left, top, right, bottom = place(picture(drawn, title))
        assert abs((right - left) / (bottom - top) - size[0] / size[1]) < 0.1
        y, x = np.nonzero(everywhere[top:bottom, left:right])
        found += len(x)
        across, down = x.mean() / (right - left), y.mean() / (bottom - top)
        assert abs(across - (column + 0.5) / 7) < 0.07
        assert abs(down - (row + 0.5) / 7) < 0.07
    assert found == everywhere.sum()


@pytest.mark.parametrize("photo_size", [(451, 300), (2600, 1625)])
def test_the_pictures_are_the_photo_and_its_overlays(cat, lite0, tabby, photo_size):
    photo = cat.resize(photo_size)
    e = replace(tabby, geometry=view_of(photo_size, lite0.preprocessing, "crop"))
    drawn = figure(photo, [e], colormap="viridis", opacity=0.5)
    pixels = shown(drawn)
    for name in ("photo", e.heading):
        left, top, right, bottom = place(picture(drawn, name))
        size = ((right - left) * 2, (bottom - top) * 2)
        large = photo.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        if name != "photo":
            left_box, top_box, right_box, bottom_box = e.box
            x, y = size[0] / photo_size[0], size[1] / photo_size[1]
            box = (
                int(np.floor(left_box * x)),
                int(np.floor(top_box * y)),
                int(np.ceil(right_box * x)),
                int(np.ceil(bottom_box * y)),
            )
            large = overlay(large, e.heatmap_at(size), box, 0.5, "viridis")
        expected = large.reduce(2)
        got = pixels.crop((left, top, right, bottom))
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


@pytest.mark.parametrize("size", [(451, 300), (97, 211), (1200, 31), (2, 1)])
def test_an_overlay_of_a_resized_photo_dims_exactly_what_was_not_seen(tabby, lite0, size):
    geometry = view_of((451, 300), lite0.preprocessing, "crop")
    e = replace(tabby, feature_map=np.ones_like(tabby.feature_map), geometry=geometry)
    seen = e.geometry.to_photo(e.feature_map, size) > 0
    grey = np.asarray(e.overlay(Image.new("RGB", size, (100, 100, 100))))[..., 0]
    np.testing.assert_array_equal(grey == 100, seen)
    np.testing.assert_array_equal(grey == round(100 * (1 - DIMMING)), ~seen)


def boxes(drawn: Figure, dpi: int) -> dict[str, Bbox]:
    """What each text and each picture covers, in pixels at a scale."""
    drawn.set_dpi(dpi)
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw_without_rendering()
    found = {
        f"{n} {text.get_text()}": text.get_window_extent(renderer)
        for n, text in enumerate(drawn.texts)
    }
    return found | {f"{axes} {n}": axes.get_window_extent() for n, axes in enumerate(drawn.axes)}


@pytest.mark.parametrize(
    ("count", "size", "dpi"),
    [
        *((count, size, 144) for count, size in COUNTS),
        (3, CROWDED[0], 72),
        (12, CROWDED[-1], 288),
    ],
)
def test_nothing_overlaps_or_runs_out_of_the_figure(crowded, count, size, dpi):
    found = boxes(crowded(count, size), dpi)
    what = list(found)
    left, top, right, bottom = np.array([box.extents for box in found.values()]).T
    width, height = SIZE[0] * dpi / 144, SIZE[1] * dpi / 144
    outside = (left < 0) | (top < 0) | (right > width) | (bottom > height)
    assert not outside.any(), what[outside.argmax()]
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    down = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    for one, other in zip(*np.nonzero(np.triu(np.minimum(across, down) > 0, 1)), strict=True):
        pytest.fail(f"{what[one]} and {what[other]}")


@pytest.mark.parametrize(
    ("count", "size", "degenerate"), [*((*one, False) for one in COUNTS), (6, (1200, 400), True)]
)
def test_labels_are_large_and_whole(crowded, lite0, tabby, count, size, degenerate):
    changes = {"feature_map": np.full((7, 7), np.nan)} if degenerate else {}
    explanations = several(tabby, lite0, count, size, **changes)
    drawn = figure(Image.new("RGB", size), explanations) if degenerate else crowded(count, size)
    sizes = {text.get_text(): float(text.get_fontsize()) for text in drawn.texts}
    assert min(sizes.values()) >= 11
    label_size = next(size for text, size in sizes.items() if "rank" in text)
    assert label_size >= (13 if count == 6 else 20)
    bold = [text for text in drawn.texts if text.get_fontweight() == "bold"]
    assert {text.get_fontsize() for text in bold} == {label_size}
    classes = " ".join(text.get_text() for text in bold)
    said = texts(drawn).replace("\n", " ")
    for e in explanations:
        assert e.target.name in classes
        assert e.heading in said
        assert e.notice in said
        assert f"rank {e.rank}" in said
    assert said.count(NOT_NUMBERS) == (count if degenerate else 0)
    assert "…" not in said


def test_what_stands_side_by_side_is_aligned(cat, tabby):
    long = replace(tabby, target=gc.Prediction(0, LONG_NAMES[-1], 0.5), stands_in_for="ResNet50")
    drawn = figure(cat.resize((400, 400)), [tabby, long, tabby])
    top = {place(axes)[1] for axes in drawn.axes if axes.get_label() != "colour bar"}
    assert len(top) == 1
    for word in ("EfficientNet-Lite0", "rank"):
        found = [text.get_position() for text in drawn.texts if word in text.get_text()]
        assert len({y for _, y in found}) == 1
        assert len(found) == 3
    lefts = {round(x * 1920) for x, _ in (text.get_position() for text in drawn.texts)}
    pictures = {place(axes)[0] for axes in drawn.axes}
    assert pictures - {place(picture(drawn, "colour bar"))[0]} <= lefts


def test_names_are_shown_as_they_are(plain, tabby):
    odd = replace(tabby, title="$\\frac{$ & <b>", notice="A notice with $math$ & <tags>.")
    drawn = figure(plain, [odd])
    assert "$\\frac{$ & <b>" in texts(drawn)
    ET.fromstring(svg(drawn))
    assert shown(drawn).size == SIZE


def luminance(colour) -> float:
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(channels, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", THEMES)
def test_texts_have_contrast(cat, tabby, theme: Theme):
    drawn = figure(cat, [tabby], theme)
    background = luminance(drawn.get_facecolor()[:3])
    for text in drawn.texts:
        light, dark = sorted((luminance(text.get_color()), background), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_colour_bar_goes_from_nothing_to_the_hottest_colour(plain, tabby):
    drawn = figure(plain, [tabby], "dark", colormap="viridis")
    left, top, right, bottom = place(picture(drawn, "colour bar"))
    row = np.asarray(shown(drawn))[(top + bottom) // 2, left + 2 : right - 2].astype(int)
    background = np.array(to_rgb(drawn.get_facecolor()[:3])) * 255
    assert np.abs(row[0] - background).max() < 12
    assert np.abs(row[-1] - colormap_table("viridis")[255, :3]).max() < 12


def test_the_svg_is_valid_and_needs_nothing_but_itself(plain, tabby):
    drawn = figure(plain, [tabby, tabby])
    text = svg(drawn)
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    width, height = (float(root.attrib[side].removesuffix("pt")) for side in ("width", "height"))
    assert width * 9 == pytest.approx(height * 16)
    images = list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) == 4
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in (XLINK, "href", "src"):
                inner = value.startswith(("#", "data:image/png;base64,"))
                assert inner, value[:80]
            assert "url(" not in value.replace("url(#", "")
    for outside in (b"<!DOCTYPE", b"<!ENTITY", b"@import", b"<?xml-stylesheet", b"<script"):
        assert outside not in text
    assert b"<text" not in text  # which would need the font
    assert root.findtext("{http://www.w3.org/2000/svg}title") == f"{tabby.heading}, {tabby.heading}"
    (description,) = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert "tabby" in (description.text or "")
    assert b"pixelated" not in text


def test_the_same_figure_gives_the_same_bytes(slide, rendered, monkeypatch):
    """Another one that is the same: the next two tests."""
    assert png(slide) == rendered[0]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    again = svg(slide)
    assert again == rendered[1]
    assert b"1970-01-02" not in again


def test_a_persons_own_settings_of_matplotlib_change_nothing(plain, tabby, rendered):
    own = {
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "svg.fonttype": "none",
        "figure.facecolor": "red",
        "font.family": "serif",
        "text.usetex": True,
        "axes.facecolor": "green",
    }
    with matplotlib.rc_context(own):  # type: ignore[arg-type]
        drawn = figure(plain, [tabby])
        assert (png(drawn), svg(drawn)) == rendered
        assert matplotlib.rcParams["savefig.bbox"] == "tight"


def test_threads_get_what_one_alone_gets(plain, tabby, rendered):
    settings = dict(matplotlib.rcParams)
    themes: list[Theme] = ["light", "dark"]

    def made(theme: Theme) -> tuple[bytes, bytes]:
        drawn = figure(plain, [tabby], theme)
        return png(drawn), svg(drawn)

    expected = {"light": rendered, "dark": made("dark")}
    with ThreadPoolExecutor(2) as pool:
        for theme, got in zip(themes, pool.map(made, themes), strict=True):
            assert got == expected[theme]
    assert dict(matplotlib.rcParams) == settings


def test_an_unknown_theme_is_an_error_that_lists_the_themes(cat, tabby):
    with pytest.raises(ValueError, match="light, dark"):
        figure(cat, [tabby], "sepia")  # type: ignore[arg-type]


def test_the_scale_of_a_method_that_knows_no_class_speaks_of_none(cat, tabby):
    for other in (replace(tabby, method="eigencam"), replace(tabby, unit="years")):
        drawn = figure(cat, [other])
        assert not {NOTHING, MOST} & set(texts(drawn).splitlines())
        assert "most heat" in texts(drawn)
    drawn = figure(cat, [replace(tabby, unit="years", signed_map=tabby.feature_map)])
    assert "lowers the value" in texts(drawn)
    signed = replace(tabby, signed_map=tabby.feature_map)
    assert "against the class" in texts(figure(cat, [signed]))
    drawn = figure(cat, [replace(signed, contrast=tabby.top[1:2])])
    assert {"for the other class", "for the class"} <= set(texts(drawn).splitlines())
