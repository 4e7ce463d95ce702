"""Visitors of the app, as sessions of `gradio_client`: for the benchmark of load and for the tests
that kill the server while somebody is there."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from gradcam_core.models.registry import DEFAULT_MODELS

CLASSES_CHANGED = 2  # for each photo
LEAVING = 1 / 8  # of the photos, whose visitor goes before the answer


@dataclass
class Seen:
    """What visitors have met. photos, changes: seconds that they waited; left: photos that their
    visitor did not wait for."""

    photos: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    left: int = 0
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, several: Sequence[Seen]) -> Seen:
        """All of them together."""
        photos, changes, errors = (
            [one for seen in several for one in getattr(seen, name)]
            for name in ("photos", "changes", "errors")
        )
        return cls(photos, changes, sum(seen.left for seen in several), errors)


def visit(
    url: str, files: list[Path], seed: int, seen: Seen, models: Sequence[str] = DEFAULT_MODELS
) -> None:
    """One visitor with these photos."""
    chance = random.Random(seed)
    try:
        client = Client(url, verbose=False)
    except Exception as error:
        seen.errors.append(repr(error))
        return
    for file in files:
        asked: dict[str, Any] = {"image": handle_file(str(file)), "outputs": []}
        asked["models"] = list(models)
        if chance.random() < LEAVING:
            job = client.submit(**asked, api_name="/explain")
            time.sleep(chance.uniform(0.1, 0.5))
            job.cancel()
            seen.left += 1
            continue
        try:
            start = time.monotonic()
            findings, _ = client.predict(**asked, api_name="/explain")
            seen.photos.append(time.monotonic() - start)
            for rank in range(1, 1 + CLASSES_CHANGED):
                target = findings["explanations"][0]["top"][rank]["name"]
                start = time.monotonic()
                changed, _ = client.predict(**asked, target=target, api_name="/explain")
                seen.changes.append(time.monotonic() - start)
                names = {one["target"]["name"] for one in changed["explanations"]}
                if names != {target}:
                    seen.errors.append(f"asked for {target}, got {names}")
        except Exception as error:
            seen.errors.append(repr(error))
    client.close()
