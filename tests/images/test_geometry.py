"""What a network sees of a photo, and the way back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from gradcam_core.images.geometry import DETAILS, WHOLE_MAX_ASPECT, crop_title, view_of
from gradcam_core.images.preprocessing import InputSize, Preprocessing, Resizing
from gradcam_core.models.registry import list_models

SIZES = [(451, 300), (300, 451), (512, 512), (1999, 3000), (33, 97), (8, 600), (1, 1), (2, 1)]
SMALL_SIZES = [(501, 751) if size == (1999, 3000) else size for size in SIZES]
"""Which are resized in a tenth of the time."""

SQUARE = InputSize(64, 64)
TINY_MODEL = Preprocessing(SQUARE, 0.875, Image.Resampling.BILINEAR, (0.5,) * 3, (0.5,) * 3)


@cache
def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("architecture", [info.architecture for info in list_models()])
def test_the_crop_is_the_published_preprocessing(architecture: str):
    config = resolve_data_config(timm.get_pretrained_cfg(architecture).to_dict())
    preprocessing = Preprocessing.from_timm(config)
    theirs = create_transform(**config)
    for size in SIZES:
        photo = noise(size)
        ours = view_of(size, preprocessing, "crop").batch(photo, preprocessing)
        assert_equal(ours, theirs(photo)[None], size)


def assert_equal(ours: torch.Tensor, theirs: torch.Tensor, *what: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6, msg=lambda text: f"{what}: {text}")


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("input_size", [(256, 128), (96, 224), (225, 224), (37, 130)])
def test_an_input_of_any_shape_is_timms(input_size: tuple[int, int], mode: str):
    for crop_pct in (0.9, 1.0):
        config = resolve_data_config(
            {"input_size": (3, *input_size), "crop_pct": crop_pct, "crop_mode": mode}
        )
        preprocessing = Preprocessing.from_timm(config)
        assert preprocessing.size == input_size
        theirs = create_transform(**config)
        for size in SMALL_SIZES:
            photo = noise(size)
            view = view_of(size, preprocessing, "crop")
            ours = view.batch(photo, preprocessing)
            if mode == "border" and min(view.resized) == 1:
                continue  # which timm makes 0 pixels wide, and fails
            assert_equal(ours, theirs(photo)[None], size, crop_pct)


def test_a_crop_mode_that_cannot_be_followed_is_refused():
    with pytest.raises(ValueError, match="crop_mode is 'mosaic', and only center, squash, border"):
        Preprocessing.from_timm(resolve_data_config({"crop_mode": "mosaic", "img_size": 64}))


@pytest.mark.parametrize(
    ("resizing", "share", "size", "title", "box"),
    [
        ("cover", 1.0, (200, 100), "centre crop", (50, 0, 150, 100)),
        ("stretch", 1.0, (200, 100), "stretched photo", (0, 0, 200, 100)),
        ("stretch", 0.5, (200, 100), "centre crop of the stretched photo", (50, 25, 150, 75)),
        ("fit", 1.0, (200, 100), "padded photo", (0, 0, 200, 100)),
        ("fit", 0.8, (200, 100), "padded centre crop", (20, 0, 180, 100)),
        ("fit", 0.5, (200, 100), "centre crop", (50, 0, 150, 100)),
    ],
)
def test_the_words_for_the_published_preprocessing_say_what_it_does(
    resizing: Resizing,
    share: float,
    size: tuple[int, int],
    title: str,
    box: tuple[int, int, int, int],
):
    preprocessing = replace(TINY_MODEL, size=SQUARE, crop_share=share, resizing=resizing)
    view = view_of(size, preprocessing, "crop")
    assert (view.title, view.box) == (title, box)
    if share != 0.5 or resizing == "stretch":  # else no photo is needed to know it
        assert crop_title(preprocessing) == title
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[40:60, 90:110] = 255
    # A map that is hot where the input is bright is hot where the photo is.
    given = np.array(view.picture(Image.fromarray(photo), preprocessing))[..., 0] > 200
    heat = view.to_photo(given.astype(np.float32))
    rows, columns = np.nonzero(heat > 0.5)
    assert abs(rows.mean() - 49.5) < 1
    assert abs(columns.mean() - 99.5) < 1
    assert 0.6 < len(rows) / 400 < 1.5


@pytest.mark.parametrize(
    ("crop", "resize"),
    [([224], [232]), ([256, 128], [293]), ([96, 160], [160, 267]), ([256, 128], [256, 128])],
)
def test_torchvisions_transforms_may_have_two_sides(crop: list[int], resize: list[int]):
    transforms = ImageClassification(crop_size=1, interpolation=InterpolationMode.BICUBIC)
    transforms.crop_size, transforms.resize_size = crop, resize
    preprocessing = Preprocessing.from_torchvision(transforms)
    for size in SMALL_SIZES:
        photo = noise(size)
        ours = view_of(size, preprocessing, "crop").batch(photo, preprocessing)
        assert_equal(ours, transforms(photo)[None], size)


@pytest.mark.parametrize(
    ("crop", "resize"), [([256, 128], [200]), ([256, 128], [256, 256]), ([64, 96], [64, 90])]
)
def test_a_crop_that_is_larger_or_of_another_shape_is_refused(crop: list[int], resize: list[int]):
    transforms = ImageClassification(crop_size=1)
    transforms.crop_size, transforms.resize_size = crop, resize
    with pytest.raises(ValueError, match="cannot be followed"):
        Preprocessing.from_torchvision(transforms)


GIVEN_SIZES = {
    224: (224, 224), "224": (224, 224), "256x128": (256, 128), "256×128": (256, 128),
    (256, 128): (256, 128), (8,): (8, 8), (2048, 8): (2048, 8),
}  # fmt: skip


@pytest.mark.parametrize("given", GIVEN_SIZES)
def test_a_size_is_given_with_its_height_first(given: object):
    found = InputSize.of(given)
    assert (found.height, found.width) == GIVEN_SIZES[given]
    assert found.width_height == (found.width, found.height)


@pytest.mark.parametrize(
    "given",
    ["256x", "x128", "0x128", "axb", "256x128x3", "-256x128", "256 x 128", "", "2049x64", "٣٢x٣٢",
     7, -224, 10**9, True, 224.0, (3, 256, 128), (256, 128.0), (True, 64), (), None, {"height": 9}],
)  # fmt: skip
def test_what_is_no_size_is_refused(given: object):
    with pytest.raises(ValueError, match="is no"):
        InputSize.of(given)


@pytest.mark.parametrize("size", [(20_000, 7), (7, 20_000)])
def test_an_extreme_photo_is_cropped_without_being_enlarged_as_a_whole(size: tuple[int, int]):
    photo = noise(size)
    view = view_of(size, TINY_MODEL, "crop")
    window = view.picture(photo, TINY_MODEL)
    whole = photo.resize(view.resized, TINY_MODEL.resample)
    left, top = view.offset
    expected = whole.crop((left, top, left + 64, top + 64))
    difference = np.asarray(window, dtype=int) - np.asarray(expected, dtype=int)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("size", [*SIZES, (3000, 1000), (600, 8), (1, 20_000)])
def test_the_whole_view_sees_every_pixel_and_keeps_the_aspect_ratio(size: tuple[int, int]):
    view = view_of(size, TINY_MODEL, "whole")
    assert view.box == (0, 0, *size)
    # Up to whole pixels: both sides are scaled alike, or the short one to a single pixel.
    scale = max(view.resized) / max(size)
    for pixels, side in zip(size, view.resized, strict=True):
        assert abs(side - max(1, pixels * scale)) <= 1
    assert min(view.size) == 64
    assert max(view.size) <= WHOLE_MAX_ASPECT * 64


@pytest.mark.parametrize("size", [*SIZES, (3000, 1000), (600, 8), (100, 200), (1, 20_000)])
def test_the_whole_view_covers_an_input_of_any_shape(size: tuple[int, int]):
    tall = replace(TINY_MODEL, size=InputSize(128, 64))
    view = view_of(size, tall, "whole")
    assert view.box == (0, 0, *size)
    times = view.size[0] / 64, view.size[1] / 128
    assert min(times) == 1
    assert max(times) <= WHOLE_MAX_ASPECT
    if size == (100, 200):
        assert view.size == view.resized == (64, 128)


def test_the_box_of_an_input_that_is_no_square_has_its_shape():
    tall = replace(TINY_MODEL, size=InputSize(128, 64), crop_share=1.0)
    # 400 x 400 is resized to 128 x 128, of which the middle half is seen.
    assert view_of((400, 400), tall, "crop").box == (100, 0, 300, 400)
    assert view_of((400, 400), replace(tall, size=InputSize(64, 128)), "crop").box == (
        *(0, 100),
        *(400, 300),
    )
    assert view_of((200, 400), tall, "crop").box == (0, 0, 200, 400)
    for detail in DETAILS:
        view = view_of((400, 400), tall, "crop", detail)
        assert view.size == (64 * detail, 128 * detail)
        assert view.box == (100, 0, 300, 400)
    stretched = view_of((300, 100), replace(tall, resizing="stretch"), "crop")
    assert stretched.box == (0, 0, 300, 100)
    assert stretched.size == (64, 128)


def test_padding_has_the_training_mean_and_is_not_part_of_the_box():
    preprocessing = Preprocessing(
        SQUARE, 1.0, Image.Resampling.BILINEAR, (0.2, 0.4, 0.6), (0.5,) * 3
    )
    view = view_of((600, 20), preprocessing, "whole")
    picture = view.picture(Image.new("RGB", (600, 20), "white"), preprocessing)
    assert picture.getpixel((96, 0)) == picture.getpixel((96, 63)) == (51, 102, 153)
    assert picture.getpixel((96, 32)) == (255, 255, 255)
    assert view.box == (0, 0, 600, 20)


def test_the_way_back_is_bilinear_with_half_pixel_centres():
    cells = np.random.default_rng(3).random((7, 7), dtype=np.float32)
    view = view_of(
        (224, 224),
        Preprocessing(InputSize(224, 224), 1.0, Image.Resampling.BILINEAR, (0,), (1,)),
        "crop",
    )
    expected = interpolate(
        torch.from_numpy(cells)[None, None], size=(224, 224), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(view.to_photo(cells), expected[0, 0].numpy(), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_lies_outside_the_box_and_everything_inside(size: tuple[int, int]):
    view = view_of(size, TINY_MODEL, "crop")
    heat = view.to_photo(np.ones((4, 4), dtype=np.float32))
    left, top, right, bottom = view.box
    assert heat.shape == (size[1], size[0])
    inside = np.zeros_like(heat, dtype=bool)
    inside[top:bottom, left:right] = True
    assert np.array_equal(heat > 0, inside)


def test_the_box_of_a_wide_photo_is_its_middle():
    # 1000 x 500 is resized to 146 x 73, of which 64 x 64 from (41, 4) on are cropped.
    assert view_of((1000, 500), TINY_MODEL, "crop").box == (280, 27, 720, 466)


def test_the_peak_of_a_map_is_the_maximum_over_the_photo_on_a_fine_raster():
    preprocessing = Preprocessing(
        InputSize(224, 224), 0.875, Image.Resampling.BICUBIC, (0.5,) * 3, (0.5,) * 3
    )
    feature_map = np.zeros((7, 7), dtype=np.float32)
    feature_map[3, 5] = 2
    for size in ((451, 300), (300, 451), (5000, 30)):
        view = view_of(size, preprocessing, "crop")
        fine = view.to_photo(feature_map, (size[0] * 8, size[1] * 8)).max()
        assert fine <= view.peak(feature_map) + 1e-6
        assert fine == pytest.approx(view.peak(feature_map), rel=0.06)
