"""What the generated corpus says before anything is written: settings, labels, cues, and how far each can be read.

The generative model of a 4-class utterance, with reliability `r`:

1. Its valence cue is +1 or -1 with equal chance and shows in its own words; a `history_share` of utterances has
   neutral words, and their cue is that of the latest earlier utterance of the dialogue that carries valence.
2. Its arousal cue is +1 or -1 with equal chance and shows in the voice.
3. The true valence is the valence cue with probability `r`, else its opposite; so is the true arousal, independently.
4. The label is angry (-, high), happy (+, high), sad (-, low) or neutral (+, low); for an `ambiguous_share` of
   utterances it is any of the four at random.

Utterances of other labels (xxx, fru, ...) stand between them and carry cues too.
"""

from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field, fields
from itertools import product

import numpy as np

from hf_mer.data.generated.languages import LANGUAGES
from hf_mer.data.generated.sentences import SHORTEST_CLAUSE
from hf_mer.data.generated.voice import VoiceSettings

LABELS = {(-1, 1): "ang", (1, 1): "hap", (-1, -1): "sad", (1, -1): "neu"}
"""(valence, arousal) to label; `hap` is also written as `exc`."""

_OTHER_LABELS = {"xxx": 0.55, "fru": 0.35, "sur": 0.04, "fea": 0.02, "oth": 0.02, "dis": 0.02}
_TAG_ONLY_SHARE = 0.04  # of the utterances whose words are neutral, and of those with other labels


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
        voice: Settings of the voice: share and number of the salient stretches, strength of the cue, lengths.
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
        problems = [
            f"{name}={getattr(self, name)!r} is not between {low} and {high}"
            for name, low, high in (
                ("num_utterances", self.sessions, 40_000),
                ("sessions", 1, 5),
                ("seed", 0, 2**63),
                ("cue_reliability", 0.5, 1.0),
                ("history_share", 0.0, 0.8),
                ("ambiguous_share", 0.0, 1.0),
                ("unlabelled_share", 0.0, 0.9),
                ("excited_share", 0.0, 1.0),
                ("utterances_per_dialogue", 2, 400),
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
class Ceilings:
    """Highest accuracy (and, classes being balanced, unweighted accuracy) that any system can expect.

    Attributes:
        chance: Without looking.
        text: The utterance's words and the history.
        text_without_history: The utterance's words.
        voice: The voice; history adds nothing to it.
        both: Words, history and voice.
        both_without_history: Words and voice.
    """

    chance: float
    text: float
    text_without_history: float
    voice: float
    both: float
    both_without_history: float

    @classmethod
    def of(cls, config: GeneratedCorpusConfig) -> "Ceilings":
        """Enumerate every outcome of the generative model and sum the best guess of each view."""
        joint = _joint_distribution(config)
        views: dict[str, Callable[[bool, int, int], Hashable]] = {
            "chance": lambda own, valence, arousal: (),
            "text": lambda own, valence, arousal: valence,
            "text_without_history": lambda own, valence, arousal: valence if own else 0,
            "voice": lambda own, valence, arousal: arousal,
            "both": lambda own, valence, arousal: (valence, arousal),
            "both_without_history": lambda own, valence, arousal: (valence if own else 0, arousal),
        }
        return cls(**{name: bayes_accuracy(joint, view) for name, view in views.items()})

    def as_dict(self) -> dict[str, float]:
        """Ceilings by name."""
        return asdict(self)

    def table(self) -> str:
        """The ceilings as lines to print."""
        width = max(len(item.name) for item in fields(self))
        rows = [f"{name.replace('_', ' '):<{width}}  {value:.3f}" for name, value in self.as_dict().items()]
        return "\n".join([f"{'ceiling of':<{width}}  WA, UA", *rows])


def _joint_distribution(config: GeneratedCorpusConfig) -> dict[tuple, float]:
    """Probability of `(label, own words carry valence, valence cue, arousal cue)`."""
    neutral = config.num_history_only / config.num_utterances
    right = {True: config.cue_reliability, False: 1 - config.cue_reliability}
    joint: dict[tuple, float] = {}
    for own, valence, arousal, valence_right, arousal_right in product(
        (True, False), (1, -1), (1, -1), (True, False), (True, False)
    ):
        mass = (1 - neutral if own else neutral) * 0.25 * right[valence_right] * right[arousal_right]
        truth = LABELS[(valence if valence_right else -valence, arousal if arousal_right else -arousal)]
        for label in LABELS.values():
            chance = config.ambiguous_share / len(LABELS) + (1 - config.ambiguous_share) * (label == truth)
            key = (label, own, valence, arousal)
            joint[key] = joint.get(key, 0.0) + mass * chance
    return joint


def bayes_accuracy(joint: dict[tuple, float], view: Callable[..., Hashable]) -> float:
    """Accuracy of the best guess: the sum, over what a view sees, of the probability of the likeliest label.

    Args:
        joint: Probability of every `(label, *outcome)`.
        view: From an outcome to what is seen of it.
    """
    seen: dict[Hashable, dict[str, float]] = {}
    for (label, *outcome), mass in joint.items():
        by_label = seen.setdefault(view(*outcome), {})
        by_label[label] = by_label.get(label, 0.0) + mass
    return sum(max(by_label.values()) for by_label in seen.values())


@dataclass
class PlannedUtterance:
    """What an utterance is to say.

    Attributes:
        id: IEMOCAP's utterance id.
        label: IEMOCAP's label, among them the four classes.
        valence: Cue, 1 or -1; of the words or, if these are neutral, of the history.
        arousal: Cue, 1 or -1, of the voice.
        own_words: Whether the utterance's own words carry the valence.
        ambiguous: Whether the label was drawn at random.
        tag_only: Whether the transcript is nothing but a tag.
        source: Id of the utterance whose words carry the valence; empty if none does.
    """

    id: str
    label: str
    valence: int = 0
    arousal: int = 0
    own_words: bool = True
    ambiguous: bool = False
    tag_only: bool = False
    source: str = ""

    @property
    def four_class(self) -> bool:
        """Whether the utterance belongs to the 4-class task."""
        return self.label not in _OTHER_LABELS


@dataclass
class PlannedDialogue:
    """A dialogue: name as in IEMOCAP, session from 1, utterances in order of time."""

    name: str
    session: int
    utterances: list[PlannedUtterance]

    @property
    def scripted(self) -> bool:
        """Whether the dialogue is a scripted one."""
        return "_script" in self.name


def plan_corpus(config: GeneratedCorpusConfig) -> list[PlannedDialogue]:
    """Draw dialogues, labels and cues of the whole corpus."""
    rng = np.random.default_rng([config.seed, 0])
    dialogues: list[PlannedDialogue] = []
    for session in range(1, config.sessions + 1):
        wanted = _share(config.num_utterances, config.sessions, session - 1)
        dialogues += _plan_session(config, session, wanted, rng)
    _choose_neutral_words(config, dialogues, rng)
    for dialogue in dialogues:
        _draw_cues_and_labels(config, dialogue, rng)
    return dialogues


def dialogue_names(session: int) -> list[str]:
    """Names of a session's dialogues, irregular ones first, improvised and scripted in turn."""
    improvised = [f"{side}_impro{number:02d}" for number in range(1, 9) for side in "FM"]
    scripted = [
        f"{side}_script{part}" for part in ("01_1", "01_2", "01_3", "02_1", "02_2", "03_1", "03_2") for side in "FM"
    ]
    if session == 3:
        odd = ["M_impro05a", "M_impro05b", "M_impro08a", "M_impro08b"]
        improvised = odd + [name for name in improvised if name not in ("M_impro05", "M_impro08")]
    if session == 5:
        scripted = ["M_script01_1b", *scripted]
    longest = max(len(improvised), len(scripted))
    in_turn = [names[place] for place in range(longest) for names in (improvised, scripted) if place < len(names)]
    return [f"Ses0{session}{name}" for name in in_turn]


def _share(total: int, parts: int, index: int) -> int:
    """Size of part `index` when `total` is cut as evenly as possible."""
    return total // parts + (index < total % parts)


def _plan_session(
    config: GeneratedCorpusConfig, session: int, wanted: int, rng: np.random.Generator
) -> list[PlannedDialogue]:
    """Dialogues of a session with ids; `wanted` utterances have the placeholder label `hap`, the others their own."""
    others = round(wanted * config.unlabelled_share / (1 - config.unlabelled_share))
    drawn = rng.choice(list(_OTHER_LABELS), others, p=list(_OTHER_LABELS.values()))
    labels = rng.permutation(np.concatenate([np.full(wanted, "hap"), drawn]))
    names = dialogue_names(session)
    names = sorted(names[: max(1, min(len(names), round(len(labels) / config.utterances_per_dialogue)))])
    dialogues, position = [], 0
    for index, name in enumerate(names):
        size = _share(len(labels), len(names), index)
        speaker, counts, utterances = "FM"[rng.integers(2)], {"F": 0, "M": 0}, []
        for label in labels[position : position + size]:
            utterances.append(PlannedUtterance(f"{name}_{speaker}{counts[speaker]:03d}", str(label)))
            counts[speaker] += 1
            if rng.random() < 0.8:
                speaker = "M" if speaker == "F" else "F"
        position += size
        dialogues.append(PlannedDialogue(name, session, utterances))
    return dialogues


def _choose_neutral_words(
    config: GeneratedCorpusConfig, dialogues: list[PlannedDialogue], rng: np.random.Generator
) -> None:
    """Choose whose valence only the history tells: the exact share, seldom two in a row, never a first turn."""
    for dialogue in dialogues:
        for turn, utterance in enumerate(dialogue.utterances):
            utterance.tag_only = turn > 0 and not utterance.four_class and rng.random() < _TAG_ONLY_SHARE
            utterance.own_words = not utterance.tag_only
    places = [
        (dialogue, turn)
        for dialogue in dialogues
        for turn, utterance in enumerate(dialogue.utterances)
        if turn > 0 and utterance.four_class
    ]
    if len(places) < config.num_history_only:
        raise ValueError(
            f"history_share={config.history_share} asks for {config.num_history_only} utterances with a history, "
            f"there are {len(places)}: lower it or raise utterances_per_dialogue={config.utterances_per_dialogue}"
        )
    left = config.num_history_only
    order = rng.permutation(len(places))
    for beside_another in (0.1, 1.0):  # second round only if the first does not find enough
        for index in order:
            dialogue, turn = places[index]
            around = dialogue.utterances[max(0, turn - 1) : turn + 2]
            if not left or not dialogue.utterances[turn].own_words:
                continue
            if all(neighbour.own_words for neighbour in around) or rng.random() < beside_another:
                dialogue.utterances[turn].own_words = False
                dialogue.utterances[turn].tag_only = rng.random() < _TAG_ONLY_SHARE
                left -= 1


def _draw_cues_and_labels(config: GeneratedCorpusConfig, dialogue: PlannedDialogue, rng: np.random.Generator) -> None:
    """Cues in order of time, then the labels that they point to, right or wrong."""
    latest: PlannedUtterance | None = None
    for utterance in dialogue.utterances:
        utterance.arousal = int(rng.choice((-1, 1)))
        utterance.valence = int(rng.choice((-1, 1)))
        valence_agrees, arousal_agrees = np.where(rng.random(2) < config.cue_reliability, 1, -1)
        ambiguous, random_label, excited = rng.random(), rng.integers(4), rng.random()
        if utterance.label == "fru":
            utterance.valence = -int(valence_agrees)
        if utterance.own_words:
            latest = utterance
        elif latest is not None:
            utterance.valence = latest.valence
        utterance.source = latest.id if latest is not None else ""
        if not utterance.four_class:
            continue
        utterance.label = LABELS[(utterance.valence * int(valence_agrees), utterance.arousal * int(arousal_agrees))]
        utterance.ambiguous = bool(ambiguous < config.ambiguous_share)
        if utterance.ambiguous:
            utterance.label = list(LABELS.values())[random_label]
        if utterance.label == "hap" and excited < config.excited_share:
            utterance.label = "exc"
