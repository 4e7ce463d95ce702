"""Networks that end in a softmax, a sigmoid or the like: what is left of the gradient where they
are sure, and a sentence where nothing is."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradcam_core as gc

Last = Callable[[Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, last: Last, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8, 5)
        self.last, self.scale = last, scale

    def forward(self, x: Tensor) -> Tensor:
        found = self.second(self.first(x).relu()).relu().mean((2, 3))
        return self.last(self.head(found) * self.scale)


def images() -> Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def of_its_largest(found: Tensor) -> Tensor:
    return found / found.abs().amax((1, 2), keepdim=True)


def literal(module: Net, target: int, method: str) -> Tensor:
    """The signed map by autograd in double precision, divided by its largest value."""
    double = copy.deepcopy(module).double()
    activation = double.second(double.first(images()[:1].double()).relu())
    logits = double.head(activation.relu().mean((2, 3))) * double.scale
    (gradient,) = torch.autograd.grad(double.last(logits)[:, target].sum(), activation)
    weights = gradient.mean((2, 3), keepdim=True) if method == "gradcam" else gradient
    return of_its_largest((weights * activation).sum(1)).float()


def by_hand(z: Tensor) -> Tensor:
    raised = (z - z.amax(1, keepdim=True)).exp()
    return raised / raised.sum(-1, keepdim=True)


SHARES: dict[str, Last] = {
    "softmax": lambda z: z.softmax(1),
    "with a temperature": lambda z: (z / 2).softmax(-1),
    "by hand": by_hand,
    "by hand, raised twice": lambda z: (z - z.amax()).exp() / (z - z.amax()).exp().sum(1)[:, None],
    "logarithm by hand": lambda z: z - z.logsumexp(1, keepdim=True),
    "classes first": lambda z: z.T.softmax(0).T,
    "by hand, with a floor": lambda z: by_hand(z).clamp(min=0) / by_hand(z).sum(1)[:, None],
    "by the logarithm of a sum": lambda z: (z - z.logsumexp(1, keepdim=True)).exp(),
    "normalised": lambda z: functional.normalize((z - z.amax()).exp(), p=1.0),
    "raised again": lambda z: z.log_softmax(1).exp(),
    "log_softmax": lambda z: z.log_softmax(1),
    "logarithm": lambda z: z.softmax(1).log(),
    "without the last class": lambda z: torch.cat([z, z[:, :1] * 0 - 99], 1).softmax(1)[:, :-1],
    "of two networks": lambda z: (z.softmax(1) + (z * 1.01).softmax(1)) / 2,
}


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize(
    ("lead", "rank", "method"),
    [(1, 4, "gradcam"), (12, 1, "hirescam"), (25, 0, "gradcam"), (25, 4, "hirescam")],
)
def test_what_a_sure_softmax_rounds_away_is_not_lost(
    kind: str, lead: float, rank: int, method: str
):
    """In single precision 1 - p is 0 here, and the literal formula gives no map."""
    module = Net(lambda z: z).eval()
    ranked = gc.forward(module, images()[:1]).logits[0].sort(descending=True)
    module.scale = lead / float(ranked.values[0] - ranked.values[1])
    module.last = SHARES[kind]
    run = gc.forward(module, images()[:1])
    target = int(ranked.indices[rank])
    found = of_its_largest(run.cam(target, method, signed=True))
    torch.testing.assert_close(found, literal(module, target, method), rtol=0, atol=1e-4)
    plain = gc.forward(module, images()[:1], output=lambda given: given.clone())
    found = of_its_largest(plain.cam(lambda given: given[:, target], method, signed=True))
    torch.testing.assert_close(found, literal(module, target, method), rtol=0, atol=1e-4)


def test_a_log_softmax_of_any_size_keeps_its_map():
    module = Net(lambda z: z.log_softmax(1), 1e5).eval()
    run = gc.forward(module, images())
    assert not run.logits.max()
    nearest = int(run.logits.topk(2).indices[0, 1])
    alone = gc.forward(Net(lambda z: z).eval(), images())
    expected = of_its_largest(alone.cam(run.top[0], contrast=nearest, signed=True))
    torch.testing.assert_close(of_its_largest(run.cam(signed=True)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "last",
    [
        torch.sigmoid,
        torch.tanh,
        functional.logsigmoid,
        lambda z: z[..., None].sigmoid().flatten(1),
        lambda z: torch.cat([z[:, :2].sigmoid(), z[:, 2:].sigmoid()], 1),
        lambda z: torch.stack([one.tanh() for one in z.T], 1),
        lambda z: torch.stack([z[:, 1].tanh(), 1 - z[:, 2].sigmoid(), z[:, 2].sigmoid()], 1),
    ],
)
def test_behind_a_saturated_sigmoid_the_map_is_that_of_what_it_is_given(last: Last):
    expected = of_its_largest(gc.forward(Net(lambda z: z).eval(), images()).cam(2, signed=True))
    found = gc.forward(Net(last, 1e4).eval(), images()).cam(2, signed=True)
    torch.testing.assert_close(of_its_largest(found), expected, rtol=0, atol=1e-5)


def test_a_saturated_sigmoid_in_the_target_is_looked_through():
    run = gc.forward(Net(lambda z: z, 1e4).eval(), images())
    expected = of_its_largest(run.cam(2, signed=True))
    found = of_its_largest(run.cam(lambda given: given[:, 2].sigmoid(), signed=True))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_saturated_sigmoid_that_is_called_twice_is_looked_through():
    def both(z: Tensor) -> Tensor:
        one = z[:, 2:3]
        return torch.cat([1 - one.sigmoid(), one.sigmoid()], 1)

    plain = Net(lambda z: z).eval()
    expected = of_its_largest(gc.forward(plain, images(), "second").cam(2, signed=True))
    run = gc.forward(Net(both, 1e4).eval(), images(), "second")
    assert ((run.logits == 0) | (run.logits == 1)).all()
    for target in (1, 0, lambda given: given[:, 1] - given[:, 0]):
        found = of_its_largest(run.cam(target, signed=True))
        torch.testing.assert_close(found if target != 0 else -found, expected, rtol=1e-4, atol=1e-5)


def test_saturated_sigmoids_of_several_numbers_are_not_taken_for_one():
    def two(z: Tensor) -> Tensor:
        some = z[:, 2:4]
        return some.sigmoid()[:, :1] + some.sigmoid()[:, 1:]

    run = gc.forward(Net(two, 1e4).eval(), images(), "second")
    with pytest.raises(gc.CamError):
        run.cam(0)


def test_calls_of_one_function_with_other_settings_are_not_taken_for_one():
    def rising_though_its_weights_fall(z: Tensor) -> Tensor:
        one = z[:, 2:3] - 1e3
        return nn.functional.softplus(one) - 2 * nn.functional.softplus(one, beta=2)

    run = gc.forward(Net(rising_though_its_weights_fall).eval(), images(), "second")
    with pytest.raises(gc.CamError):
        run.cam(0)


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh])
def test_sure_sigmoids_are_weighed_against_each_other_only_where_they_are_exact(function: Last):
    def difference(given: Tensor) -> Tensor:
        return function(given[:, 0]) - function(given[:, 1])

    module, double = (Net(lambda z: z + 3).eval() for _ in range(2))
    run = gc.forward(module, images())
    exact = gc.forward(double.double(), images().double()).cam(difference, signed=True).float()
    torch.testing.assert_close(run.cam(difference, signed=True), exact, rtol=1e-3, atol=1e-6)
    sure = gc.forward(Net(lambda z: z + (15 if function is torch.sigmoid else 8)).eval(), images())
    with pytest.raises(gc.CamError, match=r"several sigmoids .* shares in the map are unknown"):
        sure.cam(difference)
    sure.cam(lambda given: function(given[:, 0]))


def test_images_with_a_sure_softmax_do_not_share_a_size():
    """Where the mean over crops is taken, a crop that is sure counts for as little as it does."""
    net = Net(lambda z: (torch.cat([z * 200, z])).softmax(1).unflatten(0, (2, -1)).mean(0)).eval()
    plain = Net(lambda z: z.softmax(1) / 2).eval()
    found, expected = (gc.forward(one, images()).cam(0, signed=True) for one in (net, plain))
    torch.testing.assert_close(of_its_largest(found), of_its_largest(expected), rtol=0, atol=1e-3)


NOTHING_LEFT: dict[str, Last] = {
    "probabilities of 0 and 1": lambda z: (z * 1e6).softmax(1),
    "probabilities made by hand": lambda z: ((z * 1e6).softmax(1) + 1e-9).log(),
    "rounded": torch.round,
    "clamped": lambda z: (z * 1e6).clamp(-1, 1),
    "a closed gate": lambda z: z * (z > 1e6),
    "a constant class": lambda z: torch.cat([torch.full_like(z[:, :2], 9.0), z], dim=1),
}


@pytest.mark.parametrize("kind", NOTHING_LEFT)
def test_a_score_that_nothing_changes_is_told(kind: str):
    run = gc.forward(Net(NOTHING_LEFT[kind]).eval(), images())
    with pytest.raises(
        gc.CamError, match=r"Nothing in the layer .* of the images 0, 1 .* rounding"
    ):
        run.cam(0)
    with pytest.raises(gc.CamError, match="Nothing in the layer"):
        run.cam(lambda given: given[:, 0])
    assert not run.cam(0, allow_nan=True).any()


@pytest.mark.parametrize(
    "same_for_all",
    [
        lambda z: functional.cosine_similarity(z, z.detach()),
        lambda z: z.softmax(1).sum(1),
        lambda z: functional.layer_norm(z, (z.shape[1],)).sum(1),
        lambda z: functional.normalize(z).norm(dim=1),
    ],
)
def test_what_rounding_leaves_of_a_score_that_is_always_the_same_is_no_map(same_for_all: Last):
    run = gc.forward(Net(lambda z: z).eval(), images())
    with pytest.raises(gc.CamError, match="the same for all pictures, so there is no map"):
        run.cam(same_for_all)
    small = run.cam(lambda z: 1e-9 * z[:, 0])
    torch.testing.assert_close(small * 1e9, run.cam(0))


def test_a_small_gradient_in_float16_is_not_taken_for_rounding():
    module = Net(lambda z: z).eval()
    module.head.weight.data *= 0.0001
    found = gc.forward(module.half(), images()[:1].half()).cam(0, signed=True)
    expected = literal(module, 0, "gradcam").detach()
    torch.testing.assert_close(of_its_largest(found), expected, atol=0.1, rtol=0)


def test_only_the_images_are_named_of_which_it_is_so():
    run = gc.forward(Net(lambda z: z * torch.tensor([[1.0], [0.0]])[: len(z)]).eval(), images())
    with pytest.raises(gc.CamError, match=r"of the image 1 \(counted"):
        run.cam(2)
    assert run.split()[0].cam(2).max() > 0


def test_an_operation_without_a_gradient_is_told():
    run = gc.forward(Net(lambda z: torch.heaviside(z, z.new_zeros(()))).eval(), images())
    with pytest.raises(gc.CamError, match=r"gradients cannot be computed \(derivative for"):
        run.cam(0)
    assert run.cam(0, "eigencam").shape == (2, 9, 9)


def test_a_network_in_inference_mode_is_told():
    class Inside(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode():
                return super().forward(x)

    with pytest.raises(gc.CamError, match=r"'second', but .* \(no_grad, inference_mode or detach"):
        gc.forward(Inside(torch.sigmoid).eval(), images(), "second")
