"""The page's own way to the server, without a browser: what is asked and what is answered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import demo.server.answers
import gradcam_core as gc
from demo.server.stream import BROKEN_NETWORK
from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.images.prepare import prepare
from tests.support.forward_passes import HeldPasses, counted_passes
from tests.support.photos import EXAMPLES, fresh_photo
from tests.support.stream import (
    CAT,
    COFFEE,
    MODELS,
    LeavingClient,
    ask,
    assert_is,
    explain_stream,
    map_requests,
    results,
    shares,
    stream_in_this_process,
)
from tests.support.uploads import upload


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[TestClient]:
    """The channel in this process, without the page."""
    with stream_in_this_process() as running:
        yield running


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The modules of the forward passes that run."""
    return counted_passes(monkeypatch)


def test_the_answers_come_line_by_line_with_the_photo_once_and_what_is_common_at_the_end(app: str):
    answers = explain_stream(app, {"example": CAT, "maps": map_requests(*MODELS), "compare": True})
    assert list(answers[0]) == ["id"]
    photos = [answer["photo"] for answer in answers if "photo" in answer]
    assert [photo["id"] for photo in photos] == [answers[0]["id"]]
    with Image.open(EXAMPLES / f"{CAT}.jpg") as picture:
        assert (photos[0]["width"], photos[0]["height"]) == picture.size
    with Image.open(io.BytesIO(base64.b64decode(photos[0]["jpeg"]))) as shown:
        assert (shown.format, shown.size) == ("JPEG", picture.size)
    assert set(answers[-1]) == {"comparison", "insight"}
    assert sorted(results(answers)) == sorted(MODELS)
    for model in MODELS:
        told = [answer for answer in answers if answer.get("map") == model]
        assert {"map", "cell", "network"} in map(set, told[:-1])
        assert all(set(answer) <= {"map", "cell", "status", "network"} for answer in told[:-1])
        assert "result" in told[-1]


def test_a_photo_that_the_page_has_is_not_sent_again(app: str):
    first = explain_stream(app, {"example": CAT, "maps": map_requests(MODELS[0])})
    photo_id = first[0]["id"]
    again = explain_stream(
        app, {"example": CAT, "maps": map_requests(MODELS[0]), "shown_photo_id": photo_id}
    )
    assert again[0] == {"id": photo_id}
    assert not any("photo" in answer for answer in again)
    other = explain_stream(
        app, {"example": COFFEE, "maps": map_requests(MODELS[0]), "shown_photo_id": photo_id}
    )
    assert other[0]["id"] != photo_id
    assert sum("photo" in answer for answer in other) == 1


@pytest.mark.parametrize(
    ("asked", "choices", "same"),
    [
        ({}, {}, {}),
        ({"target": 967, "view": "whole"}, {}, {"target": 967, "view": "whole"}),
        ({"target": 281, "contrast": 282}, {}, {"target": 281, "contrast": 282}),
        ({"target": 281}, {"contrast": True}, {"target": 281, "contrast": True}),
        ({}, {"method": "layercam", "detail": 2}, {"method": "layercam", "detail": 2}),
        ({"target": 281}, {"method": "eigencam", "contrast": True}, {"method": "eigencam"}),
        ({}, {"layer": 0.0}, {"layer": 0}),
        ({}, {"layer": 0.5, "detail": 2}, {"layer": 0.5, "detail": 2}),
    ],
)
def test_a_result_is_what_the_core_explains(app: str, lite0: gc.Model, asked, choices, same):
    path = EXAMPLES / f"{CAT}.jpg"
    answers = explain_stream(
        app, {"example": CAT, "maps": map_requests(MODELS[0], **choices), **asked}
    )
    if "layer" in same:
        stages = lite0.stages
        same = same | {"layer": stages[round(same["layer"] * (len(stages) - 1))].layer}
    if same.get("method") == "eigencam":
        same = same | {"target": 281}
    assert_is(results(answers)[MODELS[0]], gc.explain(path, lite0, **same))


def test_pages_of_version_1_0_that_are_still_open_are_answered(app: str, lite0: gc.Model):
    wanted = map_requests(MODELS[0], rivals=True, depth=0.5)
    body = {"example": CAT, "target": 281, "against": 282, "cells": wanted, "compare": True}
    answers = explain_stream(app, body)
    (answer,) = (one for one in answers if "result" in one)
    layer = lite0.stages[round(0.5 * (len(lite0.stages) - 1))].layer
    expected = gc.explain(EXAMPLES / f"{CAT}.jpg", lite0, 281, contrast=282, layer=layer)
    assert answer["cell"] == MODELS[0]
    assert_is(answer["result"], expected)
    assert answers[-1]["insight"]["sentences"] == list(summary([expected]))


def test_an_uploaded_photo_of_any_shape_is_explained_too(app: str, lite0: gc.Model):
    for size in ((60, 900), (900, 45)):
        data = fresh_photo(5, size)
        for view in ("crop", "whole"):
            body = {"upload": upload(app, data), "view": view, "maps": map_requests(MODELS[0])}
            result = results(explain_stream(app, body))[MODELS[0]]
            assert_is(result, gc.explain(data, lite0, view=view))


def test_a_map_is_checked_with_progress_where_that_is_asked_for(app: str, lite0: gc.Model):
    checked = {"id": "one", "model": MODELS[0], "trust": True}
    answers = explain_stream(app, {"example": CAT, "target": 281, "maps": [checked]})
    kinds = [next(iter(answer.keys() - {"map", "cell"})) for answer in answers if "map" in answer]
    assert kinds.index("result") < kinds.index("trust") == len(kinds) - 1
    statuses = [answer["status"] for answer in answers if "status" in answer]
    assert any(re.fullmatch(r"Checking: [1-9]\d?%", status) for status in statuses)
    photo = gc.read_image(EXAMPLES / f"{CAT}.jpg")
    network = gc.load_model(MODELS[0])
    expected = run_checks(photo, network, gc.explain(photo, network, 281))
    assert answers[-1]["trust"]["sentence"] == expected.sentence
    found = answers[-1]["trust"]["insertion"]["probabilities"]
    assert found == pytest.approx(expected.insertion.probabilities, abs=1e-3)
    assert set(answers[-1]["trust"]) == {*expected.record(), "pictures", "limits"}
    for name, part in (("without", expected.without), ("alone", expected.alone)):
        jpeg = base64.b64decode(answers[-1]["trust"]["pictures"][name])
        with Image.open(io.BytesIO(jpeg)) as shown:
            difference = np.abs(np.asarray(shown, int) - np.asarray(part.picture, int))
        assert difference.mean() < 4
    again = explain_stream(app, {"example": CAT, "target": 281, "maps": [checked]})
    assert not any("Checking" in answer.get("status", "") for answer in again)
    assert [answer for answer in again if "trust" in answer] == answers[-1:]


def test_what_the_maps_have_in_common_is_what_the_core_says(app: str):
    path = EXAMPLES / f"{CAT}.jpg"
    body = {"example": CAT, "maps": map_requests(*MODELS), "compare": True, "target": 282}
    comparison = explain_stream(app, body)[-1]["comparison"]
    explanations = [gc.explain(path, model, 282) for model in MODELS]
    found = agreement(explanations)
    assert found
    assert comparison["sentences"] == list(summary(explanations))
    told = comparison["agreement"]
    assert [one["name"] for one in told["looked_at"]] == list(MODELS)
    heats = [one["from_heat"] for one in told["looked_at"]]
    np.testing.assert_allclose(heats, found.thresholds, atol=1e-3)
    np.testing.assert_allclose(told["shares"], found.shares, atol=1e-3)
    for pair, expected in zip(told["pairs"], found.pairs, strict=True):
        assert pair["names"] == [MODELS[expected.first], MODELS[expected.second]]
        assert pair["overlap"] == pytest.approx(expected.overlap, abs=2e-3)
        assert pair["rank_correlation"] == pytest.approx(expected.correlation, abs=2e-3)
    one = explain_stream(app, body | {"maps": map_requests(MODELS[0])})
    assert one[-1]["comparison"]["agreement"] is None


def test_a_network_is_not_explained_rather_than_itself(app: str, lite0: gc.Model):
    top = gc.examine(EXAMPLES / f"{CAT}.jpg", lite0).top
    body = {"example": CAT, "maps": map_requests(MODELS[0]), "contrast": top[0].index}
    result = results(explain_stream(app, body))[MODELS[0]]
    assert result["target"]["index"] == top[1].index


def test_a_map_in_which_nothing_speaks_for_the_class_is_all_zero_and_says_so(
    app: str, lite0: gc.Model
):
    held = gc.examine(EXAMPLES / f"{CAT}.jpg", lite0)
    empty = next(c for c in range(1000) if held.explain(c).degenerate)
    body = {"example": CAT, "maps": map_requests(*MODELS), "target": empty, "compare": True}
    answers = explain_stream(app, body)
    result = results(answers)[MODELS[0]]
    assert result["degenerate"] == held.explain(empty).degenerate
    assert not shares(result).any()
    told = answers[-1]["comparison"]["agreement"]
    assert told["looked_at"][0] == {"name": MODELS[0], "from_heat": None}


def test_another_class_runs_no_forward_pass(client: TestClient, passes: list[Any]):
    ask(client, example=CAT)
    passes.clear()
    for choice in ({"target": 281}, {"target": 5}, {"target": 281, "contrast": 282}, {}):
        answers = ask(client, example=CAT, compare=True, **choice)
        assert len(results(answers)) == 3
    answers = ask(client, example=CAT, maps=map_requests(*MODELS, method="layercam"))
    assert len(results(answers)) == 3
    assert passes == []


def test_all_who_ask_for_the_same_share_its_passes(
    client: TestClient, passes: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "new.png").write_bytes(fresh_photo(21))
    upload = str(tmp_path / "new.png")
    with ThreadPoolExecutor(6) as visitors:
        asking = [visitors.submit(ask, client, upload=upload, target=n) for n in range(6)]
        answers = [one.result() for one in asking]
    assert len(passes) == len(MODELS)
    for n, told in enumerate(answers):
        assert [result["target"]["index"] for result in results(told).values()] == [n] * 3


def test_photos_that_are_asked_for_at_once_never_mix(app: str, lite0: gc.Model):
    files = [fresh_photo(seed) for seed in range(30, 36)]
    paths = [upload(app, data) for data in files]
    asked = [(n, target) for target in (281, 967) for n in range(len(files))]
    with ThreadPoolExecutor(len(asked)) as visitors:
        bodies = [
            {"upload": paths[n], "target": target, "maps": map_requests(MODELS[0])}
            for n, target in asked
        ]
        answers = list(visitors.map(lambda body: explain_stream(app, body), bodies))
    held = [gc.examine(data, lite0) for data in files]
    for (n, target), all_told in zip(asked, answers, strict=True):
        told = [answer for answer in all_told if list(answer) != ["waiting"]]
        assert told[0]["id"] == hashlib.sha256(files[n]).hexdigest()
        assert_is(results(told)[MODELS[0]], held[n].explain(target))


def test_what_a_visitor_who_has_left_alone_wanted_is_not_begun(monkeypatch: pytest.MonkeyPatch):
    # Loaded now, so that they are asked for in their order.
    modules = [gc.load_model(name).module for name in MODELS]
    passes = HeldPasses(monkeypatch)

    async def visits() -> None:
        body = {"example": "6_astronaut", "maps": map_requests(*MODELS)}
        staying = LeavingClient("/explain-stream", body | {"maps": map_requests(MODELS[2])})
        leaving = LeavingClient("/explain-stream", body)
        asking = asyncio.create_task(leaving.ask())
        await asyncio.to_thread(passes.have_begun.wait, 60)
        other = asyncio.create_task(staying.ask())
        while not any("network" in answer for answer in staying.answers):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # it waits for the same pass as the other
        leaving.leave()
        await asking
        passes.may_end.set()
        while not results(staying.answers):  # another visitor's wish is still met
            await asyncio.sleep(0.01)
        staying.leave()
        await other
        assert not results(leaving.answers)

    asyncio.run(visits())
    assert len(passes.modules) == 2
    assert set(map(id, passes.modules)) < set(map(id, modules))
    assert passes.modules[1] is modules[2]


def is_on_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_the_event_loop_computes_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    """It serves everybody, so maps, sentences and long lines are made in threads."""
    on_loop: list[str] = []

    def watched(module: Any, name: str, is_long: Callable[[Any], bool] = lambda result: True):
        function = getattr(module, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if is_on_an_event_loop() and is_long(result):
                on_loop.append(name)
            return result

        monkeypatch.setattr(module, name, called)

    for name in ("finding", "in_common"):
        watched(demo.server.answers, name)
    watched(base64, "b64encode")
    watched(json, "dumps", lambda line: len(line) > 1000)
    answers = ask(client, example=CAT, compare=True)
    assert len(results(answers)) == len(MODELS)
    assert any("photo" in answer for answer in answers)
    assert on_loop == []


def test_a_network_that_fails_says_so_and_the_others_go_on(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    second = gc.load_model(MODELS[1]).preprocessing

    def broken(photo, preprocessing, *others):
        if preprocessing == second:
            raise RuntimeError("a secret of the server")
        return prepare(photo, preprocessing, *others)

    monkeypatch.setattr("demo.compute.local.prepare", broken)
    answers = ask(client, example="5_rocket", compare=True)
    assert sorted(results(answers)) == [MODELS[0], MODELS[2]]
    assert {"map": MODELS[1], "cell": MODELS[1], "failed": BROKEN_NETWORK} in answers
    looked_at = answers[-1]["comparison"]["agreement"]["looked_at"]
    assert [one["name"] for one in looked_at] == [MODELS[0], MODELS[2]]
    assert "a secret of the server" in caplog.text
    assert "secret" not in json.dumps(answers)


def test_what_is_no_picture_is_answered_with_a_sentence(app: str):
    path = upload(app, b"this is not a picture", "holiday.jpg")
    answers = explain_stream(app, {"upload": path, "maps": map_requests(*MODELS), "compare": True})
    assert len(answers) == 1
    assert "not a picture in a format that can be read" in answers[0]["problem"]


# Covered places


def test_a_covered_photo_is_another_one_and_its_results_say_what_the_class_had_before(
    client: TestClient,
):
    cover = "0.35,0.2,0.65,0.6:grey"
    answers = ask(client, example=COFFEE, covers=[cover], compare=True)
    (photo,) = (answer["photo"] for answer in answers if "photo" in answer)
    assert photo["notices"] == ["A place of the photo is covered, 12 % of it: grey."]
    with Image.open(io.BytesIO(base64.b64decode(photo["jpeg"]))) as shown:
        np.testing.assert_allclose(np.asarray(shown)[150, 300], 128, atol=3)
    found = results(answers)
    explanations = [gc.explain(EXAMPLES / f"{COFFEE}.jpg", name, cover=cover) for name in MODELS]
    for name, e in zip(MODELS, explanations, strict=True):
        assert_is(found[name], e)
        effect = gc.cover_effect(e)
        assert effect is not None
        for key, value in effect.record().items():
            expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-3)
            assert found[name]["cover_effect"][key] == expected, key
    assert answers[-1]["comparison"]["sentences"] == list(summary(explanations))
    plain = ask(client, example=COFFEE, shown_photo_id=photo["id"])
    assert any("photo" in answer for answer in plain)  # uncovered, it is shown anew
    assert {one["cover_effect"] for one in results(plain).values()} == {None}


def test_the_hottest_place_and_as_large_a_cold_one_are_found_and_covered(client: TestClient):
    path = EXAMPLES / f"{COFFEE}.jpg"
    every = [gc.explain(path, name) for name in MODELS]
    first, *_ = ask(client, example=COFFEE, hottest={"model": None, "fill": "mean"})
    hottest = gc.hottest_place(every, "mean")
    assert first == {"covers": [hottest.text]}
    first, *_ = ask(client, example=COFFEE, hottest={"model": MODELS[1]})
    assert first == {"covers": [gc.hottest_place(every[1]).text]}
    once_more = ask(client, example=COFFEE, covers=[hottest.text], hottest={"model": MODELS[1]})
    again = gc.hottest_place(gc.explain(path, MODELS[1], cover=hottest))
    assert once_more[0] == {"covers": [hottest.text, again.text]}
    answers = ask(client, example=COFFEE, covers=[hottest.text], elsewhere=True)
    cold = gc.cold_places(every, [hottest])
    assert answers[0] == {"covers": [cold[0].text]}
    assert_is(results(answers)[MODELS[0]], gc.explain(path, MODELS[0], cover=cold))


def test_where_no_place_is_left_it_is_said_and_the_maps_come_all_the_same(client: TestClient):
    answers = ask(client, example=COFFEE, covers=["0,0,1,1"], elsewhere=True)
    assert answers[0]["refused"].startswith("There is no room")
    assert len(results(answers)) == len(MODELS)


def test_a_class_is_kept_and_no_pass_runs_again_for_it(client: TestClient, passes: list[Any]):
    covers = ["0.2,0.2,0.4,0.4"]
    ask(client, example=COFFEE, covers=covers)
    passes.clear()
    cup = results(ask(client, example=COFFEE, covers=covers, target=968))
    assert {one["target"]["name"] for one in cup.values()} == {"cup"}
    assert passes == []
