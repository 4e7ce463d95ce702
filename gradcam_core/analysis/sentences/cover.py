"""How covering places changes the probabilities of the classes explained, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from gradcam_core.analysis.sentences.named_network import NamedNetwork
from gradcam_core.wording import listed


def covered_sentences(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    """What became of the probabilities of the classes explained, without the places."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for one in networks:
        before = one.e.uncovered
        if before is None or not (before.has_scores and one.e.has_scores):
            continue
        was, now = before.score(before.target), one.e.score(one.e.target)
        change = f"goes from {was} to {now}"
        if was == now:
            side = {"<": "below ", ">": "above "}.get(now[0], "at ")
            change = f"stays {side}{now.lstrip('<> ')}"
        key = one.e.target.name, len(one.e.covers) > 1
        groups.setdefault(key, []).append(f"{change} for {one.name}")
    for (name, are_several), changes in groups.items():
        place = "the covered places" if are_several else "the covered place"
        clauses = changes[:1]
        for last, change in itertools.pairwise(changes):
            verb, _, rest = change.partition(" ")
            clauses.append(rest if last.startswith(verb) else change)  # no verb twice
        yield f"without {place}, {name} {listed(clauses)}"
