"""Writes the table of what ImageNet's 1000 classes are kinds of, and of nouns near them.

`python -m scripts.wordnet FOLDER`, where FOLDER has WordNet 3.0's `data.noun`, `index.noun`,
`noun.exc` and `cntlist.rev` (Debian: package wordnet-base, in /usr/share/wordnet). The classes are
WordNet synsets; timm has their numbers. WordNet's licence is
`gradcam_core/models/class_names/wordnet_licence.txt`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timm.data import ImageNetInfo

from gradcam_core.models.class_names.kinds import NOUNS, TABLE
from gradcam_core.models.class_names.nearest import ALIKE

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
"""Names of kinds that are too vague for a sentence."""

USUAL = {
    "feline", "big cat", "canine", "retriever", "pointer", "setter", "schnauzer", "poodle", "corgi",
    "greyhound", "foxhound", "wolfhound", "springer spaniel", "toy spaniel", "shepherd dog",
    "sled dog", "rodent", "primate", "great ape", "lemur", "equine", "ruminant", "marsupial",
    "whale", "aquatic mammal", "bird of prey", "finch", "thrush", "grouse", "waterfowl", "stork",
    "heron", "sandpiper", "wading bird", "aquatic bird", "amphibian", "newt", "turtle", "viper",
    "boa", "crocodilian reptile", "ray", "butterfly", "arachnid", "crustacean", "lobster",
    "mollusk", "fungus", "squash", "motor vehicle", "van", "sled", "sailboat", "warship",
    "personal computer", "portable computer", "stringed instrument", "wind instrument", "woodwind",
    "keyboard instrument", "measuring instrument", "optical instrument", "medical instrument",
    "kitchen appliance", "home appliance", "slot machine", "helmet", "footwear", "puzzle",
    "place of worship", "writing implement", "condiment", "cosmetic", "frozen dessert",
}  # fmt: skip
"""Names of kinds that are common words, although they do not occur in the texts WordNet counts."""

ODD = {
    "entity", "physical entity", "abstraction", "psychological feature", "attribute", "relation",
    "part", "matter", "substance", "solid", "fluid", "liquid", "material", "thing", "whole", "unit",
    "causal agent", "agent", "location", "point", "surface", "area", "room", "system", "work",
    "creation", "design", "circle", "round shape", "sphere", "pool", "excavation", "drug",
    "institution", "way", "associate", "ligament", "attachment", "connection", "concoction",
    "plate", "rack", "structural member", "defensive structure", "emblem", "signaling device",
    "measuring stick", "object",
}  # fmt: skip
"""Names of kinds that usually mean something else: nobody who searches for a part means red wine.
"""

TOO_WIDE = VAGUE | ODD | {
    "area", "room", "plant part", "plant organ", "reproductive structure", "body", "shape",
    "mechanical device", "product", "creation", "work", "representation", "material", "food",
    "food product", "foodstuff", "beverage", "furnishing", "clothing", "building", "facility",
    "location", "region", "surface", "opening", "strip", "sheet", "layer", "framework", "paper",
    "supporting structure", "elevation", "activity", "event", "group", "sign", "signal", "writing",
    "medium", "vascular plant", "plant", "woody plant", "tool", "vessel", "invertebrate",
    "arthropod", "mammal", "reptile", "animal", "vehicle", "wheeled vehicle", "course", "dish",
    "geological phenomenon", "line", "hole", "source of illumination", "woodwind", "bony fish",
    "padding", "lid", "fastener", "restraint", "electrical device", "measuring instrument",
    "bar", "rod", "shaft", "memory device", "drug of abuse", "public transport",
    "point", "plate", "board", "rotating mechanism", "platform", "lever", "piece of cloth",
    "cloth covering", "acoustic device", "motorboat", "optical device", "print media", "diversion",
    "commerce", "publication",
    "geographic point", "workplace", "horizontal surface", "baseball equipment",
    "sports equipment",
}  # fmt: skip
"""Names of kinds that are too wide to bring a noun near their classes: a lake is not near a toilet
tissue only because both are material."""

FAR = {1: 20, 2: 15, 3: 10}
"""For each number of steps from a noun up to a kind, the most classes that the kind may have for
them to count as near the noun. If the usual sense is a person, persons are near at any distance."""

FEW = 3
"""A kind with fewer classes than this also takes those of the next kind above: a cow is near an ox,
and then a water buffalo."""

SENSES = 2
"""How many of a noun's first senses count; a later one only if it is at least half as common."""


@dataclass(frozen=True)
class Synset:
    """names: its lemmas. parents: the synsets that it is a kind or an instance of; is_individual
    tells which. counts: how often each name has this sense in WordNet's texts."""

    names: tuple[str, ...]
    parents: tuple[str, ...]
    is_individual: bool
    counts: tuple[int, ...]
    definition: str

    @property
    def count(self) -> int:
        return sum(self.counts)

    def count_of(self, lemma: str) -> int:
        return next(
            count
            for name, count in zip(self.names, self.counts, strict=True)
            if name.lower() == lemma.replace("_", " ")
        )


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
            "is_plain": _is_plain(synsets[kind]),
        }
        for kind in kinds
    ]
    parents = [[number[parent] for parent in synsets[one].parents] for one in classes]
    _write(TABLE, {"kinds": entries, "classes": parents, "synsets": ids})
    nodes = {one: -1 - index for index, one in enumerate(classes)} | number
    sizes = Counter(kind for one in classes for kind in {*above(synsets, one)})
    _write(NOUNS, nouns(folder, synsets, nodes, sizes))


def _is_plain(kind: Synset) -> bool:
    return kind.names[0] in USUAL or (kind.count > 0 and kind.names[0] not in VAGUE)


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
        data, definition = line.split(" | ", maxsplit=1)
        offset, lexicographer, _, size, *fields = data.split()
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
            counts=tuple(counts.get(key, 0) for key in keys),
            definition=definition,
        )
    return found


def above(synsets: dict[str, Synset], one: str) -> list[str]:
    """Everything that this synset is a kind of, the nearest first."""
    found = list(dict.fromkeys(synsets[one].parents))
    for kind in found:  # grows during the loop
        found += [parent for parent in synsets[kind].parents if parent not in found]
    return found


def kinds_above(synsets: dict[str, Synset], classes: Iterable[str]) -> list[str]:
    return sorted({kind for one in classes for kind in above(synsets, one)})


def nouns(
    folder: Path, synsets: dict[str, Synset], nodes: dict[str, int], sizes: Counter[str]
) -> dict[str, object]:
    """For each noun what it is near: kinds by their number, classes as −1 − index. Nothing for a
    noun that is near none, if it is common or spelt like the name of a class or kind. Also the
    singulars of irregular plurals."""
    senses = {}
    for line in (folder / "index.noun").read_text().splitlines():
        lemma, *fields = line.split(" ") if not line.startswith("  ") else [""]
        if re.fullmatch(r"[a-z]+([-_][a-z]+)?", lemma):
            senses[lemma] = [field for field in fields if re.fullmatch(r"\d{8}", field)]
    person = next(one for one in senses["person"] if one in nodes)
    is_like_a_name = _Spelling({name.lower() for one in nodes for name in synsets[one].names})
    near: dict[str, list[int]] = {}
    for lemma, of_lemma in senses.items():
        counts = [synsets[one].count_of(lemma) for one in of_lemma]
        found = []
        for one, count in zip(of_lemma[:SENSES], counts, strict=False):
            is_usual = 2 * count >= counts[0]
            is_word = synsets[one].count > 0 or "_" not in lemma
            if not synsets[one].is_individual and is_usual and is_word:
                found += _nearest(synsets, _grown(synsets, senses, one), nodes, sizes)
        persons = [node for node in found if node >= 0 and node == nodes[person]]
        # The first sense of "whale" or "mug" is a person.
        is_thing = any(one in nodes and one != person for one in of_lemma)
        is_person = found == persons and 2 * counts[0] > sum(counts) and not is_thing
        if not is_person:
            found = [node for node in found if node not in persons]
        found = found or [
            nodes[one]
            for one in of_lemma
            if one in nodes and synsets[one].names[0] not in TOO_WIDE and one != person
        ]
        if found or any(counts) or is_like_a_name(lemma):
            near[lemma.replace("_", " ")] = list(dict.fromkeys(found))
    irregular = {}
    for line in (folder / "noun.exc").read_text().splitlines():
        plural, singular, *_ = line.replace("_", " ").split(" ")
        if singular in near:
            irregular[plural] = singular
    return {"near": near, "singular": irregular}


class _Spelling:
    """Tells whether a word could be taken for a misspelling of one of these names, as "carrot" for
    "parrot"."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._letters = np.array([_letters(name) for name in self._names])
        self._lengths = np.array([len(name) for name in self._names])

    def __call__(self, lemma: str) -> bool:
        if "_" in lemma:
            return False
        # Like difflib's `quick_ratio`, but for all names at once.
        common = np.minimum(self._letters, _letters(lemma)).sum(axis=1)
        close = np.flatnonzero(2 * common >= ALIKE * (self._lengths + len(lemma)))
        names = [self._names[n] for n in close]
        return bool(difflib.get_close_matches(lemma, names, 1, ALIKE))


def _letters(word: str) -> np.ndarray:
    return np.bincount([min(ord(letter), 127) for letter in word], minlength=128)


def _grown(synsets: dict[str, Synset], senses: dict[str, list[str]], one: str) -> str:
    """The adult animal of a young animal, from its definition, because WordNet classifies it only
    as a young mammal; any other synset is returned unchanged."""
    if not any(synsets[each].names[0].startswith("young") for each in above(synsets, one)):
        return one
    for word in re.findall(r"[a-z]+", synsets[one].definition.split(";")[0]):
        for sense in senses.get(word, ()) if word != "young" else ():
            kinds = [synsets[each].names[0] for each in above(synsets, sense)]
            if "animal" in kinds and not any(kind.startswith("young") for kind in kinds):
                return sense
    return one


def _nearest(
    synsets: dict[str, Synset], one: str, nodes: dict[str, int], sizes: Counter[str]
) -> list[int]:
    """The number of the noun itself if it is a class or a kind, otherwise of the nearest above it;
    empty if none is near."""
    if one in nodes:
        is_odd = nodes[one] >= 0 and synsets[one].names[0] in ODD
        return [] if is_odd else [nodes[one]]
    steps, level = 0, [one]
    while level := list(dict.fromkeys(up for each in level for up in synsets[each].parents)):
        steps += 1
        for each in filter(nodes.__contains__, level):
            name = synsets[each].names[0]
            if nodes[each] < 0:
                return [nodes[each]] if steps <= max(FAR) else []
            if name == "person":
                return [nodes[each]]
            if name in TOO_WIDE or sizes[each] > FAR.get(steps, 0):
                continue
            return [nodes[each], *_next(synsets, each, nodes, sizes, steps)]
    return []


def _next(
    synsets: dict[str, Synset], kind: str, nodes: dict[str, int], sizes: Counter[str], steps: int
) -> list[int]:
    """For a kind with few classes, the number of the next suitable kind above; otherwise empty."""
    if sizes[kind] >= FEW:
        return []
    return [
        nodes[up]
        for up in above(synsets, kind)
        if synsets[up].names[0] not in TOO_WIDE and FEW <= sizes[up] <= FAR[max(FAR)]
    ][:1]


def _write(path: Path, table: dict) -> None:
    """Writes one entry per line, so that diffs are readable."""
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
