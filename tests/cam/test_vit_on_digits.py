"""A small vision transformer, trained here on scikit-learn's digits: its heat lies on the digit."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional

import gradcam_core as gc

TRAINED_ON = 1400  # of 1797 digits


def on_paper(digits: Tensor, quarter: Tensor) -> Tensor:
    """Digits [N, 1, 8, 8] -> [N, 1, 16, 16], each in one quarter of an empty sheet."""
    sheets = torch.zeros(len(digits), 1, 16, 16)
    for n, where in enumerate(quarter.tolist()):
        row, column = 8 * (where // 2), 8 * (where % 2)
        sheets[n, :, row : row + 8, column : column + 8] = digits[n]
    return (sheets - 0.15) / 0.3


def test_the_heat_of_a_trained_transformer_lies_on_the_digit():
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    torch.manual_seed(0)
    data = load_digits()
    digits = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(data.target)
    module = VisionTransformer(
        img_size=16, patch_size=4, in_chans=1, num_classes=10, embed_dim=48, depth=3,
        num_heads=4, mlp_ratio=2,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(module.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=4 * 28)
    for _ in range(4):
        for chosen in torch.randperm(TRAINED_ON).split(50):
            sheets = on_paper(digits[chosen], torch.randint(4, (len(chosen),)))
            loss = functional.cross_entropy(module(sheets), classes[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    module.eval()

    quarter = torch.arange(len(digits) - TRAINED_ON) % 4
    run = gc.forward(module, on_paper(digits[TRAINED_ON:], quarter))
    truth = classes[TRAINED_ON:]
    assert (torch.tensor(run.top) == truth).float().mean() > 0.8
    assert run.layer == "blocks.1"  # behind the last block only the class token counts
    heat = run.cam(truth.tolist())
    assert heat.shape[1:] == (4, 4)
    assert run.is_of_tokens
    quarters = torch.stack(
        [heat[:, 2 * (n // 2) :][:, :2, 2 * (n % 2) :][..., :2].sum((1, 2)) for n in range(4)], 1
    )
    own = quarters.gather(1, quarter[:, None])[:, 0] / quarters.sum(1).clamp(min=1e-12)
    # A quarter of the cells: by chance a quarter of the heat.
    assert own.mean() > 0.5
    assert (own > 0.25).float().mean() > 0.7
