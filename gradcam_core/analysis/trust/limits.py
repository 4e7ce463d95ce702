"""All numbers on which a verdict depends: how much each check tries, and the limits between its
outcomes. docs/trust.md reports what was measured with them.
"""

# Deletion and insertion: do the hottest places matter most?

IMPROBABLE = 0.01
"""A class below this probability is too improbable to find out what it rests on."""

DELETED_SHARES = (0.2, 0.55)
"""Deletion removes these shares of the picture, the hottest places first."""

INSERTED_SHARES = (0.45,)
"""Insertion shows only these shares of the picture, the hottest places first. One is enough: more
cost time and do not make the verdict right more often. It is large, because a fifth of a scene,
such as a cliff, does not suffice to recognise it."""

LEAST_PROBABILITY = 1e-4
"""Lower probabilities count as this one."""

LEAST_DIFFERENCE = 0.05
"""Smallest difference between two logarithms of probabilities that counts: one probability is about
a twentieth larger."""

LEAST_SPREAD = 0.35
"""Lower bound for the standard deviation of the scores elsewhere, because a few placements may be
alike by chance."""

PLACEMENTS = {5: (4.0, 5.0), 7: (3.0, 4.0)}
"""Number of placements elsewhere after which to test whether a lead is settled -> how many standard
errors it must lie (above 0, below 0) for that. The first test needs more, because each of several
tests may mislead; so do leads below 0, so that few right maps fail."""

LEAD_WEIGHTS = (0.8, 0.2)
"""Weights of deletion and insertion in a lead: deletion detects misplaced maps more often."""

CANDIDATES = 4
"""Placements to choose from, one per way of mirroring; the map goes where it overlaps itself
least."""

# Randomisation: does the map depend on the weights?

RANDOM_NETWORKS = 3
"""The map is compared with the maps of this many networks whose weights are all random."""

SURVIVES = 0.7
"""From this mean rank correlation, the maps with random weights are much the same as the map."""

DIFFERS = 0.5
"""Up to this mean rank correlation, the maps with random weights differ from the map."""

# Stability: does the map stay when the picture hardly changes?

SHIFT = 0.02
"""How far the picture is shifted, to the right or down, as a share of the input's shorter side."""

SHIFTS = 2
"""Number of times the picture is shifted."""

NOISE = 0.02
"""Standard deviation of the noise added to the picture, whose values are in [0, 1]."""

NOISES = 2
"""Number of times noise is added."""

STABLE = 0.8
"""Below this rank correlation, a small change of the picture has changed the map."""

OF_CORRELATIONS = (SURVIVES, DIFFERS, STABLE)
"""The limits of rank correlations. Texts give a correlation near one of them enough decimals to
show on which side it lies."""
