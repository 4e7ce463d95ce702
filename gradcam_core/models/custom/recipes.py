"""Builds the networks that people describe, and reads their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_core.errors import NetworkError
from gradcam_core.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from gradcam_core.models.custom.architectures import Architecture


@dataclass(frozen=True)
class ArchitectureRecipe:
    """A network of a known architecture. is_published: whether its weights are those published with
    it; timm's may be in an older form."""

    architecture: Architecture
    classes: int
    preprocessing: Preprocessing
    is_published: bool
    prefix: str | None = None
    is_regression: bool = False

    def build(self) -> nn.Module:
        return self.architecture.build(self.classes, self.preprocessing.channels)

    @property
    def input_size(self) -> tuple[int, int, int]:
        return self.preprocessing.channels, *self.preprocessing.size

    def read(self, path: Path) -> nn.Module:
        from gradcam_core.models.custom.files.checkpoint import read_checkpoint
        from gradcam_core.models.custom.fitting.fit import fit
        from gradcam_core.models.optimise.build import own_network, read_network

        if self.is_published and self.architecture.library == "timm":
            img_size = self.architecture.arguments.get("img_size")
            return read_network(self.architecture.name, path, img_size=img_size)
        tensors = read_checkpoint(path).tensors
        found = fit([self.architecture], tensors, self.prefix)
        if self.is_regression:
            found = found.of_values()
        if (found.classes, found.channels) != (self.classes, self.preprocessing.channels):
            raise NetworkError(f"the file {path.name} has changed since it was registered")
        return own_network(self.build, found.tensors(tensors), self.input_size)


@dataclass(frozen=True)
class TransformersRecipe:
    folder: Path
    preprocessing: Preprocessing

    def read(self, path: Path) -> nn.Module:
        from transformers import AutoModelForImageClassification  # type: ignore[import-not-found]

        module = AutoModelForImageClassification.from_pretrained(
            str(self.folder), local_files_only=True
        )
        module.float().eval().requires_grad_(False)
        return module
