"""A file's name says which network made it."""

from __future__ import annotations

import pytest

from gradcam_core.export.file_names import file_stems
from tests.support.explanations import explained


@pytest.mark.parametrize(
    ("asked_for_and_ran", "stems"),
    [
        ([("vgg19", "vgg19"), ("resnet50", "lite0")], ["vgg19", "lite0"]),
        ([("resnet50", "lite0"), ("lite0", "lite0")], ["lite0_for_resnet50", "lite0"]),
        ([("lite0", "lite0"), ("resnet50", "lite0")], ["lite0", "lite0_for_resnet50"]),
        ([("mine", "lite0"), ("resnet50", "lite0")], ["lite0", "lite0_for_resnet50"]),
    ],
)
def test_files_are_named_after_the_network_that_ran_and_no_two_are_alike(asked_for_and_ran, stems):
    named = [(asked_for, explained([[1]], title=ran)) for asked_for, ran in asked_for_and_ran]
    assert file_stems(named) == stems
