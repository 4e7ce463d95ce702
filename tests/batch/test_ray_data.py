"""The batch on a cluster: the same rows as on one machine, each once, also if a node dies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

pytest.importorskip("ray", reason="requirements-ray.txt is not installed")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster
from ray.exceptions import RayError

import gradcam_core as gc
from gradcam_core.batch.engines import ray_data as batch_ray
from gradcam_core.batch.engines.local import explain_locally
from gradcam_core.batch.engines.ray_data import explain_on_ray
from gradcam_core.batch.listing.source import Pictures, PictureSource
from gradcam_core.batch.pictures import find_pictures
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.run import run
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.batch.store import ResultFolder
from gradcam_core.cli.photo import main
from gradcam_core.errors import BatchError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.models.custom import register_all
from gradcam_core.models.registry import remove_model
from tests.support.batch_results import Rows, assert_same_rows, rows_of
from tests.support.photos import EXAMPLES
from tests.support.ray_actors import BEGUN, DOOMED, BrokenExplainer, DoomedExplainer

OWN = "test_efficientnet"
SETTINGS = BatchSettings((ExplanationRequest("efficientnet_lite0"), ExplanationRequest("mine")))
MEMORY = 10**8  # of a node's object store, bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photographs, and two files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in sorted(EXAMPLES.glob("*.jpg"))[:5]:
        shutil.copy(photo, folder)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "cut.jpg").write_bytes((folder / "1_cat.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Iterator[list[gc.Model]]:
    """One with its real weights, and one of its owner: grey levels, three classes."""
    weights = tmp_path / "own.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(OWN, num_classes=3, in_chans=1).state_dict(), weights)
    (info,) = register_all([f"Mine={OWN},weights={weights},size=128x96"])
    yield [gc.load_model(name) for name in SETTINGS.models]
    remove_model(info.name)


@pytest.fixture
def local(models: list[gc.Model], folder: Path, tmp_path: Path) -> Rows:
    """The rows of this machine, made before Ray runs, so that nothing that Ray and a node that has
    died leave behind in this process has a part in them."""
    pictures = find_pictures(str(folder), tmp_path)
    with ResultFolder(tmp_path / "local", str(folder), SETTINGS) as results:
        assert run(results, pictures, models, SETTINGS, explain_locally)
    return rows_of(tmp_path / "local")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A node with one core. Ray's own logs and scaling are left out."""
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {
        "num_cpus": 1,
        "object_store_memory": MEMORY,
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "_system_config": quick,
    }
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started
    ray.shutdown()
    started.shutdown()


def test_a_node_dies_and_every_row_is_there_once_and_equal_to_the_local_runs(
    local: Rows,
    cluster: Cluster,
    folder: Path,
    models: list[gc.Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    doomed = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    (folder / DOOMED).write_text(doomed.node_id)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    pictures = find_pictures(str(folder), tmp_path)
    arrived: list[str] = []
    rounds: list[int] = []
    one_round = batch_ray.explain_round

    def counted(items: Sequence[PictureSource], *others: Any) -> Iterator[PictureResult]:
        rounds.append(len(items))
        return one_round(items, *others)

    monkeypatch.setattr(batch_ray, "ACTOR_PICTURES", 1)  # more than one actor gets at once
    monkeypatch.setattr(batch_ray, "explain_round", counted)
    monkeypatch.setattr(batch_ray, "Explainer", DoomedExplainer)

    def note(result: PictureResult) -> None:
        arrived.append(result.key)
        if len(arrived) == 1:
            assert (folder / BEGUN).exists()
            cluster.remove_node(doomed, allow_graceful=False)

    with ResultFolder(tmp_path / "ray", str(folder), SETTINGS) as results:
        assert run(results, pictures, models, SETTINGS, explain_on_ray, note)
    assert rounds[0] == pictures.count
    assert 0 < rounds[1] < pictures.count  # what the node had was given to the other one
    by_ray = rows_of(tmp_path / "ray")
    assert len(by_ray) == 2 * pictures.count == 2 * len(arrived)
    assert sorted(by_ray) == sorted(local)
    assert sum(row["error"] is not None for row in by_ray.values()) == 2 * 2
    assert_same_rows(by_ray, local)
    for row in by_ray.values():
        if row["error"] is None:
            assert (tmp_path / "ray" / row["overlay"]).is_file()
    assert_a_node_that_cannot_work_is_told_with_its_reason(pictures, models, monkeypatch)


def assert_a_node_that_cannot_work_is_told_with_its_reason(
    pictures: Pictures, models: list[gc.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the cluster that is there already: starting Ray takes long."""
    monkeypatch.setattr(batch_ray, "Explainer", BrokenExplainer)
    monkeypatch.setattr(batch_ray, "MAX_TRIES", 1)
    message = rf"and {pictures.count - 1} others \(RuntimeError: no weights on this node\): see its"
    with pytest.raises(BatchError, match=message):
        list(explain_on_ray(pictures.walk(), models, SETTINGS))


def test_a_command_starts_ray_and_ends_it_also_after_an_error_which_is_one_line(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    cores: list[float] = []

    def explain_round(*_: Any) -> Iterator[PictureResult]:
        cores.append(ray.cluster_resources()["CPU"])
        yield from ()
        raise RayError("a node\nhas died")

    monkeypatch.setattr(batch_ray, "explain_round", explain_round)
    monkeypatch.setattr(batch_ray, "MAX_TRIES", 1)
    arguments = ["batch", str(folder), "--models", "efficientnet_lite0", "--engine", "ray"]
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*arguments, "--out", str(tmp_path), "--no-report"])
    error = capfd.readouterr().err
    others = len(list(folder.glob("*.jpg"))) - 1
    assert f"and {others} others (has died): see its logs" in error
    (at_once,) = cores
    assert at_once >= 1
    assert "Traceback" not in error
    assert list(tmp_path.glob("data/*.parquet")) == []
    assert not ray.is_initialized()  # what the command has started


def rounds_that_bring(monkeypatch: pytest.MonkeyPatch, *counts: int) -> list[list[str]]:
    """The keys that each round is asked for. There is no cluster: so many results come of each
    round, and of others none. A round that does not bring all ends with an error of Ray."""
    asked: list[list[str]] = []

    def explain_round(items: Sequence[PictureSource], *_: Any) -> Iterator[PictureResult]:
        asked.append([item.key for item in items])
        come = counts[len(asked) - 1] if len(asked) <= len(counts) else 0
        for item in items[:come]:
            yield PictureResult(item.key, [], [])
        if come < len(items):
            raise RayError("a node\nhas died")

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(batch_ray, "explain_round", explain_round)
    return asked


def test_pictures_are_given_in_windows_and_again_until_all_have_come(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(batch_ray, "WINDOW_PICTURES", 4)
    rounds = rounds_that_bring(monkeypatch, 4, 1, 1, 0, 2, 2)
    sources = (PictureSource(key, f"{key}.jpg") for key in "abcdefghij")
    results = list(explain_on_ray(sources, [], SETTINGS))
    assert "".join(result.key for result in results) == "abcdefghij"
    assert ["".join(keys) for keys in rounds] == ["abcd", "efgh", "fgh", "gh", "gh", "ij"]


def test_rounds_in_a_row_that_bring_nothing_end_the_batch_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(batch_ray, "MAX_TRIES", 3)
    rounds = rounds_that_bring(monkeypatch, 0, 0, 1, 0, 0, 1)
    sources = (PictureSource(key, f"{key}.jpg") for key in "abcd")
    with pytest.raises(BatchError, match=r"no results for c and 1 others \(has died\): see its"):
        list(explain_on_ray(sources, [], SETTINGS))
    assert len(rounds) == 9


def test_no_cluster_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture):
    arguments = ["batch", str(EXAMPLES), "--models", "efficientnet_lite0", "--engine", "ray"]
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*arguments, "--address", "127.0.0.1:9", "--out", str(tmp_path), "--no-report"])
    error = capfd.readouterr().err
    (line,) = [line for line in error.splitlines() if "127.0.0.1:9" in line]
    assert "cannot be reached" in line
    assert "Traceback" not in error
