"""Layers that no module shows: where they are most of a network, its stem is not explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

import gradcam_core as gc


@pytest.fixture(autouse=True)
def _the_same_weights_each_time():
    torch.manual_seed(0)


def weights(count: int, *shape: int) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(torch.randn(shape) / 4) for _ in range(count))


class Net(nn.Module):
    """A stem, a body that the function is, and a head."""

    weights: Any
    parts: Any

    def __init__(self, body: Callable[[Net, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)
        for name, part in parts.items():
            self.add_module(name, part)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self, self.stem(x)).flatten(2).mean(2))


def convolutions(self: Net, y: Tensor) -> Tensor:
    for weight in self.weights:
        y = functional.conv2d(y, weight, padding="same").relu()
    return y


def attention(self: Net, y: Tensor) -> Tensor:
    tokens = y.flatten(2).mT
    for weight in self.weights:
        mixed = (tokens @ weight @ tokens.mT).softmax(-1)
        tokens = tokens + mixed @ tokens @ weight
    return tokens.mT


def mixer(self: Net, y: Tensor) -> Tensor:
    tokens = y.flatten(2)
    for weight in self.weights:
        tokens = tokens + (tokens @ weight).relu()
    return tokens


def einsum(self: Net, y: Tensor) -> Tensor:
    for weight in self.weights:
        y = torch.einsum("nchw,cd->ndhw", y, weight).relu()
    return y


def of_each_picture(self: Net, y: Tensor) -> Tensor:
    """A hypernetwork: the weights are made from the picture."""
    for part in self.parts:
        weight = part(y.mean((2, 3))).unflatten(1, (8, 8))
        y = torch.einsum("nchw,ncd->ndhw", y, weight).relu()
    return y


def dense(self: Net, y: Tensor) -> Tensor:
    tokens = y.movedim(1, -1)
    for weight in self.weights:
        tokens = functional.linear(tokens, weight).relu()
    return tokens.movedim(-1, 1)


def products_and_sums(self: Net, y: Tensor) -> Tensor:
    tokens = y.flatten(2).mT
    for weight in self.weights:
        tokens = tokens + (tokens[..., None] * weight).sum(2).relu()
    return tokens.mT


def attention_modules(self: Net, y: Tensor) -> Tensor:
    """They give a tuple."""
    tokens = y.flatten(2).mT
    for part in self.parts:
        tokens = tokens + part(tokens, tokens, tokens)[0]
    return tokens.mT


def recurrent(self: Net, y: Tensor) -> Tensor:
    tokens = y.flatten(2).mT
    for part in self.parts:
        tokens = tokens + part(tokens)[0]
    return tokens.mT


class Square(torch.autograd.Function):
    @staticmethod
    def forward(context, y, weight):
        context.save_for_backward(y, weight)
        return functional.conv2d(y, weight, padding=1)

    @staticmethod
    def backward(context, gradient):
        y, weight = context.saved_tensors
        return conv2d_input(y.shape, weight, gradient, padding=1), None


def functions_of_its_own(self: Net, y: Tensor) -> Tensor:
    for weight in self.weights:
        y = Square.apply(y, weight).relu()
    return y


UNSEEN = {
    "convolutions": lambda: Net(convolutions, weights=weights(3, 8, 8, 3, 3)),
    "frozen": lambda: Net(convolutions, weights=weights(3, 8, 8, 3, 3)).requires_grad_(False),
    "attention": lambda: Net(attention, weights=weights(6, 8, 8)),
    "mixer": lambda: Net(mixer, weights=weights(6, 64, 64)),
    "einsum": lambda: Net(einsum, weights=weights(6, 8, 8)),
    "weights of each picture": lambda: Net(
        of_each_picture, parts=nn.ModuleList(nn.Linear(8, 64) for _ in range(6))
    ),
    "dense layers": lambda: Net(dense, weights=weights(6, 8, 8)),
    "products and sums": lambda: Net(products_and_sums, weights=weights(6, 8, 8)),
    "attention modules": lambda: Net(
        attention_modules,
        parts=nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(3)),
    ),
    "GRU": lambda: Net(
        recurrent, parts=nn.ModuleList(nn.GRU(8, 8, batch_first=True) for _ in range(3))
    ),
    "LSTM": lambda: Net(
        recurrent, parts=nn.ModuleList(nn.LSTM(8, 8, batch_first=True) for _ in range(3))
    ),
    "functions of its own": lambda: Net(functions_of_its_own, weights=weights(6, 8, 8, 3, 3)),
}


def images(side: int = 32) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_stem_is_not_explained_where_most_layers_are_no_modules(kind: str):
    module = UNSEEN[kind]().eval()
    with pytest.raises(gc.CamError, match=r"'stem', but \d+ products with weights follow it"):
        gc.forward(module, images())
    assert gc.forward(module, images(), "stem").cam(1).shape == (1, 8, 8)


def pooled_first(self: Net, y: Tensor) -> Tensor:
    vector = y.mean((2, 3))
    for weight in self.weights:
        vector = (vector @ weight).relu()
    return vector[:, :, None]


def scaled(self: Net, y: Tensor) -> Tensor:
    for scale in self.weights:
        y = y * scale + scale
    return y


def pooled_by_attention(self: Net, y: Tensor) -> Tensor:
    """A vector asks the places again and again, each time by other keys and values."""
    tokens, asked = self.get_submodule("second")(y).flatten(2).mT, self.weights[0][None]
    for part in self.parts:
        asked = asked + part(asked, tokens, tokens)[0]
    return asked.mT


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: Net(pooled_first, weights=weights(6, 8, 8)), "stem"),
        (lambda: Net(scaled, weights=weights(6, 8, 1, 1)), "stem"),
        (
            lambda: Net(
                lambda self, y: convolutions(self, self.get_submodule("second")(y)),
                weights=weights(1, 8, 8, 3, 3),
                second=nn.Conv2d(8, 8, 1),
            ),
            "second",
        ),
        (
            lambda: Net(
                pooled_by_attention,
                weights=weights(1, 1, 8),
                second=nn.Conv2d(8, 8, 1),
                parts=nn.ModuleList(
                    nn.MultiheadAttention(8, 1, batch_first=True) for _ in range(6)
                ),
            ),
            "second",
        ),
    ],
    ids=["dense behind the pooling", "scales", "one convolution", "pooling by attention"],
)
def test_few_of_them_or_without_places_do_not_matter(make: Callable[[], nn.Module], layer: str):
    assert gc.forward(make().eval(), images()).layer == layer


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_as_many_of_them_as_lead_to_the_last_map_are_told(depth: int):
    parts = nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(depth - 1)))
    module = Net(
        lambda self, y: convolutions(self, self.parts(y)),
        weights=weights(depth, 8, 8, 3, 3),
        parts=parts,
    )
    with pytest.raises(gc.CamError, match=rf"but {depth} products with weights follow it"):
        gc.forward(module.eval(), images())


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = weights(2, 8, 8, 3, 3)

    def forward(self, y: Tensor) -> Tensor:
        first, second = self.weights
        y = functional.conv2d(y, first, stride=2, padding=1).relu()
        return functional.conv2d(y, second, padding=1).relu()


def test_a_block_of_listed_parameters_makes_its_map():
    module = Net(lambda self, y: self.parts(y), parts=nn.Sequential(Block(), Block())).eval()
    run = gc.forward(module, images(64))
    assert (run.layer, run.activation.shape[2:]) == ("parts", (4, 4))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_queries_of_a_decoder_are_no_places(layers: int):
    """Five of them are not two by two and a class token."""

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            options: dict[str, Any] = {
                "d_model": 16,
                "nhead": 2,
                "dim_feedforward": 32,
                "batch_first": True,
            }
            self.body = nn.Sequential(*(nn.Conv2d(n, 16, 3, 2, 1) for n in (3, 16, 16)))
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**options), 3)
            self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**options), layers)
            self.queries, self.head = nn.Parameter(torch.randn(1, 5, 16)), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.encoder(self.body(x).flatten(2).mT)
            return self.head(self.decoder(self.queries.expand(len(x), -1, -1), tokens))[..., 0]

    for seed in range(2):
        torch.manual_seed(seed)
        module = Decoder().eval()
        if layers == 1:
            assert gc.forward(module, images()).layer == "encoder"
            continue
        with pytest.raises(gc.CamError, match="'encoder'"):
            gc.forward(module, images())


class Repeated(nn.Module):
    """One convolution runs again and again, and its sums are no module's."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.stem, self.again = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head, self.times = nn.Linear(8, 5), times

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        for _ in range(self.times):
            y = (y + self.again(y)).relu()
        return self.head(y.mean((2, 3)))


def test_each_run_of_a_layer_behind_the_stem_counts():
    assert gc.forward(Repeated(1).eval(), images()).layer == "stem"
    with pytest.raises(gc.CamError, match=r"of 'again#3' and on a path that bypasses it"):
        gc.forward(Repeated(3).eval(), images())


def test_a_part_that_is_made_by_the_first_pass_is_seen():
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            if not hasattr(self, "late"):
                self.late = nn.Conv2d(8, 8, 3).eval()
            return self.head(self.late(self.stem(x).relu()).mean((2, 3)))

    assert gc.forward(Late().eval(), images()).layer == "late"
