"""A call of the API ends with its client."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from demo.compute.service import SLOW_QUEUE_LENGTH
from tests.support.photos import fresh_photo
from tests.support.uploads import upload

LITE0 = "efficientnet_lite0"

LEAVES = """
import sys, time
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
client.submit(
    handle_file(sys.argv[2]), method="scorecam", models=["xception"], api_name="/explain"
)
print("asked", flush=True)
time.sleep(600)
"""


def test_who_leaves_the_api_takes_the_work_along(app: str, tmp_path: Path):
    """A slow method, which would keep the next one waiting for minutes."""
    path = tmp_path / "photo.png"
    path.write_bytes(fresh_photo(580))
    command = [sys.executable, "-c", LEAVES, app, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as leaving:
        assert leaving.stdout
        assert leaving.stdout.readline() == "asked\n"
        time.sleep(1)
        leaving.kill()
    # More of them than may wait, without Gradio's queue: they do not wait for their answers.
    photo = {"path": upload(app, path), "meta": {"_type": "gradio.FileData"}}
    choices = [["xception"], None, None, False, "scorecam", 1, "crop", 1.0, [], False]

    def leave(_: int) -> None:
        with suppress(requests.Timeout):
            url = f"{app}gradio_api/run/explain"
            requests.post(url, json={"data": [photo, *choices]}, timeout=2)

    with ThreadPoolExecutor(SLOW_QUEUE_LENGTH + 2) as visitors:
        list(visitors.map(leave, range(SLOW_QUEUE_LENGTH + 2)))
    time.sleep(1)
    staying = Client(app, verbose=False)
    findings, _ = staying.predict(
        handle_file(str(path)),
        method="ablationcam",
        models=[LITE0],
        outputs=[],
        api_name="/explain",
    )
    assert findings["explanations"][0]["method"] == "ablationcam"
    staying.close()
