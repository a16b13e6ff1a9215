"""What the generated corpus in MELD's layout says before anything is written: settings, labels, cues, ceilings.

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

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

import numpy as np

from hf_mer.data.corpora.meld_counts import SPLITS, TASKS
from hf_mer.data.generated.face import FaceSettings
from hf_mer.data.generated.plan import bayes_accuracy
from hf_mer.data.generated.sentences import SHORTEST_CLAUSE
from hf_mer.data.generated.voice import VoiceSettings

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


@dataclass(frozen=True)
class GeneratedMeldConfig:
    """Settings of the generated corpus in MELD's layout.

    Attributes:
        num_train: Utterances of the training split.
        num_dev: Utterances of the validation split.
        num_test: Utterances of the test split.
        seed: Same settings and seed, same content.
        cue_reliability: Probability that a cue agrees with the emotion; 0.5 is no information.
        history_share: Share of the utterances whose valence only the history tells.
        neutral_share: Probability of the emotion neutral. With 1/7 the classes are balanced, so that WA and UA have
            the same ceilings and every modality tells as much as any other; MELD itself has 0.47.
        guest_share: Share of the utterances that are not by one of the six main speakers.
        words_per_utterance: Least and greatest number of words.
        salient_words: Least and greatest number of words that carry valence.
        utterances_per_dialogue: Mean number of utterances of a dialogue.
        surround_share: Share of the clips in 5.1 with speech in the centre channel and noise in the others; the rest
            is stereo.
        corrected_share: Share of the test clips of which there is a corrected one beside a wrong one.
        voice: Settings of the voice.
        face: Settings of the picture.
    """

    num_train: int = 1000
    num_dev: int = 200
    num_test: int = 300
    seed: int = 0
    cue_reliability: float = 0.9
    history_share: float = 0.2
    neutral_share: float = 1 / 7
    guest_share: float = 0.15
    words_per_utterance: tuple[int, int] = (6, 8)
    salient_words: tuple[int, int] = (1, 2)
    utterances_per_dialogue: int = 10
    surround_share: float = 0.15
    corrected_share: float = 0.05
    voice: VoiceSettings = field(default_factory=lambda: VoiceSettings(word_seconds=(0.13, 0.26)))
    face: FaceSettings = field(default_factory=FaceSettings)

    def __post_init__(self) -> None:
        problems = [
            f"{name}={getattr(self, name)!r} is not between {low} and {high}"
            for name, low, high in (
                *((f"num_{split}", 4, 100_000) for split in SPLITS),
                ("seed", 0, 2**63),
                ("cue_reliability", 0.5, 1.0),
                ("history_share", 0.0, 0.8),
                ("neutral_share", 0.0, 1.0),
                ("guest_share", 0.0, 0.9),
                ("utterances_per_dialogue", 2, 400),
                ("surround_share", 0.0, 1.0),
                ("corrected_share", 0.0, 1.0),
            )
            if not low <= getattr(self, name) <= high
        ]
        for name in ("words_per_utterance", "salient_words"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                problems.append(f"{name}={(low, high)} is not (least, greatest) with 1 <= least <= greatest")
        needed = max(2, SHORTEST_CLAUSE * self.salient_words[1])
        if self.words_per_utterance[0] < needed:
            problems.append(f"words_per_utterance={self.words_per_utterance}: the least must be {needed} or more")
        if self.face.size % 2 or self.face.size < 16:
            problems.append(f"face.size={self.face.size} is not an even number of 16 or more")
        if self.face.fps < 1:
            problems.append(f"face.fps={self.face.fps} is not 1 or more")
        if problems:
            raise ValueError("GeneratedMeldConfig: " + "; ".join(problems))

    def num_utterances(self, split: str) -> int:
        """Utterances of a split."""
        return int(getattr(self, f"num_{split}"))

    def emotion_probabilities(self) -> dict[str, float]:
        """Probability of every emotion."""
        others = (1 - self.neutral_share) / (len(TASKS["emotion"]) - 1)
        return {name: self.neutral_share if name == "neutral" else others for name in TASKS["emotion"]}


@dataclass(frozen=True)
class MeldCeilings:
    """Highest scores that any system can expect, by what it sees.

    Names are `chance`, and the modalities joined by `+`; `text+video` sees words, history and face, and
    `text+video_without_history` no history, which tells nothing but the valence of neutral words. Both scores are
    summed exactly over every outcome of the generative model: WA with the guess that is likeliest, UA with the guess
    whose class makes the outcome likeliest. A system that is best for one score is, with unbalanced classes, not best
    for the other; for WF1 there is no such rule, so it has no ceiling here.

    Attributes:
        wa: Accuracy by name.
        ua: Mean recall by name.
    """

    wa: dict[str, float]
    ua: dict[str, float]

    @classmethod
    def of(cls, config: GeneratedMeldConfig, task: str = "emotion") -> "MeldCeilings":
        """Enumerate every outcome of the generative model and sum the best guess of each view.

        Args:
            config: Settings.
            task: `emotion` or `sentiment`.
        """
        joint = _joint_distribution(config, task)
        share: dict[str, float] = {}
        for (label, *_), mass in joint.items():
            share[label] = share.get(label, 0.0) + mass
        even = {key: mass / share[key[0]] / len(share) for key, mass in joint.items() if share[key[0]] > 0}
        return cls(
            {name: bayes_accuracy(joint, view) for name, view in _views().items()},
            {name: bayes_accuracy(even, view) for name, view in _views().items()},
        )

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Ceilings by score and name."""
        return {"wa": dict(self.wa), "ua": dict(self.ua)}

    def table(self) -> str:
        """The ceilings as lines to print."""
        width = max(len(name) for name in self.wa)
        rows = [f"{name.replace('_', ' '):<{width}}  {self.wa[name]:.3f}  {self.ua[name]:.3f}" for name in self.wa]
        return "\n".join([f"{'ceiling of':<{width}}  WA     UA", *rows])


def _views() -> dict[str, Callable[..., Hashable]]:
    """What each system sees of `(own words, valence cue, arousal cue, dominance cue)`."""

    def view(seen: tuple[str, ...], history: bool) -> Callable[..., Hashable]:
        def look(own: bool, valence: int, arousal: int, dominance: int) -> Hashable:
            words = valence if own or history else 0
            return tuple(
                cue
                for name, cue in zip(MODALITIES, (words, arousal, dominance), strict=True)
                if name in seen  # nothing else tells whether the own words carry valence
            )

        return look

    views: dict[str, Callable[..., Hashable]] = {"chance": view((), True)}
    for size in (1, 2, 3):
        for seen in combinations(MODALITIES, size):
            views["+".join(seen)] = view(seen, True)
            if "text" in seen:
                views["+".join(seen) + "_without_history"] = view(seen, False)
    return views


def _joint_distribution(config: GeneratedMeldConfig, task: str) -> dict[tuple, float]:
    """Probability of `(label, own words carry valence, valence cue, arousal cue, dominance cue)`."""
    probabilities = config.emotion_probabilities()
    cells = {name: sum(label == name for label in LABELS.values()) for name in probabilities}
    right = {True: config.cue_reliability, False: 1 - config.cue_reliability}
    joint: dict[tuple, float] = {}
    for (truth, emotion), own, cues in product(LABELS.items(), (True, False), product((1, -1), repeat=3)):
        mass = probabilities[emotion] / cells[emotion] * (1 - config.history_share if own else config.history_share)
        for true, cue in zip(truth, cues, strict=True):
            mass *= right[true == cue]
        label = emotion if task == "emotion" else SENTIMENTS.get(emotion, "negative")
        key = (label, own, *cues)
        joint[key] = joint.get(key, 0.0) + mass
    return joint


@dataclass
class PlannedUtterance:
    """What an utterance is to say.

    Attributes:
        number: MELD's utterance id.
        speaker: One of `SPEAKERS`.
        emotion: Its label.
        valence: Cue, 1 or -1; of the words or, if these are neutral, of the history.
        arousal: Cue of the voice.
        dominance: Cue of the face.
        own_words: Whether the utterance's own words carry the valence.
        source: Number of the utterance whose words carry the valence; None if none does.
        clip: `plain`; `corrected`: beside a wrong one; `missing`, `short` or `broken`.
        surround: Whether the clip is in 5.1.
    """

    number: int
    speaker: str
    emotion: str = ""
    valence: int = 0
    arousal: int = 0
    dominance: int = 0
    own_words: bool = True
    source: int | None = None
    clip: str = "plain"
    surround: bool = False

    @property
    def sentiment(self) -> str:
        """MELD's sentiment."""
        return SENTIMENTS.get(self.emotion, "negative")


@dataclass
class PlannedDialogue:
    """A dialogue: its split, MELD's dialogue id, and its utterances in order."""

    split: str
    number: int
    utterances: list[PlannedUtterance]


def plan_meld(config: GeneratedMeldConfig) -> list[PlannedDialogue]:
    """Draw dialogues, speakers, emotions and cues of the whole corpus, and where its oddities are."""
    rng = np.random.default_rng([config.seed, 10])
    dialogues = []
    for split in SPLITS:
        found = _plan_split(config, split, rng)
        _choose_neutral_words(config, split, found, rng)
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
        friends = rng.choice(MAIN_SPEAKERS, rng.integers(2, 5), replace=False).tolist()
        guest = str(rng.choice(_GUESTS[split]))
        gap = int(rng.integers(1, size)) if size > 1 and (number == 0 or rng.random() < 0.07) else size
        utterances: list[PlannedUtterance] = []
        for turn in range(size):
            latest = utterances[-1].speaker if utterances else None
            others = [name for name in friends if name != latest]
            speaker = guest if rng.random() < config.guest_share else str(rng.choice(others))
            utterances.append(PlannedUtterance(turn + (turn >= gap), speaker))
        dialogues.append(PlannedDialogue(split, number, utterances))
    return dialogues


def _choose_neutral_words(
    config: GeneratedMeldConfig, split: str, dialogues: list[PlannedDialogue], rng: np.random.Generator
) -> None:
    """Choose whose valence only the history tells: the exact share, seldom two in a row, never a first turn."""
    left = round(config.history_share * config.num_utterances(split))
    places = [(dialogue, turn) for dialogue in dialogues for turn in range(1, len(dialogue.utterances))]
    if len(places) < left:
        raise ValueError(
            f"history_share={config.history_share} asks for {left} utterances with a history in the {split} split, "
            f"there are {len(places)}: lower it or raise utterances_per_dialogue={config.utterances_per_dialogue}"
        )
    order = [places[index] for index in rng.permutation(len(places))]
    for two_in_a_row in (False, True):  # the second round only if the first does not find enough
        for dialogue, turn in order:
            around = dialogue.utterances[turn - 1 : turn + 2]
            if left and (all(one.own_words for one in around) or (two_in_a_row and around[1].own_words)):
                dialogue.utterances[turn].own_words = False
                left -= 1


def _draw_emotions(config: GeneratedMeldConfig, dialogue: PlannedDialogue, rng: np.random.Generator) -> None:
    """Emotions and cues in order of time."""
    cells = list(LABELS)
    probabilities = config.emotion_probabilities()
    prior = np.array([probabilities[LABELS[cell]] / (1 + (LABELS[cell] == "neutral")) for cell in cells])
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
        utterance.emotion = LABELS[cell]
        utterance.valence, utterance.arousal, utterance.dominance = (int(cue) for cue in cell * agree)
        if utterance.own_words:
            latest = utterance
        elif latest is not None:
            utterance.valence = latest.valence
        utterance.source = latest.number if latest is not None else None


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
