"""The findings for one photo, the same record for command line, ZIP, API, MCP, page and batch.

docs/findings.md describes it field by field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.cover import cover_effect
from gradcam_core.analysis.location import where
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.explanation.result import Explanation
from gradcam_core.version import __version__

SCHEMA_VERSION = 1
"""Version of the record. It increases when a field is removed or changes its meaning, but not when
one is added."""

Record = dict[str, Any]
"""Types that JSON has, with tuples for lists."""


def findings(
    named: Sequence[tuple[str, Explanation]],
    checks: Mapping[str, Mapping[str, object]] | None = None,
    files: Mapping[str, Mapping[str, object]] | None = None,
    photo_name: str = "",
) -> Record:
    """All findings for one photo.

    named: requested names of networks, each once, with their explanations; at least one. checks:
    `Trust.record()` of explanations that were checked. files: names of each network's
    "overlay" and "heatmap". Both by requested name. photo_name: of the photo's file; empty to leave
    it out. Raises OSError if a weights file cannot be read: the record holds its SHA-256.
    """
    checks, files = checks or {}, files or {}
    name = photo_name.encode(errors="replace").decode()  # on Linux it may be any bytes
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": __version__,
        "photo": {
            "name": name or None,
            "size": named[0][1].geometry.photo_size,
            "notices": list(named[0][1].photo_notices),
            "covers": [cover.record() for cover in named[0][1].covers],
        },
        "explanations": [
            finding(asked_for, e, checks.get(asked_for), files.get(asked_for), photo_name)
            for asked_for, e in named
        ],
        **in_common(named),
    }


def finding(
    asked_for: str,
    e: Explanation,
    check: Mapping[str, object] | None = None,
    files: Mapping[str, object] | None = None,
    photo_name: str = "",
) -> Record:
    """The part on one network. See `findings`."""
    effect = cover_effect(e)
    return {
        "asked_for": asked_for,
        **e.record(),
        "cover_effect": effect and effect.record(),
        "how": e.how,
        "where": where(e),
        "caption": e.caption(photo_name),
        "overlay": None,
        "heatmap": None,
        **(files or {}),
        "trust": check,
    }


def in_common(named: Sequence[tuple[str, Explanation]]) -> Record:
    """The part on all networks: how far they look at the same places, and the sentences."""
    names, explanations = [name for name, _ in named], [e for _, e in named]
    found = agreement(explanations)
    if found:
        found = found.between_others([e.identity for e in explanations])
    return {
        "agreement": found and found.record(names),
        "sentences": list(summary(explanations, found)),
    }
