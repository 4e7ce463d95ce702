"""How often the trust checks' verdict is right, and that of deletion and insertion alone; for maps
of the top class, how often both stay the same with another seed, and after how many places
elsewhere the outcome was settled.

Real maps of a network's top class should hold. The same map moved to where it overlaps itself
least, the inverted map, and the map of a class below 0.1 % should not. By default on the
photographs of `make quality`; --photos takes another folder, preferably of photos on which nothing
was chosen. Part of `make quality`; the table is in docs/trust.md.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

import gradcam_core as gc
from benchmarks.table import Row, print_table, print_versions
from gradcam_core.analysis.trust.limits import PLACEMENTS
from gradcam_core.analysis.trust.verdict import OUTCOMES

PHOTOS = Path(__file__).parent / "photos"
NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
HOTTEST = 0.2
IMPROBABLE = 0.001
SEED = 4

NO_LEAD = "class below 1 %"
NEVER = "not settled"
SETTLED = (*(f"after {count} places" for count in PLACEMENTS), NEVER, NO_LEAD)
OWN = "own top class"
SAME = "same"
TO_REACH = {
    OWN: (("holds", "≥", 0.85), ("fails", "≤", 0.05), (SAME, "≥", 0.95)),
    "moved": (("holds", "≤", 0.05),),
    "inverted": (("holds", "≤", 0.02),),
    "class below 0.1 %": (("holds", "≤", 0.0),),
}


def moved(feature_map: np.ndarray) -> np.ndarray:
    """The map moved cyclically to where its hottest fifth overlaps the original's least."""
    hot = feature_map >= np.quantile(feature_map, 1 - HOTTEST, method="higher")

    def overlap(shift: tuple[int, ...]) -> tuple[float, float]:
        other = np.roll(hot, shift, (0, 1))
        heat = np.roll(feature_map, shift, (0, 1))
        return float((hot & other).sum() / (hot | other).sum()), float((heat * feature_map).sum())

    shifts = product(*(range(side) for side in feature_map.shape))
    return np.roll(feature_map, min(shifts, key=overlap), (0, 1))


def maps(held: gc.Examination) -> Iterator[tuple[str, gc.Explanation]]:
    """Yields (kind, map) for the maps of a photo and network that can be checked."""
    e = held.explain()
    if not e.degenerate:
        yield OWN, e
        yield "moved", replace(e, feature_map=moved(e.feature_map))
        yield "inverted", replace(e, feature_map=e.feature_map.max() - e.feature_map)
    improbable = np.flatnonzero(held.probabilities < IMPROBABLE)
    chosen = int(np.random.default_rng(SEED).choice(improbable))
    other = held.explain(chosen)
    if not other.degenerate:
        yield "class below 0.1 %", other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="a folder")
    parser.add_argument("--most", type=int, default=1000, help="photographs")
    options = parser.parse_args()
    print_versions("torch", "timm")
    verdicts: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    alone: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    settled: dict[str, Counter[str]] = defaultdict(Counter)  # of maps of the top class
    paths = sorted(path for path in options.photos.iterdir() if path.suffix in (".jpg", ".png"))
    for path, name in tqdm(list(product(paths[: options.most], NETWORKS))):
        photo = gc.read_image(path)
        for kind, e in maps(gc.examine(photo, name)):
            seeds = range(2 if kind == OWN else 1)
            checked = [gc.check(photo, e, seed) for seed in seeds]
            verdicts[kind, e.title].append(tuple(found.verdict for found in checked))
            alone[kind, e.title].append(tuple(found.reasons[0].outcome for found in checked))
            if kind == OWN:
                settled[e.title].update(map(_settled, checked))
    titles = sorted({title for _, title in verdicts})
    for which, found in (("The whole verdict", verdicts), ("Deletion and insertion alone", alone)):
        rows = []
        for kind in TO_REACH:
            for title in [*titles, "all"]:
                outcomes = [
                    of_seeds
                    for (of_kind, of_title), of_maps in found.items()
                    if of_kind == kind and title in (of_title, "all")
                    for of_seeds in of_maps
                ]
                rows.append(_row(kind, title, outcomes))
        print_table(
            f"{which}, of maps of the own top class with two seeds",
            ("Map", "Network", "Maps", *OUTCOMES, "Same with another seed", "To reach"),
            rows,
        )
    settled["all"] = sum(settled.values(), Counter())
    rows = []
    for title in [*titles, "all"]:
        of_network = settled[title]
        rows.append(
            Row(title, *(f"{of_network[when] / of_network.total():.1%}" for when in SETTLED))
        )
    print_table(
        "When deletion and insertion were settled, of maps of the own top class",
        ("Network", *SETTLED),
        rows,
    )


def _settled(found: gc.Trust) -> str:
    if found.lead is None:
        return NO_LEAD
    return f"after {found.lead.count} places" if found.lead.is_settled else NEVER


def _row(kind: str, title: str, outcomes: list[tuple[str, ...]]) -> Row:
    """A row of the table. outcomes: for each map, one for each seed."""
    if not outcomes:
        return Row(kind, title, "0", *["–"] * (len(OUTCOMES) + 1), "")
    count = Counter(outcome for of_seeds in outcomes for outcome in of_seeds)
    shares: dict[str, float] = {outcome: count[outcome] / count.total() for outcome in OUTCOMES}
    if kind == OWN:
        shares[SAME] = sum(len(set(of_seeds)) == 1 for of_seeds in outcomes) / len(outcomes)
    bounds = []
    for name, relation, bound in TO_REACH[kind]:
        reached = shares[name] >= bound if relation == "≥" else shares[name] <= bound
        bounds.append(f"{name} {relation} {bound:.0%}" + ("" if reached else " (missed)"))
    cells = [f"{shares[name]:.1%}" if name in shares else "–" for name in (*OUTCOMES, SAME)]
    return Row(kind, title, str(len(outcomes)), *cells, ", ".join(bounds))


if __name__ == "__main__":
    main()
