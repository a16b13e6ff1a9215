"""What the best system can reach on a generated corpus: exact sums over every outcome of its generative model."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

Cues = tuple[int, ...]
"""1 or -1 by modality: valence, arousal and, where there is a face, dominance."""
View = tuple[tuple[int, ...], bool]
"""Which cues a system sees, by position, and whether it sees the history."""


@dataclass(frozen=True)
class Ceilings:
    """Highest scores that any system can expect, by what it sees.

    A system without history sees no valence in neutral words. A system that is best for one score is, with unbalanced
    classes, not best for the other; for WF1 there is no such rule, so it has no ceiling here.

    Attributes:
        wa: Accuracy by name of the view, with the guess that is likeliest.
        ua: Mean recall, with the guess whose class makes the outcome likeliest; None where balanced classes make it
            the same as `wa`.
    """

    wa: dict[str, float]
    ua: dict[str, float] | None = None

    @classmethod
    def of(cls, joint: "Joint", views: Mapping[str, View], balanced: bool) -> "Ceilings":
        """Sum the best guess of each view over every outcome of `joint_distribution`."""
        wa = {name: _bayes_accuracy(joint, view) for name, view in views.items()}
        if balanced:
            return cls(wa)
        share: dict[str, float] = {}
        for (label, *_), mass in joint.items():
            share[label] = share.get(label, 0.0) + mass
        even = {key: mass / share[key[0]] / len(share) for key, mass in joint.items() if share[key[0]] > 0}
        return cls(wa, {name: _bayes_accuracy(even, view) for name, view in views.items()})

    def as_dict(self) -> dict:
        """Ceilings by name; where the scores differ, by score and name."""
        return dict(self.wa) if self.ua is None else {"wa": dict(self.wa), "ua": dict(self.ua)}

    def table(self) -> str:
        """The ceilings as lines to print."""
        scores = [self.wa] if self.ua is None else [self.wa, self.ua]
        width = max(map(len, self.wa))
        rows = [
            "  ".join([f"{name.replace('_', ' '):<{width}}", *(f"{score[name]:.3f}" for score in scores)])
            for name in self.wa
        ]
        return "\n".join([f"{'ceiling of':<{width}}  {'WA, UA' if self.ua is None else 'WA     UA'}", *rows])


Joint = dict[tuple, float]
"""Probability of `(label, whether the own words carry valence, *cues)`."""


def joint_distribution(
    labels: Mapping[Any, str],
    prior: Mapping[Any, float],
    reliability: float,
    history_share: float,
    ambiguous_share: float = 0.0,
) -> Joint:
    """The generative model of an utterance's label and of what each modality shows of it.

    Args:
        labels: True valence, arousal, ... to label.
        prior: Probability of the same.
        reliability: Probability that a cue agrees with the truth, each independently of the others.
        history_share: Probability that the history alone tells the cue of valence.
        ambiguous_share: Probability that the label is any of them at random.
    """
    names = list(dict.fromkeys(labels.values()))
    signs = list(product((1, -1), repeat=len(next(iter(labels)))))
    joint: Joint = {}
    for own, cues, agreement in product((True, False), signs, signs):
        truth = tuple(cue * agrees for cue, agrees in zip(cues, agreement, strict=True))
        mass = prior[truth] * (1 - history_share if own else history_share)
        for agrees in agreement:
            mass *= reliability if agrees == 1 else 1 - reliability
        for label in names:
            chance = ambiguous_share / len(names) + (1 - ambiguous_share) * (label == labels[truth])
            key = (label, own, *cues)
            joint[key] = joint.get(key, 0.0) + mass * chance
    return joint


def _bayes_accuracy(joint: Joint, view: View) -> float:
    """Accuracy of the best guess: the sum, over what a view sees, of the probability of the likeliest label."""
    places, history = view
    seen: dict[Cues, dict[str, float]] = {}
    for (label, own, valence, *others), mass in joint.items():
        cues = (valence if own or history else 0, *others)
        by_label = seen.setdefault(tuple(cues[place] for place in places), {})
        by_label[label] = by_label.get(label, 0.0) + mass
    return sum(max(by_label.values()) for by_label in seen.values())
