"""Which of a visitor's events still has something to say."""

from __future__ import annotations

from contextlib import ExitStack

from demo.work import Turns


def test_a_newer_event_makes_an_older_one_pointless_also_after_it_ended():
    turns = Turns()
    with turns.turn("ann", 1) as older:
        assert older.is_wanted()
        assert not older.overlaps
        with turns.turn("ann", 2) as newer:
            assert newer.is_wanted()
            assert newer.overlaps
            assert not older.is_wanted()
        assert not older.is_wanted()


def test_visitors_do_not_disturb_each_other():
    turns = Turns()
    with ExitStack() as stack:
        ann = stack.enter_context(turns.turn("ann", 1))
        bob = stack.enter_context(turns.turn("bob", 2))
        assert ann.is_wanted()
        assert bob.is_wanted()
        assert not bob.overlaps


def test_nothing_is_kept_of_visitors_who_have_left():
    turns = Turns()
    for n in range(100):
        with turns.turn(f"visitor {n}", n):
            pass
    assert turns._visits == {}


def test_a_late_event_with_an_older_ticket_is_pointless():
    turns = Turns()
    with turns.turn("ann", 5) as first, turns.turn("ann", 4) as late:
        assert first.is_wanted()
        assert not late.is_wanted()


def test_an_event_right_after_another_counts_as_overlapping():
    """The browser may see the last value of the one after the first of the other."""
    turns = Turns()
    with turns.turn("ann", 1):
        pass
    with turns.turn("ann", 2) as next_one:
        assert next_one.overlaps
