"""The batch on a cluster: the same rows as on one machine, each once, also if a node dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import timm
import torch
from safetensors.torch import save_file

pytest.importorskip("ray", reason="requirements-ray.txt is not installed")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

import gradcam_core as gc
from gradcam_core.batch import ray_data as batch_ray
from gradcam_core.batch.local import explain_locally
from gradcam_core.batch.pictures import PictureSource, find_pictures
from gradcam_core.batch.ray_data import explain_on_ray
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.run import run
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.batch.store import ResultFolder
from gradcam_core.cli.photo import main
from gradcam_core.models.custom import register_all
from gradcam_core.models.registry import remove_model
from gradcam_core.request import ExplanationRequest
from tests.support.app_server import ROOT
from tests.support.batch_results import assert_same_rows, rows_of

OWN = "mobilenetv3_small_050"
SETTINGS = BatchSettings((ExplanationRequest("efficientnet_lite0"), ExplanationRequest("mine")))
MEMORY = 10**8  # of a node's object store, bytes
COPIES = 2
BEGUN, FIRST, KILLED = ".begun", ".first", ".killed"


class Noted(batch_ray.Explainer):
    """An actor that notes which node has begun what. Only the first is done before a node is
    killed: the others wait for that."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        first = Path(batch["path"][0].as_py())
        node = ray.get_runtime_context().get_node_id()
        (first.parent / BEGUN / f"{first.name} {node} {time.time_ns()}").touch()
        try:
            (first.parent / FIRST).touch(exist_ok=False)
        except FileExistsError:
            until = time.monotonic() + 5
            while not (first.parent / KILLED).exists() and time.monotonic() < until:
                time.sleep(0.05)
        return super().__call__(batch)


def nodes_at_work(folder: Path, arrived: Sequence[str]) -> list[str]:
    """By their ids, those that have begun what has not arrived."""
    begun = [path.name.split() for path in (folder / BEGUN).iterdir()]
    return [node for first, node, _ in begun if first not in arrived]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photographs, some times each, and two files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in sorted((ROOT / "assets" / "examples").glob("*.jpg")):
        for copy in range(COPIES):
            shutil.copy(photo, folder / f"{photo.stem}_{copy}.jpg")
    (folder / BEGUN).mkdir()
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "cut.jpg").write_bytes((folder / "1_cat_0.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Iterator[list[gc.Model]]:
    """One with its real weights, and one of its owner: grey levels, three classes."""
    weights = tmp_path / "own.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(OWN, num_classes=3, in_chans=1).state_dict(), weights)
    (info,) = register_all([f"Mine={OWN},weights={weights},size=96"])
    yield [gc.load_model(name) for name in SETTINGS.models]
    remove_model(info.name)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The head, which computes nothing, and two nodes with a core each."""
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {
        "num_cpus": 0,
        "object_store_memory": MEMORY,
        "include_dashboard": False,
        "_system_config": quick,
    }
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started
    ray.shutdown()
    started.shutdown()


def test_a_node_dies_and_every_row_is_there_once_and_equal_to_the_local_runs(
    cluster: Cluster,
    folder: Path,
    models: list[gc.Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    pictures = find_pictures(str(folder), tmp_path)
    arrived: list[str] = []
    killed = threading.Event()
    rounds: list[int] = []
    one_round = batch_ray.explain_round

    def counted(items: Sequence[PictureSource], *others: Any) -> Iterator[PictureResult]:
        rounds.append(len(items))
        return one_round(items, *others)

    monkeypatch.setattr(batch_ray, "ACTOR_PICTURES", 4)
    monkeypatch.setattr(batch_ray, "WINDOW_PICTURES", 10)
    monkeypatch.setattr(batch_ray, "explain_round", counted)
    monkeypatch.setattr(batch_ray, "Explainer", Noted)

    def note(result: PictureResult) -> None:
        arrived.append(result.key)
        if len(arrived) == 1:
            while not (at_work := nodes_at_work(folder, arrived)):
                time.sleep(0.05)
            (node,) = (node for node in nodes if node.node_id == at_work[0])
            cluster.remove_node(node, allow_graceful=False)
            killed.set()
            (folder / KILLED).touch()

    with ResultFolder(tmp_path / "ray", str(folder), SETTINGS) as results:
        assert run(results, pictures, models, SETTINGS, explain_on_ray, note)
    assert killed.is_set()
    assert len(rounds) > 2  # of the two windows, one again: what the node had was lost
    with ResultFolder(tmp_path / "local", str(folder), SETTINGS) as results:
        assert run(results, pictures, models, SETTINGS, explain_locally)
    by_ray, local = rows_of(tmp_path / "ray"), rows_of(tmp_path / "local")
    assert len(by_ray) == 2 * pictures.count == 2 * len(arrived)
    assert sorted(by_ray) == sorted(local)
    assert sum(row["error"] is not None for row in by_ray.values()) == 2 * 2
    assert_same_rows(by_ray, local)
    for row in by_ray.values():
        if row["error"] is None:
            assert (tmp_path / "ray" / row["overlay"]).is_file()


class Broken(batch_ray.Explainer):
    """An actor on a node that lacks something."""

    def __init__(self, *_: Any) -> None:
        raise RuntimeError("no weights on this node")


def test_a_node_that_cannot_work_is_told_in_one_line_with_its_reason(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batch_ray, "Explainer", Broken)
    monkeypatch.setattr(batch_ray, "MAX_TRIES", 2)
    arguments = ["batch", str(folder), "--models", "efficientnet_lite0", "--engine", "ray"]
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*arguments, "--out", str(tmp_path), "--no-report"])
    error = capfd.readouterr().err
    assert "and 15 others (RuntimeError: no weights on this node): see its logs" in error
    assert "Traceback" not in error
    assert list(tmp_path.glob("data/*.parquet")) == []


def test_importing_the_engine_changes_no_setting():
    code = (
        "import os, warnings, ray.data, gradcam_core.batch.local;"
        "before = dict(os.environ), list(warnings.filters);"
        "import gradcam_core.batch.ray_data;"
        "assert (dict(os.environ), list(warnings.filters)) == before"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_cluster_is_one_line_and_soon(tmp_path: Path):
    start = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gradcam_core", "batch", "assets/examples"),
            *("--models", "efficientnet_lite0", "--out", str(tmp_path), "--no-report"),
            *("--engine", "ray", "--address", "127.0.0.1:9"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "127.0.0.1:9" in line]
    assert "cannot be reached" in line
    assert "Traceback" not in done.stderr
    assert time.monotonic() - start < 60
