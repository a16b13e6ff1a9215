"""What a prediction went by: modalities, words, segments of sound and frames, as Shapley values of the model itself.

The game: the model's calibrated log-probability of one class, of the utterance with a part of what it has. All values
are differences of natural logarithms of that probability: +0.7 doubles it, -0.7 halves it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .coalitions_mer import LogProbabilities, Variant
from .explain_settings_mer import BUDGET, PLAYERS, Explaining, check_explain
from .notes_mer import say
from .places_mer import Places, places_of
from .shapley_mer import (
    FEWEST_PAIRS,
    all_coalitions,
    coalition_weights,
    exact_shapley,
    fewest_coalitions,
    shapley_values,
)
from .utterances_mer import Utterance, UtteranceLoader

_MOST_TOGETHER = 4  # combinations: those of two other modalities
_NAMES = {"text": "words", "history": "words", "speech": "segments", "video": "video_spans"}


def explain(
    model: Any,
    processor: Any,
    audio: Any = None,
    text: Any = None,
    history: list[str] | None = None,
    video: Any = None,
    *,
    label: str | None = None,
    budget: int = BUDGET,
    modalities: Sequence[str] | None = None,
    sampling_rate: int | None = None,
) -> dict[str, Any]:
    """Explains the prediction of one utterance; the pipeline gives the same with `explain=True`.

    ```python
    explain(model, processor, "hello.wav", text="I am so glad you came")["words"]
    ```

    With the demo's LE-MER (utterances of 2 to 4 s, 8 to 12 words and 20 of history, one core) a plain prediction takes
    0.02 s, an explanation 0.7 to 1.1 s with the default budget and 0.2 to 0.4 s with `budget=300`. Exported models run
    all of themselves for every forward pass.

    Args:
        model: In evaluation mode; an exported one as well.
        processor: Its processor.
        audio: As the pipeline takes it.
        text: As the pipeline takes it; with times segments are those of the words.
        history: Earlier utterances, oldest first.
        video: As the pipeline takes it.
        label: See `Explaining`.
        budget: See `Explaining`.
        modalities: See `Explaining`.
        sampling_rate: Of arrays, Hz.

    Returns:
        See `explain_utterance`.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If there is nothing to explain, no such class or modality, or the budget is too small.
    """
    asked = {"label": label, "budget": budget, "modalities": modalities}
    check_explain(asked)
    settings = Explaining.of(asked, model.config)
    if getattr(model, "training", False):
        raise ValueError("the model is in training mode, in which dropout changes every answer: call model.eval()")
    given = {"audio": audio, "text": text, "history": history, "video": video}
    item = {name: value for name, value in given.items() if value is not None}
    utterance = UtteranceLoader(processor, model.config.modalities, explains=True)(item, sampling_rate)
    return explain_utterance(model, processor, utterance, settings or Explaining())


def explain_utterance(model: Any, processor: Any, utterance: Utterance, settings: Explaining) -> dict[str, Any]:
    """Explains the prediction of one loaded utterance.

    *Modalities* (text, history, speech, video, as far as the utterance has them): exact Shapley values of all their
    combinations, so that they add up to `log(score) - log(prior)`. *Places* of a modality (words, segments, spans):
    Shapley values in the game whose outcome is the mean over all combinations of the other modalities, weighted as in
    the value of the modality (an Owen value). So they add up to the value of their modality, and the only word of an
    utterance has just that. A few of them are exact, as the budget allows, more are sampled; where the budget is too
    small for even that, neighbours are valued together, with a warning.

    Source: Shapley (1953); G. Owen, Values of games with a priori unions (1977); log-probabilities of what is left as
    the outcome after Strumbelj and Kononenko (2014) and S. Lundberg and S.-I. Lee, A unified approach to interpreting
    model predictions (2017).

    Args:
        model: In evaluation mode.
        processor: Its processor.
        utterance: With its `sound`, where segments of it are wanted.
        settings: What is asked for.

    Returns:
        `label`: that is explained;
        `score`: its calibrated probability;
        `prior`: its probability before anything is seen, of which `prior_source` says where it is from: `training`,
        or `uniform` for a checkpoint that does not say it;
        `modalities`: the value of each by name, of `text`, `history`, `speech` and `video`;
        `words`: in their order, those of the history first, `word`, `current` (of the utterance itself), `start` and
        `end` where they are known, `value` and `error`;
        `segments`: of the sound, `start` and `end` (seconds of the recording), `value` and `error`, and `word` (None
        for a pause) where `segments_by` is `words` and not `windows`;
        `video_spans`: around a frame each, `start`, `end` (None where times are not known), `value` and `error`;
        `forward_passes`: variants of the utterance that the model was asked about;
        `warnings`, if there are any.
        A `value` is signed, in natural logarithms of the probability; an `error` is its standard error, 0 where it is
        exact.

    Raises:
        ValueError: If the utterance has nothing that the model can use.
    """
    whole = Variant.of(utterance, processor)
    players = whole.players
    if not players:
        raise ValueError(f"nothing to explain: the utterance has no {' or '.join(model.config.modalities)}")
    seconds = 0.0 if utterance.sound is None else len(utterance.sound) / processor.sampling_rate
    ask = LogProbabilities(model, processor, whole, seconds)
    coalitions = all_coalitions(len(players))  # (2**M, M)
    outcomes = ask([whole.only(_chosen(players, members)) for members in coalitions])  # (2**M, C)
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    label = int(outcomes[-1].argmax()) if settings.label is None else labels.index(settings.label)
    outcomes = outcomes[:, label]
    result: dict[str, Any] = {
        "label": labels[label],
        "score": float(np.exp(outcomes[-1])),
        "prior": float(np.exp(outcomes[0])),
        "prior_source": "uniform" if getattr(model.config, "class_prior", None) is None else "training",
        "modalities": dict(zip(players, exact_shapley(outcomes).tolist(), strict=True)),
        "words": [],
        "segments": [],
        "segments_by": None,
        "video_spans": [],
    }
    wanted = PLAYERS if settings.modalities is None else settings.modalities
    places = places_of(whole, utterance, processor, wanted)
    valued, warnings = _valued(ask, whole, places, outcomes, label, settings.budget)
    for name in ("history", "text", "speech", "video"):
        result[_NAMES[name]] += valued.get(name, [])
    if result["segments"]:
        result["segments_by"] = "words" if "word" in result["segments"][0] else "windows"
    result["forward_passes"] = ask.forward_passes
    say(warnings)
    return {**result, "warnings": warnings} if warnings else result


def _chosen(players: Sequence[str], members: np.ndarray) -> list[str]:
    return [player for player, takes_part in zip(players, members, strict=True) if takes_part]


def _valued(
    ask: LogProbabilities, whole: Variant, places: list[Places], outcomes: np.ndarray, label: int, budget: int
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """The entries of all places with `value` and `error`, by player, and what is to be said of them.

    The budget is shared out by the numbers of places. Those of the history, which often has more words than the
    utterance, count half. What few places leave of their share is left to the others.
    """
    valued: dict[str, list[dict[str, Any]]] = {}
    warnings: list[str] = []
    waiting = sorted(places, key=len)
    while waiting:
        one, contexts = waiting[0], _Contexts(ask, whole, waiting[0].player, outcomes)
        share = (budget - ask.forward_passes) * _weight(one) // sum(map(_weight, waiting))
        fitting = contexts.fitting(len(one), share)
        if fitting < len(one):
            warnings.append(
                f"explain: {len(one)} places of {one.player} are valued in {fitting} groups of neighbours, for the "
                f"budget of {budget} forward passes is too small for each"
            )
            one = one.grouped(fitting)
        valued[one.player] = contexts.valued(one, label, share)
        waiting.pop(0)
    return valued, warnings


def _weight(places: Places) -> int:
    return len(places) * (1 if places.player == "history" else 2)


class _Contexts:
    """All combinations of the other modalities, in which the places of one modality are valued.

    A model that takes the states of its encoders is asked about the same coalitions of places in every combination: so
    the encoder of the modality, which costs the most, runs once for all of them. Every combination has orders of its
    own, which say more for as many forward passes, where the model runs whole each time, and where there are so many
    combinations that the budget would not suffice for the places one by one.

    Args:
        ask: The model.
        whole: The utterance.
        player: The modality.
        outcomes: Of one class, of `all_coalitions` of the modalities.
    """

    def __init__(self, ask: LogProbabilities, whole: Variant, player: str, outcomes: np.ndarray):
        players = whole.players
        members = all_coalitions(len(players))
        place = players.index(player)
        without = np.flatnonzero(~members[:, place])
        others = [_chosen(players, members[number]) for number in without]
        self.ask = ask
        self.remains = [whole.only([*other, player]) for other in others]
        self.weights = coalition_weights(len(players))[members[without].sum(axis=1)]  # (K,), their sum is 1
        self.nothing = outcomes[without]  # (K,)
        self.everything = outcomes[without + 2**place]  # (K,)
        self.is_apart = len(others) > (_MOST_TOGETHER if ask.keeps_states else 1)
        self.least_pairs = 1 if self.is_apart else FEWEST_PAIRS

    def fitting(self, num_places: int, budget: int) -> int:
        """The largest number of places, at most so many, that a budget of forward passes suffices for."""
        affordable = budget // len(self.remains)
        while num_places > 1 and fewest_coalitions(num_places, self.least_pairs) > affordable:
            num_places -= 1
        return num_places

    def valued(self, places: Places, label: int, budget: int) -> list[dict[str, Any]]:
        """The entries of places with `value` and `error`, within a budget of forward passes."""
        values, errors = (self._apart if self.is_apart else self._together)(places, label, budget)
        numbers = zip(values.tolist(), errors.tolist(), strict=True)
        return [
            {**entry, "value": value, "error": error}
            for entry, (value, error) in zip(places.entries, numbers, strict=True)
        ]

    def _together(self, places: Places, label: int, budget: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and errors, `(P,)` each, of the game whose outcome is the mean over the combinations."""

        def game(coalitions: np.ndarray) -> np.ndarray:
            return self._outcomes(places, coalitions, label, self.remains) @ self.weights

        nothing, everything = float(self.weights @ self.nothing), float(self.weights @ self.everything)
        found = shapley_values(game, len(places), nothing, everything, budget // len(self.remains))
        return found.values, found.errors

    def _apart(self, places: Places, label: int, budget: int) -> tuple[np.ndarray, np.ndarray]:
        """The same as the mean over the combinations of the values in each, which have orders of their own.

        Beyond what all of them need, they share the budget by what they count for.
        """
        needed = fewest_coalitions(len(places), self.least_pairs) if len(places) > 1 else 0
        spare = budget - needed * len(self.remains)
        values, variances = np.zeros(len(places)), np.zeros(len(places))
        for number, (one, weight) in enumerate(zip(self.remains, self.weights, strict=True)):

            def game(coalitions: np.ndarray, one: Variant = one) -> np.ndarray:
                return self._outcomes(places, coalitions, label, [one])[:, 0]

            found = shapley_values(
                game,
                len(places),
                float(self.nothing[number]),
                float(self.everything[number]),
                needed + int(spare * weight),
                seed=number,
                least_pairs=self.least_pairs,
            )
            values += weight * found.values
            variances += (weight * found.errors) ** 2
        return values, np.sqrt(variances)

    def _outcomes(self, places: Places, coalitions: np.ndarray, label: int, remains: list[Variant]) -> np.ndarray:
        """Log-probability of a class with these places left, in some of the combinations. `(N, P)` to `(N, R)`."""
        at_once = max(1, self.ask.rows // len(remains))
        found = [np.zeros((0, len(remains)))]
        for first in range(0, len(coalitions), at_once):
            changed = [places.left(chosen) for chosen in coalitions[first : first + at_once]]
            outcomes = self.ask([one.with_changed(change) for change in changed for one in remains])[:, label]
            found.append(outcomes.reshape(-1, len(remains)))
        return np.concatenate(found)
