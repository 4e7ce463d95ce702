"""Registers people's own networks, in Python, on the command line or from a file: any classifier of
timm or torchvision with weights of any origin, or a module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gradcam_core.errors import GradcamError, NetworkError
from gradcam_core.models.custom.description import (
    FILE,
    Description,
    described_in,
    described_in_file,
    description_of,
)
from gradcam_core.models.custom.modules.register_module import of_module
from gradcam_core.models.custom.resolve import resolve
from gradcam_core.models.registry import ModelInfo, add_model, list_models

if TYPE_CHECKING:
    from torch import Tensor, nn

_Given = TypeVar("_Given")


def register(
    title: str,
    architecture: str | None = None,
    *,
    module: nn.Module | None = None,
    output: Callable[[Any], Tensor] | None = None,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[str] | None = None,
    **settings: Any,
) -> ModelInfo:
    """Register a network of your own, for `explain`, `load_model` and all other functions.

        gc.register("Chest X-ray", "resnet18", weights="xray.safetensors", labels="labels.txt")
        gc.register("Mine", module=net, labels=["cat", "dog"], mean=0.5, std=0.5)

    module: a network that you have built, in eval mode, used as it is. output: a function from its
    output to logits [N, classes], if it is unclear which part holds them. See `Description` for the
    other arguments; the `notice` of the result says which settings were interpreted rather than
    given. The file of weights is inspected at once; its values are read when they are first needed.
    A network of the same name is replaced. Raises NetworkError.
    """
    given = {"title": title, "architecture": architecture, "weights": weights, "labels": labels}
    described = description_of(given | settings, has_module=module is not None)
    if module is None and output is not None:
        raise NetworkError(f"network {title!r}: output= belongs to module=")
    return _added(
        described,
        lambda: resolve(described) if module is None else of_module(described, module, output),
        is_module=module is not None,
    )


def register_described(described: Description) -> ModelInfo:
    """Registers the network that is described, as `register` does. Raises NetworkError."""
    return _added(described, lambda: resolve(described))


def _added(
    described: Description, resolved: Callable[[], ModelInfo], *, is_module: bool = False
) -> ModelInfo:
    try:
        info = resolved()
        add_model(info)
        _modules.discard(info.name)
        if is_module:
            _modules.add(info.name)
        _registered[info.name] = replace(
            described, weights=_absolute(described.weights), labels=_absolute(described.labels)
        )
    except (GradcamError, ValueError) as error:
        raise NetworkError(f"network {described.title!r}: {_ended(str(error))}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NetworkError(f"network {described.title!r}: {error.filename}: {reason}") from error
    return info


def registered(names: Iterable[str] | None = None) -> list[Description]:
    """Descriptions of the registered networks, for another process that needs them.

    names: only networks of these names; None for all. Raises NetworkError if one is a module.
    """
    found = [info.name for info in list_models() if info.name in _registered]
    if names is not None:
        needed = set(names)
        found = [name for name in found if name in needed]
    for name in found:
        if name in _modules:
            raise NetworkError(
                f"network {_registered[name].title!r} is a module of this process, which other "
                "processes do not have: save its state_dict() and register the file with weights="
            )
    return [_registered[name] for name in found]


_registered: dict[str, Description] = {}
_modules: set[str] = set()
"""Names of networks that are modules of this process."""


def _absolute(given: _Given) -> _Given:
    return given.absolute() if isinstance(given, Path) else given


def register_all(
    specs: Iterable[str], file: Path | None = None, *, classes_only: bool = False
) -> list[ModelInfo]:
    """Registers the networks that a file and then `specs` describe. file: None is `FILE`, if it
    exists. classes_only: whether networks that predict values are refused. Raises NetworkError."""
    described = []
    if file is not None or Path(FILE).is_file():
        described += described_in_file(file or Path(FILE))
    described += [described_in(spec) for spec in specs]
    for one in described:
        if one.regression and classes_only:
            raise NetworkError(
                f"network {one.title!r}: the page shows classes, but this network predicts "
                "values: explain photos with it on the command line or in Python"
            )
    names = [one.api_name for one in described]
    for one, name in zip(described, names, strict=True):
        if names.count(name) > 1:
            raise NetworkError(f"network {one.title!r}: another network is already called {name!r}")
    return [register_described(one) for one in described]


def _ended(text: str) -> str:
    return text[0].lower() + text[1:].rstrip(".") if text[1:2].islower() else text.rstrip(".")
