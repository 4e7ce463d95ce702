"""Frames of a camera, as the live view sends them: what is answered, refused and kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

import demo.server.live as live
import gradcam_core as gc
from demo.compute.photo import read_frame
from demo.compute.service import start
from demo.gradio_internals import get_upload_folder
from demo.server.live import LiveFrames, LiveVisitors
from demo.server.routes import routes
from demo.settings import Settings
from gradcam_core.errors import BusyError
from tests.support.forward_passes import HeldPasses, counted_passes
from tests.support.photos import EXAMPLES
from tests.support.stream import MODELS, shares

VISITOR = "visitor-1"
SIZE = 448, 336
HEADERS = {"Content-Type": "image/jpeg"}


def jpeg(size: tuple[int, int] = SIZE, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    with Image.open(EXAMPLES / "3_cat_and_coffee.jpg") as photo:
        photo.convert("RGB").resize(size).save(file, kind, quality=85)
    return file.getvalue()


FRAME = jpeg()


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[TestClient]:
    start()
    with TestClient(Starlette(routes=routes())) as running:
        yield running


def ask(client: TestClient, body: bytes = FRAME, **given: Any) -> Any:
    asked = {"visitor": VISITOR, "models": MODELS[0], **given}
    return client.post("/live", params=asked, content=body, headers=HEADERS)


def test_every_network_says_what_it_sees_in_the_frame_and_where(client: TestClient):
    answer = ask(client, models=",".join(MODELS), frame=7).json()
    assert (answer["frame"], answer["pause_s"]) == (7, 0)
    assert [one["asked"] for one in answer["results"]] == list(MODELS)
    for one in answer["results"]:
        e = gc.explain(FRAME, one["asked"])
        assert abs(shares(one) - e.feature_map / e.feature_map.max()).max() < 0.01
        assert [row["name"] for row in one["top"]] == [row.name for row in e.top]
        assert one["target"]["probability"] == pytest.approx(e.target.probability, rel=1e-3)
        assert np.multiply(one["box"], SIZE * 2) == pytest.approx(e.box)


def test_a_pinned_class_and_the_whole_frame_are_explained(client: TestClient):
    (one,) = ask(client, target=281, view="whole").json()["results"]
    e = gc.explain(FRAME, MODELS[0], target=281, view="whole")
    assert (one["target"]["index"], one["target"]["name"]) == (281, "tabby")
    assert abs(shares(one) - e.feature_map / e.feature_map.max()).max() < 0.01
    assert one["box"] == pytest.approx([0, 0, 1, 1])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"no picture",
        FRAME[: len(FRAME) // 3][:200],
        jpeg(kind="PNG"),
        jpeg((1400, 20)),
        b"\xff\xd8\xff" + bytes(1000),
    ],
    ids=["nothing", "text", "cut off", "PNG", "too wide", "no JPEG inside"],
)
def test_what_is_no_frame_is_told_in_a_sentence(client: TestClient, frame: bytes):
    answer = ask(client, frame)
    assert answer.status_code == 422
    assert list(answer.json()) == ["problem"]
    assert 10 < len(answer.json()["problem"]) < 200
    assert ask(client).status_code == 200  # the next frame is looked at


def test_a_frame_of_too_many_bytes_is_not_read(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    passes = counted_passes(monkeypatch)
    answer = ask(client, FRAME + bytes(live.MAX_FRAME_BYTES))
    assert (answer.status_code, answer.json()) == (413, {"problem": live.TOO_LARGE})
    assert passes == []


@pytest.mark.parametrize(
    "given",
    [
        {"models": "no_network"},
        {"models": ""},
        {"visitor": "x"},
        {"visitor": "../../../etc"},
        {"target": 10**6},
        {"view": "sideways"},
        {"frame": -1},
        {"method": "scorecam"},
    ],
)
def test_a_request_that_no_page_sends_is_refused(client: TestClient, given: dict[str, Any]):
    answer = ask(client, **given)
    assert (answer.status_code, list(answer.json())) == (422, ["problem"])


def test_a_form_of_another_site_is_refused(client: TestClient):
    asked = {"visitor": VISITOR, "models": MODELS[0]}
    answer = client.post(
        "/live", params=asked, content=FRAME, headers={"Content-Type": "text/plain"}
    )
    assert (answer.status_code, answer.json()) == (415, {"problem": live.NOT_A_FRAME})


def test_where_it_is_switched_off_no_frame_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    passes = counted_passes(monkeypatch)
    with TestClient(Starlette(routes=routes(live=LiveFrames(is_on=False)))) as off:
        answer = ask(off)
    assert (answer.status_code, answer.json()) == (200, {"problem": live.OFF})
    assert passes == []


def test_nothing_of_a_frame_is_kept(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    uploads = sorted(Path(get_upload_folder()).rglob("*"))
    ask(client)
    passes = counted_passes(monkeypatch)
    with caplog.at_level("DEBUG"):
        for _ in range(3):
            ask(client)
        ask(client, FRAME[:500])
    assert len(passes) == 3  # the same frame is looked at anew
    assert sorted(Path(get_upload_folder()).rglob("*")) == uploads
    assert list(tmp_path.iterdir()) == []
    assert [one for one in caplog.records if one.name.startswith(("demo", "gradcam_core"))] == []


def test_while_one_frame_is_looked_at_another_is_read_and_no_third_is_taken(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    held = HeldPasses(monkeypatch)
    is_read = threading.Event()

    def read(frame: bytes) -> Image.Image:
        picture = read_frame(frame)
        if held.have_begun.is_set():
            is_read.set()
        return picture

    monkeypatch.setattr("demo.compute.service.read_frame", read)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, client, frame=1)
        assert held.have_begun.wait(60)
        second = pool.submit(ask, client, frame=2)
        assert is_read.wait(60)
        assert len(held.modules) == 1
        third = ask(client, frame=3)
        held.may_end.set()
    assert (third.status_code, third.json()) == (422, {"problem": live.TOO_MANY_FRAMES})
    assert [one.result().json()["frame"] for one in (first, second)] == [1, 2]
    assert len(held.modules) == 2


def test_one_visitor_too_many_is_told_so_until_another_has_gone(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "VISITOR_KEPT_S", 1000.0)
    with TestClient(Starlette(routes=routes())) as fresh:
        for n in range(live.MOST_VISITORS):
            assert "results" in ask(fresh, visitor=f"visitor-{n}").json()
        refused = ask(fresh, visitor="visitor-too-many")
        assert refused.json() == {"problem": live.BUSY, "again": 1000}
        assert "results" in ask(fresh, visitor="visitor-0").json()
    now = 0.0
    visitors = LiveVisitors(lambda: now)
    for n in range(live.MOST_VISITORS):
        with visitors.frame(str(n)):
            pass
    now = 900.0
    with visitors.frame("0"):
        pass
    with pytest.raises(BusyError), visitors.frame("new"):
        pass
    now = 1001.0
    with visitors.frame("new"):  # in place of one that has sent none for so long
        pass


def test_a_page_offers_it_where_the_server_has_it():
    assert Settings().takes_frames
    assert not Settings(is_live=False).takes_frames
    assert not Settings(backend="ray").takes_frames  # replicas have no live view
