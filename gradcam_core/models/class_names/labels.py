"""The names of a network's classes: its own, or the 1000 of ImageNet, available offline, each with
its synonyms, which are WordNet's lemmas.

ImageNet's names are in a file of ours, because importing timm takes seconds and the page needs the
names earlier. A test compares them with timm's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import overload

from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.kinds import kinds, singulars
from gradcam_core.models.class_names.nearest import OFFERED, Nearest, NearestNames
from gradcam_core.models.class_names.spelling import squeezed

# WordNet gives two classes each of these names; the words in brackets tell them apart.
_DISTINGUISHED = {
    134: "crane (bird)",
    517: "crane (machine)",
    264: "Cardigan (dog)",
    474: "cardigan (garment)",
    638: "maillot (tights)",
    639: "maillot (swimsuit)",
}


_GREAT_KINDS = ("animal", "vehicle", "musical instrument", "fruit")


@dataclass(frozen=True)
class Label:
    """One class: its index, its name (unique) and all of its synonyms."""

    index: int
    name: str
    synonyms: tuple[str, ...]

    @cached_property
    def full_name(self) -> str:
        """The name and the other synonyms, for a search box to look through."""
        return ", ".join((self.name, *self.synonyms[1:]))


@dataclass(frozen=True, eq=False)
class Labels(Sequence[Label]):
    """The classes of a network in the order of its outputs, and ways to find one. title: of the
    list. is_imagenet: whether they are ImageNet's, whose kinds WordNet knows."""

    title: str
    labels: tuple[Label, ...]
    is_imagenet: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Label: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Label, ...]: ...

    def __getitem__(self, at: int | slice) -> Label | tuple[Label, ...]:
        return self.labels[at]

    def find(self, name: int | str) -> Label:
        """The label of a class given by its index, its name, one of its synonyms, or WordNet's
        number of an ImageNet class, such as n02123045.

        Case, accents, and hyphens and spaces between letters do not matter, and a plural will do. A
        class's own name takes precedence over a synonym of another class. Text that is a number is
        an index only if no class has that name. Raises LabelError, which offers the nearest
        classes, if the class is unknown or several classes have the name.
        """
        if label := self.known(name):
            return label
        text = str(name).strip()
        hint = self.kinds_sentence
        if near := self.nearest(text):
            hint = f"{near.sentence}: {self._offer(near.indices, near.names)}."
        raise LabelError(f"There is no class {text!r} among the {len(self)}. {hint}")

    def known(self, name: int | str) -> Label | None:
        """Like `find`, but returns None for a word that is no class, without a search for the
        nearest. Raises LabelError for no word, an ambiguous name or an index out of range."""
        text = str(name).strip()
        word = text.casefold()
        if not word:
            raise LabelError(
                f"No class is named. Give an index from 0 to {len(self) - 1} or a name."
            )
        if isinstance(name, str):
            spaced = " ".join(word.replace("_", " ").split())  # tabby_cat, as programs write it
            apart = spaced.replace("-", " ")  # golden-retriever, as folders are named
            forms = dict.fromkeys((word, *singulars(spaced), *singulars(apart)))
            tables = self._unique_names, self._names, self._synonyms
            tries = [names.get(one, ()) for one in forms for names in tables]
            tries += [self._squeezed.get(squeezed(one), ()) for one in forms]
            for found in filter(None, tries):
                if len(found) == 1:
                    return self[found[0]]
                several = self._offer(found)
                raise LabelError(f"{text!r} stands for several classes: {several}.")
        if self.is_imagenet and word in kinds().by_synset:
            return self[kinds().by_synset[word]]
        if re.fullmatch(r"[+-]?[0-9]{1,9}", text):
            index = int(text)
            if not 0 <= index < len(self):
                raise LabelError(
                    f"There is no class {index}: indices go from 0 to {len(self) - 1}."
                )
            return self[index]
        return None

    def nearest(self, text: str) -> Nearest | None:
        """The classes to offer for a word that is no class; None if none is like it."""
        return self._nearest_names.to(text)

    @cached_property
    def _nearest_names(self) -> NearestNames:
        return NearestNames(self._synonyms, self._index_of, self.is_imagenet)

    def _index_of(self, name: str) -> int:
        return self.find(name).index

    @cached_property
    def kinds_sentence(self) -> str:
        """A sentence on what classes there are, for a word that is near none of them."""
        if not self.is_imagenet:
            return f"Its classes are: {self._offer(range(len(self)))}."
        table = kinds()
        counted = (f"{kind}s ({len(set(table.named(kind)))})" for kind in _GREAT_KINDS)
        return (
            f"None near it was found; ImageNet's names are English. The classes are "
            f"{', '.join(counted)}, clothes, food, furniture, tools and more."
        )

    @cached_property
    def _unique_names(self) -> dict[str, tuple[int, ...]]:
        return _index((label.name, label.index) for label in self)

    @cached_property
    def _names(self) -> dict[str, tuple[int, ...]]:
        return _index((label.synonyms[0], label.index) for label in self)

    @cached_property
    def _synonyms(self) -> dict[str, tuple[int, ...]]:
        pairs = [(name, label.index) for label in self for name in label.synonyms]
        pairs += [(label.full_name, label.index) for label in self]
        return _index(pairs)

    @cached_property
    def _squeezed(self) -> dict[str, tuple[int, ...]]:
        return _index(
            (squeezed(name), index) for name in self._synonyms for index in self._synonyms[name]
        )

    def _offer(self, indices: Sequence[int], names: Sequence[str] = ()) -> str:
        """Classes as a list: "barrel (427, also “cask”)" if only that synonym is among names."""
        named = []
        for label in map(self.__getitem__, indices[:OFFERED]):
            known = (label.name, *label.synonyms)
            near = next((one for one in known if one.casefold() in names), label.name)
            also = "" if near in label.name else f", also “{near}”"
            named.append(f"{label.name} ({label.index}{also})")
        more = len(indices) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


@cache
def imagenet_labels() -> Labels:
    """All 1000 labels of ImageNet-1k, in the order of the networks' outputs."""
    file = Path(__file__).with_name("imagenet_labels.txt")
    labels = []
    for index, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        synonyms = tuple(line.split(", "))
        labels.append(Label(index, _DISTINGUISHED.get(index, synonyms[0]), synonyms))
    return Labels("list of ImageNet classes", tuple(labels), is_imagenet=True)


def labels_of(names: Iterable[str], title: str = "list of classes", noun: str = "class") -> Labels:
    """Labels from the names of classes, in the order of a network's outputs. Equal names get their
    index: "name (3)". So does a class without a readable name: "class 3", where noun is "class"."""
    given = [" ".join(name.split()) for name in names]
    names = [_readable(name, f"{noun} {n}") for n, name in enumerate(given)]
    count = Counter(name.casefold() for name in names)
    return Labels(
        title,
        tuple(
            Label(n, name if count[name.casefold()] == 1 else f"{name} ({n})", (given[n] or name,))
            for n, name in enumerate(names)
        ),
    )


def _readable(name: str, instead: str) -> str:
    """The name if it has a letter, digit or symbol; otherwise instead, as a sentence could not be
    read: "says - (36 %)"."""
    if any(unicodedata.category(letter)[0] in "LNS" for letter in name):
        return name
    visible = "".join(letter for letter in name if letter.isprintable()).strip()
    return f"{instead} ({visible})" if visible else instead


def find_label(wanted: int | str) -> Label:
    """The ImageNet class of this index, name or synonym; see `Labels.find`."""
    return imagenet_labels().find(wanted)


def find_in_all(name: int | str, networks: Sequence[tuple[str, Labels]]) -> list[int]:
    """The index of a class in each of several networks. networks: their titles and labels.

    Raises LabelError like `Labels.find` if a network lacks the class, and for an index if networks
    have different class lists.
    """
    if len({id(labels) for _, labels in networks}) == 1:
        return [networks[0][1].find(name).index] * len(networks)
    found = []
    for title, labels in networks:
        try:
            label = labels.find(name)
        except LabelError as error:
            raise LabelError(f"{title}: {error}") from None
        if str(name).strip().casefold() == str(label.index) != label.name.casefold():
            raise LabelError(
                f"{label.index} is a different class in each of these networks: give the name of "
                "a class that all of them have."
            )
        found.append(label.index)
    return found


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, index in pairs:
        key = name.casefold()
        if index not in found.get(key, ()):
            found[key] = (*found.get(key, ()), index)
    return found
