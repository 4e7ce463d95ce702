"""A person's own networks beside ours: any classifier of timm or torchvision, with weights of any
origin, registered in Python, on the command line or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gradcam_core.errors import GradcamError, NetworkError
from gradcam_core.models.custom.description import (
    FILE,
    Description,
    described_in,
    described_in_file,
    description_of,
)
from gradcam_core.models.custom.resolve import resolve
from gradcam_core.models.registry import ModelInfo, add_model, list_models

_Given = TypeVar("_Given")


def register(
    title: str,
    architecture: str,
    *,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[str] | None = None,
    **settings: Any,
) -> ModelInfo:
    """Put a network of your own beside the others, for `explain`, `load_model` and all the rest.

        gc.register("Chest X-ray", "resnet18", weights="xray.safetensors", labels="labels.txt")

    See `Description` for the arguments. The file of weights is looked into at once, its values are
    read when they are first needed. One with the same name is replaced. Raises NetworkError.
    """
    given = {"title": title, "architecture": architecture, "weights": weights, "labels": labels}
    return register_described(description_of(given | settings))


def register_described(described: Description) -> ModelInfo:
    """See `register`. Raises NetworkError."""

    try:
        info = resolve(described)
        add_model(info)
        _registered[info.name] = replace(
            described, weights=_absolute(described.weights), labels=_absolute(described.labels)
        )
    except (GradcamError, ValueError) as error:
        raise NetworkError(f"network {described.title!r}: {_ended(str(error))}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NetworkError(f"network {described.title!r}: {error.filename}: {reason}") from error
    return info


def registered() -> list[Description]:
    """Of a person's own networks that there are, for another process that is to have them, too."""
    return [_registered[info.name] for info in list_models() if info.name in _registered]


_registered: dict[str, Description] = {}


def _absolute(given: _Given) -> _Given:
    return given.absolute() if isinstance(given, Path) else given


def register_all(specs: Iterable[str], file: Path | None = None) -> list[ModelInfo]:
    """What a file and then texts describe; without a file the usual one, if it is there. Raises
    NetworkError."""
    described = []
    if file is not None or Path(FILE).is_file():
        described += described_in_file(file or Path(FILE))
    described += [described_in(spec) for spec in specs]
    names = [one.api_name for one in described]
    for one, name in zip(described, names, strict=True):
        if names.count(name) > 1:
            raise NetworkError(f"network {one.title!r}: another one is called {name!r}, too")
    return [register_described(one) for one in described]


def _ended(text: str) -> str:
    return text[0].lower() + text[1:].rstrip(".") if text[1:2].islower() else text.rstrip(".")
