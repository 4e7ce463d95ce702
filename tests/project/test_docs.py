"""What README and the other documents name is there: files, headings, targets of make, modules."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.support.app_server import ROOT
from tests.support.documents import DOCUMENTS, anchors, blocks, code, links

MOST_BYTES = 12 * 1024

SETTINGS = re.compile(r"\bGRADCAM_[A-Z_]+\b")

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return listed.stdout.splitlines()


@each_document
def test_every_link_leads_somewhere(document: Path):
    for link in links(document):
        target = urlsplit(link)
        if target.scheme or target.netloc:
            assert target.scheme in ("http", "https"), link
            assert target.hostname, link
            continue
        path = (document.parent / unquote(target.path)).resolve() if target.path else document
        assert path.is_relative_to(ROOT), link
        assert path.exists(), link
        if target.fragment:
            assert target.fragment in anchors(path), link


@each_document
def test_every_file_that_is_named_is_there(document: Path):
    folders = {name.split("/")[0] for name in tracked() if "/" in name}
    for text in code(document):
        for name in re.findall(r"[\w./*-]+/[\w./*-]*", text):
            if name.split("/")[0] in folders:
                bare = name.rstrip("/")
                assert [*ROOT.glob(bare), *ROOT.glob(f"{bare}.py")], name


@each_document
def test_every_target_module_and_requirements_file_in_a_command_is_there(document: Path):
    makefile = (ROOT / "Makefile").read_text()
    for text in (*code(document), *blocks(document, "sh", "console")):
        for target in re.findall(r"\bmake ([\w-]+)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for module in re.findall(r"python -m ([\w.]+)", text):
            assert find_spec(module), module
        for file in re.findall(r"-r (\S+)", text):
            assert (ROOT / file).exists(), file


@each_document
def test_every_setting_that_is_named_is_read_somewhere(document: Path):
    named = set(SETTINGS.findall(document.read_text(encoding="utf-8")))
    files = [ROOT / name for name in tracked("demo/*.py", "gradcam_core/*.py")]
    read = {name for path in files for name in SETTINGS.findall(path.read_text(encoding="utf-8"))}
    assert named <= read


def test_an_agent_finds_the_skill_by_its_front_matter():
    (skill,) = (ROOT / ".agents" / "skills").glob("*/SKILL.md")
    _, front, _ = skill.read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["name"] == skill.parent.name
    assert re.fullmatch(r"[a-z0-9-]{1,64}", told["name"])
    assert 100 < len(told["description"]) <= 1024


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= MOST_BYTES


def test_every_document_is_found_from_the_readme():
    met, left = set(), [ROOT / "README.md"]
    while left:
        document = left.pop()
        met.add(document)
        for link in links(document):
            target = (document.parent / urlsplit(link).path).resolve()
            if target.suffix == ".md" and target.is_file() and target not in met:
                left.append(target)
    assert not set(DOCUMENTS) - met
