"""The app without its page: `gradio_client` and a real MCP client at the real app."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import requests
import timm
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ImageContent, TextContent
from PIL import Image
from safetensors.torch import save_file

import gradcam_core as gc
from demo.api.arguments import NO_ADDRESSES, NO_PICTURE
from demo.api.records import AlteredRecord, TrustRecord
from demo.compute.service import start
from demo.ui.layout import build
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.location import where
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.models.registry import remove_model
from tests.support.api import SMALL, called, posted, text_of
from tests.support.app_server import Started
from tests.support.photos import EXAMPLES
from tests.support.uploads import DECLARED, upload

ENDPOINTS = ["/models", "/classes", "/predict", "/explain"]
STAND_INS = {
    "xception": "efficientnet_lite2",
    "resnet50": "efficientnet_lite0",
    "vgg19": "efficientnet_lite1",
}


@pytest.fixture(scope="module")
def folder(shared_app: Started) -> Path:
    """Of the app's log and of its files."""
    return shared_app.log.parent


@pytest.fixture(scope="module")
def url(shared_app: Started) -> str:
    return shared_app.url


@pytest.fixture(scope="module")
def client(url: str, folder: Path) -> Client:
    return Client(url, download_files=str(folder / "downloads"), verbose=False)


@pytest.fixture(scope="module")
def info(url: str) -> dict:
    return requests.get(f"{url}gradio_api/info", timeout=30).json()


def explain(client: Client, path: Path, **arguments: Any) -> tuple[dict, str | None]:
    return client.predict(handle_file(str(path)), **arguments, api_name="/explain")


def test_there_are_four_endpoints_and_the_events_of_the_page_are_none(info: dict):
    assert list(info["named_endpoints"]) == ENDPOINTS
    assert info["unnamed_endpoints"] == {}


def test_every_endpoint_and_argument_is_described(info: dict):
    for endpoint in info["named_endpoints"].values():
        assert endpoint["description"]
        for parameter in endpoint["parameters"]:
            assert parameter["python_type"]["description"], parameter["parameter_name"]
            assert parameter["component"] == "Api"
    arguments = {
        one["parameter_name"]: one for one in info["named_endpoints"]["/explain"]["parameters"]
    }
    needed = [name for name, one in arguments.items() if not one["parameter_has_default"]]
    assert needed == ["image"]
    assert arguments["image"]["python_type"]["type"] == "filepath"
    models = arguments["models"]["type"]["items"]["enum"]
    assert models == [known.name for known in gc.list_models()]
    assert arguments["method"]["type"]["enum"] == list(METHODS)


def test_the_networks_are_those_that_there_are_when_the_page_is_built(
    monkeypatch: pytest.MonkeyPatch,
):
    known = gc.list_models()[:2]
    monkeypatch.setattr("demo.api.registration.classifiers", lambda: known)
    api_info = build().get_api_info()
    arguments = api_info["named_endpoints"]["/explain"]["parameters"]
    assert arguments[1]["type"]["items"]["enum"] == [info.name for info in known]


def test_no_endpoint_makes_visitors_wait_for_each_other():
    for function in build().fns.values():
        if function.api_visibility == "public":
            assert function.concurrency_limit is None


def test_models_are_those_of_the_registry(client: Client):
    found = client.predict(api_name="/models")
    assert [(m["name"], m["title"], m["layer"], m["stand_in"]) for m in found] == [
        (known.name, known.title, known.layer, known.stand_in) for known in gc.list_models()
    ]
    assert [m["name"] for m in found if m["default"]] == list(gc.DEFAULT_MODELS)


def test_classes_are_all_with_their_synonyms(client: Client):
    found = client.predict(api_name="/classes")
    assert [(c["index"], c["name"], tuple(c["synonyms"])) for c in found] == [
        (label.index, label.name, label.synonyms) for label in gc.imagenet_labels()
    ]


def test_classes_are_searched_by_synonyms_too_and_whole_words_come_first(client: Client):
    found = client.predict("CAT", api_name="/classes")
    names = [label["name"] for label in found]
    assert {"tabby", "tiger cat", "Siamese cat", "Madagascar cat"} <= set(names)  # tabby cat
    assert names.index("Siamese cat") < names.index("catamaran")  # before parts of words
    assert client.predict("cat", 3, api_name="/classes") == found[:3]
    assert client.predict("zzzzzz", api_name="/classes") == []
    nearest = client.predict("giraffe", api_name="/classes")
    assert {match["found_by"] for match in nearest} == {"meaning"}


def test_predict_gives_what_the_networks_predict(client: Client, cat_path: Path):
    found = client.predict(handle_file(str(cat_path)), api_name="/predict")
    assert [one["asked_for"] for one in found] == list(gc.DEFAULT_MODELS)
    for one in found:
        expected = gc.explain(cat_path, STAND_INS[one["asked_for"]])
        assert (one["model"], one["title"]) == (expected.model, expected.title)
        assert "stands in for" in one["notice"]
        assert [top["index"] for top in one["top"]] == [top.index for top in expected.top]
        for top, prediction in zip(one["top"], expected.top, strict=True):
            assert top["name"] == prediction.name
            assert top["probability"] == pytest.approx(prediction.probability, abs=1e-5)


def test_explain_needs_no_more_than_a_picture(client: Client, cat_path: Path):
    findings, comparison = explain(client, cat_path)
    networks = findings["explanations"]
    assert {one["asked_for"]: one["model"] for one in networks} == STAND_INS
    for one in networks:
        assert one["target"] == one["top"][0]
        assert one["how"] == "Grad-CAM"
        assert one["heatmap"] is None
        with Image.open(one["overlay"]) as overlay:
            assert overlay.size == (451, 300) == tuple(one["photo_size"])
            assert overlay.info["Network"] == one["title"]
            assert "Photo" not in overlay.info  # the name of an upload is its owner's
        assert Path(one["overlay"]).name == f"{one['model']}_output.png"
    assert comparison is not None
    with Image.open(comparison) as figure:
        assert figure.size == (1920, 1080)
        assert b"Stands in for: Xception" in figure.info["comment"]


def test_explain_gives_all_that_is_known_of_an_explanation(
    client: Client, cat: Image.Image, cat_path: Path
):
    """Every argument reaches the network, and the heat and its overlay are those of the core."""
    cases: list[dict[str, Any]] = [
        {"target": "tabby cat", "method": "competitive", "detail": 2, "view": "whole"},
        {"target": 281, "method": "layercam", "contrast": "auto"},
        {"target": "tabby", "method": "hirescam", "layer": 0.75},
        {"target": "tabby", "method": "layercam", "layer": [0.5, "bn2"]},
        {"target": "tabby", "smooth": "flips"},
    ]
    for arguments in cases:
        findings, comparison = explain(
            client, cat_path, models=SMALL, outputs=["overlay", "heatmap"], **arguments
        )
        assert comparison is None
        assert findings["agreement"] is None
        (one,) = findings["explanations"]
        model = gc.load_model(SMALL[0])
        expected = gc.examine(
            cat,
            model,
            view=arguments.get("view", "crop"),
            detail=arguments.get("detail", 1),
            layer=arguments.get("layer"),
        ).explain(
            arguments["target"],
            arguments.get("method", "gradcam"),
            "contrast" in arguments,
            smooth=arguments.get("smooth"),
        )
        record = json.loads(json.dumps(expected.record()))
        for key in record.keys() - {"target", "top", "contrast", "rivals"}:
            assert one[key] == record[key], key
        for key in ("top", "contrast", "rivals"):
            assert [p["index"] for p in one[key]] == [p["index"] for p in record[key]]
        assert one["target"]["index"] == 281
        assert one["target"]["probability"] == pytest.approx(expected.target.probability, abs=1e-5)
        assert (one["how"], one["where"]) == (expected.how, where(expected))
        heatmap = np.load(one["heatmap"])
        assert heatmap.dtype == np.float32
        assert heatmap.max() == 1
        np.testing.assert_allclose(heatmap, expected.heatmap, atol=1e-3)
        with Image.open(one["overlay"]) as overlay:
            drawn = np.asarray(overlay, dtype=np.int16)
        assert np.abs(drawn - np.asarray(expected.overlay(cat), int)).max() <= 3


def test_a_class_is_explained_rather_than_another(client: Client, cat: Image.Image, cat_path: Path):
    arguments = {"target": "tabby", "contrast": "tiger cat", "outputs": ["heatmap"]}
    findings, _ = explain(client, cat_path, models=SMALL, **arguments)
    (one,) = findings["explanations"]
    assert [other["name"] for other in one["contrast"]] == ["tiger cat"]
    expected = gc.explain(cat, SMALL[0], "tabby", contrast="tiger cat")
    np.testing.assert_allclose(np.load(one["heatmap"]), expected.heatmap, atol=1e-3)


def test_the_arguments_of_version_1_0_still_work(client: Client, cat_path: Path):
    usual = {"models": SMALL, "target": "tabby", "outputs": []}
    for old, new in (
        ({"against": "tiger cat", "depth": 0.5}, {"contrast": "tiger cat", "layer": 0.5}),
        ({"rivals": True}, {"contrast": "auto"}),
    ):
        first, _ = explain(client, cat_path, **usual, **old)
        again, _ = explain(client, cat_path, **usual, **new)
        assert first == again
        assert first["explanations"][0]["contrast"]


def test_the_new_name_of_an_argument_counts_if_the_old_one_is_given_too(
    client: Client, cat_path: Path
):
    usual = {"models": SMALL, "target": "tabby", "outputs": []}
    for both, new in (
        ({"against": "tiger cat", "contrast": "lynx"}, {"contrast": "lynx"}),
        ({"rivals": True, "contrast": "lynx"}, {"contrast": "lynx"}),
        ({"depth": 0.2, "layer": 0.5}, {"layer": 0.5}),
        ({"depth": 0.2, "layer": 1.0}, {"layer": 1.0}),
        ({"depth": 0.5, "layer": 0}, {"layer": 0}),
    ):
        first, _ = explain(client, cat_path, **usual, **both)
        again, _ = explain(client, cat_path, **usual, **new)
        assert first == again, both


def test_explain_says_where_networks_agree(client: Client, cat: Image.Image, cat_path: Path):
    findings, _ = explain(client, cat_path, target="tabby", outputs=[])
    explanations = [gc.explain(cat, name, "tabby") for name in STAND_INS.values()]
    expected = agreement(explanations)
    assert expected is not None
    found, record = findings["agreement"], expected.record(list(STAND_INS))
    assert found["region"] == record["region"]
    assert found["shares"] == pytest.approx(list(expected.shares), abs=1e-3)
    assert [pair["names"] for pair in found["pairs"]] == [
        ["xception", "resnet50"],
        ["xception", "vgg19"],
        ["resnet50", "vgg19"],
    ]
    for pair, one in zip(found["pairs"], expected.pairs, strict=True):
        assert pair["overlap"] == pytest.approx(one.overlap, abs=1e-2)
        assert pair["rank_correlation"] == pytest.approx(one.correlation, abs=1e-3)
    # As titles: the core was asked for the stand-ins by their own names.
    assert len(findings["sentences"]) == len(summary(explanations))
    assert "tabby" in " ".join(findings["sentences"])


def test_files_of_a_huge_photo_are_smaller_than_it(client: Client, tmp_path: Path):
    path = tmp_path / "wide.png"
    Image.linear_gradient("L").resize((6000, 900)).save(path)
    findings, _ = explain(client, path, models=SMALL, outputs=["overlay", "heatmap"])
    (one,) = findings["explanations"]
    assert one["photo_size"] == [6000, 900]
    with Image.open(one["overlay"]) as overlay:
        assert overlay.size == (3072, 461)
    assert np.load(one["heatmap"]).shape == (461, 3072)


def test_what_checks_have_found_is_what_the_core_finds(client: Client, cat_path: Path):
    findings, _ = explain(client, cat_path, models=SMALL[:1], target="tabby", outputs=[])
    assert findings["explanations"][0]["trust"] is None
    findings, _ = explain(
        client, cat_path, models=SMALL[:1], target="tabby", outputs=[], trust=True
    )
    (one,) = findings["explanations"]
    photo, model = gc.read_image(cat_path), gc.load_model(SMALL[0])
    expected = run_checks(photo, model, gc.explain(photo, model, "tabby")).record()
    assert one["trust"]["sentence"] == expected["sentence"]
    assert set(one["trust"]) == set(expected) == set(TrustRecord.__annotations__)
    assert one["trust"]["reasons"] == expected["reasons"]
    for part in ("without", "alone"):
        assert set(one["trust"][part]) == set(AlteredRecord.__annotations__)
    for name in ("deletion", "random_insertion"):
        found = one["trust"][name]["probabilities"]
        assert found == pytest.approx(expected[name]["probabilities"], abs=1e-3)  # type: ignore[index]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"models": ["alexnet"]}, "There is no model 'alexnet'. Choose from: xception, resnet50,"),
    ({"models": []}, "models is a list of names: xception,"),
    ({"models": [["xception"]]}, "There is no model"),
    ({"target": "flying cow"}, "There is no class 'flying cow' among the 1000. The nearest"),
    ({"target": "crane"}, "'crane' stands for several classes: crane (bird) (134),"),
    ({"target": 1000}, "There is no class 1000: indices go from 0 to 999."),
    ({"target": -1}, "There is no class -1"),
    ({"target": True}, "There is no class 'True' among the 1000."),
    ({"target": "x" * 100_000}, "There is no class 'xxxxx"),
    (
        {"target": "tabby", "contrast": "a dinosaur"},
        "There is no class 'a dinosaur' among the 1000.",
    ),
    ({"target": "tabby", "contrast": "tabby"}, "A class cannot be explained against itself."),
    ({"rivals": "no"}, "rivals is true or false."),
    ({"method": "smoothgrad"}, "There is no method 'smoothgrad'. Choose one of: gradcam,"),
    ({"detail": 4}, "There is no detail 4. Choose one of: 1, 2, 3."),
    ({"detail": True}, "There is no detail True."),
    ({"detail": float("nan")}, "There is no detail nan."),
    ({"view": "left"}, "There is no view 'left'. Choose one of: crop, whole."),
    ({"layer": 1.5}, "layer is a number from 0"),
    ({"layer": [0.5, 2]}, "layer is a number from 0"),
    ({"layer": [[1]]}, "layer is a number from 0"),
    ({"layer": ["blocks.2", "nowhere"]}, "EfficientNet-Lite0 has no layer 'nowhere'. The last"),
    ({"layer": [0.1] * 9}, "layer is a list of at most 8 layers."),
    ({"layer": [0, 1], "signed": True}, "A fused map of several layers has no signed map"),
    ({"smooth": "blur"}, "There is no smooth 'blur'. Choose one of: noise, flips."),
    ({"smooth": "noise", "method": "scorecam"}, "Score-CAM runs the network up to hundreds"),
    ({"depth": float("nan")}, "layer is a number from 0"),
    ({"outputs": ["film"]}, "outputs is a list of some of: comparison, overlay, heatmap."),
]


def test_a_mistake_is_answered_with_a_sentence_and_not_logged(
    url: str, folder: Path, cat_path: Path
):
    logged = (folder / "app.log").read_text()
    image = {"path": upload(url, cat_path), **DECLARED}
    for arguments, message in MISTAKES:
        answer = posted(url, image, **arguments).json()
        assert answer["error"].startswith(message), arguments
        assert answer["error"].endswith(".")
        assert len(answer["error"]) < 300
    more = (folder / "app.log").read_text().removeprefix(logged).splitlines()
    # Stand-ins take over meanwhile, which the log may say.
    assert [line for line in more if "gradcam_core.models.loading" not in line] == []


def test_gradio_client_raises_the_sentence(client: Client, cat_path: Path, tmp_path: Path):
    with pytest.raises(AppError, match="There is no model 'alexnet'"):
        explain(client, cat_path, models=["alexnet"])
    with pytest.raises(AppError, match=r"limit is a whole number from 1 to 1000\."):
        client.predict("", 0, api_name="/classes")
    with pytest.raises(AppError, match="There is no view 'left'"):
        client.predict(handle_file(str(cat_path)), view="left", api_name="/predict")
    text, broken = tmp_path / "picture.jpg", tmp_path / "broken.png"
    text.write_text("no picture")
    broken.write_bytes(cat_path.read_bytes()[:5000])
    with pytest.raises(AppError, match="This is not a picture"):
        explain(client, text)
    with pytest.raises(AppError, match="damaged or incomplete"):
        explain(client, broken)
    for image in (None, "photo.jpg", ["photo.jpg"], {}, {"path": 5}):
        with pytest.raises(AppError) as raised:
            client.predict(image, api_name="/explain")
        assert raised.value.message == NO_PICTURE


class _Asked(http.server.BaseHTTPRequestHandler):
    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)


def test_addresses_are_refused_and_nobody_asks_there(client: Client, url: str, folder: Path):
    logged = (folder / "app.log").read_text()
    _Asked.paths = []
    with http.server.HTTPServer(("127.0.0.1", 0), _Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/cat.jpg"
        for given in (address, "https://example.com/cat.jpg", "http://169.254.169.254/latest"):
            with pytest.raises(AppError) as raised:
                client.predict(handle_file(given), api_name="/explain")
            assert raised.value.message == NO_ADDRESSES
            for declared in ({}, DECLARED):
                assert posted(url, {"path": given, **declared}).json()["error"] == NO_ADDRESSES
        server.shutdown()
    assert _Asked.paths == []
    assert (folder / "app.log").read_text() == logged


def test_the_address_of_an_uploaded_file_will_do(client: Client, url: str, coffee_path: Path):
    address = f"{url}gradio_api/file={upload(url, coffee_path)}"
    (found,) = client.predict(handle_file(address), SMALL, api_name="/predict")
    assert found["top"][0]["name"] == "espresso"


def test_result_files_lie_where_gradio_deletes_them(
    cat_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    start()
    page = build()
    function = next(fn for fn in page.fns.values() if fn.api_name == "explain")
    upload = tmp_path / "upload" / "cat.png"
    upload.parent.mkdir()
    upload.write_bytes(cat_path.read_bytes())
    arguments: list[Any] = [block.value for block in function.inputs]  # type: ignore[union-attr]
    arguments[0] = {"path": str(upload), **DECLARED}
    arguments[1] = SMALL
    arguments[9] = ["comparison", "overlay", "heatmap"]

    def files() -> set[str]:
        return {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"cat.png"}

    made = set()
    for _ in range(2):  # the same question again makes no more files
        asyncio.run(page.process_api(function, list(arguments)))
        made = files()
        assert made == {
            "comparison.jpg",
            "efficientnet_lite0_output.png",
            "efficientnet_lite0_heatmap.npy",
        }
    assert len(list(tmp_path.rglob("*.*"))) == len(made) + 1
    delete_files_created_by_app(page, None)
    assert not files()


def test_mcp_has_the_four_as_tools_all_described(url: str):
    async def ask() -> list:
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return (await session.list_tools()).tools

    tools = asyncio.run(ask())
    assert [tool.name for tool in tools] == [name[1:] for name in ENDPOINTS]
    for tool in tools:
        assert tool.description
        for name, argument in tool.inputSchema["properties"].items():
            assert argument["description"], (tool.name, name)


def test_mcp_explains_a_picture_and_shows_the_figure(url: str, cat_path: Path):
    encoded = base64.b64encode(cat_path.read_bytes()).decode("ascii")
    image = f"data:image/png;BASE64,{encoded}"  # in either case (RFC 2045)
    address = f"{url}gradio_api/file={upload(url, cat_path)}"
    models, *explained = called(
        url,
        ("models", {}),
        ("explain", {"image": image, "target": "tabby"}),
        ("explain", {"image": address, "target": "tabby"}),
    )
    assert "EfficientNet-Lite0" in text_of(models)
    for result in explained:
        assert not result.isError
        assert '"name": "tabby"' in text_of(result)
        (picture,) = (part for part in result.content if isinstance(part, ImageContent))
        assert picture.mimeType == "image/jpeg"
        assert len(picture.data) < 1_000_000
        assert base64.b64decode(picture.data).startswith(b"\xff\xd8")


def test_mcp_answers_in_json(url: str, cat_path: Path):
    image = f"{url}gradio_api/file={upload(url, cat_path)}"
    without_files = {"image": image, "models": SMALL, "outputs": []}
    for result in called(
        url,
        ("models", {}),
        ("classes", {"search": "cat"}),
        ("classes", {"search": "zzzzqqqq"}),
        ("predict", {"image": image, "models": SMALL}),
        ("explain", without_files),  # its second output, the figure, is none
        ("explain", {**without_files, "target": "tabby", "trust": True}),
    ):
        for part in result.content:
            assert isinstance(part, TextContent)
            json.loads(part.text)


def test_mcp_is_told_of_mistakes_in_sentences(url: str, folder: Path, cat_path: Path):
    logged = (folder / "app.log").read_text()
    image = f"{url}gradio_api/file={upload(url, cat_path)}"
    wrong_class, wrong_detail, elsewhere = called(
        url,
        ("explain", {"image": image, "target": 1000}),
        ("explain", {"image": image, "detail": 7}),
        ("explain", {"image": "https://example.com/cat.jpg"}),
    )
    assert wrong_class.isError
    assert text_of(wrong_class) == "There is no class 1000: indices go from 0 to 999."
    assert text_of(wrong_detail) == "There is no detail 7. Choose one of: 1, 2, 3."
    assert text_of(elsewhere) == NO_ADDRESSES
    assert (folder / "app.log").read_text() == logged


def test_the_examples_of_use_via_api_work_as_pasted(url: str, client: Client, tmp_path: Path):
    Image.open(EXAMPLES / "1_cat.jpg").save(tmp_path / "photo.jpg")
    endpoints = requests.get(f"{url}gradio_api/info", timeout=30).json()["named_endpoints"]
    assert list(endpoints) == ENDPOINTS
    programs = [endpoint["code_snippets"]["python"] for endpoint in endpoints.values()]
    programs = [text.replace("print(result)", "print('ran', len(result))") for text in programs]
    # In one process, which imports the client once.
    command = [sys.executable, "-c", "import sys\nfor text in sys.argv[1:]: exec(text, {})"]
    ran = subprocess.run(
        [*command, *programs], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.count("ran ") == len(ENDPOINTS)
    shells = cycle(filter(shutil.which, ("sh", "bash")))
    for endpoint, shell in zip(endpoints.values(), shells, strict=False):
        snippets = endpoint["code_snippets"]
        command = [shell, "-c", snippets["bash"]]
        told = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        assert "event: complete" in told, told
        assert json.loads(told.split("data: ")[-1].splitlines()[0])
        for text in (snippets["javascript"], snippets["cli"]):
            assert not re.search(r'None|True|False|"\.\.\."|rivals|against|depth', text)
        script = tmp_path / "script.mjs"
        script.write_text(snippets["javascript"])
        if node := shutil.which("node"):
            subprocess.run([node, "--check", script], check=True)
        assert ("handle_file" in snippets["javascript"]) == ("image" in snippets["javascript"])
        json.loads(re.search(r"'(.*)'", snippets["cli"], re.DOTALL)[1])  # type: ignore[index]
    # One of them is enough, each imports Gradio anew: that which has a file and nulls.
    line = endpoints["/explain"]["code_snippets"]["cli"]
    line = line.replace("{command} predict", f"{sys.executable} -m gradio predict")
    command = ["sh", "-c", f"{line.strip()} --download-files {tmp_path}"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert '"schema_version"' in json.dumps(json.loads(told))


def test_a_class_of_ones_own_with_a_comma_in_its_name_does_not_stop_the_page(tmp_path: Path):
    weights, labels = tmp_path / "mine.safetensors", tmp_path / "labels.txt"
    save_file(timm.create_model("test_resnet", num_classes=2).state_dict(), weights)
    labels.write_text("Smith, John\nother\n")
    gc.register("Mine", "test_resnet", weights=weights, labels=labels)
    try:
        config = build().get_config_file()
    finally:
        remove_model("mine")
    assert b"Smith, John" in orjson.dumps(config, default=str)


def test_covered_places_are_covered_and_what_became_of_the_class_is_found(client: Client):
    coffee, cover = EXAMPLES / "2_coffee.jpg", ["0.35,0.2,0.65,0.6:grey"]
    found, _ = explain(client, coffee, models=SMALL, cover=cover, outputs=[])
    e = gc.explain(coffee, SMALL[0], cover=cover)
    effect = gc.cover_effect(e)
    assert effect is not None
    told = found["explanations"][0]["cover_effect"]
    assert told["before"] == pytest.approx(effect.before, rel=1e-3)
    assert told["after"] == pytest.approx(effect.after, rel=1e-3)
    assert (told["rank_after"], told["words"]) == (effect.rank_after, effect.words)
    assert found["photo"]["covers"] == [one.record() for one in e.covers]
    with pytest.raises(AppError, match="is empty"):
        explain(client, coffee, models=SMALL, cover=["0.5,0.2,0.1,0.6"])
