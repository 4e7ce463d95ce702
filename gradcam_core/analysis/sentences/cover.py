"""How covering places changes the probabilities of the classes explained, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from gradcam_core.analysis.sentences.named_network import NamedNetwork
from gradcam_core.explanation.result import Explanation
from gradcam_core.wording import listed


def covered_sentences(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    """Sentences on the probabilities of the classes explained, with and without the places."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in networks:
        before = one.e.uncovered
        if before is None or not (before.has_scores and one.e.has_scores):
            continue
        was, now = before.score(before.target), one.e.score(one.e.target)
        change = f"goes from {was} to {now}"
        if was == now:
            side = {"<": "below ", ">": "above "}.get(now[0], "at ")
            change = f"stays {side}{now.lstrip('<> ')}"
        place = "the covered places" if len(one.e.covers) > 1 else "the covered place"
        if before.target.probability == one.e.target.probability and not _sees_any(one.e):
            place += ", of which nothing was seen"
        changed = groups.setdefault((one.e.target.in_sentence, place), {})
        changed.setdefault(change, []).append(one.name)
    for (name, place), changed in groups.items():
        changes = [f"{change} for {listed(names)}" for change, names in changed.items()]
        clauses = changes[:1]
        for last, change in itertools.pairwise(changes):
            verb, _, rest = change.partition(" ")
            clauses.append(rest if last.startswith(verb) else change)  # without repeating the verb
        yield f"without {place}, {name} {listed(clauses)}"


def _sees_any(e: Explanation) -> bool:
    """Whether any covered place reaches into what the network saw."""
    left, top, right, bottom = e.box
    bounds = (cover.bounds(e.geometry.photo_size) for cover in e.covers)
    return any(x < right and y < bottom and u > left and v > top for x, y, u, v in bounds)
