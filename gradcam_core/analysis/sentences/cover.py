"""What became of the classes explained when places were covered, in words."""

from __future__ import annotations

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
        change = f"{before.score(before.target)} to {one.e.score(one.e.target)} for {one.name}"
        key = one.e.target.name, len(one.e.covers) > 1
        groups.setdefault(key, []).append(f"from {change}")
    for (name, are_several), changes in groups.items():
        place = "the covered places" if are_several else "the covered place"
        yield f"without {place}, {name} goes {listed(changes)}"
