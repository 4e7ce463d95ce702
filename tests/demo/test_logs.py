"""The log of the server says where something went wrong, and nothing of those who visit."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.support.api import SMALL, called
from tests.support.app_server import NO_NETWORKS, ROOT, running_app
from tests.support.uploads import DECLARED

TELLING = "holiday_of_ann_smith"
ADDRESS = "https://ann-smith.example/holiday"
VISITOR = "203.0.113.77"

FAULTY = f"""
import app, demo.server.stream, demo.api.functions

def faulty(*given, **named):
    raise ValueError("/home/{TELLING}.jpg of {ADDRESS}") from KeyError("{TELLING}")

demo.server.stream.result_of = demo.api.functions.findings = faulty
{NO_NETWORKS}
app.main()
"""
"""The app with a bug, whose message holds what it must not say."""

HEADERS = {
    "X-Forwarded-For": VISITOR,
    "User-Agent": TELLING,
    "Referer": ADDRESS,
    "Cookie": f"name={TELLING}",
}


def tell(url: str, cat_path: Path) -> None:
    """All that a visitor can send, right and wrong, with telling words wherever they can stand."""
    gradio = f"{url}gradio_api/"
    picture = cat_path.read_bytes()
    files = {
        "": picture,
        "_cut": picture[:5000],
        "_text": TELLING.encode(),
        "_empty": b"",
        "_noise": picture[:60] + TELLING.encode() * 200,
    }
    paths = []
    for suffix, content in files.items():
        name = f"{TELLING}{suffix}.png"
        answer = requests.post(
            f"{gradio}upload",
            files={"files": (name, content, "image/png")},
            headers=HEADERS,
            timeout=30,
        )
        paths += answer.json()
    maps = [{"id": TELLING, "model": SMALL[0]}]
    photos: list[dict[str, Any]] = [{"upload": path} for path in paths]
    photos += [{"address": f"{ADDRESS}.jpg"}, {"address": f"http://127.0.0.1:1/{TELLING}.jpg"}]
    photos += [{"upload": f"/{TELLING}.png"}, {"example": TELLING}, {TELLING: TELLING}]
    for photo in photos:
        body = json.dumps(photo | {"maps": maps, "compare": True})
        requests.post(f"{url}explain-stream?{TELLING}", data=body, headers=HEADERS, timeout=60)
        body = json.dumps(photo | {"maps": maps, "file": f"{TELLING}.png"})
        requests.post(f"{url}download", data=body, headers=HEADERS, timeout=60)
    images: list[Any] = [{"path": path, "orig_name": TELLING, **DECLARED} for path in paths]
    images += [{"path": f"/{TELLING}.png", **DECLARED}, {"path": f"{ADDRESS}.png", **DECLARED}]
    images += [f"/{TELLING}.png", [[{"path": f"../{TELLING}", **DECLARED}]], TELLING, None]
    for image in images:
        choices = [SMALL, None, None, False, "gradcam", 1, "crop", 1, [], False]
        for data in ([image, *choices], [image, SMALL]):
            body = json.dumps({"data": data})
            for name in ("explain", "predict", TELLING):
                requests.post(f"{gradio}run/{name}", data=body, headers=JSON, timeout=60)
        began = requests.post(f"{gradio}call/explain", json={"data": [image, SMALL]}, timeout=60)
        requests.get(f"{gradio}call/explain/{began.json()['event_id']}", timeout=60)
    requests.post(f"{gradio}call/v2/{TELLING}", json={TELLING: 1}, timeout=30)
    requests.post(f"{gradio}call/v2/explain", json={TELLING: 1}, timeout=30)
    encoded = base64.b64encode(TELLING.encode()).decode("ascii")
    called(
        url,
        (TELLING, {TELLING: TELLING}),
        ("explain", {"image": f"/{TELLING}.png"}),
        ("explain", {"image": f"data:image/png;base64,{encoded}"}),
        ("explain", {"image": f"{url}gradio_api/file={paths[0]}", "models": SMALL}),
    )
    unknown = {"jsonrpc": "2.0", "id": 1, "method": TELLING, "params": {TELLING: TELLING}}
    accepted = {"Accept": "application/json, text/event-stream"}
    requests.post(f"{gradio}mcp/", json=unknown, headers=accepted, timeout=30)
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    requests.post(f"{gradio}upload", data=TELLING, headers=boundary, timeout=30)
    for path in (
        TELLING,
        f"gradio_api/file=/{TELLING}",
        f"gradio_api/proxy={ADDRESS}",
        "monitoring",
    ):
        requests.get(f"{url}{path}?{TELLING}", headers=HEADERS, timeout=30)


JSON = HEADERS | {"Content-Type": "application/json"}


def test_the_log_says_nothing_of_visitors_and_where_a_bug_is(tmp_path: Path, cat_path: Path):
    with running_app(tmp_path, command=(sys.executable, "-c", FAULTY)) as url:
        tell(url, cat_path)
    log = (tmp_path / "app.log").read_text()
    for word in (TELLING, "ann-smith", "ann_smith", VISITOR, str(tmp_path), "GET /", "POST /"):
        assert word not in log
    # Of no picture, address or upload, but of the bug: its type, its cause, and the way to it.
    bug = r"ERROR demo\.middleware\.error_answers: a request failed\nTraceback.*\nValueError\n"
    assert re.search(bug, log)
    assert '"<string>", line 5, in faulty' in log
    assert "demo/server/stream.py" in log
    assert "demo/api/functions.py" in log
    assert "KeyError\n" in log
    # Whatever else went wrong was no bug of ours, and has one line each.
    assert log.count("Traceback") == log.count("in faulty")
    assert re.search(r"a message, left out here, from \w+/\w+\.py:\d+\n", log)


PROGRAM = f"""
import asyncio, logging, sys, threading, traceback, warnings
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")
from demo.logs import keep_visitors_out_of_the_log
keep_visitors_out_of_the_log()

def fail():
    raise OSError("{TELLING}")

class Lost:
    def __del__(self):
        fail()

async def forgotten():
    asyncio.create_task(tasks())
    await asyncio.sleep(0.01)

async def tasks():
    raise ExceptionGroup("{TELLING}", [KeyError("{TELLING}")])

for name in ("", "urllib3.connectionpool", "PIL", "mcp.server"):
    logging.getLogger(name).warning("asked for %s", "{TELLING}")
    logging.getLogger(name).error(f"asked for {TELLING}")
for name in ("demo.x", "uvicorn.error", "mcp"):
    try:
        fail()
    except OSError:
        logging.getLogger(name).exception("failed")
        traceback.print_exc()
warnings.warn("{TELLING}")
warnings.warn(UserWarning("{TELLING}"))
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Lost()
asyncio.run(forgotten())
logging.getLogger("gradcam_core.models.registry").info("the network is loaded")
"""


def test_whoever_logs_prints_or_warns_says_where_and_no_more(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "always"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert TELLING not in said
    for expected in (
        "WARNING urllib3.connectionpool: a message, left out here, from ",
        "ERROR demo.x: failed\nTraceback",
        "ERROR mcp: a message, left out here, from ",
        "ERROR demo.logs: a request failed: OSError < fail (<string>:8)",
        "WARNING demo.logs: UserWarning at <string>:",
        "ERROR demo.logs: a thread failed\nTraceback",
        "ERROR demo.logs: an exception was lost: OSError < fail ",
        "ERROR asyncio: a message, left out here, from ",
        "ExceptionGroup\n",
        "KeyError\n",
        "INFO gradcam_core.models.registry: the network is loaded",
    ):
        assert expected in said, expected
