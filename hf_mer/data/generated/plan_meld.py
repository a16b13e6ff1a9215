"""The plan of the generated corpus in MELD's layout: speakers, emotions and cues, and how far each can be read.

The generative model of an utterance, with reliability `r`:

1. Its emotion is neutral with probability `neutral_share`, else any of the six others with equal chance. It has a
   valence, an arousal and a dominance (`LABELS`); a neutral one has either dominance with equal chance.
2. Three cues agree with these, each with probability `r` and independently: that of valence shows in its own words,
   that of arousal in the voice, that of dominance in the face.
3. A `history_share` of utterances has neutral words: their cue of valence is that of the latest earlier utterance of
   the dialogue whose own words carry valence, and their emotion is drawn given that cue, so that cues and emotion
   have the same joint distribution as everywhere.

Speakers are drawn without regard to the emotion. The train and the test split share the six main speakers.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from hf_mer.data.corpora.meld_counts import SPLITS, TASKS
from hf_mer.data.generated.ceilings import Ceilings, View, joint_distribution
from hf_mer.data.generated.corpus_settings import GeneratedMeldConfig
from hf_mer.data.generated.plan import PlannedDialogue, PlannedUtterance, give_neutral_words, set_source

LABELS = {
    (1, 1, 1): "joy",
    (1, 1, -1): "surprise",
    (1, -1, 1): "neutral",
    (1, -1, -1): "neutral",
    (-1, 1, 1): "anger",
    (-1, 1, -1): "fear",
    (-1, -1, 1): "disgust",
    (-1, -1, -1): "sadness",
}
"""(valence, arousal, dominance) to emotion."""

SENTIMENTS = {"neutral": "neutral", "joy": "positive", "surprise": "positive"}
"""Emotion to sentiment; the others are negative. (In MELD itself a surprise may be either.)"""

MODALITIES = ("text", "speech", "video")
MAIN_SPEAKERS = ("Anna", "Ben", "Clara", "David", "Emma", "Felix")
_GUESTS = {
    "train": ("Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Mia", "Noah"),
    "dev": ("Olive", "Paul", "Kate", "Leo"),
    "test": ("Quinn", "Robin", "Stella", "Theo", "Grace", "Henry"),
}
SPEAKERS = tuple(dict.fromkeys([*MAIN_SPEAKERS, *(name for names in _GUESTS.values() for name in names)]))
WOMEN = {"Anna", "Clara", "Emma", "Grace", "Iris", "Kate", "Mia", "Olive", "Quinn", "Stella"}


def meld_ceilings(config: GeneratedMeldConfig) -> Ceilings:
    """What the best systems can reach; views are named `chance`, or after their modalities joined by `+`."""
    joint = joint_distribution(LABELS, _prior(config), config.cue_reliability, config.history_share)
    return Ceilings.of(joint, dict(_views()), balanced=False)


def _views() -> Iterator[tuple[str, View]]:
    """What each system sees; nothing but the history tells whether the own words carry valence."""
    yield "chance", ((), True)
    for size in (1, 2, 3):
        for seen in combinations(range(3), size):
            name = "+".join(MODALITIES[place] for place in seen)
            yield name, (seen, True)
            if 0 in seen:
                yield f"{name}_without_history", (seen, False)


def _prior(config: GeneratedMeldConfig) -> dict[tuple[int, int, int], float]:
    """Probability of every valence, arousal and dominance."""
    others = (1 - config.neutral_share) / (len(TASKS["emotion"]) - 1)
    return {cell: config.neutral_share / 2 if label == "neutral" else others for cell, label in LABELS.items()}


def plan_meld(config: GeneratedMeldConfig) -> list[PlannedDialogue]:
    """Draw dialogues, speakers, emotions and cues of the whole corpus, and where its oddities are."""
    rng = np.random.default_rng([config.seed, 10])
    dialogues = []
    for split in SPLITS:
        found = _plan_split(config, split, rng)
        wanted = round(config.history_share * config.num_utterances(split))
        where = f" in the {split} split"
        list(give_neutral_words(config, found, wanted, rng, where=where, beside_another=bool))
        for dialogue in found:
            _draw_emotions(config, dialogue, rng)
        _choose_oddities(config, split, found, rng)
        dialogues += found
    return dialogues


def _plan_split(config: GeneratedMeldConfig, split: str, rng: np.random.Generator) -> list[PlannedDialogue]:
    """Dialogues with speakers. Some utterance ids are left out, and one dialogue id of the training split."""
    wanted = config.num_utterances(split)
    count = max(1, round(wanted / config.utterances_per_dialogue))
    sizes = np.full(count, wanted // count) + (np.arange(count) < wanted % count)
    moved = rng.integers(0, np.maximum(sizes // 2, 1))  # to the next dialogue, for dialogues of all lengths
    sizes = sizes - moved + np.roll(moved, 1)
    numbers = [number for number in range(count + 1) if split != "train" or number != 1][:count]
    dialogues = []
    for number, size in zip(numbers, sizes.tolist(), strict=True):
        name = f"{split}_dia{number}"
        friends = rng.choice(MAIN_SPEAKERS, rng.integers(2, 5), replace=False).tolist()
        guest = str(rng.choice(_GUESTS[split]))
        gap = int(rng.integers(1, size)) if size > 1 and (number == 0 or rng.random() < 0.07) else size
        utterances: list[PlannedUtterance] = []
        for turn in range(size):
            latest = utterances[-1].speaker if utterances else None
            others = [friend for friend in friends if friend != latest]
            speaker = guest if rng.random() < config.guest_share else str(rng.choice(others))
            utterances.append(PlannedUtterance(f"{name}_utt{turn + (turn >= gap)}", speaker))
        dialogues.append(PlannedDialogue(name, split, utterances))
    return dialogues


def _draw_emotions(config: GeneratedMeldConfig, dialogue: PlannedDialogue, rng: np.random.Generator) -> None:
    """Emotions and cues in order of time."""
    cells = list(LABELS)
    prior = np.array(list(_prior(config).values()))
    valences = np.array([cell[0] for cell in cells])
    latest: PlannedUtterance | None = None
    for utterance in dialogue.utterances:
        agree = np.where(rng.random(3) < config.cue_reliability, 1, -1)
        chance = rng.random()
        given = prior
        if not utterance.own_words and latest is not None:
            reliable = np.where(valences == latest.valence, config.cue_reliability, 1 - config.cue_reliability)
            given = prior * reliable / (prior * reliable).sum()
        cell = cells[min(int(np.searchsorted(np.cumsum(given), chance)), len(cells) - 1)]
        utterance.label = LABELS[cell]
        utterance.valence, utterance.arousal, utterance.dominance = (int(cue) for cue in cell * agree)
        latest = set_source(utterance, latest)


def _choose_oddities(
    config: GeneratedMeldConfig, split: str, dialogues: list[PlannedDialogue], rng: np.random.Generator
) -> None:
    """Clips in 5.1; in train one that is missing and one too short, in dev one broken, in test corrected ones."""
    utterances = [utterance for dialogue in dialogues for utterance in dialogue.utterances]
    for utterance in utterances:
        utterance.surround = bool(rng.random() < config.surround_share)
    corrected = max(1, round(config.corrected_share * len(utterances)))
    odd: dict[str, Any] = {"train": ["missing", "short"], "dev": ["broken"], "test": ["corrected"] * corrected}
    places = rng.choice(len(utterances), len(odd[split]), replace=False)
    for place, clip in zip(places, odd[split], strict=True):
        utterances[place].clip = clip
