"""The commands and programs in README and the other documents work as pasted, and print what the
documents say. `tests/support/documents.py` says how examples are marked."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import gradcam_core as gc
from demo.main import gradcam
from gradcam_core.models.registry import remove_model
from tests.support.app_server import ROOT
from tests.support.documents import DOCUMENTS, Example, examples

PAGE = "http://127.0.0.1:7860"

FOUND = {str(path.relative_to(ROOT)): examples(path) for path in DOCUMENTS}
FOUND = {name: found for name, found in FOUND.items() if found}

CLOSE = 0.03
"""By so much, or such a share, a number with a decimal point may differ on another machine."""


def words(text: str) -> list[str]:
    """Of what is printed, without bars of progress and times."""
    text = re.sub(r"[^\n]*\r", "", text)
    return re.sub(r"[\d.]+ a second", "some a second", text).split()


def is_close(word: str, other: str) -> bool:
    number = r"\d+\.\d+"
    if re.split(number, word) != re.split(number, other):
        return False
    pairs = zip(re.findall(number, word), re.findall(number, other), strict=True)
    return all(abs(float(a) - float(b)) <= CLOSE * max(1, float(b)) for a, b in pairs)


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example pictures, and files that the documents take to be there: networks
    and pictures of the reader's own."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(ROOT / "assets" / "examples", folder / "assets" / "examples")
    torch.manual_seed(0)
    xray = timm.create_model("resnet18", num_classes=2)
    digits = timm.create_model("test_resnet", num_classes=10, in_chans=1)
    torch.save(digits.state_dict(), folder / "digits.pth")
    save_file(xray.state_dict(), folder / "xray.safetensors")
    (folder / "labels.txt").write_text("nothing found\npneumonia\n")
    (folder / "digits.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    with Image.open(ROOT / "assets" / "examples" / "4_photographer.jpg") as photo:
        photo.convert("L").save(folder / "scan.png")
        photo.convert("L").resize((112, 112)).save(folder / "eight.png")
    return folder


def run(language: str, text: str) -> object:
    """Runs an example in the working folder and returns its exit status."""
    if language == "python":
        exec(compile(text, "example", "exec"), {"__name__": "__main__"})
        return 0
    name, *arguments = shlex.split(text)
    assert name == "gradcam", "only this command can be tried here"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        return gradcam()


@cache
def outcome(language: str, text: str) -> tuple[object, str]:
    """The status of an example and what it prints. One that stands in two documents runs once."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            status = run(language, text)
        except SystemExit as end:
            status = end.code
        except Exception:
            traceback.print_exc()
            status = 1
    for info in gc.list_models():
        if info.recipe:  # registered by the example
            remove_model(info.name)
    return status, output.getvalue()


@pytest.fixture(scope="module")
def tried(
    app: str, own_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[object, str]]]:
    """Status and output of each example, by the name of the document. All run in this process, so
    that libraries and networks are loaded once."""
    caches = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(caches / "hf"))
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        patch.setenv("TORCH_HOME", str(caches / "torch"))
        patch.chdir(own_files)
        return {
            name: [outcome(one.language, one.text.replace(PAGE, app.rstrip("/"))) for one in found]
            for name, found in FOUND.items()
        }


@pytest.mark.parametrize(
    ("document", "number"),
    [(name, number) for name, found in FOUND.items() for number in range(len(found))],
)
def test_an_example_works_as_pasted(
    tried: dict[str, list[tuple[object, str]]], document: str, number: int
):
    example: Example = FOUND[document][number]
    status, output = tried[document][number]
    assert "Traceback" not in output, output
    if example.printed is None:
        assert status in (0, None), output
        return
    printed, expected = words(output), words(example.printed)
    same = len(printed) == len(expected) and all(map(is_close, printed, expected))
    assert same, f"The document says:\n{example.printed}\nIt prints:\n{output}"
