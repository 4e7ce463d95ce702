"""A network arranged to run fast computes what its library computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import gradcam_core as gc
from gradcam_core.models.optimise import DenseConv2d, read_network
from tests.support.networks import scattered

ARCHITECTURES = [
    "resnet18",
    "vgg11",
    "densenet121",
    "mobilenetv3_small_050",
    "tf_efficientnet_lite0",
    "regnety_002",
    "repvgg_a0",
    "inception_v3",
    "legacy_xception",
    "res2net50_26w_4s",
]


def written(module: nn.Module, folder: Path) -> Path:
    file = folder / "weights.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, file)
    return file


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_maps_are_those_of_the_network_as_it_is_published(
    architecture: str, tmp_path: Path
):
    torch.manual_seed(0)
    published = scattered(timm.create_model(architecture).eval())
    ours = read_network(architecture, written(published, tmp_path))
    _, side, _ = timm.get_pretrained_cfg(architecture).input_size
    # Also larger than its own input, and not square, as for detail 2 and the whole photo.
    for height, width in ((side, side), (side * 3 // 2, side * 2)):
        batch = torch.randn(2, 3, height, width)
        layer = gc.last_feature_map(published, batch[:, :, :side, :side])
        expected = gc.forward(published, batch, layer)
        got = gc.forward(ours, batch, layer)
        scale = float(expected.logits.abs().max())
        torch.testing.assert_close(got.logits, expected.logits, rtol=1e-4, atol=1e-4 * scale)
        maps = expected.cam([3, 5])
        assert float((got.cam([3, 5]) - maps).abs().max()) < 1e-3 * float(maps.max())


def test_batch_norms_are_folded_and_dense_convolutions_are_products(tmp_path: Path):
    resnet = read_network("resnet18", written(timm.create_model("resnet18"), tmp_path))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in resnet.modules())
    vgg = read_network("vgg11", written(timm.create_model("vgg11"), tmp_path))
    assert [name for name, part in vgg.named_modules() if isinstance(part, DenseConv2d)] == [
        "pre_logits.fc1",
        "pre_logits.fc2",
    ]
    for module in (resnet, vgg):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_batch_norm_that_does_not_read_a_convolution_alone_stays(tmp_path: Path):
    densenet = read_network("densenet121", written(timm.create_model("densenet121"), tmp_path))
    left = [n for n, part in densenet.named_modules() if isinstance(part, nn.BatchNorm2d)]
    # The first norm of a dense layer reads what several convolutions gave.
    assert "features.denseblock1.denselayer2.norm1" in left
    assert "features.denseblock1.denselayer2.norm2" not in left


def test_tensors_named_as_in_torchvision_are_converted(tmp_path: Path):
    torch.manual_seed(0)
    published = timm.create_model("vgg11").eval()
    older = {
        name.replace("pre_logits.fc1", "classifier.0")
        .replace("pre_logits.fc2", "classifier.3")
        .replace("head.fc", "classifier.6"): tensor.flatten(1) if "pre_logits" in name
        and name.endswith("weight") else tensor
        for name, tensor in published.state_dict().items()
    }  # fmt: skip
    file = tmp_path / "older.safetensors"
    save_file(older, file)
    batch = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = published(batch)
        torch.testing.assert_close(
            read_network("vgg11", file)(batch), expected, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kernel", [(7, 7), (1, 1), (3, 5)])
def test_a_dense_convolution_equals_the_convolution_on_any_input(kernel: tuple[int, int]):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, kernel)
    dense = DenseConv2d(conv)
    for size in ((7, 7), (9, 14)):
        x = torch.randn(2, 8, *size).to(memory_format=torch.channels_last)
        torch.testing.assert_close(dense(x), conv(x), rtol=1e-4, atol=1e-5)
