"""What networks predict for one photo, in words: which classes, what these have in common, and how
sure the networks are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from gradcam_core.analysis.sentences.named_network import (
    NamedNetwork,
    form,
    grouped,
    percentages,
    subject,
)
from gradcam_core.analysis.trust.limits import IMPROBABLE
from gradcam_core.explanation.text import Prediction
from gradcam_core.models.class_names.kinds import kinds
from gradcam_core.models.class_names.labels import imagenet_labels
from gradcam_core.wording import listed, percentage, percentage_in_sentence

CLOSE = 0.1
"""A network is unsure if its two highest probabilities differ by less."""

WEAK = 0.3
"""A network is also unsure if its highest probability is lower."""

GUESS = 1.01
"""A network is no better than a guess if its highest probability is less than this many times that
of a guess."""

HARDLY_BETTER = 1.1
"""The same limit for a network that is hardly better."""

NARROWER = 3
"""The kind that some networks' classes share is named if the kind of all networks' classes has at
least this many times as many classes."""

YES = 0.5
"""If each class has a probability of its own, a network says every class with at least this: one,
several or none."""

UNDECIDED = 0.05
"""A network is undecided between yes and no if its probability differs from `YES` by less."""

MASS_NOUNS = {
    *("food", "clothing", "furniture", "electronic equipment", "armor", "makeup", "bread"),
    "footwear",
}
"""Kinds without an article."""


def predictions(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    """Sentences on what the networks that have scores predict."""
    values = [one for one in networks if one.e.has_scores and one.e.unit is not None]
    for one in values:
        given = listed([f"{top.in_sentence} is {one.e.score(top)}" for top in one.e.top])
        yield f"{one.name} says that {given}"
    networks = [one for one in networks if one.e.unit is None]
    groups = grouped(
        (one for one in networks if one.e.has_scores),
        lambda one: tuple(said.name for said in _said(one)),
    )
    targets = {one.e.target.in_sentence for one in networks}
    # The class that all explain, if no network predicts it.
    other = ""
    if len(targets) == 1 and targets.isdisjoint(
        said.in_sentence for group in groups for said in _said(group[0])
    ):
        other = networks[0].e.target.in_sentence
    everyone = [one for group in groups for one in group]
    too = [one for one in everyone if other and _says_too(one)]
    if len(groups) == 1:
        not_other = f", not {other}" if other and not too and _said(groups[0][0]) else ""
        yield _says(groups[0], networks) + not_other
    elif groups:
        none = "neither" if len(everyone) == 2 else "none"
        last = [f"{none} says {other}"] if other and not too else []
        yield "; ".join([*_clauses(groups, networks), *last])
    if too:
        yield (
            f"{subject(too, networks)} {form(too, 'says', 'say')} {other}, too "
            f"({percentages([one.e.target.probability for one in too])})"
        )


def _said(one: NamedNetwork) -> tuple[Prediction, ...]:
    """The classes that a network says, the most probable first."""
    if not one.e.independent:
        return one.e.top[:1]
    return tuple(prediction for prediction in one.e.top if prediction.probability >= YES)


def _says_too(one: NamedNetwork) -> bool:
    """Whether a network says the class explained besides its top class. If each class has a
    probability of its own: whether it has at least `YES`. Otherwise: whether both show the same
    percentage, and not one below `IMPROBABLE`, which hundreds of classes may show."""
    best, target = one.e.top[0].probability, one.e.target.probability
    if one.e.independent:
        return target >= YES
    return percentage(best) == percentage(target) and target >= IMPROBABLE


def _clauses(
    groups: Sequence[list[NamedNetwork]], networks: Sequence[NamedNetwork]
) -> Iterator[str]:
    """groups: networks with the same predictions; at least two groups."""
    kind = _kind(groups)
    some = _some_of_a_kind(groups, kind)
    rest = [_says(group, networks) for group in groups if group not in some]
    says_both, knowing = _says_both(groups), _knowing_others(groups)
    beginning = "their most probable classes differ"
    if knowing == {False}:
        beginning = "they know different classes"
    elif knowing == {True} and not says_both:
        beginning = "they disagree"
    everyone = [one for group in groups for one in group]
    firsts = {said[0].in_sentence if (said := _said(group[0])) else None for group in groups}
    if len(firsts) == 1:
        beginning = f"{subject(everyone, networks)} say {firsts.pop()}"
    elif kind is not None:
        differ = "" if some or says_both else " but differ on which"
        beginning = f"{subject(everyone, networks)} see {_a(kind)}{differ}"
    if some:
        its_kind = _kind(some)
        assert its_kind is not None
        names = listed([_with_prediction(group) for group in some])
        rest = [f"{names} see {_a(its_kind)}", *rest]
    yield f"{beginning}: {rest[0]}"
    yield from rest[1:]


def _says_both(groups: Sequence[list[NamedNetwork]]) -> bool:
    """Whether a network that may say several classes also says one that another network says: then
    they do not disagree."""
    said = [{prediction.name for prediction in _said(group[0])} for group in groups]
    return any(not one.isdisjoint(other) for one, other in itertools.combinations(said, 2))


def _knowing_others(groups: Sequence[list[NamedNetwork]]) -> set[bool | None]:
    """Whether one of two networks knows a class that the other predicts: all answers over all
    pairs, None for unknown."""
    return {
        _one_knows(*two)
        for sides in itertools.combinations(groups, 2)
        for two in itertools.product(*sides)
    }


def _one_knows(*two: NamedNetwork) -> bool | None:
    found = {
        _knows(one, said) for one, other in itertools.permutations(two) for said in _said(other)
    }
    return True in found or (False if found == {False} else None)


def _knows(one: NamedNetwork, prediction: Prediction) -> bool | None:
    """Whether a network has this class; None if this is unknown, as it has other classes than
    ImageNet's, and more than its explanation names."""
    top, labels = one.e.top, imagenet_labels()
    if any(known.name == prediction.name for known in top):
        return True
    if one.e.classes == len(labels) and all(map(_is_of_imagenet, top)):
        return any(label.name == prediction.name for label in labels)
    return False if len(top) >= one.e.classes else None


def _some_of_a_kind(
    groups: Sequence[list[NamedNetwork]], kind: int | None
) -> Sequence[list[NamedNetwork]]:
    """The groups, not all, with the most networks whose classes share a kind that is much narrower
    than that of all; empty if there are none. kind: that of all, or None."""
    found: tuple[tuple[int, int], Sequence[list[NamedNetwork]]] = (0, 0), ()
    members = kinds().members
    of_one = [group for group in groups if len(_said(group[0])) == 1]
    for size in range(2, len(groups)):
        for some in itertools.combinations(of_one, size):
            own = _kind(some)
            if own is None or (kind and NARROWER * len(members[own]) > len(members[kind])):
                continue
            worth = sum(map(len, some)), -len(members[own])
            found = max(found, (worth, some), key=lambda one: one[0])
    return found[1]


def _kind(groups: Sequence[list[NamedNetwork]]) -> int | None:
    """The number of the kind of all first predictions; None if they are no classes of ImageNet or
    have no common kind."""
    best = [prediction for group in groups for prediction in _said(group[0])[:1]]
    if len(best) < len(groups) or not all(map(_is_of_imagenet, best)):
        return None
    return kinds().narrowest(one.index for one in best)


def _is_of_imagenet(prediction: Prediction) -> bool:
    labels = imagenet_labels()
    return prediction.index < len(labels) and labels[prediction.index].name == prediction.name


def _a(kind: int) -> str:
    name = kinds().kinds[kind].names[0]
    if name in MASS_NOUNS:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _says(group: Sequence[NamedNetwork], networks: Sequence[NamedNetwork]) -> str:
    says = f"{subject(group, networks)} {form(group, 'says', 'say')}"
    said = [_with_probabilities(n, group) for n in range(len(_said(group[0])))]
    if not said:
        best = {one.e.top[0].in_sentence for one in group}
        of_which = f", for {best.pop()}" if len(best) == 1 else ""
        classes = form(group, f"its {group[0].e.classes}", "their")
        return f"{says} none of {classes} classes (at most {_probabilities(group)}{of_which})"
    e = group[0].e
    if e.independent and len(said) == len(e.top) < e.classes:
        said.append("perhaps more")
    return f"{says} {listed(said)}"


def _with_probabilities(place: int, group: Sequence[NamedNetwork]) -> str:
    """A prediction that a group shares, with its percentages. place: its index among the group's
    most probable classes."""
    name = group[0].e.top[place].in_sentence
    values = percentages([one.e.top[place].probability for one in group])
    # A name that ends with brackets takes the percentage into them: "crane (bird, 39.1 %)".
    return f"{name[:-1]}, {values})" if name.endswith(")") else f"{name} ({values})"


def _with_prediction(group: Sequence[NamedNetwork]) -> str:
    names = " and ".join(one.name for one in group)
    return f"{names} ({group[0].e.top[0].in_sentence}, {_probabilities(group)})"


def _probabilities(group: Sequence[NamedNetwork]) -> str:
    return percentages([one.e.top[0].probability for one in group])


def doubts(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    """Sentences on networks that are no better than a guess, undecided, or unsure."""
    having_scores = [one for one in networks if one.e.has_scores and one.e.unit is None]
    guessing = [one for one in having_scores if _times_a_guess(one) < HARDLY_BETTER]
    for group in grouped(guessing, lambda one: (one.e.classes, _is_a_guess(one))):
        better = "no better" if _is_a_guess(group[0]) else "hardly better"
        count = group[0].e.classes
        yield (
            f"{subject(group, networks)} {form(group, 'is', 'are')} {better} than guessing "
            f"{'between' if count == 2 else 'among'} {form(group, 'its', 'their')} {count} classes "
            f"({_probabilities(group)})"
        )
    undecided = [
        one
        for one in having_scores
        if one.e.independent and abs(one.e.top[0].probability - YES) < UNDECIDED
    ]
    if undecided:
        best = form(undecided, "its most probable class has", "their most probable classes have")
        yield (
            f"{subject(undecided, networks)} {form(undecided, 'is', 'are')} undecided: {best} "
            f"{_probabilities(undecided)}, where 50 % separates yes from no"
        )
    rest = [one for one in having_scores if one not in guessing and one not in undecided]
    yield from _unsure(rest, networks)


def _is_a_guess(one: NamedNetwork) -> bool:
    """Whether the highest probability is that of a guess, and is also displayed as such."""
    written = percentage(one.e.top[0].probability)
    return _times_a_guess(one) < GUESS and written == percentage(1 / one.e.classes)


def _times_a_guess(one: NamedNetwork) -> float:
    """The highest probability as a multiple of 1 / classes, that of a guess. Infinite if each class
    has a probability of its own: then there is nothing to guess among."""
    return float("inf") if one.e.independent else one.e.top[0].probability * one.e.classes


def _unsure(
    having_scores: Sequence[NamedNetwork], networks: Sequence[NamedNetwork]
) -> Iterator[str]:
    weak, close = [], []
    for one in having_scores:
        best, *others = (prediction.probability for prediction in one.e.top)
        if one.e.independent:
            continue
        if best < WEAK:
            weak.append(one)
        elif others and best - others[0] < CLOSE:
            close.append(one)
    clauses = []
    if weak:
        its_best = form(weak, "its best guess has", "their best guesses have")
        clauses.append(
            f"{subject(weak, networks)} {form(weak, 'is', 'are')} unsure: "
            f"{its_best} only {_probabilities(weak)}"
        )
    if close:
        top = [prediction.probability for prediction in close[0].e.top[:2]]
        ends = (
            f"its top two are close ({' and '.join(map(percentage_in_sentence, top))})",
            f"their top two are less than {100 * CLOSE:.0f} points apart",
        )
        unsure = f"{form(close, 'is', 'are')} unsure{', too' if weak else ''}"
        clauses.append(f"{subject(close, networks)} {unsure}: {form(close, *ends)}")
    if clauses:
        yield "; ".join(clauses)
