"""Altered copies of a picture, whose maps are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from gradcam_core.errors import ChoiceError

if TYPE_CHECKING:
    from torch import Tensor

Smooth = Literal["noise", "flips"]
SMOOTHS: tuple[Smooth, ...] = get_args(Smooth)

NOISY_COPIES = 8
NOISE = 0.15
"""Standard deviation of the noise, as a share of the range of an image's values: SmoothGrad
(Smilkov et al., 2017) recommends 0.1 to 0.2."""

FACTORS = (0.9, 1.0, 1.1)
"""Factors by which pytorch-grad-cam's aug_smooth multiplies the input, mirrored and not. As the
input is normalised, this changes its contrast."""

TITLES: dict[Smooth, str] = {
    "noise": f"mean over {NOISY_COPIES} noisy copies",
    "flips": f"mean over {2 * len(FACTORS)} copies (as is, paler and stronger, each also mirrored)",
}
"""Their names on the page, in files and on the command line."""

Version: TypeAlias = "tuple[Tensor, Callable[[Tensor], Tensor]]"


def versions(images: Tensor, smooth: Smooth) -> Iterator[Version]:
    """Altered copies of the images [N, C, *sides], each with a function that turns its map
    [N, *places] back to lie over the original. Raises ChoiceError for an unknown name."""
    check_smooth(smooth)
    return _noisy(images) if smooth == "noise" else _flipped(images)


def check_smooth(smooth: object) -> None:
    """Raises ChoiceError for an unknown name."""
    if smooth not in SMOOTHS:
        known = " or ".join(map(repr, SMOOTHS))
        raise ChoiceError(f"There is no smooth={smooth!r}. Choose {known}.")


def count(smooth: Smooth) -> int:
    """How many copies `versions` gives."""
    return NOISY_COPIES if smooth == "noise" else 2 * len(FACTORS)


def _noisy(images: Tensor) -> Iterator[Version]:
    import torch

    generator = torch.Generator().manual_seed(0)
    axes = tuple(range(1, images.ndim))
    spread = NOISE * (images.amax(axes, keepdim=True) - images.amin(axes, keepdim=True))
    for _ in range(NOISY_COPIES):
        noise = torch.randn(images.shape, generator=generator, device="cpu").to(spread)
        yield images + spread * noise, lambda found: found


def _flipped(images: Tensor) -> Iterator[Version]:
    for is_mirrored in (False, True):
        for factor in FACTORS:
            given = images.flip(-1) if is_mirrored else images
            yield given * factor, (lambda found: found.flip(-1)) if is_mirrored else lambda f: f
