"""Pushing the repository to a Hugging Face Space as it is must be all there is to do."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import gradio
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from PIL import Image

from gradcam_core.models.downloads.weights import HubFile, PackagedFile
from gradcam_core.models.registry import DEFAULT_MODELS, list_models, model_info
from tests.support.app_server import ROOT
from tests.support.photos import EXAMPLES

LFS_FROM = 10 * 2**20  # bytes from which on a Space wants Git LFS


@pytest.fixture(scope="module")
def card() -> dict:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match, "README.md must start with the Space's front matter"
    return yaml.safe_load(match.group(1))


@pytest.fixture(scope="module")
def requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line.split("#")[0]) for line in lines if not line.startswith("#")]
    return {requirement.name.lower(): requirement for requirement in parsed}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_the_front_matter_has_what_a_space_needs(card: dict):
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert card["sdk"] == "gradio"
    assert card["title"]
    assert {card["colorFrom"], card["colorTo"]} <= colours
    assert re.fullmatch(r"\W+", card["emoji"])
    assert card["license"] == "mit"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert (ROOT / card["app_file"]).is_file()
    assert card["tags"]
    assert len(card["short_description"]) <= 60


def test_the_sdk_version_is_admitted_by_the_requirements(card: dict, requirements):
    version = Version(card["sdk_version"])
    assert version in requirements["gradio"].specifier
    assert version <= Version(gradio.__version__)


def test_the_python_version_is_one_the_code_is_written_for(card: dict):
    wanted = tuple(int(part) for part in card["python_version"].split("."))
    assert wanted >= (3, 11)
    # The linter says of each file what this version could not read.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert settings["target-version"] == "py311"


def test_what_is_preloaded_is_what_the_code_loads_from_the_hub(card: dict):
    sources = [model_info(name).weights_source for name in DEFAULT_MODELS]
    expected = [f"{s.repo} {s.filename}" for s in sources if isinstance(s, HubFile)]
    assert card["preload_from_hub"] == expected
    assert len(expected) == 2


def test_the_embedded_weights_are_in_the_requirements(requirements):
    packages = [i.source.package for i in list_models() if isinstance(i.source, PackagedFile)]
    assert len(packages) == 3
    for package in packages:
        assert package.replace("_", "-") in requirements


def test_requirements_are_ranges_below_the_next_major_version_each_with_a_reason(requirements):
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if not line.startswith("#"):
            assert re.search(r"#\s+\w+", line), line
    for requirement in requirements.values():
        operators = sorted(specifier.operator for specifier in requirement.specifier)
        assert operators == ["<", ">="], requirement
    given = {"torch", "torchvision", "timm", "numpy", "matplotlib", "pillow", "requests", "gradio"}
    assert given <= set(requirements)


def test_no_file_needs_git_lfs():
    assert tracked(), "this test needs the git checkout"
    for path in tracked():
        if path.is_file():
            assert path.stat().st_size < LFS_FROM, path


def test_there_are_examples_of_free_licence_each_with_its_source():
    examples = sorted(EXAMPLES.glob("*.jpg"))
    assert len(examples) >= 5
    text = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    for path in examples:
        row = next(line for line in text.splitlines() if f"`{path.name}`" in line)
        assert re.search("CC0|public domain", row)
        with Image.open(path) as picture:
            assert not picture.getexif()
    assert set(re.findall(r"`(\d_\w+\.jpg)`", text)) == {path.name for path in examples}
