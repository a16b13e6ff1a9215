"""What the generated corpora have in common before anything is written: utterances, dialogues, and neutral words."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_mer.data.generated.corpus_settings import GeneratedCorpusConfig, GeneratedMeldConfig
from hf_mer.data.generated.sentences import Sentence, write_sentence


@dataclass
class PlannedUtterance:
    """What an utterance is to say.

    Attributes:
        id: As the corpus's loader gives it.
        speaker: `F` or `M` in IEMOCAP's layout, a name in MELD's.
        label: As the corpus writes it.
        valence: Cue, 1 or -1; of the words or, if these are neutral, of the history.
        arousal: Cue of the voice.
        dominance: Cue of the face, in MELD's layout.
        own_words: Whether the utterance's own words carry the valence.
        source: Id of the utterance whose words carry the valence; empty if none does.
        ambiguous: Whether the label was drawn at random, in IEMOCAP's layout.
        tag_only: Whether the transcript is nothing but a tag, in IEMOCAP's layout.
        clip: In MELD's layout `plain`; `corrected`: beside a wrong one; `missing`, `short` or `broken`.
        surround: Whether the clip is in 5.1.
    """

    id: str
    speaker: str
    label: str = ""
    valence: int = 0
    arousal: int = 0
    dominance: int = 0
    own_words: bool = True
    source: str = ""
    ambiguous: bool = False
    tag_only: bool = False
    clip: str = "plain"
    surround: bool = False


@dataclass
class PlannedDialogue:
    """A dialogue: its name in the corpus, its session or split, and its utterances in order of time."""

    name: str
    part: str
    utterances: list[PlannedUtterance]


def give_neutral_words(
    config: GeneratedCorpusConfig | GeneratedMeldConfig,
    dialogues: Sequence[PlannedDialogue],
    wanted: int,
    rng: np.random.Generator,
    *,
    where: str = "",
    eligible: Callable[[PlannedUtterance], bool] = lambda utterance: True,
    beside_another: Callable[[int], bool],
) -> Iterator[PlannedUtterance]:
    """Choose whose valence only the history tells: the exact number, seldom two in a row, never a first turn.

    Args:
        config: Settings, for the message.
        dialogues: Their utterances are changed.
        wanted: Number of utterances.
        rng: Source of randomness.
        where: What the dialogues are, for the message.
        eligible: Which utterances may be chosen.
        beside_another: Whether one beside a chosen one may be chosen, in round 0 and, if that does not find enough, 1.

    Yields:
        Every chosen utterance, as soon as it is.

    Raises:
        ValueError: If there are not so many to choose from.
    """
    places = [
        (dialogue, turn)
        for dialogue in dialogues
        for turn, utterance in enumerate(dialogue.utterances)
        if turn > 0 and eligible(utterance)
    ]
    if len(places) < wanted:
        raise ValueError(
            f"history_share={config.history_share} asks for {wanted} utterances with a history{where}, but there are "
            f"{len(places)}: lower it or raise utterances_per_dialogue={config.utterances_per_dialogue}"
        )
    order = rng.permutation(len(places))
    for attempt in (0, 1):
        for index in order:
            dialogue, turn = places[index]
            chosen, around = dialogue.utterances[turn], dialogue.utterances[turn - 1 : turn + 2]
            if not wanted or not chosen.own_words:
                continue
            if all(neighbour.own_words for neighbour in around) or beside_another(attempt):
                chosen.own_words = False
                wanted -= 1
                yield chosen


def set_source(utterance: PlannedUtterance, latest: PlannedUtterance | None) -> PlannedUtterance | None:
    """Neutral words have the valence of the latest earlier utterance with words of its own; returns who is next."""
    if utterance.own_words:
        latest = utterance
    elif latest is not None:
        utterance.valence = latest.valence
    utterance.source = latest.id if latest is not None else ""
    return latest


def draw_sentence(
    config: GeneratedCorpusConfig | GeneratedMeldConfig,
    utterance: PlannedUtterance,
    rng: np.random.Generator,
    **further: Any,
) -> tuple[int, Sentence]:
    """Words of one planned utterance, and their number. The numbers come first, so that they tell nothing of the cues.

    Args:
        config: `words_per_utterance` and `salient_words`.
        utterance: Says valence with words of its own, or none.
        rng: Source of randomness.
        **further: Of `write_sentence`.
    """
    num_words, num_salient = (
        int(rng.integers(low, high + 1)) for low, high in (config.words_per_utterance, config.salient_words)
    )
    valence = utterance.valence if utterance.own_words else 0
    return num_words, write_sentence(num_words, num_salient, valence, rng, **further)
