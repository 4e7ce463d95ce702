"""The Hub's real client and our own of releases against a loopback server: whatever it does, each
download ends with the right weights or with the stand-in and a plain reason."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

import gradcam_core as gc
from gradcam_core.errors import WeightsError
from gradcam_core.models.fetch import ANSWER_TIMEOUT_S, fetch
from gradcam_core.models.loading import Loader
from gradcam_core.models.registry import ModelInfo, list_models, model_info
from gradcam_core.models.weights import HubFile, PackagedFile, ReleaseFile
from tests.support import faults as breaking
from tests.support.faults import KINDS, SERVER_FAULTS, SMALL, Place, impatient
from tests.support.networks import scattered
from tests.support.weights_server import Weights


@pytest.fixture
def info(place: Place) -> ModelInfo:
    return place.info


@pytest.fixture(params=KINDS)
def place(request, tmp_path: Path) -> Iterator[Place]:
    """A network whose weights the server has, once as on the Hub and once as a release file."""
    with breaking.place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def server(place: Place) -> Weights:
    return place.server


def test_weights_are_downloaded_checked_and_loaded(info: ModelInfo, server: Weights):
    loader = impatient(info)
    model = loader.request().result(60)
    assert model.stands_in_for is None
    assert model.notice == ""
    reference = timm.create_model("mobilenetv3_small_050", pretrained=False).eval()
    reference.load_state_dict(breaking.state(0))
    batch = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(model.module(batch), reference(batch), rtol=1e-4, atol=1e-5)
    assert not model.module.training
    expected = next(iter(server.files.values())).read_bytes()
    assert model.weights.sha256 == hashlib.sha256(expected).hexdigest()


def test_a_file_already_there_is_used_without_asking_anyone(info: ModelInfo, server: Weights):
    impatient(info).request().result(60)
    server.requests.clear()
    server.fault = "500"
    model = impatient(info).request().result(60)
    assert model.stands_in_for is None
    assert server.requests == []


def test_progress_is_reported(info: ModelInfo):
    shares: list[float] = []
    fetch(info.weights_source, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


DIFFERENT = ("gone", "hang", "500", "login", "stall", "cut", "corrupt")
"""Faults that the Hub's client meets in its own way. `make faults` has all of them for both."""


@pytest.mark.parametrize(
    ("kind", "fault"),
    [*(("release", fault) for fault in SERVER_FAULTS), *(("hub", fault) for fault in DIFFERENT)],
)
def test_a_fault_ends_with_the_stand_in_and_the_next_start_heals(
    kind: str, fault: str, tmp_path: Path
):
    with breaking.place(kind, tmp_path) as place:
        started = breaking.with_server_fault(place, fault)
        assert started.title == "EfficientNet-Lite0"
        with pytest.raises(WeightsError, match=SERVER_FAULTS[fault][1]):
            raise WeightsError(started.reason)
        assert place.source.cached() is None
        assert place.leftovers() == []
        assert place.is_right(place.start())


def test_the_stand_in_says_whose_place_it_takes_and_why(info: ModelInfo, server: Weights):
    server.fault = "500"
    model = impatient(info).request().result(60)
    assert model.stands_in_for == info
    assert "stands in for Small" in model.notice
    assert model.reason in model.notice


def test_no_network_is_decided_within_three_seconds_and_not_asked_again(
    info: ModelInfo, server: Weights
):
    server.fault = "hang"
    loader = Loader(info)  # with the limits that people get
    started = time.monotonic()
    assert loader.request().result(10).stands_in_for == info
    decided = time.monotonic() - started
    asked = list(server.requests)
    for _ in range(20):
        assert loader.request().done()
    assert server.requests == asked
    assert ANSWER_TIMEOUT_S < 3
    # Not a measure of speed: the Hub's own client would take 47 seconds.
    assert decided < 10


def test_a_network_that_comes_back_is_noticed_without_a_restart(info: ModelInfo, server: Weights):
    server.fault = "500"
    loader = impatient(info, retry_after_s=0.2)
    assert loader.request().result(60).stands_in_for == info
    server.fault = ""
    deadline = time.monotonic() + 60
    while (answer := loader.request()).result().stands_in_for is not None:
        assert answer.done()  # nobody waits for the retry
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_threads_share_one_download(info: ModelInfo, server: Weights):
    loader = impatient(info)
    futures = [loader.request() for _ in range(8)]
    assert len({id(future.result(60)) for future in futures}) == 1
    assert len([request for request in server.requests if request.startswith("GET")]) == 1


def test_a_changed_byte_in_the_cache_is_found_and_the_file_replaced(place: Place):
    assert place.is_right(breaking.with_a_changed_byte_in_the_cache(place))
    assert place.leftovers() == []
    place.server.requests.clear()
    assert place.is_right(place.start())
    assert place.server.requests == []  # what was replaced is not asked for again


def test_a_changed_byte_in_the_cache_without_a_network_leads_to_the_stand_in(place: Place):
    started = breaking.with_a_changed_byte_in_the_cache(place, fault="gone")
    assert started.title == "EfficientNet-Lite0"
    assert "is damaged, and there is no connection to 127.0.0.1" in started.reason
    assert place.leftovers() == []
    assert place.is_right(place.start())


def test_a_file_in_the_cache_that_breaks_off_is_replaced(place: Place):
    path = fetch(place.source)
    path.resolve().write_bytes(path.read_bytes()[:5000])
    assert place.is_right(place.start())


def test_an_older_file_whose_hash_nobody_knows_stays_until_there_is_another(tmp_path: Path):
    with breaking.place("release", tmp_path) as place:
        address = f"{place.server.url}/releases/plain.pth"
        place.server.files["/releases/plain.pth"] = place.served
        unnamed = replace(place, info=replace(place.info, source=ReleaseFile(address)))
        path = fetch(unnamed.source)
        path.write_bytes(path.read_bytes()[:5000])
        started = breaking.with_server_fault(unnamed, "500")
        assert "does not hold the weights, and 127.0.0.1 answered with HTTP 500" in started.reason
        assert path.is_file()
        assert unnamed.is_right(unnamed.start())


def test_a_damaged_package_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = model_info(SMALL).weights_source
    assert isinstance(source, PackagedFile)
    whole = source.cached()
    assert whole
    package = tmp_path / "damaged_package"
    package.mkdir()
    data = bytearray(whole.read_bytes())
    data[len(data) // 2] ^= 1
    package.joinpath("__init__.py").touch()
    package.joinpath(whole.name).write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    info = replace(model_info(SMALL), source=PackagedFile(package.name))
    with pytest.raises(WeightsError, match="damaged-package has to be installed again"):
        Loader(info).request().result(60)


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path):
    with breaking.place("release", tmp_path) as place:
        started = breaking.with_code_in_the_pickle(place, tmp_path / "ran")
        assert started.title == "EfficientNet-Lite0"
        assert "does not hold the weights" in started.reason
        assert not tmp_path.joinpath("ran").exists()
        assert place.leftovers() == []
        assert place.is_right(place.start())


def test_weights_of_another_network_are_not_accepted(place: Place):
    started = breaking.with_another_network(place)
    assert started.title == "EfficientNet-Lite0"
    assert "does not hold the weights" in started.reason
    assert place.leftovers() == []
    assert place.is_right(place.start())


def test_a_cache_that_cannot_be_written_to_leads_to_the_stand_in(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    # Below a file no folder can be made, not by root either.
    below_a_file = place.served / "cache"
    with monkeypatch.context() as patch:
        patch.setenv("TORCH_HOME", str(below_a_file))
        patch.setenv("HF_HOME", str(below_a_file))
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(below_a_file))
        started = place.start()
    assert started.title == "EfficientNet-Lite0"
    assert "cannot be written to" in started.reason
    assert place.is_right(place.start())


def test_a_download_that_is_killed_leaves_nothing(place: Place):
    started = breaking.with_the_download_killed(place)
    assert started.title == "EfficientNet-Lite0"
    assert "ended from outside" in started.reason
    assert place.leftovers() == []
    assert breaking.downloads_of(os.getpid()) == []
    assert place.is_right(place.start())


def test_hf_hub_offline_is_honoured(info: ModelInfo, server: Weights, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = impatient(info).request().result(60)
    assert "HF_HUB_OFFLINE" in model.notice
    assert server.requests == []


def test_without_a_stand_in_it_is_an_error(info: ModelInfo, server: Weights):
    server.fault = "404"
    with pytest.raises(WeightsError, match="404"):
        impatient(replace(info, stand_in=None)).request().result(60)


@pytest.mark.parametrize("name", ["xception", "resnet50", "vgg19"])
def test_the_three_networks_load_from_files_in_their_true_format(name: str, tmp_path: Path):
    with breaking.place("hub", tmp_path) as place:
        load_in_true_format(name, place.server, tmp_path)


def load_in_true_format(name: str, server: Weights, tmp_path: Path) -> None:
    known = model_info(name)
    torch.manual_seed(1)
    module = scattered(timm.create_model(known.architecture, pretrained=False).eval())
    source = known.weights_source
    if isinstance(source, HubFile):
        file = tmp_path / "model.safetensors"
        save_file(module.state_dict(), file)
        server.files[f"/{source.repo}/resolve/main/model.safetensors"] = file
        info = known
    else:
        file = tmp_path / "weights.pth"
        torch.save(module.state_dict(), file)
        start = hashlib.sha256(file.read_bytes()).hexdigest()[:9]
        server.files[f"/xception-{start}.pth"] = file
        info = replace(known, source=ReleaseFile(f"{server.url}/xception-{start}.pth"))
    model = Loader(info).request().result(120)
    assert model.stands_in_for is None
    size = model.preprocessing.size
    torch.manual_seed(3)
    batch = torch.randn(1, 3, size, size)
    run = gc.forward(model.module, batch, info.layer)
    with torch.no_grad():
        torch.testing.assert_close(run.logits, module(batch), rtol=1e-3, atol=1e-3)
    assert run.cam(3).shape[0] == 1


def test_the_sources_are_those_of_the_design():
    sources = {info.name: info.weights_source for info in list_models()}
    assert sources["resnet50"] == HubFile("timm/resnet50.tv_in1k")
    assert sources["vgg19"] == HubFile("timm/vgg19.tv_in1k")
    xception = sources["xception"]
    assert isinstance(xception, ReleaseFile)
    assert xception.url.startswith("https://github.com/")
    assert xception.url.endswith("/xception-43020ad28.pth")
    stand_ins = {info.name: info.stand_in for info in list_models()[:3]}
    assert stand_ins == {
        "xception": "efficientnet_lite2",
        "resnet50": "efficientnet_lite0",
        "vgg19": "efficientnet_lite1",
    }


@pytest.mark.parametrize("size", [0, 1, 2])
def test_the_embedded_networks_have_real_weights(size: int):
    model = gc.load_model(f"efficientnet_lite{size}")
    digest = model.weights.path.stem.split("-")[-1]
    assert model.weights.sha256.startswith(digest)
    assert model.stands_in_for is None


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match=r"'resnet5'.*xception, resnet50, vgg19, efficientnet"):
        gc.load_model("resnet5")
