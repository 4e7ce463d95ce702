"""Simulated visitors, who send the page's own requests or use `gradio_client`, for the load
benchmarks and for the tests that kill a server in use."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from gradcam_core.models.registry import DEFAULT_MODELS
from tests.support.stream import explain_stream, map_requests, results
from tests.support.uploads import upload

CLASSES_CHANGED = 2  # for each photo
LEAVING = 1 / 8  # share of photos whose visitor leaves before the answer


class Visitor(Protocol):
    """A visitor who has these networks explain one photo after the other."""

    def __init__(self, url: str, models: Sequence[str] = DEFAULT_MODELS) -> None: ...

    def bring(self, photo: Path) -> list[str]:
        """Has a new photo explained; returns the first network's most probable classes."""

    def change(self, name: str) -> set[str]:
        """Requests another of these classes; returns the classes that the maps explain."""

    def leave(self, photo: Path, after_s: float) -> None:
        """Sends a photo, and leaves before the answer, after this many seconds."""

    def close(self) -> None: ...


class PageVisitor:
    """A visitor of the page, who sends its requests and reads its answers."""

    def __init__(self, url: str, models: Sequence[str] = DEFAULT_MODELS) -> None:
        self._url = url
        self._cells = map_requests(*models)
        self._request: dict[str, Any] = {}
        self._places: dict[str, int] = {}

    def bring(self, photo: Path) -> list[str]:
        self._request = self._request_for(photo)
        answers = explain_stream(self._url, self._request)
        found = self._results(answers)
        shown = next(answer["photo"] for answer in answers if "photo" in answer)
        self._request["shown_photo_id"] = shown["id"]
        self._places = {one["name"]: one["index"] for one in found[0]["top"]}
        return list(self._places)

    def change(self, name: str) -> set[str]:
        request = self._request | {"target": self._places[name]}
        found = self._results(explain_stream(self._url, request))
        return {one["target"]["name"] for one in found}

    def leave(self, photo: Path, after_s: float) -> None:
        request = self._request_for(photo)
        with requests.post(
            f"{self._url}explain-stream", json=request, stream=True, timeout=120
        ) as response:
            response.raise_for_status()
            time.sleep(after_s)

    def close(self) -> None:
        pass

    def _request_for(self, photo: Path) -> dict[str, Any]:
        return {"upload": upload(self._url, photo), "maps": self._cells, "compare": True}

    def _results(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results in the order of the networks. Raises RuntimeError if one is missing."""
        found = results(answers)
        if missing := [cell["id"] for cell in self._cells if cell["id"] not in found]:
            raise RuntimeError(f"no map of {', '.join(missing)}: {answers[-1]}")
        return [found[cell["id"]] for cell in self._cells]


class ApiVisitor:
    """A program that uses the API and requests no files."""

    def __init__(self, url: str, models: Sequence[str] = DEFAULT_MODELS) -> None:
        self._client = Client(url, verbose=False)
        self._models = list(models)
        self._arguments: dict[str, Any] = {}

    def bring(self, photo: Path) -> list[str]:
        self._arguments = self._arguments_for(photo)
        findings, _ = self._client.predict(**self._arguments, api_name="/explain")
        return [one["name"] for one in findings["explanations"][0]["top"]]

    def change(self, name: str) -> set[str]:
        findings, _ = self._client.predict(**self._arguments, target=name, api_name="/explain")
        return {one["target"]["name"] for one in findings["explanations"]}

    def leave(self, photo: Path, after_s: float) -> None:
        job = self._client.submit(**self._arguments_for(photo), api_name="/explain")
        time.sleep(after_s)
        job.cancel()

    def close(self) -> None:
        self._client.close()

    def _arguments_for(self, photo: Path) -> dict[str, Any]:
        return {"image": handle_file(str(photo)), "models": self._models, "outputs": []}


WAYS_IN: dict[str, type[Visitor]] = {"page": PageVisitor, "API": ApiVisitor}


@dataclass
class Seen:
    """What visitors have experienced. photos, changes: seconds of waiting for each photo and each
    change of class; left: photos whose visitor left before the answer."""

    photos: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    left: int = 0
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, several: Sequence[Seen]) -> Seen:
        """The experiences of several visitors together."""
        photos, changes, errors = (
            [one for seen in several for one in getattr(seen, name)]
            for name in ("photos", "changes", "errors")
        )
        return cls(photos, changes, sum(seen.left for seen in several), errors)


def visit(
    way_in: type[Visitor],
    url: str,
    files: Sequence[Path],
    seed: int,
    seen: Seen,
    models: Sequence[str] = DEFAULT_MODELS,
) -> None:
    """Runs a visitor with these photos, and records it in `seen`. Never raises."""
    chance = random.Random(seed)
    try:
        visitor = way_in(url, models)
    except Exception as error:
        seen.errors.append(repr(error))
        return
    for file in files:
        try:
            if chance.random() < LEAVING:
                visitor.leave(file, chance.uniform(0.1, 0.5))
                seen.left += 1
                continue
            start = time.monotonic()
            top = visitor.bring(file)
            seen.photos.append(time.monotonic() - start)
            for name in top[1 : 1 + CLASSES_CHANGED]:
                start = time.monotonic()
                explained = visitor.change(name)
                seen.changes.append(time.monotonic() - start)
                if explained != {name}:
                    seen.errors.append(f"asked for {name}, got {explained}")
        except Exception as error:
            seen.errors.append(repr(error))
    visitor.close()
