"""Writes the table of what ImageNet's 1000 classes are kinds of, and of nouns near them.

`python -m scripts.wordnet FOLDER`, where FOLDER has WordNet 3.0's `data.noun`, `index.noun`,
`noun.exc` and `cntlist.rev` (Debian: package wordnet-base, in /usr/share/wordnet). The classes are
WordNet synsets; timm has their numbers. WordNet's licence stands in `gradcam_core/models/
wordnet_licence.txt`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from timm.data import ImageNetInfo

from gradcam_core.models.kinds import NOUNS, TABLE

VAGUE = {
    "entity", "physical entity", "object", "whole", "artifact", "organism", "living thing",
    "instrumentality", "matter", "part", "substance", "solid", "causal agent", "abstraction",
    "psychological feature", "attribute", "relation", "natural object", "thing", "device",
    "commodity", "implement", "covering", "protective covering", "equipment", "consumer goods",
    "conveyance", "component", "mechanism", "durables", "agent", "fluid", "unit", "system",
    "way", "chordate", "vertebrate", "placental", "domestic animal", "structure",
    "geological formation", "establishment",
    "container", "craft", "instrument", "machine", "electronic device", "produce", "nutriment",
    "obstruction", "barrier", "mercantile establishment", "place of business", "housing", "house",
    "headdress", "attire", "game", "piece", "article", "support", "top", "cap", "blind", "brass",
    "staff", "stick", "control", "communication", "communication system", "decoration", "filter",
    "gear", "transducer", "trap", "weight", "reservoir", "tank", "drug", "alcohol", "liquid",
    "sheath", "shield", "shelter", "reflector", "fabric", "screen", "floor cover", "citrus",
    "ridge",
}  # fmt: skip
"""Names of kinds that say too little to be of use in a sentence."""

MOST_CLASSES = 130
"""Classes of a kind up to which a noun of that kind is near them in meaning."""

SENSES = 2
"""Of a noun, the first of which count."""


@dataclass(frozen=True)
class Synset:
    """names: its lemmas. parents: what it is a kind of; individuals are told apart from kinds."""

    names: tuple[str, ...]
    parents: tuple[str, ...]
    is_individual: bool
    count: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    synsets = read_synsets(folder)
    ids = ImageNetInfo().label_names()
    classes = [name[1:] for name in ids]
    kinds = kinds_above(synsets, classes)
    number = {synset: n for n, synset in enumerate(kinds)}
    entries = [
        {
            "names": list(synsets[kind].names),
            "parents": [number[parent] for parent in synsets[kind].parents],
            "is_plain": synsets[kind].count > 0 and synsets[kind].names[0] not in VAGUE,
        }
        for kind in kinds
    ]
    parents = [[number[parent] for parent in synsets[one].parents] for one in classes]
    _write(TABLE, {"kinds": entries, "classes": parents, "synsets": ids})
    nodes = {one: -1 - index for index, one in enumerate(classes)} | number
    sizes = Counter(kind for one in classes for kind in {*above(synsets, one)})
    _write(NOUNS, nouns(folder, synsets, nodes, sizes))


def read_synsets(folder: Path) -> dict[str, Synset]:
    """All noun synsets of WordNet by their offsets in `data.noun`."""
    counts = {
        key: int(count)
        for key, _, count in map(str.split, (folder / "cntlist.rev").read_text().splitlines())
    }
    found = {}
    for line in (folder / "data.noun").read_text().splitlines():
        if line.startswith("  "):
            continue
        offset, lexicographer, _, size, *fields = line.split(" | ")[0].split()
        lemmas = fields[: 2 * int(size, 16) : 2]
        ids = fields[1 : 2 * int(size, 16) : 2]
        _, *rest = fields[2 * int(size, 16) :]
        pointers = [rest[n : n + 4] for n in range(0, len(rest), 4)]
        keys = (
            f"{lemma.lower()}%1:{lexicographer}:{int(number, 16):02d}::"
            for lemma, number in zip(lemmas, ids, strict=True)
        )
        found[offset] = Synset(
            names=tuple(lemma.replace("_", " ") for lemma in lemmas),
            parents=tuple(to for symbol, to, *_ in pointers if symbol in ("@", "@i")),
            is_individual=any(symbol == "@i" for symbol, *_ in pointers),
            count=sum(counts.get(key, 0) for key in keys),
        )
    return found


def above(synsets: dict[str, Synset], one: str) -> list[str]:
    """Everything that this synset is a kind of, the nearest first."""
    found = list(dict.fromkeys(synsets[one].parents))
    for kind in found:  # grows while it is read
        found += [parent for parent in synsets[kind].parents if parent not in found]
    return found


def kinds_above(synsets: dict[str, Synset], classes: Iterable[str]) -> list[str]:
    return sorted({kind for one in classes for kind in above(synsets, one)})


def nouns(
    folder: Path, synsets: dict[str, Synset], nodes: dict[str, int], sizes: Counter[str]
) -> dict[str, object]:
    """What each common noun is near to: kinds by their number, classes as −1 − index. And the
    singular of irregular plurals."""
    near: dict[str, list[int]] = {}
    for line in (folder / "index.noun").read_text().splitlines():
        lemma, *fields = line.split(" ") if not line.startswith("  ") else [""]
        if not re.fullmatch(r"[a-z]+([-_][a-z]+)?", lemma):
            continue
        senses = [field for field in fields if re.fullmatch(r"\d{8}", field)][:SENSES]
        of_senses = [
            node
            for sense in senses
            if not synsets[sense].is_individual and (synsets[sense].count > 0 or "_" not in lemma)
            for node in _nearest(synsets, sense, nodes, sizes)
        ]
        if of_senses:
            near[lemma.replace("_", " ")] = list(dict.fromkeys(of_senses))[:SENSES]
    irregular = {}
    for line in (folder / "noun.exc").read_text().splitlines():
        plural, singular, *_ = line.replace("_", " ").split(" ")
        if singular in near:
            irregular[plural] = singular
    return {"near": near, "singular": irregular}


def _nearest(
    synsets: dict[str, Synset], one: str, nodes: dict[str, int], sizes: Counter[str]
) -> list[int]:
    for each in (one, *above(synsets, one)):
        if each in nodes:
            is_class = nodes[each] < 0
            name = synsets[each].names[0]
            tells = is_class or (sizes[each] <= MOST_CLASSES and name not in VAGUE)
            return [nodes[each]] if tells else []
    return []


def _write(path: Path, table: dict) -> None:
    """One entry a line, so that a change is seen as one."""
    parts = []
    for name, entries in table.items():
        pairs = entries.items() if isinstance(entries, dict) else ((None, e) for e in entries)
        lines = [
            (f"{json.dumps(key)}: " if key is not None else "") + json.dumps(entry)
            for key, entry in pairs
        ]
        brackets = "{}" if isinstance(entries, dict) else "[]"
        parts.append(
            f"{json.dumps(name)}: {brackets[0]}\n" + ",\n".join(lines) + f"\n{brackets[1]}"
        )
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
