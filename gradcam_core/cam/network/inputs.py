"""The inputs of a network: pictures alone, or pictures among other inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from gradcam_core.errors import CamError

Batch = Tensor | tuple | Mapping[str, Any]
"""Pictures [N, C, H, W], or all inputs of a network: a tuple by position, a mapping by name."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """images: [N, C, *sides], the first input that may be pictures. place: its position or name.
    others: the other inputs, by position or name. several: whether some of those may be pictures,
    too."""

    images: Tensor
    others: Mapping[Any, Any]
    place: int | str
    several: bool = False

    @classmethod
    def of(cls, batch: Batch) -> Inputs:
        """Finds the pictures in a batch. Raises CamError if it has none, or is no batch."""
        if isinstance(batch, Tensor):
            return cls(_checked(batch), {}, 0)
        if isinstance(batch, Mapping):
            named: dict[Any, Any] = dict(batch)
        elif isinstance(batch, tuple):
            named = dict(enumerate(batch))
        else:
            name = type(batch).__qualname__
            raise CamError(
                f"The batch is of the type {name}: a tensor [N, C, H, W] is "
                "expected, or a tuple or a dictionary of what the network is given."
            )
        tensors = {at: one for at, one in named.items() if isinstance(one, Tensor)}
        for one in tensors.values():
            _check_not_nested(one)
        floats = {at: one for at, one in tensors.items() if one.is_floating_point()}
        pictures = [at for at, one in floats.items() if one.ndim > 3] or [
            at for at, one in floats.items() if one.ndim == 3
        ]
        if not pictures:
            came = {
                at: list(one.shape) if isinstance(one, Tensor) else type(one).__name__
                for at, one in named.items()
            }
            raise CamError(
                f"None of the inputs {came} is a batch of pictures [N, C, H, W]: give each tensor "
                "as an input of its own, and wrap a network that takes them otherwise."
            )
        place = pictures[0]
        images = _checked(named.pop(place))
        return cls(images, named, place, len(pictures) > 1)

    def __len__(self) -> int:
        return len(self.images)

    def check_values(self) -> None:
        """Raises CamError for images without values."""
        if self.images.is_meta:
            raise CamError('The batch is on the device "meta", where it has no values.')

    def rows(self, rows: slice) -> Inputs:
        """The inputs for these images only. Tensors with a row per image are cut likewise."""
        others = {at: one[rows] if self._has_rows(one) else one for at, one in self.others.items()}
        return replace(self, images=self.images[rows], others=others)

    def run(self, module: nn.Module, images: Tensor | None = None, *, copied: bool = True) -> Any:
        """The network's output for these inputs. images: used in place of our own; where M images
        replace a single one, the other inputs are repeated. copied: passes copies, so that a
        network that writes into its inputs leaves ours unchanged."""
        given = self.images if images is None else images
        others = {at: self._for(one, len(given)) for at, one in self.others.items()}
        inputs = {self.place: given, **others}
        if copied:
            inputs = {
                at: one.clone() if isinstance(one, Tensor) else one for at, one in inputs.items()
            }
        if isinstance(self.place, str):
            return module(**inputs)
        return module(*(inputs[at] for at in sorted(inputs)))

    @property
    def version(self) -> int | None:
        """A number that changes when somebody writes into the images; None for tensors of
        inference mode, which keep no such number."""
        return None if self.images.is_inference() else self.images._version

    @property
    def choices(self) -> tuple[tuple[Any, Any], ...]:
        """The plain values (bool, int, float, str, None) among the other inputs, each with its
        position or name. The network may take another execution path for other values."""
        plain = (bool, int, float, str, type(None))
        return tuple((at, one) for at, one in self.others.items() if isinstance(one, plain))

    def described(self) -> str:
        """Shapes, types and devices of the inputs, for an error message."""

        def one(given: Any) -> str:
            if not isinstance(given, Tensor):
                return type(given).__name__
            return (
                f"{list(given.shape)} {str(given.dtype).removeprefix('torch.')} on {given.device}"
            )

        if not self.others:
            return one(self.images)
        inputs = {self.place: self.images, **self.others}
        return ", ".join(f"{at}: {one(inputs[at])}" for at in sorted(inputs, key=str))

    def _has_rows(self, other: Any) -> bool:
        return isinstance(other, Tensor) and other.ndim > 0 and len(other) == len(self.images)

    def _for(self, other: Any, count: int) -> Any:
        if count == len(self.images) or not self._has_rows(other):
            return other
        return other.expand(count, *other.shape[1:])


def _check_not_nested(tensor: Tensor) -> None:
    if tensor.is_nested:  # which has no shape
        raise CamError("A nested tensor was given: plain tensors are expected.")


def _checked(images: Tensor) -> Tensor:
    _check_not_nested(images)
    if images.ndim < 3:
        raise CamError(
            f"The batch is {list(images.shape)}: pictures are [N, C, H, W], volumes "
            "[N, C, D, H, W], signals [N, C, L]."
        )
    if not len(images):
        raise CamError(f"The batch {list(images.shape)} has no images.")
    if images.is_sparse or images.is_quantized:
        raise CamError("The batch is sparse or quantised: a plain tensor is expected.")
    return images.detach() if images.requires_grad else images
