"""The plan of the generated corpus in IEMOCAP's layout: dialogues, cues and labels, and how far each can be read.

The generative model of a 4-class utterance, with reliability `r`:

1. Its valence cue is +1 or -1 with equal chance and shows in its own words; a `history_share` of utterances has
   neutral words, and their cue is that of the latest earlier utterance of the dialogue that carries valence.
2. Its arousal cue is +1 or -1 with equal chance and shows in the voice.
3. The true valence is the valence cue with probability `r`, else its opposite; so is the true arousal, independently.
4. The label is angry (-, high), happy (+, high), sad (-, low) or neutral (+, low); for an `ambiguous_share` of
   utterances it is any of the four at random.

Utterances of other labels (xxx, fru, ...) stand between them and carry cues too.
"""

import numpy as np

from hf_mer.data.generated.ceilings import Ceilings, View, joint_distribution
from hf_mer.data.generated.corpus_settings import GeneratedCorpusConfig
from hf_mer.data.generated.plan import PlannedDialogue, PlannedUtterance, give_neutral_words, set_source

LABELS = {(-1, 1): "ang", (1, 1): "hap", (-1, -1): "sad", (1, -1): "neu"}
"""(valence, arousal) to label; `hap` is also written as `exc`."""

VIEWS: dict[str, View] = {
    "chance": ((), True),
    "text": ((0,), True),
    "text_without_history": ((0,), False),
    "voice": ((1,), True),
    "both": ((0, 1), True),
    "both_without_history": ((0, 1), False),
}
"""What each system sees."""

OTHER_LABELS = {"xxx": 0.55, "fru": 0.35, "sur": 0.04, "fea": 0.02, "oth": 0.02, "dis": 0.02}
"""Labels beside the four classes, and how often each is drawn."""

_TAG_ONLY_SHARE = 0.04  # of the utterances whose words are neutral, and of those with other labels


def corpus_ceilings(config: GeneratedCorpusConfig) -> Ceilings:
    """What the best systems can reach; classes being balanced, accuracy and mean recall are the same."""
    neutral = config.num_history_only / config.num_utterances
    prior = dict.fromkeys(LABELS, 0.25)
    joint = joint_distribution(LABELS, prior, config.cue_reliability, neutral, config.ambiguous_share)
    return Ceilings.of(joint, VIEWS, balanced=True)


def is_four_class(utterance: PlannedUtterance) -> bool:
    """Whether the utterance belongs to the 4-class task."""
    return utterance.label not in OTHER_LABELS


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
    drawn = rng.choice(list(OTHER_LABELS), others, p=list(OTHER_LABELS.values()))
    labels = rng.permutation(np.concatenate([np.full(wanted, "hap"), drawn]))
    names = dialogue_names(session)
    names = sorted(names[: max(1, min(len(names), round(len(labels) / config.utterances_per_dialogue)))])
    dialogues, position = [], 0
    for index, name in enumerate(names):
        size = _share(len(labels), len(names), index)
        speaker, counts, utterances = "FM"[rng.integers(2)], {"F": 0, "M": 0}, []
        for label in labels[position : position + size]:
            utterances.append(PlannedUtterance(f"{name}_{speaker}{counts[speaker]:03d}", speaker, str(label)))
            counts[speaker] += 1
            if rng.random() < 0.8:
                speaker = "M" if speaker == "F" else "F"
        position += size
        dialogues.append(PlannedDialogue(name, f"Session{session}", utterances))
    return dialogues


def _choose_neutral_words(
    config: GeneratedCorpusConfig, dialogues: list[PlannedDialogue], rng: np.random.Generator
) -> None:
    """Choose whose valence only the history tells, and whose transcript is nothing but a tag."""
    for dialogue in dialogues:
        for turn, utterance in enumerate(dialogue.utterances):
            utterance.tag_only = turn > 0 and not is_four_class(utterance) and rng.random() < _TAG_ONLY_SHARE
            utterance.own_words = not utterance.tag_only
    chosen = give_neutral_words(
        config,
        dialogues,
        config.num_history_only,
        rng,
        eligible=is_four_class,
        beside_another=lambda attempt: rng.random() < (0.1, 1.0)[attempt],
    )
    for utterance in chosen:
        utterance.tag_only = rng.random() < _TAG_ONLY_SHARE


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
        latest = set_source(utterance, latest)
        if not is_four_class(utterance):
            continue
        utterance.label = LABELS[(utterance.valence * int(valence_agrees), utterance.arousal * int(arousal_agrees))]
        utterance.ambiguous = bool(ambiguous < config.ambiguous_share)
        if utterance.ambiguous:
            utterance.label = list(LABELS.values())[random_label]
        if utterance.label == "hap" and excited < config.excited_share:
            utterance.label = "exc"
