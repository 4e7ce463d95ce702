"""The Hub's real client and our own of releases against a loopback server: whatever it does, each
download ends with the right weights or with the stand-in and a plain reason."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

import gradcam_core as gc
from gradcam_core.errors import WeightsError
from gradcam_core.models.downloads.fetch import ANSWER_TIMEOUT_S, fetch
from gradcam_core.models.downloads.weights import HubFile, LocalFile, PackagedFile, ReleaseFile
from gradcam_core.models.loading import Loader
from gradcam_core.models.registry import ModelInfo, list_models, model_info
from tests.support.download_faults import (
    SERVER_FAULTS,
    downloads_of,
    with_a_changed_byte_in_the_cache,
    with_another_network,
    with_code_in_the_pickle,
    with_server_fault,
    with_the_download_killed,
)
from tests.support.networks import quickly_made, scattered
from tests.support.served_network import ServedNetwork, served_network, state
from tests.support.small_network import ARCHITECTURE, KINDS, STAND_IN, impatient
from tests.support.weights_server import Weights


@pytest.fixture
def info(network: ServedNetwork) -> ModelInfo:
    return network.info


@pytest.fixture(params=KINDS)
def network(request, tmp_path: Path) -> Iterator[ServedNetwork]:
    """A network whose weights the server has, once as on the Hub and once as a release file."""
    with served_network(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def server(network: ServedNetwork) -> Weights:
    return network.server


LOADER_ALONE = pytest.mark.parametrize("network", ["release"], indirect=True)
"""Of what the loader does whatever its source is."""


def test_weights_are_downloaded_checked_and_loaded_and_nobody_is_asked_again(
    info: ModelInfo, server: Weights
):
    shares: list[float] = []
    fetch(info.weights_source, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    server.requests.clear()
    server.fault = "500"
    model = impatient(info).request().result(60)
    assert server.requests == []
    assert model.stands_in_for is None
    assert model.notice == ""
    reference = timm.create_model(ARCHITECTURE, pretrained=False).eval()
    reference.load_state_dict(state(0))
    batch = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.module(batch), reference(batch), rtol=1e-4, atol=1e-5)
    assert not model.module.training
    expected = next(iter(server.files.values())).read_bytes()
    assert model.weights.sha256 == hashlib.sha256(expected).hexdigest()


COMMON = ("gone", "hang", "500", "page", "slow", "empty")
"""Faults that need one case, of a release: one of each kind. `make faults` has all, for both."""

DIFFERENT = ("login", "stall", "cut", "corrupt")
"""Faults that the Hub's client meets in its own way."""

ARRIVING = ("slow", "stall", "cut", "corrupt", "empty")
"""Faults in which a part of a file is on the disk for a while. `make faults` heals all."""


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *(("release", fault) for fault in (*COMMON, *DIFFERENT)),
        *(("hub", fault) for fault in DIFFERENT),
    ],
)
def test_a_fault_ends_with_the_stand_in_and_the_next_start_heals(
    kind: str, fault: str, tmp_path: Path
):
    with served_network(kind, tmp_path) as network:
        started = with_server_fault(network, fault)
        assert started.title == "EfficientNet-Lite0"
        with pytest.raises(WeightsError, match=SERVER_FAULTS[fault][1]):
            raise WeightsError(started.reason)
        assert network.source.cached() is None
        assert network.leftovers() == []
        if fault in ARRIVING:
            assert network.is_right(network.start())


@LOADER_ALONE
def test_the_stand_in_says_whose_place_it_takes_and_why(info: ModelInfo, server: Weights):
    server.fault = "500"
    model = impatient(info).request().result(60)
    assert model.stands_in_for == info
    assert "stands in for Small" in model.notice
    assert model.reason in model.notice


@LOADER_ALONE
def test_a_server_that_does_not_answer_is_asked_once_and_not_again_for_a_while(
    info: ModelInfo, server: Weights
):
    server.fault = "hang"
    loader = impatient(info, answer_timeout_s=0.3)
    assert loader.request().result(60).stands_in_for == info
    for _ in range(20):
        assert loader.request().done()
    # Not by the Hub's own client, which would ask again and again for 47 seconds.
    assert len(server.requests) == 1
    assert ANSWER_TIMEOUT_S < 3  # people wait for so long


@LOADER_ALONE
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


@LOADER_ALONE
def test_many_threads_share_one_download(info: ModelInfo, server: Weights):
    loader = impatient(info)
    futures = [loader.request() for _ in range(8)]
    assert len({id(future.result(60)) for future in futures}) == 1
    assert len([request for request in server.requests if request.startswith("GET")]) == 1


def test_a_changed_byte_in_the_cache_is_found_and_the_file_replaced(network: ServedNetwork):
    assert network.is_right(with_a_changed_byte_in_the_cache(network))
    assert network.leftovers() == []
    network.server.requests.clear()
    assert network.is_right(network.start())
    assert network.server.requests == []  # what was replaced is not asked for again


@LOADER_ALONE
def test_a_changed_byte_in_the_cache_without_a_network_leads_to_the_stand_in(
    network: ServedNetwork,
):
    started = with_a_changed_byte_in_the_cache(network, fault="gone")
    assert started.title == "EfficientNet-Lite0"
    assert "is damaged, and there is no connection to 127.0.0.1" in started.reason
    assert network.leftovers() == []
    assert network.is_right(network.start())


def test_an_older_file_whose_hash_nobody_knows_stays_until_there_is_another(tmp_path: Path):
    with served_network("release", tmp_path) as network:
        address = f"{network.server.url}/releases/plain.pth"
        network.server.files["/releases/plain.pth"] = network.right_file
        unnamed = replace(network, info=replace(network.info, source=ReleaseFile(address)))
        path = fetch(unnamed.source)
        path.write_bytes(path.read_bytes()[:5000])
        started = with_server_fault(unnamed, "500")
        assert "does not hold the weights, and 127.0.0.1 answered with HTTP 500" in started.reason
        assert path.is_file()
        assert unnamed.is_right(unnamed.start())


def test_a_damaged_package_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = model_info(STAND_IN).weights_source
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
    info = replace(model_info(STAND_IN), source=PackagedFile(package.name))
    with pytest.raises(WeightsError, match="damaged-package has to be installed again"):
        Loader(info).request().result(60)


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path):
    with served_network("release", tmp_path) as network:
        started = with_code_in_the_pickle(network, tmp_path / "ran")
        assert started.title == "EfficientNet-Lite0"
        assert "does not hold the weights" in started.reason
        assert not tmp_path.joinpath("ran").exists()
        assert network.leftovers() == []
        assert network.is_right(network.start())


@LOADER_ALONE
def test_weights_of_another_network_are_not_accepted(network: ServedNetwork):
    started = with_another_network(network)
    assert started.title == "EfficientNet-Lite0"
    assert "does not hold the weights" in started.reason
    assert network.leftovers() == []
    assert network.is_right(network.start())


def test_a_cache_that_cannot_be_written_to_leads_to_the_stand_in(
    network: ServedNetwork, monkeypatch: pytest.MonkeyPatch
):
    # Below a file no folder can be made, not by root either.
    below_a_file = network.right_file / "cache"
    with monkeypatch.context() as patch:
        patch.setenv("TORCH_HOME", str(below_a_file))
        patch.setenv("HF_HOME", str(below_a_file))
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(below_a_file))
        started = network.start()
    assert started.title == "EfficientNet-Lite0"
    assert "cannot be written to" in started.reason
    assert network.is_right(network.start())


def test_a_download_that_is_killed_leaves_nothing(network: ServedNetwork):
    started = with_the_download_killed(network)
    assert started.title == "EfficientNet-Lite0"
    assert "stopped from outside" in started.reason
    assert network.leftovers() == []
    assert downloads_of(os.getpid()) == []
    assert network.is_right(network.start())


def test_hf_hub_offline_is_honoured(info: ModelInfo, server: Weights, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = impatient(info).request().result(60)
    assert "HF_HUB_OFFLINE" in model.notice
    assert server.requests == []


@LOADER_ALONE
def test_without_a_stand_in_it_is_an_error(info: ModelInfo, server: Weights):
    server.fault = "404"
    with pytest.raises(WeightsError, match="404"):
        impatient(replace(info, stand_in=None)).request().result(60)


@pytest.mark.parametrize("name", ["xception", "resnet50", "vgg19"])
def test_the_three_networks_load_from_files_in_their_true_format(name: str, tmp_path: Path):
    known = model_info(name)
    is_on_hub = isinstance(known.weights_source, HubFile)
    file = tmp_path / ("model.safetensors" if is_on_hub else "weights.pth")
    torch.manual_seed(1)
    module = scattered(quickly_made(partial(timm.create_model, known.architecture)))
    (save_file if is_on_hub else torch.save)(module.state_dict(), file)
    model = Loader(replace(known, source=LocalFile(file))).request().result(120)
    assert model.stands_in_for is None
    batch = torch.randn(1, 3, 96, 96)
    run = gc.forward(model.module, batch, known.layer)
    with torch.no_grad():
        expected = module(batch)
    torch.testing.assert_close(run.logits, expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
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
