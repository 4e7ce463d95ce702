"""Tests what the benchmarks' results depend on: the judging functions and the photographs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from benchmarks.quality import (
    PHOTOS,
    RASTER,
    Grid,
    Photograph,
    by_pytorch_grad_cam,
    by_torchcam,
    grids,
    halves,
    ours,
    recognised,
)
from benchmarks.table import Row, print_table


@pytest.fixture(scope="module")
def lite0() -> gc.Model:
    return gc.load_model("efficientnet_lite0")


def test_a_judge_knows_the_cells():
    grid = Grid(Image.new("RGB", (8, 8)), (1, 2, 3, 4))
    heat = np.zeros((RASTER, RASTER))
    heat[: RASTER // 2, RASTER // 2 :] = 3  # all heat in the upper right cell
    assert [grid.judge(heat, cell) for cell in range(4)] == [(0, 0), (1, 1), (0, 0), (0, 0)]
    heat[:] = 1
    assert [grid.judge(heat, cell)[0] for cell in range(4)] == [0.25] * 4
    assert grid.judge(np.zeros_like(heat), 0) == (0, 0)


def test_the_halves_share_no_photograph_and_each_has_its_licence():
    choose, report = halves()
    assert not set(choose) & set(report)
    assert len(choose) == len(report) == 9
    listed = (PHOTOS / "README.md").read_text(encoding="utf-8")
    for path in choose + report:
        (line,) = [line for line in listed.splitlines() if f"`{path.name}`" in line]
        assert "CC" in line or "public domain" in line


def test_grids_are_of_four_different_classes(lite0: gc.Model):
    photos = recognised(lite0, halves()[1])
    assert len(photos) >= 6
    for grid in grids(photos, 5):
        assert len(set(grid.classes)) == 4
    first, again = grids(photos, 1)[0], grids(photos, 1)[0]
    assert first.classes == again.classes
    assert first.picture.tobytes() == again.picture.tobytes()


def test_a_network_recognises_only_what_it_names_right(lite0: gc.Model):
    cat = PHOTOS / "tabby.jpg"
    assert "tiger cat" in Photograph.read(cat).names
    assert [photo.names for photo, _ in recognised(lite0, [cat])] == [Photograph.read(cat).names]


def test_our_maps_and_the_peers_are_judged_alike(lite0: gc.Model):
    grid = grids(recognised(lite0, halves()[0]), 1)[0]
    shares = [
        [grid.judge(heat, cell)[0] for cell, heat in enumerate(maps)]
        for maps in (
            ours(lite0, "gradcam", 2, False, grid),
            by_pytorch_grad_cam(lite0, "GradCAM", 2, grid),
            by_torchcam(lite0, "GradCAM", 2, grid),
        )
    ]
    assert shares[1] == pytest.approx(shares[0], abs=0.02)
    assert shares[2] == pytest.approx(shares[0], abs=0.02)


def test_a_missed_aim_is_said_in_the_table(capsys: pytest.CaptureFixture[str]):
    print_table(
        "T", ("Work", "Reached"), [Row("a", "1", True), Row("b", "2", False), Row("c", "3")]
    )
    assert capsys.readouterr().out.splitlines() == [
        "",
        "T",
        "",
        "| Work | Reached |",
        "|---|---|",
        "| a | 1 |",
        "| b | 2 (missed) |",
        "| c | 3 |",
    ]
