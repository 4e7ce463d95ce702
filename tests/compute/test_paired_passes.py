"""Passes over one picture: two at a time where the work can be halved, else one by one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest
import torch
from PIL import Image

import demo.compute.worker as workers
from demo.compute.paired_passes import PairedPasses
from gradcam_core import Examination
from gradcam_core.explanation.request import ExplanationRequest

TOGETHER_S = 30.0  # in which another one must come


class Clock:
    """Time that passes only where a pass says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def answers_of(paired: PairedPasses, *passes: tuple[str, Callable[[], object]]) -> list[list]:
    """Of each job."""
    return [job() for job in paired.jobs(passes)]


def measured(**seconds: float) -> PairedPasses:
    """Where each network is known to take so long."""
    clock = Clock()
    paired = PairedPasses(clock)

    def take(time: float) -> None:
        clock.now += time

    known = {name: lambda time=time: take(time) for name, time in seconds.items()}
    jobs = paired.jobs(list(known.items()))
    assert len(jobs) == len(seconds)  # nothing is known before
    for job in jobs:
        job()
    return paired


@pytest.mark.usefixtures("cores")
def test_networks_that_can_be_halved_run_two_at_a_time_and_answer_in_their_order():
    paired = measured(small=1.0, large=2.1, middle=1.2)
    both = threading.Barrier(2)

    def meet(name: str) -> str:
        both.wait(TOGETHER_S)
        return name

    found = answers_of(
        paired,
        ("small", lambda: meet("small")),
        ("large", lambda: meet("large")),
        ("middle", lambda: "middle"),
    )
    assert found == [["small", "large", "middle"]]
    paired.close()


@pytest.mark.usefixtures("cores")
def test_networks_that_look_at_a_frame_are_paired_from_the_second_frame_on(
    monkeypatch: pytest.MonkeyPatch,
):
    class AsLong(PairedPasses):
        def __init__(self) -> None:
            super().__init__(Clock())  # every pass takes as long: no time at all

    ran_in: list[str] = []

    def answer(*_: object) -> str:
        ran_in.append(threading.current_thread().name.split("_")[0])
        return "seen"

    monkeypatch.setattr(workers, "PairedPasses", AsLong)
    monkeypatch.setattr(Examination, "answer", answer)
    worker = workers.Worker(2**40)
    frame = Image.new("RGB", (64, 64))
    requests = [ExplanationRequest(name) for name in ("efficientnet_lite0", "efficientnet_lite1")]

    async def look() -> list[object]:
        return list(await worker.explain_once(frame, requests, contextlib.nullcontext))

    for threads in ("pass", "half"):
        ran_in.clear()
        assert asyncio.run(look()) == ["seen", "seen"]
        assert ran_in == [threads] * 2
    worker.close()


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("seconds", [{"a": 1.0, "b": 1.0, "most": 4.0}, {"alone": 1.0}])
def test_where_one_takes_most_of_the_time_they_run_one_by_one(seconds: dict[str, float]):
    paired = measured(**seconds)
    found = answers_of(paired, *((name, threading.current_thread) for name in seconds))
    assert found == [[threading.current_thread()]] * len(seconds)


def test_on_one_core_they_run_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    paired = measured(a=1.0, b=1.0)
    assert len(paired.jobs([("a", object), ("b", object)])) == 2


@pytest.mark.usefixtures("cores")
def test_what_one_raises_stands_in_its_place_and_its_time_does_not_count():
    paired = measured(a=1.0, b=1.0)
    broken = ValueError("no such class")

    def fail() -> None:
        raise broken

    for _ in range(2):
        assert answers_of(paired, ("b", fail), ("a", fail)) == [[broken, broken]]
    paired.close()


def test_each_has_half_of_the_cores_and_other_threads_keep_theirs():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        paired = measured(a=1.0, b=1.0)
        names = ("a", "b")
        assert answers_of(paired, *((name, torch.get_num_threads) for name in names)) == [[2, 2]]
        paired.close()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
