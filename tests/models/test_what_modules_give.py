"""What a module gives is recognised, and a module that cannot be relied on is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import Normalize

import gradcam_core as gc
from gradcam_core.images.geometry import view_of


class Net(nn.Module):
    """A small network and what is done with its picture and its logits."""

    def __init__(
        self,
        after: Callable[[Tensor], Any] = lambda logits: logits,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        outputs: int = 3,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU())
        self.fc = nn.Linear(8, outputs)
        self.before, self.after = before, after
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.after(self.fc(self.body(self.before(x)).mean((2, 3))))


def registered(module: nn.Module, **given: Any) -> gc.ModelInfo:
    return gc.register("Mine", module=module, **{"size": 64, "mean": 0.5, "std": 0.5, **given})


def batch_of(photo: Image.Image) -> Tensor:
    preprocessing = gc.load_model("mine").preprocessing
    return view_of(photo.size, preprocessing, "crop").batch(photo, preprocessing)


def of_copies(given: Tensor, times: int) -> Tensor:
    for _ in range(times):
        given = torch.cat([given, given], dim=1)[:, : given.shape[1]]
    return given


def mean_with_itself(given: Tensor, times: int) -> Tensor:
    for _ in range(times):
        given = (given + given) / 2
    return given


SIGMOIDS: dict[str, Callable[[Tensor], Tensor]] = {
    "function": torch.sigmoid,
    "clamped": lambda logits: logits.sigmoid().clamp(1e-6, 1 - 1e-6),
    "several heads": lambda logits: torch.cat(
        [logits[:, :1].sigmoid(), logits[:, 1:].sigmoid()], 1
    ),
    "reshaped": lambda logits: logits.sigmoid()[:, :, None].squeeze(2),
    "hard": functional.hardsigmoid,
    "of a softmax with one class more": lambda logits: functional.pad(logits, (0, 1)).softmax(1)[
        :, :-1
    ],
    "raised logarithms": lambda logits: functional.logsigmoid(logits).exp(),
    "complement": lambda logits: 1 - logits.sigmoid(),
    "of a tanh": lambda logits: (logits.tanh() + 1) / 2,
    "of a normal distribution": lambda logits: (logits.erf() + 1) / 2,
    "by hand": lambda logits: 1 / (1 + (-logits).exp()),
    "of its own copies": lambda logits: of_copies(logits.sigmoid(), times=40),
    "mean with itself, often": lambda logits: mean_with_itself(logits.sigmoid(), times=40),
    "mean of two": lambda logits: (logits.sigmoid() + (2 * logits).sigmoid()) / 2,
}


@pytest.mark.parametrize("how", SIGMOIDS)
@pytest.mark.parametrize("outputs", [2, 3])
def test_a_sigmoid_at_the_end_is_not_applied_again(cat: Image.Image, how: str, outputs: int):
    module = Net(SIGMOIDS[how], outputs=outputs)
    assert registered(module).independent
    held = gc.examine(cat, "mine")
    with torch.no_grad():
        expected = module(batch_of(cat))[0]
    np.testing.assert_allclose(held.probabilities, expected, atol=1e-6)


def test_a_single_sigmoid_is_the_probability_of_one_class(cat: Image.Image):
    module = Net(lambda logits: logits.sigmoid().squeeze(1), outputs=1)
    registered(module, labels=["ill"])
    with torch.no_grad():
        expected = float(module(batch_of(cat))[0])
    found = {p.name: p.probability for p in gc.examine(cat, "mine").top}
    assert found == pytest.approx({"ill": expected, "not ill": 1 - expected}, abs=1e-6)


@pytest.mark.parametrize(
    "after",
    [
        lambda z: z.relu(),
        lambda z: z.sigmoid() + z,
        lambda z: z.sigmoid() @ torch.full((3, 3), 0.2),
        lambda z: functional.layer_norm(z, (3,), torch.tensor([0.1, 0.2, 0.3])) + 0.5,
        lambda z: functional.normalize(z.abs()),
        lambda z: z.clamp(0, 1),
    ],
)
def test_what_only_comes_from_a_sigmoid_or_lies_between_0_and_1_is_no_probability(
    after: Callable[[Tensor], Tensor],
):
    assert not registered(Net(after)).independent


def test_what_is_taken_for_probabilities_without_a_sigmoid_at_the_end_is_told():
    module = Net(lambda z: 1 - z.sigmoid(), outputs=1)
    assert "taken as probabilities, because all that were tried" in registered(module).notice


def test_what_is_no_probability_of_a_photo_is_told(cat: Image.Image):
    times = [1.0]
    registered(Net(lambda z: times[0] * (1 - z.sigmoid())))
    assert 0 < gc.examine(cat, "mine").top[0].probability < 1
    times[0] = -1.0
    with pytest.raises(gc.CamError, match=r"gave -0\.\d+ for this picture, .* output="):
        gc.examine(cat, "mine")
    model = gc.load_model("mine")
    with pytest.raises(gc.CamError, match=r"gave 1\.5 for"):  # not the other, which is rounding
        model.probabilities(torch.tensor([[-1e-6, 1.5]]))
    assert model.probabilities(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda m: torch.compile(m, backend="eager")])
def test_the_module_within_a_wrapper_is_explained(wrap: Callable[[nn.Module], nn.Module]):
    module = Net()
    assert registered(wrap(module)).architecture == "Net"
    assert gc.load_model("mine").module is module


def test_logits_may_be_in_any_object(cat: Image.Image):
    module = Net(lambda logits: SimpleNamespace(logits=logits))
    registered(module)
    with torch.no_grad():
        expected = module(batch_of(cat)).logits.softmax(1)[0]
    np.testing.assert_allclose(gc.examine(cat, "mine").probabilities, expected, atol=1e-6)


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


class OfTwo(Net):
    def forward(self, x: Tensor, age: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x + age)


class Many(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([super(Many, self).forward(x) for _ in range(10)]).mean(0)


def shares(logits: Tensor) -> Tensor:
    return logits.softmax(1)


WRONG: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str]] = {
    "random": (lambda: Net(before=functional.dropout), {}, "different numbers for the same"),
    "of the batch": (lambda: Net(before=lambda x: x - x.mean(0)), {}, "if another one is in"),
    "no batch for one": (lambda: Net(torch.squeeze), {}, r"squeeze\(\) without an axis"),
    "lazy": (lambda: nn.Sequential(nn.LazyConv2d(3, 3)).eval(), {}, "lazy layers without values"),
    "TorchScript": (lambda: torch.jit.trace(Net(), torch.rand(1, 3, 64, 64)), {}, "inspected"),
    "double": (lambda: Net().double(), {}, r"are float64 and not float32: give copy.*float\(\)"),
    "of two": (OfTwo, {}, "wrap it in a module that takes only pictures"),
    "a key": (lambda: Net(raising(KeyError("x"))), {}, r"does not accept a batch .*KeyError: 'x'"),
    "no file": (lambda: Net(raising(OSError("disk"))), {}, r"does not accept a batch .*: disk"),
    "output": (Net, {"output": lambda given: given["x"]}, "output= failed with a tensor"),
    "no function": (Net, {"output": "logits"}, "output= is a str and must be a function"),
    "per cent": (lambda: Net(lambda z: shares(z) * 100), {}, "add up to 100 .* add up to 1"),
    "two softmaxes": (lambda: Net(lambda z: shares(z) + shares(2 * z)), {}, "add up to 2 "),
    "base 10": (lambda: Net(lambda z: shares(z).log10()), {}, "base 10: .* natural logarithms"),
    "base 2": (lambda: Net(lambda z: shares(z).log2()), {}, "base 2: .* natural logarithms"),
    "tanh": (lambda: Net(lambda z: z.tanh()), {}, "between -1 and 1, as behind a tanh"),
    "one tanh": (lambda: Net(lambda z: z[:, :1].tanh()), {}, "between -1 and 1, as behind a tanh"),
    "hardtanh": (lambda: Net(functional.hardtanh), {}, "between -1 and 1, as behind a tanh"),
    "a loss": (lambda: Net(lambda z: -z.log_softmax(1)), {}, "times -1: .* natural logarithms"),
    "of one": (lambda: Net(lambda z: z.log_softmax(1)[:, 1:2]), {}, "single probabilities: .*exp"),
    "per cent each": (lambda: Net(lambda z: z.sigmoid() * 100), {}, "between 0 and 1 .such as"),
    "logarithms": (lambda: Net(lambda z: z.sigmoid().log10()), {}, "of single probabilities"),
    "mirrored": (lambda: Net(before=lambda x: x.flip(3)), {}, "remove this step, so that"),
    "cut": (lambda: Net(before=lambda x: x[..., 8:-8]), {}, "give its size= and crop="),
    "normalised after resizing": (
        lambda: Net(before=lambda x: (functional.interpolate(x, 48) - 0.45) / 0.22),
        {"mean": None, "std": None},
        "scales its pictures before its first layer",
    ),
    "normalised with blue first": (
        lambda: Net(before=lambda x: x.flip(1).clamp(0, 1) * 2 - 1),
        {"mean": None, "std": None},
        "scales its pictures before its first layer",
    ),
    "no head": (lambda: timm.create_model("test_resnet", num_classes=0).eval(), {}, "no classes"),
    "many passes": (Many, {}, "body#8, and 2 more"),
    "a label": (Net, {"labels": ["a", " ", "c"]}, "one of the labels is empty"),
    "a name": (Net, {"name": "../x"}, "it must be letters, digits, - and _"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_relied_on_is_refused_in_one_sentence(wrong: str):
    make, given, reason = WRONG[wrong]
    with pytest.raises(gc.NetworkError, match=reason) as refused:
        registered(make(), **given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "head"), [("test_resnet", "fc"), ("test_convnext", "head")])
def test_a_head_may_be_put_where_there_was_none(name: str, head: str):
    module = timm.create_model(name, num_classes=0)
    pool = nn.AdaptiveAvgPool2d(1) if head == "head" else nn.Identity()
    setattr(module, head, nn.Sequential(pool, nn.Flatten(), nn.Linear(module.num_features, 5)))
    assert len(registered(module.eval()).labels) == 5


def test_a_relu6_at_the_end_is_not_taken_for_a_tanh():
    registered(Net(functional.relu6))
    assert not gc.load_model("mine").gives_probabilities


def test_a_head_that_does_nothing_is_told():
    class Features(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).mean((2, 3)))

    module = Features()
    module.num_classes = 0  # type: ignore[assignment]
    assert registered(module).notice == ""
    module.fc = nn.Identity().eval()  # type: ignore[assignment]
    with pytest.raises(gc.NetworkError, match="outputs are features"):
        registered(module)
    module.num_classes = 3  # type: ignore[assignment]
    assert "fc does nothing, so its outputs may be features" in registered(module).notice
    module.head = nn.Linear(4, 3).eval()
    assert registered(module).notice == ""


def test_one_of_mean_and_std_is_not_said_to_be_missing():
    assert (
        registered(Net(), std=None).notice
        == "Mine: only mean was given, and the other is ImageNet's."
    )


def test_a_title_without_letters_needs_a_name():
    with pytest.raises(gc.NetworkError, match="give name="):
        gc.register("🐱", module=Net(), size=64)
    assert gc.register("🐱", module=Net(), size=64, name="cat").name == "cat"
    assert len(gc.register("x" * 300, module=Net(), size=64).name) == 64


def test_numbers_and_labels_may_be_numpys_and_pytorchs():
    info = registered(Net(), labels=np.array(["a", "b", "c"]), mean=torch.tensor([0.1, 0.2, 0.3]))
    assert [label.name for label in info.labels] == ["a", "b", "c"]
    assert gc.load_model("mine").preprocessing.mean == pytest.approx((0.1, 0.2, 0.3))


def test_a_module_for_one_size_says_so_of_others(cat: Image.Image):
    flat = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()
    flat.register_parameter("filter", nn.Parameter(torch.ones(1, dtype=torch.cfloat)))
    registered(flat)
    assert gc.load_model("mine").stages[-1].shape == (4, 8, 8)
    gc.explain(cat, "mine")
    with pytest.raises(
        gc.CamError, match=r"Mine does not accept a picture of 128 × 128 .*detail 1"
    ):
        gc.explain(cat, "mine", detail=2)


class Normalising(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6])[:, None, None])
        self.register_buffer("std", torch.full((3, 1, 1), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def test_pictures_are_not_normalised_twice():
    for first in (Normalising(), Normalize([0.4, 0.5, 0.6], [0.2, 0.2, 0.2])):
        module = nn.Sequential(first, Net()).eval()
        with pytest.raises(
            gc.NetworkError, match=r"0 \(Normali.* a std: if it .* mean=0 and std=1"
        ):
            registered(module, mean=None, std=None)
        assert registered(module, mean=0, std=1).notice == ""
