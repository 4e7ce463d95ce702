"""Some requests are served at a time, the others in their turn, and none waits for ever."""

from __future__ import annotations

import asyncio
import time

import pytest

from demo.compute.request_queue import PASSES_PER_REQUEST, QueueTicket, RequestQueue
from gradcam_core.errors import BusyError


def joined(queue: RequestQueue, is_returning: bool = False) -> QueueTicket:
    ticket = queue.ticket(is_returning=is_returning)
    ticket.join()
    return ticket


async def position(ticket: QueueTicket) -> int:
    """From 1; 0 if it is this one's turn."""
    async for found in ticket.positions():
        return found
    return 0


async def positions(*tickets: QueueTicket) -> list[int]:
    return [await position(ticket) for ticket in tickets]


def test_some_are_served_at_once_and_the_others_in_their_order():
    async def wait() -> None:
        queue = RequestQueue(at_once=2)
        tickets = [joined(queue) for _ in range(5)]
        assert await positions(*tickets) == [0, 0, 1, 2, 3]
        tickets[3].release()  # whoever leaves makes room for those behind
        assert await positions(tickets[2], tickets[4]) == [1, 2]
        tickets[1].release()
        tickets[1].release()
        assert await positions(tickets[0], tickets[2], tickets[4]) == [0, 0, 1]

    asyncio.run(wait())


def test_a_request_that_needs_no_pass_waits_for_nobody():
    async def wait() -> None:
        queue = RequestQueue(at_once=1, length=0)
        with queue.ticket() as served:
            served.join()
            with queue.ticket() as free:
                await free.turn()
                with pytest.raises(BusyError):  # it would need one after all
                    async with free.pass_slot():
                        raise AssertionError

    asyncio.run(wait())


def test_every_position_is_given_and_then_it_is_ones_turn():
    async def wait() -> list[int]:
        queue = RequestQueue(at_once=1)
        before = [joined(queue) for _ in range(3)]
        given = []
        with queue.ticket() as ticket:
            ticket.join()
            async for found in ticket.positions():
                given.append(found)
                before.pop(0).release()
            assert await position(joined(queue)) == 1
        return given

    assert asyncio.run(wait()) == [3, 2, 1]


def test_all_who_wait_notice_that_one_has_left():
    async def wait() -> None:
        queue = RequestQueue(at_once=1)
        served, *waiting = [joined(queue) for _ in range(3)]

        async def turn(ticket: QueueTicket) -> None:
            with ticket:
                await ticket.turn()

        turns = [asyncio.create_task(turn(ticket)) for ticket in waiting]
        await asyncio.sleep(0)
        served.release()
        async with asyncio.timeout(10):
            await asyncio.gather(*turns)

    asyncio.run(wait())


def test_a_position_that_stays_the_same_is_not_given_again():
    async def wait() -> None:
        queue = RequestQueue(at_once=1)
        served, mine, behind = [joined(queue) for _ in range(3)]
        given: list[int] = []

        async def note() -> None:
            async for found in mine.positions():
                given.append(found)

        noting = asyncio.create_task(note())
        await asyncio.sleep(0)
        behind.release()  # which wakes all who wait
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert given == [1]
        served.release()
        async with asyncio.timeout(10):
            await noting
        assert given == [1]

    asyncio.run(wait())


def test_whoever_is_cancelled_while_waiting_leaves_the_queue():
    async def wait() -> None:
        queue = RequestQueue(at_once=1, length=1)
        joined(queue)

        async def visitor() -> None:
            with queue.ticket() as ticket:
                ticket.join()
                await ticket.turn()

        waiting = asyncio.create_task(visitor())
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            joined(queue)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await position(joined(queue)) == 1

    asyncio.run(wait())


def test_the_place_is_given_up_with_its_last_user():
    async def wait() -> None:
        queue = RequestQueue(at_once=1)
        ticket = queue.ticket(users=2)
        ticket.join()
        other = joined(queue)
        ticket.release()
        assert await position(other) == 1
        async with ticket.pass_slot():  # as when weights arrive while the ticket is given up
            ticket.release()
            assert await position(other) == 1
        assert await position(other) == 0

    asyncio.run(wait())


def test_returning_visitors_and_new_photos_are_served_in_turns():
    async def wait() -> None:
        queue = RequestQueue(at_once=1)
        served = joined(queue)
        new = [joined(queue) for _ in range(3)]
        returning = [joined(queue, is_returning=True) for _ in range(4)]
        order = [returning[0], new[0], returning[1], new[1], returning[2], new[2], returning[3]]
        assert await positions(*order) == [1, 2, 3, 4, 5, 6, 7]
        for ticket in order:
            served.release()
            assert await position(ticket) == 0
            served = ticket

    asyncio.run(wait())


def test_one_request_runs_few_passes_at_a_time():
    async def wait() -> None:
        ticket = RequestQueue(at_once=1).ticket(users=10)
        running, most = 0, 0

        async def run() -> None:
            nonlocal running, most
            async with ticket.pass_slot():
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.001)
                running -= 1

        await asyncio.gather(*(run() for _ in range(10)))
        assert most == PASSES_PER_REQUEST

    asyncio.run(wait())


def test_a_full_queue_says_when_to_try_again(monkeypatch: pytest.MonkeyPatch):
    now_s = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    queue = RequestQueue(at_once=2, length=40)
    for _ in range(200):  # requests that need 10 seconds each
        ticket = joined(queue)
        now_s[0] += 10
        ticket.release()
    for _ in range(42):
        joined(queue)
    with pytest.raises(BusyError) as busy:
        joined(queue)
    assert 15 <= busy.value.seconds <= 25  # four more are served, two at a time
    assert str(busy.value) == (
        f"There are too many visitors at the moment. Try again in about {busy.value.seconds} s."
    )
