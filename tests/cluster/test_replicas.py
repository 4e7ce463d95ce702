"""The page whose maps are computed by replicas of Ray Serve, in processes of their own: visitors
notice nothing, also when a replica is killed."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import gradcam_core as gc
from gradcam_core.analysis.trust.result import Trust
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.models.custom import register_all
from gradcam_core.models.registry import remove_model
from tests.support.app_server import ROOT, Started, started_app
from tests.support.photos import EXAMPLES, fresh_photo
from tests.support.processes import tree
from tests.support.stream import (
    CAT,
    MODELS,
    assert_is,
    explain_stream,
    map_requests,
    parsed,
    results,
)
from tests.support.uploads import upload
from tests.support.waiting import until

pytest.importorskip("ray")

LITE0 = MODELS[0]
OWN = "test_efficientnet"


@dataclass(frozen=True)
class Cluster:
    """network: of its owner, grey levels and random weights, as a text that describes it."""

    address: str
    pid: int
    settings: dict[str, str]
    network: str

    @property
    def page(self) -> dict[str, str]:
        """The settings of a page before it."""
        token = {key: value for key, value in self.settings.items() if key.startswith("RAY_AUTH")}
        return {"GRADCAM_BACKEND": "ray", "RAY_ADDRESS": self.address, **token}

    def replicas(self) -> list[int]:
        """The numbers of their processes."""
        found = []
        for pid in tree(self.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if command.startswith(b"ray::") and b"REPLICA" in command.upper():
                found.append(pid)
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    settings = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hf"),
        "TORCH_HOME": str(folder / "torch"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
        "PYTHONUNBUFFERED": "1",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",  # so often Serve looks what is to be done
    }
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    own = folder / "own.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(3)  # of other random networks nothing may speak for the class
        module = timm.create_model(OWN, num_classes=3, in_chans=1)
    save_file(module.state_dict(), own)
    network = f"Mine={OWN},weights={own},size=96x128"
    command = [sys.executable, "-m", "demo.serve_cluster", "--network", network]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        told = ""
        assert process.stdout
        for line in process.stdout:
            told += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"GRADCAM_BACKEND=ray RAY_ADDRESS=(\S+) make run", told)
        assert found, told
        yield Cluster(found[1], process.pid, settings, network)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def started(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started_app(tmp_path_factory.mktemp("page"), **cluster.page) as running:
        yield running
        # Neither results nor errors have made it load what replicas are for.
        assert "libtorch" not in Path(f"/proc/{running.process.pid}/maps").read_text()
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def url(started: Started) -> str:
    return started.url


def test_maps_are_those_of_the_local_engine(url: str):
    path = EXAMPLES / f"{CAT}.jpg"
    found = results(explain_stream(url, {"example": CAT, "maps": map_requests(*MODELS)}))
    for model in MODELS:
        assert_is(found[model], gc.explain(path, model))
    found = results(
        explain_stream(url, {"example": CAT, "maps": map_requests(*MODELS), "target": 5})
    )
    for model in MODELS:
        assert_is(found[model], gc.explain(path, model, 5))
    choices = {"detail": 2, "method": "competitive"}
    asked = {"example": CAT, "view": "whole", "maps": map_requests(LITE0, **choices)}
    assert_is(
        results(explain_stream(url, asked))[LITE0],
        gc.explain(path, LITE0, view="whole", detail=2, method="competitive"),
    )
    layer = gc.load_model(LITE0).stages[2].layer
    found = results(explain_stream(url, {"example": CAT, "maps": map_requests(LITE0, layer=0.5)}))
    assert found[LITE0]["layer"] == layer
    assert_is(found[LITE0], gc.explain(path, LITE0, layer=layer))


def test_networks_of_the_owner_are_computed_and_checked_there_too(cluster: Cluster, tmp_path: Path):
    from demo.compute.cluster.replica import NOT_HERE  # late: it imports Ray Serve

    networks = ("--network", cluster.network, "--network", f"Other={OWN}")
    command = (sys.executable, "app.py", *networks)
    place = 1001  # behind the 1000 classes of ImageNet
    with started_app(tmp_path, command=command, **cluster.page) as page:
        asked = {"example": CAT, "maps": map_requests("mine", trust=True), "target": place}
        answers = explain_stream(page.url, asked)
        (found,) = results(answers).values()
        only_here = explain_stream(page.url, {"example": CAT, "maps": map_requests("other")})
    (info,) = register_all([cluster.network])
    try:
        photo, model = gc.read_image(EXAMPLES / f"{CAT}.jpg"), gc.load_model(info.name)
        expected = gc.explain(photo, model, "class 1")
        checks = run_checks(photo, model, expected)
    finally:
        remove_model(info.name)
    assert found["target"]["index"] == place
    found["target"]["index"] = expected.target.index
    assert_is(found, expected)
    assert {"map": "other", "cell": "other", "failed": f"No weights: {NOT_HERE}."} in only_here
    assert any(answer.get("status", "").startswith("Checking: ") for answer in answers)
    assert_checks_are(answers[-1]["trust"], checks)


def assert_checks_are(found: dict[str, Any], expected: Trust) -> None:
    assert found["sentence"] == expected.sentence
    assert found["shifts"] == pytest.approx(expected.shifts, abs=1e-3)
    probabilities = found["insertion"]["probabilities"]
    assert probabilities == pytest.approx(expected.insertion.probabilities, abs=1e-3)
    with Image.open(io.BytesIO(base64.b64decode(found["pictures"]["alone"]))) as shown:
        difference = np.abs(np.asarray(shown, int) - np.asarray(expected.alone.picture, int))
    assert difference.mean() < 4


def test_errors_are_the_same_sentences(url: str):
    path = upload(url, b"this is not a picture", "holiday.jpg")
    (answer,) = explain_stream(url, {"upload": path, "maps": map_requests(LITE0)})
    assert "not a picture in a format that can be read" in answer["problem"]
    with pytest.raises(gc.LabelError) as error:
        ExplanationRequest(LITE0, target=5, contrast=(5,))
    answers = explain_stream(
        url, {"example": CAT, "target": 5, "contrast": 5, "maps": map_requests(LITE0)}
    )
    assert {"map": LITE0, "cell": LITE0, "failed": str(error.value)} in answers


# Each of those that nobody waits for would take a minute.
@pytest.mark.timeout(45, func_only=True)
def test_a_slow_method_tells_how_far_it_is_and_ends_with_its_visitor(url: str):
    slow = map_requests(MODELS[2], method="scorecam")
    for example in ("1_cat", "2_coffee", "5_rocket"):  # more than there are replicas
        asked = {"example": example, "maps": slow}
        with requests.post(f"{url}explain-stream", json=asked, stream=True, timeout=60) as answer:
            told = (parsed(line).get("status", "") for line in answer.iter_lines())
            assert any(status == "Score-CAM: 0%" for status in told)
    answers = explain_stream(
        url, {"example": CAT, "maps": map_requests(LITE0, method="ablationcam")}
    )
    statuses = [answer["status"] for answer in answers if "status" in answer]
    assert any(re.fullmatch(r"Ablation-CAM: \d+%", status) for status in statuses)
    assert results(answers)[LITE0]["method"] == "ablationcam"


def test_a_replica_that_is_killed_loses_no_request(url: str, cluster: Cluster):
    files = [fresh_photo(seed) for seed in range(700, 708)]
    models = MODELS[:2]
    bodies = [{"upload": upload(url, file), "maps": map_requests(*models)} for file in files]
    before = cluster.replicas()
    assert len(before) == 2
    with ThreadPoolExecutor(len(bodies)) as visitors:
        asking = [visitors.submit(explain_stream, url, body) for body in bodies]
        until(lambda: any(one.done() for one in asking), 120)
        assert not all(one.done() for one in asking)
        os.kill(before[0], signal.SIGKILL)
        answers = [one.result() for one in asking]
        # The passes that it held are run again, by the other one.
        changed = list(visitors.map(lambda body: explain_stream(url, body | {"target": 7}), bodies))
    for told in (*answers, *changed):
        assert not [answer for answer in told if "failed" in answer or "problem" in answer]
        assert sorted(results(told)) == sorted(models)
    for n in (0, 7):
        assert_is(results(answers[n])[LITE0], gc.explain(files[n], LITE0))
        assert_is(results(changed[n])[LITE0], gc.explain(files[n], LITE0, 7))
    until(lambda: len(set(cluster.replicas()) - {before[0]}) == 2, 60)
