"""The turns of live visitors: one frame at a time, and half of the time for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from demo.compute.live_turns import LiveTurns


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._yield = asyncio.sleep
        patch.setattr(asyncio, "sleep", self.sleep)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await self._yield(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def begins(clock: Clock, is_busy: Callable[[], bool], took: list[float]) -> list[float]:
    """When frames begin that are all there at once, and take so long."""
    found = []

    async def frame(turns: LiveTurns, seconds: float) -> None:
        async with turns.turn():
            found.append(round(clock.now, 6))
            clock.now += seconds  # in one step, as nobody else may have a turn

    async def run() -> None:
        turns = LiveTurns(is_busy, clock)
        await asyncio.gather(*(frame(turns, seconds) for seconds in took))

    asyncio.run(run())
    return found


def test_frames_follow_each_other_at_once_while_nobody_else_is_served(clock: Clock):
    assert begins(clock, lambda: False, [0.5, 0.25, 0.5]) == [0, 0.5, 0.75]


def test_others_have_as_much_time_as_each_frame_took(clock: Clock):
    assert begins(clock, lambda: True, [0.5, 0.25, 0.5]) == [0, 1, 1.5]


def test_the_pause_ends_with_the_last_of_the_others(clock: Clock):
    found = begins(clock, lambda: clock.now < 0.6, [0.5, 0.25])
    assert found[0] == 0
    assert found[1] == pytest.approx(0.6, abs=0.03)


def test_a_frame_that_fails_has_had_its_turn(clock: Clock):
    async def fail(turns: LiveTurns) -> None:
        async with turns.turn():
            clock.now += 0.5
            raise ValueError("broken")

    async def run() -> float:
        turns = LiveTurns(lambda: True, clock)
        with pytest.raises(ValueError, match="broken"):
            await fail(turns)
        async with asyncio.timeout(5), turns.turn():
            return clock.now

    assert asyncio.run(run()) == pytest.approx(1.0)
