"""Everything to take along, as files and as one ZIP."""

from __future__ import annotations

import gc as garbage
import io
import json
import weakref
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.analysis.findings import findings
from gradcam_core.export.figure import figure, png, svg
from gradcam_core.export.result_files import File, by_request, files, zipped
from gradcam_core.images.geometry import view_of
from gradcam_core.images.rendering import heat_bands
from gradcam_core.images.rendering.metadata import lines
from gradcam_core.images.rendering.render import overlay


@pytest.fixture(scope="module")
def named(cat: Image.Image) -> list[tuple[str, gc.Explanation]]:
    stand_in = gc.explain(cat, "efficientnet_lite1", "tabby")
    return [
        ("vgg19", replace(stand_in, stands_in_for="VGG19")),
        ("efficientnet_lite0", gc.explain(cat, "efficientnet_lite0", "tabby")),
    ]


def content(file: File) -> bytes:
    target = io.BytesIO()
    file.write(target)
    return target.getvalue()


def contents(made: tuple[File, ...], *endings: str) -> dict[str, bytes]:
    """Of all files, or of those whose names end so."""
    return {file.name: content(file) for file in made if file.name.endswith(endings or "")}


@pytest.fixture(scope="module")
def usual(cat: Image.Image, named: list[tuple[str, gc.Explanation]]) -> dict[str, bytes]:
    """The files as they are if nothing is asked for."""
    return contents(files(cat, named))


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def test_the_files_hold_what_the_explanations_say(cat, named, usual):
    got = usual
    assert list(got) == [
        "input_image.jpg",
        *(
            f"{e.model}_{kind}"
            for _, e in named
            for kind in ("output.png", "heatmap.npy", "heatmap.png")
        ),
        "comparison.png",
        "comparison.svg",
        "captions.txt",
        "explanations.json",
    ]
    photo = opened(got["input_image.jpg"])
    assert (photo.format, photo.size) == ("JPEG", cat.size)
    assert np.abs(np.asarray(photo).astype(int) - np.asarray(cat)).mean() < 3
    for _, e in named:
        name = e.model
        picture = opened(got[f"{name}_output.png"])
        expected = overlay(cat, e.heatmap, e.box)
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
        heatmap = np.load(io.BytesIO(got[f"{name}_heatmap.npy"]))
        assert heatmap.dtype == np.float32
        np.testing.assert_array_equal(heatmap, e.heatmap)
        grey = opened(got[f"{name}_heatmap.png"])
        assert (grey.mode, grey.size) == ("I;16", cat.size)
        assert np.asarray(grey).max() == 65535
        np.testing.assert_allclose(np.asarray(grey) / 65535, heatmap, atol=0.51 / 65535)
    explanations = [e for _, e in named]
    drawn = figure(cat, explanations)
    assert (got["comparison.png"], got["comparison.svg"]) == (png(drawn), svg(drawn))
    names = {
        name: {"overlay": f"{e.model}_output.png", "heatmap": f"{e.model}_heatmap.npy"}
        for name, e in named
    }
    found = json.loads(got["explanations.json"].decode("utf-8"))
    assert found == json.loads(json.dumps(findings(named, files=names)))
    captions = got["captions.txt"].decode("utf-8")
    for _, e in named:
        assert f"{e.model}_output.png\n{e.caption()}\n" in captions
    assert captions.endswith("\n".join(["", *found["sentences"], ""]))


def test_a_file_is_found_by_the_network_that_was_asked_for(cat, named):
    found = by_request(files(cat, named))
    assert found["vgg19_output.png"].name == "efficientnet_lite1_output.png"
    assert found["efficientnet_lite0_heatmap.npy"].name == "efficientnet_lite0_heatmap.npy"
    assert found["comparison.png"].name == "comparison.png"


def test_pictures_of_maps_say_what_they_show(cat, named, usual):
    got = contents(files(cat, named, photo_name="cat.jpg"), "output.png", "heatmap.png", ".svg")
    (_, stand_in), _ = named
    for name in ("efficientnet_lite1_output.png", "efficientnet_lite1_heatmap.png"):
        said = opened(got[name]).info
        for key, value in (
            ("Photo", "cat.jpg"),
            ("Network", "EfficientNet-Lite1"),
            ("Stands in for", "VGG19"),
            ("Class", "tabby (281)"),
            ("Method", "Grad-CAM"),
            ("Layer", "bn2"),
            ("View", "centre crop"),
        ):
            assert said[key] == value
        assert float(said["Probability"]) == pytest.approx(stand_in.target.probability, rel=1e-3)
        assert said["Software"].endswith(gc.__version__)
    assert "Stands in for" not in opened(got["efficientnet_lite0_output.png"]).info
    for _, e in named:
        assert lines(e.metadata()) in opened(usual["comparison.png"]).info["Description"]
        assert lines(e.metadata("cat.jpg")) in got["comparison.svg"].decode()
    assert "Photo" not in opened(usual["efficientnet_lite1_output.png"]).info


def test_grey_levels_are_of_what_speaks_for_the_class_alone(cat, named):
    signed = [(name, replace(e, signed_map=-e.feature_map)) for name, e in named]
    got = contents(files(cat, signed), "lite1_output.png", "lite1_heatmap.png")
    scales = [opened(one).info["Scale"] for one in got.values()]
    assert scales[0].startswith("for the class orange, against it blue, ")
    assert scales[1] == "from 0 to the maximum of this map"
    one = replace(signed[0][1], contrast=signed[0][1].top[1:2])
    assert one.metadata()["Scale"].startswith("for the class orange, for the contrast blue, ")


def test_theme_colours_and_opacity_are_honoured(cat, named):
    (_, e), *_ = named
    made = files(cat, named[:1], theme="dark", colormap="viridis", opacity=0.3)
    got = contents(made, "output.png", "comparison.svg")  # the PNG is of the same figure
    expected = overlay(cat, e.heatmap, e.box, 0.3, "viridis")
    picture = opened(got[f"{e.model}_output.png"])
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
    drawn = figure(cat, [e], "dark", "viridis", 0.3)
    assert got["comparison.svg"] == svg(drawn)


def test_a_large_photo_may_be_shrunk(cat, lite0, named):
    photo = cat.resize((1353, 900))
    geometry = view_of(photo.size, lite0.preprocessing, "crop")
    large = [(name, replace(e, geometry=geometry)) for name, e in named[:1]]
    got = contents(files(photo, large, max_side_px=451), ".jpg", ".png", ".npy", ".json")
    assert opened(got["input_image.jpg"]).size == (451, 300)
    for _, e in large:
        name = e.model
        heatmap = np.load(io.BytesIO(got[f"{name}_heatmap.npy"]))
        np.testing.assert_array_equal(heatmap, e.heatmap_at((451, 300)))
        assert opened(got[f"{name}_heatmap.png"]).size == (451, 300)
        picture = opened(got[f"{name}_output.png"])
        assert picture.size == (451, 300)
        full = overlay(photo, e.heatmap, e.box).resize((451, 300), Image.Resampling.BOX)
        # Away from the edge of the box, of which a pixel may lie on either side.
        assert np.abs(np.asarray(picture).astype(int) - np.asarray(full)).mean() < 3
    found = json.loads(got["explanations.json"])
    assert found["explanations"][0]["photo_size"] == [1353, 900]
    whole = contents(files(photo, large), "image.jpg", "comparison.png")
    assert got["comparison.png"] == whole["comparison.png"]
    assert opened(whole["input_image.jpg"]).size == photo.size


def test_a_small_photo_is_not_enlarged(cat, named, usual):
    # The figure is of the photo as it is anyway: see the test before.
    got = contents(files(cat, named, max_side_px=900), "jpg", "output.png", "npy", "heatmap.png")
    assert len(got) == 7
    assert got.items() <= usual.items()


def test_no_heatmap_is_made_whole_or_kept(cat, named, monkeypatch):
    monkeypatch.setattr(heat_bands, "BAND_PIXELS", 50 * cat.width)
    alive: list[weakref.ref] = []
    original = gc.Explanation.heatmap_bands

    def watched(self: gc.Explanation, size: tuple[int, int]) -> Iterator[np.ndarray]:
        for band in original(self, size):
            assert size != cat.size or len(band) <= 50
            alive.append(weakref.ref(band))
            yield band

    monkeypatch.setattr(gc.Explanation, "heatmap_bands", watched)
    fresh = [(name, replace(e)) for name, e in named[:1]]
    made = files(cat, fresh)
    assert not alive
    garbage.freeze()  # what there is already, a million things, is not looked through each time
    for file in made:
        file.write(io.BytesIO())
        garbage.collect()
        assert all(one() is None for one in alive)
    assert len(alive) >= 3 * cat.height // 50
    assert not any("heatmap" in vars(e) for _, e in fresh)


def test_files_made_in_bands_are_those_made_at_once(cat, named, usual, monkeypatch):
    monkeypatch.setattr(heat_bands, "BAND_PIXELS", 7 * cat.width)
    banded = contents(files(cat, named), "heatmap.npy", "heatmap.png", "output.png")
    for _, e in named:
        name = e.model
        heat, expected = (
            np.load(io.BytesIO(got[f"{name}_heatmap.npy"])) for got in (banded, usual)
        )
        np.testing.assert_array_equal(heat, e.heatmap_at(cat.size))
        np.testing.assert_allclose(heat, expected, atol=1e-6)
        for picture in (f"{name}_output.png", f"{name}_heatmap.png"):
            pixels, others = (np.asarray(opened(got[picture]), int) for got in (banded, usual))
            assert np.abs(pixels - others).max() <= 1


def written(data: bytes) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(data)


def test_the_zip_holds_the_files_and_is_the_same_every_time(cat, named, usual):
    # Without the figure, which is the same each time: see `test_figure.py`.
    made = [file for file in files(cat, named) if "comparison" not in file.name]
    once, again = io.BytesIO(), io.BytesIO()
    zipped(made, once)
    zipped([File(file.name, written(usual[file.name])) for file in made], again)
    assert once.getvalue() == again.getvalue()
    with zipfile.ZipFile(once) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == [file.name for file in made]
        for entry, file in zip(entries, made, strict=True):
            assert archive.read(entry) == usual[file.name]
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            picture = entry.filename.endswith((".png", ".jpg"))
            assert entry.compress_type == (zipfile.ZIP_STORED if picture else zipfile.ZIP_DEFLATED)
            assert entry.external_attr >> 16 == 0o644
        array = archive.getinfo("efficientnet_lite1_heatmap.npy")
        assert array.compress_size < 0.9 * array.file_size


class Pipe(io.RawIOBase, IO[bytes]):
    """What can be written to, and no more."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.written += data
        return len(data)


def test_the_zip_can_be_streamed(cat, named):
    pipe = Pipe()
    # The figure is written as what it is elsewhere: in one piece.
    zipped((one for one in files(cat, named[:1]) if "comparison" not in one.name), pipe)
    with zipfile.ZipFile(io.BytesIO(bytes(pipe.written))) as archive:
        assert archive.testzip() is None
        assert "efficientnet_lite1_output.png" in archive.namelist()
