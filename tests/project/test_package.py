"""The wheel has all that the programs need, and they run from any folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import requests
import timm
from packaging.requirements import Requirement
from safetensors.torch import save_file

import gradcam_core as gc
from tests.support.app_server import NO_NETWORKS, ROOT, running_app
from tests.support.stream import explain_stream

NAME = "gradcam-side-by-side"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since setuptools leaves a folder beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--wheel-dir"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(folder), str(folder / "source")],
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel in it, whose other packages are those
    that the tests run with."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    places = {"base": str(folder), "platbase": str(folder)}
    scheme = sysconfig.get_preferred_scheme("prefix")
    packages, scripts = (
        Path(sysconfig.get_path(kind, scheme, vars=places)) for kind in ("purelib", "scripts")
    )
    (packages / "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python")]
    options = ["install", "--no-deps", "--no-index", "--quiet", "--ignore-installed"]
    subprocess.run([*pip, *options, str(wheel)], check=True)
    return scripts


def run(folder: Path, *command: str | Path) -> str:
    """What a command prints that is run in this folder, where nothing of the checkout is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_both_packages_the_pictures_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {name for name in archive.namelist() if ".dist-info/licenses/" in name}
    expected = {name for name in tracked() if name.startswith(("gradcam_core/", "demo/"))}
    for name in tracked():
        if name.startswith("assets/examples/"):
            expected.add(name.replace("assets/examples/", "demo/example_pictures/"))
    assert packed == expected
    assert {name.split("/licenses/")[1] for name in licences} == {"LICENSE", "assets/README.md"}


def test_its_requirements_are_those_of_the_files_for_them(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        told = metadata.PathDistribution(zipfile.Path(wheel, path.rpartition("METADATA")[0]))
    assert told.version == gc.__version__
    found: dict[str, set[str]] = {"": set(), "ray": set(), "test": set()}
    for line in told.requires or ():
        requirement = Requirement(line)
        extra = re.search(r'extra == "(\w+)"', str(requirement.marker))
        found[extra[1] if extra else ""].add(f"{requirement.name}{requirement.specifier}")

    def listed(*files: str) -> set[str]:
        lines = [line for file in files for line in (ROOT / file).read_text().splitlines()]
        stated = [Requirement(line.split("#")[0]) for line in lines if not line.startswith("#")]
        return {f"{requirement.name}{requirement.specifier}" for requirement in stated}

    assert found[""] == listed("requirements.txt")
    assert found["ray"] == listed("requirements-ray.txt")
    assert found["test"] == listed("requirements-dev.txt", "requirements-ray.txt")


def test_it_is_imported_from_any_folder(commands: Path, tmp_path: Path):
    program = (
        "import gradcam_core as gc; print(gc.__file__); print(gc.__version__); "
        "print(gc.imagenet_labels()[281].name); import importlib.util; "
        "print([importlib.util.find_spec(name) for name in ('app', 'tests', 'setup', 'assets')])"
    )
    file, version, name, others = run(tmp_path, commands / "python", "-c", program).splitlines()
    assert Path(file).is_relative_to(commands.parent)
    assert version == gc.__version__
    assert name == "tabby"
    assert others == str([None] * 4)


IN_ONE_PROCESS = f"""{NO_NETWORKS}
import sys
from demo.main import gradcam

for command in sys.argv[1:]:
    sys.argv = ["gradcam", *command.split()]
    try:
        status = gradcam()
    except SystemExit as end:
        status = end.code
    print(f"status {{status}}")
    assert "torch._dynamo" not in sys.modules, "the compiler, which takes a second, is imported"
"""
"""Runs the command's function for one line of arguments after the other: libraries are imported
once."""


def test_the_command_says_what_is_wrong(commands: Path, tmp_path: Path):
    command = commands / "gradcam"
    wrong = subprocess.run([command, "none.jpg"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert re.fullmatch(r"gradcam: .*none\.jpg.*\n", wrong.stderr)


def test_the_command_explains_a_photo_and_a_folder_and_starts_the_page(
    commands: Path, tmp_path: Path, cat_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "photos").mkdir(parents=True)
    shutil.copy(cat_path, elsewhere / "photos")
    one = "--models efficientnet_lite0"
    photo = f"photos/{cat_path.name} {one} --out one"
    save_file(timm.create_model("test_resnet").state_dict(), elsewhere / "own.safetensors")
    own = "--network Own=test_resnet,weights=own.safetensors"  # needs no compiler either
    folder = f"batch photos {one} {own} --out many"
    lines = ("--version", "--help", "app --help", photo, folder, "app")
    command = (str(commands / "python"), "-c", IN_ONE_PROCESS, *lines)
    with running_app(tmp_path, command=command, cwd=str(elsewhere)) as url:
        example = requests.get(f"{url}examples/1_cat.jpg", timeout=30)
        assert example.content == (ROOT / "assets" / "examples" / "1_cat.jpg").read_bytes()
        assert requests.get(f"{url}web/app.js", timeout=30).status_code == 200
        cell = {"id": "one", "model": "efficientnet_lite0"}
        answers = explain_stream(url, {"example": "1_cat", "maps": [cell]})
        assert any("result" in answer for answer in answers)
    told = (tmp_path / "app.log").read_text(encoding="utf-8")
    version, help_of, help_of_app, explained, _, page = re.split(r"status (?:0|None)\n", told)
    assert version == f"gradcam {gc.__version__}\n"
    assert help_of.startswith("usage: gradcam ")
    assert "gradcam batch --help" in help_of
    assert "gradcam app" in help_of
    assert "--network " in help_of_app
    assert "tabby" in explained
    assert url.rstrip("/") in page
    assert "Traceback" not in told
    heat = np.load(elsewhere / "one" / "efficientnet_lite0_heatmap.npy")
    assert np.array_equal(heat, gc.explain(cat_path, "efficientnet_lite0").heatmap)
    assert (elsewhere / "many" / "report.html").stat().st_size > 10_000
