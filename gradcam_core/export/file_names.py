"""Names of the files that belong to a network."""

from __future__ import annotations

from collections.abc import Sequence

from gradcam_core.explanation.result import Explanation


def file_stems(named: Sequence[tuple[str, Explanation]]) -> list[str]:
    """The beginnings of each network's file names: the name of the network that ran, so that nobody
    who finds a file later takes it for another network's.

    named: requested names, each once, with their explanations. A stand-in whose own name is taken
    adds the requested name: "efficientnet_lite2_for_xception". If places of the photo are covered,
    the name says so: "resnet50_covered".
    """
    taken = {asked_for for asked_for, e in named if e.model == asked_for}
    stems = []
    for asked_for, e in named:
        stem = e.model
        if stem != asked_for and stem in taken:
            stem = f"{stem}_for_{asked_for}"
        taken.add(stem)
        stems.append(f"{stem}_covered" if e.covers else stem)
    return stems
