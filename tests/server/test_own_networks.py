"""Who may drop a network on the page, and what becomes of files that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

import gradcam_core as gc
from demo.server import own_networks
from demo.server.own_networks import FOREIGN, FULL, GONE, OFF, RENAMED, OwnNetworks
from demo.settings import Settings
from gradcam_core.models.registry import remove_model


def client(is_on: bool = True, is_only_here: bool = False) -> TestClient:
    networks = OwnNetworks(is_on, is_only_here)
    return TestClient(
        Starlette(
            routes=[
                Route("/file", networks.take, methods=["POST"]),
                Route("/ask", networks.answer, methods=["POST"]),
                Route("/standing", networks.standing, methods=["GET"]),
            ]
        )
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), path)
    return path.read_bytes()


def sent(page: TestClient, content: bytes, name: str = "small.pth") -> str:
    return page.post("/file", params={"name": name}, content=content).json()["file"]


def asked(page: TestClient, **request: Any) -> dict[str, Any]:
    return page.post("/ask", json={"title": "Small", **request}).json()


@pytest.fixture
def forgotten() -> Iterator[str]:
    yield "small"
    remove_model("small")


def test_a_network_is_looked_into_and_then_kept(weights: bytes, forgotten: str):
    page = client()
    file = sent(page, weights)
    found = asked(page, file=file)["found"]
    assert (found["architecture"], found["classes"], found["channels"]) == ("test_resnet", 3, 3)
    assert forgotten not in {info.name for info in gc.list_models()}
    assert page.get("/standing").json() == {}
    kept = asked(page, file=file, labels="cat\ndog\nowl\n", size="96", keep=True)
    assert kept["network"] == forgotten
    assert "Small" in [one["title"] for one in kept["page"]["models"]]
    assert kept["page"]["classes"][-1] == "owl"
    assert page.get("/standing").json() == {"page": kept["page"]}  # for pages opened later
    assert 'labels = ["cat", "dog", "owl"]' in kept["toml"]
    assert [label.name for label in gc.load_model("small").info.labels] == ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"labels": "cat\ndog"}, "3"),
        ({"architecture": "resnet50"}, "do not fit"),
        ({"size": "large"}, "size"),
        ({"mean": "half"}, "mean"),
        ({"title": " "}, "title"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_kept(
    weights: bytes, request_: dict[str, str], reason: str
):
    page = client()
    before = gc.list_models()
    problem = asked(page, file=sent(page, weights), keep=True, **request_)["problem"]
    assert reason in problem
    assert gc.list_models() == before


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x04cos\nsystem\n"])
def test_a_file_that_holds_no_network_is_told(content: bytes):
    page = client()
    problem = asked(page, file=sent(page, content, "../../x.pth"))["problem"]
    assert "x.pth" in problem
    sent_onnx = sent(page, b"\x08\x07", "net.onnx")
    assert "it is ONNX" in asked(page, file=sent_onnx)["problem"]
    assert "Something went wrong" not in problem


def test_a_server_that_takes_none_says_so_and_other_sites_may_not_send_any(weights: bytes):
    assert client(is_on=False).post("/file", content=weights).json() == {"problem": OFF}
    page = client()
    foreign = {"Origin": "https://example.org"}
    assert page.post("/file", content=weights, headers=foreign).json() == {"problem": FOREIGN}
    assert asked(page, file="0" * 32)["problem"] == GONE


def test_a_site_that_takes_this_machine_s_address_may_not_send_any(weights: bytes):
    page = client(is_only_here=True)
    rebound = {"Origin": "http://example.org", "Host": "example.org", "X-Forwarded-For": "1.2.3.4"}
    assert page.post("/file", content=weights, headers=rebound).json() == {"problem": RENAMED}
    here = {"Origin": "http://localhost:7860", "Host": "localhost:7860"}
    assert "file" in page.post("/file", content=weights, headers=here).json()


def test_all_files_together_are_bounded_and_those_in_use_stay(
    weights: bytes, forgotten: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(own_networks, "MAX_KEPT_BYTES", 2 * len(weights) + 10)
    page = client()
    stands = sent(page, weights)
    assert asked(page, file=stands, keep=True)["network"] == forgotten
    looked_into, newest = sent(page, weights), sent(page, weights)
    assert asked(page, file=looked_into)["problem"] == GONE
    assert asked(page, file=newest)["found"]
    assert asked(page, file=stands)["found"]
    big = page.post("/file", params={"name": "x.pth"}, content=weights + weights)
    assert big.json() == {"problem": FULL}
    assert "file" in page.post("/file", params={"name": "x.pth"}, content=weights).json()


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        (Settings(), True),
        (Settings(host="::1"), True),
        (Settings(host="0.0.0.0"), False),
        (Settings(root_path="/cam"), False),
        (Settings(backend="ray"), False),
        (Settings(host="0.0.0.0", network_drops=True), True),
        (Settings(network_drops=False), False),
    ],
)
def test_only_a_page_that_nobody_else_reaches_takes_networks_by_itself(
    settings: Settings, takes: bool
):
    assert settings.takes_networks is takes


def test_a_name_cannot_leave_the_folder(weights: bytes, tmp_path: Path):
    page = client()
    sent(page, weights, f"{tmp_path}/../../evil.pth")
    for name in ("\0", "..", "", "猫" * 200 + ".pth"):
        assert asked(page, file=sent(page, weights, name))["found"]["classes"] == 3
    assert not list(tmp_path.parent.parent.glob("evil*"))
