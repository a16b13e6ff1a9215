"""Settings of the generated corpora, and which of them cannot be met."""

from dataclasses import dataclass, field
from typing import Any

from hf_mer.data.corpora.meld_counts import SPLITS
from hf_mer.data.generated.face import FaceSettings
from hf_mer.data.generated.sentences import LANGUAGES, SHORTEST_CLAUSE
from hf_mer.data.generated.voice import VoiceSettings


@dataclass(frozen=True)
class GeneratedCorpusConfig:
    """Settings of the generated corpus.

    Attributes:
        num_utterances: Number of utterances with one of the four classes, over all sessions.
        sessions: Number of sessions, 1 to 5, each with a woman and a man of its own.
        seed: Same settings and seed, same bytes.
        cue_reliability: Probability that a cue agrees with the label's valence or arousal; 0.5 is no information.
        history_share: Share of the 4-class utterances whose valence only the history tells.
        ambiguous_share: Share of the 4-class utterances whose label is drawn at random. 0 unless asked for: unreliable
            cues already put a known limit on every system, and ambiguity lowers it for all alike.
        unlabelled_share: Share of all utterances that have another label than the four classes.
        excited_share: Share of the happy utterances labelled `exc`.
        words_per_utterance: Least and greatest number of words.
        salient_words: Least and greatest number of words that carry valence.
        utterances_per_dialogue: Mean number of utterances of a dialogue; more where a session would need more
            dialogues than the 28 to 30 of IEMOCAP's plan.
        voice: Settings of the voice: share and number of the salient segments, strength of the cue, lengths.
        language: Of the words, one of `LANGUAGES`; plan, labels and voices are the same in all of them.
    """

    num_utterances: int = 1500
    sessions: int = 5
    seed: int = 0
    cue_reliability: float = 0.9
    history_share: float = 0.2
    ambiguous_share: float = 0.0
    unlabelled_share: float = 0.15
    excited_share: float = 0.5
    words_per_utterance: tuple[int, int] = (7, 12)
    salient_words: tuple[int, int] = (1, 2)
    utterances_per_dialogue: int = 24
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    language: str = "en"

    def __post_init__(self) -> None:
        problems = _problems(
            self,
            num_utterances=(self.sessions, 40_000),
            sessions=(1, 5),
            seed=(0, 2**63),
            cue_reliability=(0.5, 1.0),
            history_share=(0.0, 0.8),
            ambiguous_share=(0.0, 1.0),
            unlabelled_share=(0.0, 0.9),
            excited_share=(0.0, 1.0),
            utterances_per_dialogue=(2, 400),
        )
        if self.num_utterances / (1 - min(self.unlabelled_share, 0.9)) / self.sessions > 14_000:
            problems.append("more than 14000 utterances a session do not fit IEMOCAP's three-digit turn numbers")
        if self.language not in LANGUAGES:
            problems.append(f"language={self.language!r} is not one of {', '.join(LANGUAGES)}")
        if problems:
            raise ValueError("GeneratedCorpusConfig: " + "; ".join(problems))

    @property
    def num_history_only(self) -> int:
        """Number of 4-class utterances whose valence only the history tells."""
        return round(self.history_share * self.num_utterances)


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
        problems = _problems(
            self,
            **{f"num_{split}": (4, 100_000) for split in SPLITS},
            seed=(0, 2**63),
            cue_reliability=(0.5, 1.0),
            history_share=(0.0, 0.8),
            neutral_share=(0.0, 1.0),
            guest_share=(0.0, 0.9),
            utterances_per_dialogue=(2, 400),
            surround_share=(0.0, 1.0),
            corrected_share=(0.0, 1.0),
        )
        if self.face.size % 2 or self.face.size < 16:
            problems.append(f"face.size={self.face.size} is not an even number of 16 or more")
        if self.face.fps < 1:
            problems.append(f"face.fps={self.face.fps} is not 1 or more")
        if problems:
            raise ValueError("GeneratedMeldConfig: " + "; ".join(problems))

    def num_utterances(self, split: str) -> int:
        """Utterances of a split."""
        return int(getattr(self, f"num_{split}"))


def _problems(config: Any, **limits: tuple[float, float]) -> list[str]:
    """What is out of its limits, or does not go together, among the settings that both layouts have."""
    problems = [
        f"{name}={getattr(config, name)!r} is not between {low} and {high}"
        for name, (low, high) in limits.items()
        if not low <= getattr(config, name) <= high
    ]
    for name in ("words_per_utterance", "salient_words"):
        low, high = getattr(config, name)
        if not 1 <= low <= high:
            problems.append(f"{name}={(low, high)} is not (least, greatest) with 1 <= least <= greatest")
    needed = max(2, SHORTEST_CLAUSE * config.salient_words[1])
    if config.words_per_utterance[0] < needed:
        problems.append(f"words_per_utterance={config.words_per_utterance}: the least must be {needed} or more")
    return problems
