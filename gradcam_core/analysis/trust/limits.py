"""Every number on which a verdict depends: how much is tried, and from where on a check comes out
one way or another. docs/trust.md has what was measured with them.
"""

# Deletion and insertion: do the hottest places matter most?

IMPROBABLE = 0.01
"""Probability below which a class is improbable for a network: too improbable to find out what it
rests on."""

DELETED_SHARES = (0.2, 0.55)
"""Shares of the picture, the hottest first, that are taken out."""

INSERTED_SHARES = (0.45,)
"""Shares of the picture, the hottest first, that alone are left as they are. One is enough: more
cost time and do not make the verdict right more often. A scene, like a cliff, is not known by a
fifth of it."""

LEAST_PROBABILITY = 1e-4
"""Probability below which it does not matter how much smaller it is."""

LEAST_DIFFERENCE = 0.05
"""Least difference between two logarithms of probabilities that counts: one twentieth."""

LEAST_SPREAD = 0.35
"""The standard deviation of the scores elsewhere is taken to be at least this large, because a few
placements may be alike by chance."""

PLACEMENTS = {5: (4.0, 5.0), 7: (3.0, 4.0)}
"""Placements elsewhere after which it is seen whether a lead is settled, and the standard errors by
which it must be above 0 or below 0 for that: more at the first looks, as one of several may
mislead, and more below, so that few right maps are said to fail."""

LEAD_WEIGHTS = (0.8, 0.2)
"""Of deletion and insertion in a lead: deletion tells misplaced maps more often."""

CANDIDATES = 4
"""Placements of which the one is taken where the map overlaps itself least; one for each way it is
mirrored."""

# Randomisation: does the map depend on the weights?

RANDOM_NETWORKS = 3
"""Networks with all weights random with whose maps the map is compared."""

SURVIVES = 0.7
"""Mean rank correlation from which on maps with random weights are much the same as the map."""

DIFFERS = 0.5
"""Mean rank correlation up to which maps with random weights differ from the map."""

# Stability: does the map stay when the picture hardly changes?

SHIFT = 0.02
"""Share of the input's side that the picture is shifted by, to the right and down."""

SHIFTS = 2
"""Number of times the picture is shifted."""

NOISE = 0.02
"""Standard deviation of the noise that is added to the picture, whose values are in [0, 1]."""

NOISES = 2
"""Number of times noise is added."""

STABLE = 0.8
"""Rank correlation below which a small change of the picture has changed the map."""

OF_CORRELATIONS = (SURVIVES, DIFFERS, STABLE)
"""Limits beside which a rank correlation has as many decimals as show on which side it is."""
