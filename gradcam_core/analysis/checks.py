"""Which checks a map can be given, and how each may come out."""

from typing import Literal, get_args

Check = Literal["deletion_insertion", "randomisation", "stability"]
Outcome = Literal["holds", "unclear", "fails"]

CHECKS: tuple[Check, ...] = get_args(Check)
"""The checks: whether the hottest places matter most for the class, whether the map depends on the
weights, and whether it stays when the picture hardly changes."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""The best first."""

IMPROBABLE = 0.01
"""Probability below which a class is improbable for a network: too improbable to find out what it
rests on."""
