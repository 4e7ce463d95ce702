"""Feature maps that are not [N, C, h, w]: tokens and channels last, found and laid out by what the
network does; and what is no feature map."""

from __future__ import annotations

import gc as garbage
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import SwinTransformer3d

import gradcam_core as gc
from tests.support.networks import scattered

SMALL = {"img_size": 64}

# Network and its size, with the layer that is found and where its tokens lie: (h, w, tokens
# before); None where the channels are last.
FAMILIES: dict[str, tuple[dict[str, Any], str, tuple[int, int, int] | None]] = {
    "vit_tiny_patch16_224": (SMALL | {"depth": 3}, "blocks.1", (4, 4, 1)),
    "vit_small_patch14_reg4_dinov2": ({"img_size": 70, "depth": 3}, "blocks.1", (5, 5, 5)),
    "deit_tiny_distilled_patch16_224": (SMALL | {"depth": 3}, "blocks.1", (4, 4, 2)),
    "beit_base_patch16_224": (SMALL | {"depth": 2, "embed_dim": 96}, "blocks.1", (4, 4, 1)),
    "cait_xxs24_224": (SMALL | {"depth": 2}, "blocks", (4, 4, 0)),
    "convit_tiny": (SMALL | {"depth": 3, "local_up_to_layer": 1}, "blocks.1", (4, 4, 1)),
    "xcit_nano_12_p16_224": (SMALL | {"depth": 2}, "cls_attn_blocks.0", (4, 4, 1)),
    "levit_128s": ({}, "stages", (4, 4, 0)),
    "swin_tiny_patch4_window7_224": (SMALL | {"window_size": 4, "depths": (1, 1)}, "norm", None),
    "swinv2_tiny_window8_256": (SMALL | {"window_size": 4, "depths": (1, 1)}, "norm", None),
    "mvitv2_tiny": (SMALL, "norm", (2, 2, 0)),
    "pit_ti_224": ({"depth": (1, 1, 3)}, "transformers.2.blocks.1", (7, 7, 1)),
    "twins_svt_small": (SMALL | {"depths": (1, 1, 1, 1)}, "norm", (2, 2, 0)),
    "hiera_tiny_224": (
        {"img_size": 128, "stages": (1, 1, 1, 1), "embed_dim": 48},
        "blocks.3",
        (4, 4, 0),
    ),
    "mixer_s32_224": (SMALL, "norm", (2, 2, 0)),
    "mambaout_femto": ({"depths": (1, 1, 2, 1)}, "stages", None),
}


def trained(module: nn.Module) -> nn.Module:
    """As after training: no weight is all 0, as heads are before."""
    for parameter in scattered(module).parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return module.eval()


def on_the_grid(grid: tuple[int, int, int] | None) -> Callable[[Tensor], Tensor]:
    """pytorch-grad-cam's reshape_transform, written by hand."""
    if grid is None:
        return lambda output: output.permute(0, 3, 1, 2)
    height, width, before = grid

    def tokens(output: Tensor) -> Tensor:
        places = output[:, before : before + height * width]
        return places.unflatten(1, (height, width)).permute(0, 3, 1, 2)

    return tokens


@pytest.mark.parametrize("name", FAMILIES)
def test_a_transformer_is_explained_on_its_grid_as_pytorch_grad_cam_does(name: str):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    settings, layer, grid = FAMILIES[name]
    torch.manual_seed(0)
    module = trained(timm.create_model(name, **settings))
    side = settings.get("img_size", 224)
    batch = torch.randn(2, 3, side, side)
    run = gc.forward(module, batch)
    assert run.layer == layer
    assert gc.layers(module, batch)[-1].shape == run.activation.shape[1:]
    if grid:
        assert run.activation.shape[2:] == grid[:2]
    peer = GradCAM(module, [module.get_submodule(layer)], on_the_grid(grid))
    reshape = on_the_grid(grid)
    given = gc.forward(module, batch, layer, reshape=reshape)
    # Of a network with random weights, the map of a class may well be empty.
    classes = [next(c for c in range(1000) if run.cam(c)[n].any()) for n in range(2)]
    ours = run.cam(classes)
    peer(batch.clone(), [ClassifierOutputTarget(one) for one in classes])
    theirs = peer.activations_and_grads
    (activation,), (gradient,) = theirs.activations, theirs.gradients
    expected = (gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu()
    scale = float(expected.max())
    assert scale > 0
    torch.testing.assert_close(ours, expected, atol=1e-4 * scale, rtol=1e-4)
    torch.testing.assert_close(given.cam(classes), ours)
    with torch.no_grad():
        torch.testing.assert_close(run.logits, module(batch))


def test_branches_that_begin_as_zero_do_not_hide_where_tokens_lie():
    torch.manual_seed(0)
    module = timm.create_model("levit_128s", img_size=64).eval()  # as timm makes it
    assert gc.forward(module, torch.randn(1, 3, 64, 64)).layer == "stages.1"


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_changed_map_is_put_back_where_it_was(name: str):
    settings, layer, grid = FAMILIES[name]
    torch.manual_seed(0)
    module = trained(timm.create_model(name, **settings | {"embed_dim": 48}))
    batch = torch.randn(1, 3, 64, 64)
    run = gc.forward(module, batch)
    reshape = on_the_grid(grid)
    part = module.get_submodule(layer)
    weights = []
    for channel in range(run.activation.shape[1]):

        def ablate(_module: nn.Module, _inputs: object, output: Tensor, k: int = channel) -> Tensor:
            changed = output.clone()
            reshape(changed)[:, k] = 0  # a view
            return changed

        hook = part.register_forward_hook(ablate)
        weights.append(module(batch)[:, 1])
        hook.remove()
    whole = run.logits[:, 1]
    weight = (whole - torch.stack(weights, 1)) / whole.abs()
    expected = (weight[:, :, None, None] * run.activation).sum(1).relu().detach()
    torch.testing.assert_close(run.cam(1, "ablationcam"), expected, atol=1e-5, rtol=1e-3)


class OneReLU(nn.Module):
    """Its activation runs three times, the last of them in the head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2)
        self.act = nn.ReLU()
        self.hidden, self.out = nn.Linear(6, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.second(self.act(self.first(x))))
        return self.out(self.act(self.hidden(x.mean((2, 3)))))


def literal(module: OneReLU, batch: Tensor, call: int, target: int) -> Tensor:
    """Grad-CAM written out for one call of the activation."""
    first = module.first(batch).relu().detach().requires_grad_(call == 1)
    second = module.second(first).relu()
    if call == 2:
        second = second.detach().requires_grad_()
    score = module.out(module.hidden(second.mean((2, 3))).relu())[:, target].sum()
    activation = first if call == 1 else second
    (gradient,) = torch.autograd.grad(score, activation)
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu().detach()


def test_one_call_of_a_module_that_runs_several_times_is_explained_and_can_be_chosen():
    torch.manual_seed(0)
    module = OneReLU().eval()
    batch = torch.randn(2, 3, 16, 16)
    assert [stage.layer for stage in gc.layers(module, batch)] == ["act#1", "act#2"]
    assert gc.forward(module, batch).layer == "act#2"
    for layer, call in (("act#1", 1), ("act#2", 2), ("act", 2)):
        run = gc.forward(module, batch, layer)
        for target in range(5):
            torch.testing.assert_close(run.cam(target), literal(module, batch, call, target))
    # Only the call that is explained is replaced.
    score = gc.forward(module, batch, "act#1").cam(1, "ablationcam")
    first = module.first(batch).relu()
    whole = module(batch)[:, 1]
    weights = []
    for channel in range(4):
        changed = first.clone()
        changed[:, channel] = 0
        second = module.second(changed).relu()
        ablated = module.out(module.hidden(second.mean((2, 3))).relu())[:, 1]
        weights.append((whole - ablated) / whole.abs())
    expected = (torch.stack(weights, 1)[:, :, None, None] * first).sum(1).relu().detach()
    torch.testing.assert_close(score, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(gc.CamError, match="'act' runs 3 times: there is no call 4"):
        gc.forward(module, batch, "act#4")
    with pytest.raises(gc.CamError, match=r"gives no feature map but \[2, 8\]"):
        gc.forward(module, batch, "act#3")


class Pooled(nn.Sequential):
    """As torchvision's VGG11 at 112 pixels: its last pooling makes a larger map of a smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU()
        self.pool, self.enlarged = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(8)
        self.flat, self.fc = nn.Flatten(), nn.Linear(4 * 64, 3)


class Masked(nn.Module):
    """The last module that gives a map is a mask of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.mask, self.fc = nn.Conv2d(4, 1, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        return self.fc((x * self.mask(x).sigmoid()).mean((2, 3)))


class Unordered(nn.Module):
    """Its tokens do not lie as the picture's places do, and most of it comes behind its stem."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).mT[:, self.order]
        for block in self.blocks:
            x = x + block(x).relu()
        return self.fc(x.mean(1))


def test_what_is_no_feature_map_is_not_taken_for_one():
    torch.manual_seed(0)
    batch = torch.randn(2, 3, 16, 16)
    assert gc.forward(Pooled().eval(), batch).layer == "act"
    assert gc.forward(Masked().eval(), batch).layer == "act"
    module = Unordered().eval()
    images = torch.randn(2, 3, 32, 32)
    with pytest.raises(gc.CamError, match=r"that of 'stem', but 6 layers follow it .*\[1, 64, 8\]"):
        gc.forward(module, images)
    back = module.order.argsort()
    run = gc.forward(
        module, images, "blocks.5", reshape=lambda x: x[:, back].mT.unflatten(2, (8, 8))
    )
    assert run.cam(1).shape == (2, 8, 8)


def test_where_only_the_class_token_counts_a_sentence_says_so():
    module = trained(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2))
    with pytest.raises(gc.CamError, match=r"not depend on the positions in the layer 'blocks.1'"):
        gc.forward(module, torch.randn(1, 3, 64, 64), "blocks.1")


def test_a_reshape_that_computes_or_gives_no_map_is_refused():
    module = trained(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2))
    batch = torch.randn(1, 3, 64, 64)
    for reshape, words in (
        (lambda x: x[:, 1:].mT.unflatten(2, (4, 4)) * 2, "may only select and rearrange"),
        # Whose mean of whole numbers is one again.
        (
            lambda x: x[:, 1:].unflatten(1, (4, 4)).mean(1, keepdim=True)[..., 1:].mT,
            "may only select",
        ),
        (lambda x: (x[:, 1::2] + x[:, 2::2]).mT.unflatten(2, (4, 2)) / 2 + 96, "may only select"),
        (lambda x: x[:, 0], r"made \[1, 192\] of the layer's output \[1, 17, 192\]"),
    ):
        with pytest.raises(gc.CamError, match=words):
            gc.forward(module, batch, "blocks.0", reshape=reshape)
    with pytest.raises(gc.CamError, match="name it as layer="):
        gc.forward(module, batch, reshape=lambda x: x)


def test_a_network_is_looked_through_once_and_not_kept_alive():
    torch.manual_seed(0)
    module = OneReLU().eval()
    passes = []
    module.register_forward_pre_hook(lambda *_: passes.append(1))
    batch = torch.randn(2, 3, 16, 16)
    gc.forward(module, batch)
    passes.clear()
    gc.forward(module, batch)
    assert len(passes) == 1
    gc.forward(module, torch.randn(1, 3, 24, 24))  # of another size
    assert len(passes) > 2
    passes.clear()
    module.set_submodule("act", nn.GELU().eval())  # another network
    gc.forward(module, batch)
    assert len(passes) > 1
    gone = weakref.ref(module)
    del module
    garbage.collect()
    assert gone() is None


@pytest.mark.parametrize("sides", [(40,), (8, 10, 12)])
def test_signals_and_volumes_are_explained_by_the_formula(sides: tuple[int, ...]):
    torch.manual_seed(0)
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[len(sides)]
    body = nn.Sequential(conv(2, 6, 3, padding=1), nn.ReLU(), conv(6, 8, 3, stride=2), nn.ReLU())
    fc = nn.Linear(8, 4)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = body, fc

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).flatten(2).mean(2))

    batch = torch.randn(2, 2, *sides)
    run = gc.forward(Network().eval(), batch)
    activation = body(batch)
    places = math.prod(activation.shape[2:])
    weight = fc.weight[1].view(1, 8, *[1] * len(sides)) / places
    torch.testing.assert_close(run.cam(1), (weight * activation).sum(1).relu().detach())
    assert run.cam(1).shape == activation[:, 0].shape
    for method in ("gradcam++", "hirescam", "xgradcam", "layercam", "finercam", "competitive"):
        assert run.cam(1, method).shape == activation[:, 0].shape
    for method in ("eigencam", "scorecam", "ablationcam"):
        assert run.cam(1, method).shape == activation[:, 0].shape


def test_other_threads_get_their_own_right_outputs_meanwhile():
    torch.manual_seed(0)
    module = trained(timm.create_model("test_vit", img_size=64)).requires_grad_(False)
    batch, other = torch.randn(2, 1, 3, 64, 64)
    with torch.no_grad():
        expected = module(other)
    wrong: list[str] = []
    has_ended = threading.Event()

    def predict() -> None:
        while not has_ended.is_set():
            with torch.no_grad():
                output = module(other)
            if output.requires_grad or output.shape != expected.shape:
                wrong.append(f"{list(output.shape)}, requires_grad {output.requires_grad}")
            elif not torch.allclose(output, expected, atol=1e-5):
                wrong.append("other numbers")

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for method in ("gradcam", "ablationcam", "gradcam", "scorecam"):
            gc.forward(module, batch).cam(1, method)
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()
    assert wrong == []


class Twice(nn.Module):
    """Looks at a picture and at its mirror image."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x) + self.net(x.flip(-1))) / 2


class Both(Twice):
    """An ensemble."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net[0](x) + self.net[1](x)  # type: ignore[index]


class Halves(Twice):
    """Looks at two crops, which lie in the place of the images."""

    def forward(self, x: Tensor) -> Tensor:
        crops = torch.cat([x[..., :32], x[..., 32:]])
        return self.net(crops).unflatten(0, (2, len(x))).mean(0)


def test_what_lies_side_by_side_is_not_taken_for_the_whole():
    def net() -> nn.Module:
        return scattered(timm.create_model("test_resnet", num_classes=4))

    batch = torch.rand(2, 3, 64, 64)
    with pytest.raises(gc.CamError, match=r"parallel feature maps \(net.layer4#1, net.layer4#2\)"):
        gc.forward(Twice(net()).eval(), batch)
    both = Both(nn.ModuleList([net(), net()])).eval()
    with pytest.raises(gc.CamError, match="parallel feature maps"):
        gc.layers(both, batch)
    assert gc.forward(both, batch, "net.0.layer4").cam(1).shape == (2, 2, 2)
    with pytest.raises(gc.CamError, match=r"give \[2, 96, 2, 1\] for one image: crops"):
        gc.forward(Halves(net()).eval(), batch)


def test_a_video_may_have_a_stride_of_its_own_in_time():
    module = SwinTransformer3d([2, 4, 4], 24, [1, 1], [1, 2], [8, 7, 7], num_classes=4).eval()
    with torch.no_grad():
        module.head.weight.normal_()
    run = gc.forward(module, torch.rand(1, 3, 8, 64, 64))
    assert (run.layer, tuple(run.activation.shape)) == ("norm", (1, 48, 4, 8, 8))


class Mixing(nn.Module):
    """Attention that mixes all places nearly evenly."""

    def __init__(self, own: float) -> None:
        super().__init__()
        self.own = own
        self.value = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).mT
        mixed = self.own * tokens + self.value(tokens).mean(dim=1, keepdim=True)
        return mixed.mT.reshape(x.shape)


@pytest.mark.parametrize("own", [0.0, 0.01, 0.03, 1.0])
def test_the_layer_does_not_depend_on_how_evenly_attention_mixes(own: float):
    """As before training, which tells nothing of how the places lie: a convolution before it gave a
    map of the very shape."""
    torch.manual_seed(0)
    stem, local = nn.Conv2d(3, 12, 8, 8), nn.Conv2d(12, 12, 3, padding=1)
    ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)
    module = nn.Sequential(stem, local, Mixing(own), *ends).eval()
    assert gc.last_feature_map(module, torch.randn(1, 3, 64, 64)) == "2"
