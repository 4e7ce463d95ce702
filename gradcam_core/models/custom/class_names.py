"""Names the classes of a person's own network: as given, else as its file says, else as is usual
for their number."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.labels import Labels, imagenet_labels, labels_of
from gradcam_core.models.custom.description import Description
from gradcam_core.models.custom.files.label_files import NAMES_KEYS, names_in, read_label_names
from gradcam_core.upstream import import_timm
from gradcam_core.wording import counted

if TYPE_CHECKING:
    from gradcam_core.models.custom.files.checkpoint import Checkpoint


def labels_for(described: Description, outputs: int, names: Sequence[str] | None) -> Labels:
    """The labels of a network with so many outputs. names: those in its file, None if it has none.
    Raises LabelError if there are not as many labels as outputs."""
    given: Sequence[str] | None = None
    if isinstance(described.labels, Path):
        given = read_label_names(described.labels)
    elif described.labels is not None:
        given = described.labels
    elif names is not None:
        given = names
    elif outputs == 1000 and not described.regression:
        return imagenet_labels()
    title = f"labels of {described.title}"
    if described.regression:
        usual = ["value"] if outputs == 1 else [f"value {n}" for n in range(outputs)]
        given = usual if given is None else given
        if len(given) != outputs:
            raise LabelError(f"{_given(given)} for {counted(outputs, 'value')}")
        return labels_of(given, title, "value")
    if given is None:
        given = _imagenet_names(outputs) or [f"class {n}" for n in range(outputs)]
        if outputs == 1:
            given = ["positive"]
    if outputs == 1 and len(given) == 1:
        yes = given[0].strip() or "positive"
        given = [f"not {yes}", yes]
    classes = max(outputs, 2)
    if len(given) != classes:
        raise LabelError(f"{_given(given)} for {classes} classes")
    return labels_of(given, title)


def _given(labels: Sequence[str]) -> str:
    return f"{counted(len(labels), 'label')} {'is' if len(labels) == 1 else 'are'} given"


def _imagenet_names(count: int) -> list[str] | None:
    """timm's names for the subset of ImageNet with so many classes; None if there is none."""
    import_timm()
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return None
    known = ImageNetInfo(subset)
    return [known.index_to_description(n) for n in range(count)]


_OF_RESULTS = re.compile("metric|result|score|log|history|loss")


_OF_PYTHON = re.compile(r"[\[({].*|[\d., -]+", re.DOTALL)


def parsed(value: Any) -> Any:
    """The value of a text in JSON or Python's syntax, as all metadata in safetensors is text; any
    other text or value as it is."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
        if _OF_PYTHON.fullmatch(value):
            with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                return ast.literal_eval(value)
    return value


def names_of(checkpoint: Checkpoint, outputs: int) -> tuple[list[str] | None, str]:
    """The names of classes in a file, None unless there are as many as the network has; and the
    notice that names are ignored, "" if none are."""
    from gradcam_core.models.custom.files.checkpoint import settings_in

    metadata = {key: parsed(value) for key, value in checkpoint.metadata.items()}
    note, taken = "", ""
    found: list[str] = []
    holders = [held for of, held in settings_in(metadata) if not _OF_RESULTS.search(of.lower())]
    for held, key in ((held, key) for held in holders for key in NAMES_KEYS if key in held):
        try:
            given = parsed(held[key])
            if isinstance(given, str) and "," in given:
                given = list(map(str.strip, given.split(",")))
            descriptions = held.get("label_descriptions")
            names = names_in({key: given, "label_descriptions": descriptions})
        except LabelError as error:
            if isinstance(held[key], list | tuple | Mapping) and held[key]:
                note = (
                    note or f"the file's names ({key}) are ignored, because {error}: give labels="
                )
            continue
        is_right = len(names) == outputs or (outputs == 1 and len(names) == 2)
        if is_right and all(map(str.strip, names)):
            if found and names != found and sorted(names) == sorted(found):
                return None, (
                    f"the file's names are ignored, because {taken} and {key} have them in "
                    "different orders: give labels="
                )
            found, taken = found or names, taken or key
        if names and not is_right and not note:
            note = (
                f"the network has {max(outputs, 2)} classes, and the file names {len(names)} "
                f"({key}), which are ignored: give labels="
            )
    return (found, "") if found else (None, note)
