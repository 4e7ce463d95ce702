"""What holds for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import gradcam_core as gc
from gradcam_core.models.registry import remove_model


@pytest.fixture(autouse=True)
def no_networks_of_others() -> Iterator[None]:
    """A network that a test registers is gone after it; those of longer fixtures stay."""
    before = set(map(id, gc.list_models()))
    yield
    for info in gc.list_models():
        if info.recipe is not None and id(info) not in before:
            remove_model(info.name)
