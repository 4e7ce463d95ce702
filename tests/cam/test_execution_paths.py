"""Networks that go another way for another picture: what was found for one is not taken for the
other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradcam_core as gc


class Net(nn.Module):
    """Four layers, of which the function takes those that it likes."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one, self.two, self.three = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.gate = nn.Linear(8, 2)
        self.dense = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 5)
        self.calls = 0
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)

    def head(self, x: Tensor) -> Tensor:
        return self.fc(x.tanh().mean((2, 3)))


def net(run: Callable[[Any, Tensor], Tensor]) -> Net:
    torch.manual_seed(0)
    return Net(run).eval()


def bright(count: int = 1) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def dark(count: int = 1) -> Tensor:
    return -bright(count)


def is_bright(x: Tensor) -> bool:
    return bool(x.mean() > 0)


def early_exit(self: Net, x: Tensor) -> Tensor:
    y = self.one(self.stem(x).relu())
    return self.head(y if is_bright(x) else self.two(y.relu()))


def early_exit_of_tokens(self: Net, x: Tensor) -> Tensor:
    y = self.dense(self.stem(x).flatten(2).mT).relu()
    if not is_bright(x):
        y = y + self.gate(y).softmax(-1)[..., :1]
    return self.fc(y.tanh().mean(1))


def one_of_two_branches(self: Net, x: Tensor) -> Tensor:
    return self.head((self.one if is_bright(x) else self.two)(self.stem(x).relu()))


def both_run_and_one_counts(self: Net, x: Tensor) -> Tensor:
    y = self.stem(x).relu()
    found = self.one(y), self.two(y)
    return self.head(found[int(is_bright(x))])


def as_often_as_needed(self: Net, x: Tensor) -> Tensor:
    y = self.stem(x).relu()
    for _ in range(1 if is_bright(x) else 3):
        y = self.one(y).relu()
    return self.head(y)


def with_a_way_past(self: Net, x: Tensor) -> Tensor:
    y = self.one(self.stem(x).relu())
    found = self.two(y.relu())
    return self.head(found if is_bright(x) else found + y)


def every_other_time(self: Net, x: Tensor) -> Tensor:
    self.calls += 1
    y = self.one(self.stem(x).relu())
    return self.head(y if self.calls % 2 else self.two(y.relu()))


KINDS: dict[str, tuple[Callable[[Net, Tensor], Tensor], str, str]] = {
    "early exit": (early_exit, "one", "two"),
    "one of two branches": (one_of_two_branches, "one", "two"),
    "both run and one counts": (both_run_and_one_counts, "two", "one"),
    "as often as needed": (as_often_as_needed, "one", "one#3"),
}


def literal(module: Net, batch: Tensor, layer: str, target: int) -> Tensor:
    """Grad-CAM by autograd through the whole network."""
    kept: list[Tensor] = []
    part: Any = module.get_submodule(layer.partition("#")[0])
    hook = part.register_forward_hook(lambda *call: kept.append(call[-1]))
    logits = module(batch.clone().requires_grad_())
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, target].sum(), kept[-1])
    return (gradient.mean((2, 3), keepdim=True) * kept[-1]).sum(1).relu().detach()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_bright_first", [True, False])
def test_each_picture_has_the_last_map_of_its_own_way(kind: str, is_bright_first: bool):
    run, for_bright, for_dark = KINDS[kind]
    module = net(run)
    cases = [(bright, for_bright), (dark, for_dark)]
    for batch, layer in (cases if is_bright_first else cases[::-1]) * 2:
        found = gc.forward(module, batch())
        assert found.activation.shape == (1, 8, 16, 16)
        maps = [found.cam(target) for target in range(5)]
        assert max(one.max() for one in maps) > 0
        for target, got in enumerate(maps):
            torch.testing.assert_close(got, literal(module, batch(), layer, target))
        assert found.layer in (layer, layer.removesuffix("#3"))


def test_a_map_that_no_longer_is_all_that_counts_is_left_for_the_one_before():
    module = net(with_a_way_past)
    found = [gc.forward(module, batch()).layer for batch in (bright, dark, bright)]
    assert found == ["two", "one", "two"]


def test_tokens_too():
    module = net(early_exit_of_tokens)
    for batch in (bright, dark, bright):
        found = gc.forward(module, batch())
        fresh = gc.forward(net(early_exit_of_tokens), batch())
        assert found.layer == fresh.layer
        torch.testing.assert_close(found.cam(1), fresh.cam(1))


def test_a_layer_that_is_named_is_that_of_this_way():
    module = net(early_exit_of_tokens)
    gc.forward(module, bright(), "dense")
    assert gc.forward(module, dark(), "gate").activation.shape == (1, 2, 16, 16)


def test_images_that_would_go_different_ways_alone_are_refused_together():
    module = net(early_exit)
    batch = torch.cat([bright(), 2 * dark()])
    assert not is_bright(batch)
    with pytest.raises(gc.CamError, match="one picture at a time"):
        gc.forward(module, batch)
    assert gc.forward(module, torch.cat([2 * bright(), bright()])).layer == "one"


def test_a_network_that_is_random_has_the_map_of_the_way_it_went():
    def stochastic_depth(self: Net, x: Tensor) -> Tensor:
        y = self.one(self.stem(x).relu())
        return self.head(y if random.random() < 0.5 else self.two(y.relu()))

    module = net(stochastic_depth)
    random.seed(0)
    exits = {False: "two", True: "one"}
    seen = set()
    for _ in range(12):
        try:
            found = gc.forward(module, bright())
        except gc.CamError:
            continue  # it went a different route each time
        with torch.no_grad():
            y = module.one(module.stem(bright()).relu())
            is_early = torch.allclose(found.logits, module.head(y))
        seen.add(is_early)
        assert found.layer == exits[is_early]
    assert seen == {False, True}
    module = net(every_other_time)
    module.calls = 1
    with pytest.raises(gc.CamError, match="a different route each time"):
        gc.forward(module, bright())


def test_further_passes_that_go_another_way_are_told():
    def by_a_threshold(self: Net, x: Tensor) -> Tensor:
        y = self.one(self.stem(x).relu())
        return self.head(y if x.std() < 0.3 else self.two(y.relu()))

    module = net(by_a_threshold)
    run = gc.forward(module, bright())
    with pytest.raises(gc.CamError, match=r"a different route .* to two instead of one"):
        run.cam(1, smooth="flips")
    module = net(one_of_two_branches)
    run = gc.forward(module, bright() * 1e-3)
    with pytest.raises(gc.CamError, match="not made from one: choose a method"):
        run.cam(1, "smoothgradcam++")
