"""A network arranged to run fast computes what its library computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.models.optimise.arrange import DenseConv2d
from gradcam_core.models.optimise.build import read_network
from gradcam_core.models.optimise.meta_device import meta_pass, without_values
from gradcam_core.models.optimise.structure import structure_in_order, structure_of
from gradcam_core.models.registry import remove_model
from tests.support.narrow_vgg import NARROW_VGG
from tests.support.networks import quickly_made, scattered

ARCHITECTURES = [
    "test_resnet",
    NARROW_VGG,
    "mobilenetv3_small_050",
    "regnety_002",
    "legacy_xception",
]


SIDE_PX = 96
DENSE_SIDE_PX = 224  # from which on VGG's first dense layer sees more than its kernel

Published = Callable[[str], tuple[nn.Module, Path]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The network as timm has it, with random weights, and the file of these."""
    folder = tmp_path_factory.mktemp("published")

    @cache
    def made(architecture: str) -> tuple[nn.Module, Path]:
        torch.manual_seed(0)
        module = scattered(quickly_made(partial(timm.create_model, architecture)))
        file = folder / f"{architecture}.safetensors"
        tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
        save_file(tensors, file)
        return module, file

    return made


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_maps_are_those_of_the_network_as_it_is_published(
    architecture: str, published: Published
):
    theirs, file = published(architecture)
    ours = read_network(architecture, file)
    side, larger = SIDE_PX, DENSE_SIDE_PX if architecture == NARROW_VGG else SIDE_PX
    # Also larger, and not square, as for detail 2 and the whole photo.
    for height, width in ((side, side), (larger + 13, larger + 45)):
        batch = torch.randn(2, 3, height, width)
        layer = gc.last_feature_map(theirs, batch[:, :, :side, :side])
        expected = gc.forward(theirs, batch, layer)
        got = gc.forward(ours, batch, layer)
        scale = float(expected.logits.abs().max())
        torch.testing.assert_close(got.logits, expected.logits, rtol=1e-4, atol=1e-4 * scale)
        maps = expected.cam([3, 5])
        assert float((got.cam([3, 5]) - maps).abs().max()) < 1e-3 * float(maps.max())


def test_a_transformer_is_built_for_another_size_as_timm_does(tmp_path: Path):
    published = scattered(timm.create_model("test_vit"))
    file = tmp_path / "a.safetensors"
    save_file(published.state_dict(), file)
    size = 96, 48
    theirs = timm.create_model(
        "test_vit", pretrained=True, pretrained_cfg_overlay={"file": str(file)}, img_size=size
    ).eval()
    ours = read_network("test_vit", file, img_size=size)
    batch = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=1e-4, atol=1e-4)


def test_batch_norms_are_folded_and_dense_convolutions_are_products(published: Published):
    resnet = read_network("test_resnet", published("test_resnet")[1])
    assert not any(isinstance(part, nn.BatchNorm2d) for part in resnet.modules())
    vgg = read_network(NARROW_VGG, published(NARROW_VGG)[1])
    assert [name for name, part in vgg.named_modules() if isinstance(part, DenseConv2d)] == [
        "pre_logits.fc1",
        "pre_logits.fc2",
    ]
    for module in (resnet, vgg):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_order_of_modules_shows_of_our_own_networks_what_a_pass_shows():
    for info in gc.list_models():
        module = without_values(partial(timm.create_model, info.architecture))
        size = timm.get_pretrained_cfg(info.architecture).input_size
        shown, _ = structure_of(module, meta_pass(size))
        assert structure_in_order(module) == shown, info.name
        assert shown.norms or shown.dense, info.name


def test_a_batch_norm_that_does_not_read_a_convolution_alone_stays(published: Published):
    densenet = read_network("densenet121", published("densenet121")[1])
    left = [n for n, part in densenet.named_modules() if isinstance(part, nn.BatchNorm2d)]
    # The first norm of a dense layer reads what several convolutions gave.
    assert "features.denseblock1.denselayer2.norm1" in left
    assert "features.denseblock1.denselayer2.norm2" not in left


def quickly_filled(like: Tensor) -> Tensor:
    """Random values, of which large tensors have the same for every 64th output, in half precision
    where they are many."""
    few = torch.randn(min(len(like), 64), *like.shape[1:]) / max(1, like[0].numel()) ** 0.5
    few = few.half() if like.numel() > 10**7 else few
    return few.repeat(-(-len(like) // 64), *[1] * (like.ndim - 1))[: len(like)]


def test_tensors_named_as_in_torchvision_are_converted(tmp_path: Path):
    """Of a VGG as wide as it is, which timm's conversion takes for granted."""
    torch.manual_seed(0)
    with torch.device("meta"):  # 130 million values of its own would take seconds
        theirs = timm.create_model("vgg11").eval()
    tensors = {name: quickly_filled(tensor) for name, tensor in theirs.state_dict().items()}
    theirs.load_state_dict({name: one.float() for name, one in tensors.items()}, assign=True)
    older = {
        name.replace("pre_logits.fc1", "classifier.0")
        .replace("pre_logits.fc2", "classifier.3")
        .replace("head.fc", "classifier.6"): tensor.flatten(1) if "pre_logits" in name
        and name.endswith("weight") else tensor
        for name, tensor in tensors.items()
    }  # fmt: skip
    file = tmp_path / "older.safetensors"
    save_file(older, file)
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(batch)
        torch.testing.assert_close(
            read_network("vgg11", file)(batch), expected, rtol=1e-4, atol=1e-5
        )


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path: Path, published: Published):
    module, _ = published("test_resnet")
    tensors = {
        name: one for name, one in module.state_dict().items() if name != "layer3.0.bn1.bias"
    }
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(RuntimeError, match=r"Missing key.*layer3.0.bn1.bias"):
        read_network("test_resnet", tmp_path / "a.safetensors")


@pytest.mark.parametrize("kernel", [(7, 7), (1, 1), (3, 5)])
def test_a_dense_convolution_equals_the_convolution_on_any_input(kernel: tuple[int, int]):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, kernel)
    dense = DenseConv2d(conv)
    for size in ((7, 7), (9, 14)):
        x = torch.randn(2, 8, *size).to(memory_format=torch.channels_last)
        torch.testing.assert_close(dense(x), conv(x), rtol=1e-4, atol=1e-5)


def test_a_convolution_named_as_layer_is_what_it_was_before_its_batch_norm_was_folded(
    tmp_path: Path,
):
    torch.manual_seed(0)
    module = scattered(timm.create_model("test_resnet", num_classes=5)).eval()
    weights = tmp_path / "mine.safetensors"
    save_file(module.state_dict(), weights)
    gc.register("Mine", "test_resnet", weights=weights)
    try:
        loaded = gc.load_model("mine").module
    finally:
        remove_model("mine")
    batch = torch.randn(2, 3, 96, 96)
    for layer in ("layer4.0.conv2", "layer4.0.bn2", "layer3.0.conv1", "layer4"):
        ours, literal = gc.forward(loaded, batch, layer), gc.forward(module, batch, layer)
        scale = float(literal.activation.abs().max())
        torch.testing.assert_close(
            ours.activation, literal.activation, atol=1e-4 * scale, rtol=1e-3
        )
        for method in ("gradcam", "layercam"):
            expected = literal.cam(3, method)
            scale = float(expected.max())
            assert scale
            torch.testing.assert_close(ours.cam(3, method), expected, atol=1e-3 * scale, rtol=1e-3)
