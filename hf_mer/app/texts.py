"""What the page says."""

from hf_mer.app.lane import Limits
from hf_mer.app.model import PageModel, modality_names
from hf_mer.hub.training_corpus import Corpus

_NOT_FOR = "It is not a lie detector, makes no diagnosis, and is no basis for decisions about people."

EXAMPLES = "Examples: synthetic speech with made-up sentences, chosen so that the model is right if it can be."

NO_RESULT = (
    "No result yet. Record or upload an utterance, type its words and press <b>Recognise</b>, or choose an example. "
    "Here you will see how probable each emotion is, and which words and segments of sound speak for and against it."
)

EXPIRED = "Results are discarded after ten minutes: press Recognise again."

_LIMITS = """
- Accuracy drops on other microphones, and with languages, ages and cultures that the training corpus does not cover.
  {corpus} Evaluate the model on your own recordings before use.
- Emotion recognition of people at work or in education is prohibited in the European Union, except for medical and
  safety reasons (AI Act, Regulation (EU) 2024/1689, article 5(1)(f)). Where it is allowed, the people concerned must
  be told. Ask the people you record.
- Without one of its modalities the model relies on the others and is less accurate.
- A prediction above the threshold can still be wrong. Below the threshold the page gives no label.
- An explanation shows what the model relied on, not why a person spoke as they did.
"""

_HOW_TRUE = {  # hit rates and chance, in %: of words, of segments of sound; recipes/explanations/README.md
    "le_mer": ("LE-MER", 94, 15, 65, 38),
    "wavfusion": ("WavFusion", 69, 23, 64, 29),
}
EXPLANATION_TIME = "So that you do not wait long, this page spends about three seconds on an explanation."

PRIVACY = (
    "Nothing you give is kept: recordings and videos are stored in a temporary folder on the server and deleted after "
    "ten minutes, or when the server stops; words and results are discarded when you leave the page. Nothing is sent "
    "to any other server."
)


def limits_of(limits: Limits) -> str:
    """What the page takes at most, as one more of the limitations."""
    return (
        f"- Long recordings of up to {limits.minutes:g} minutes are processed one at a time. Up to {limits.waiting} "
        f"of them, and {limits.waiting} predictions, wait in a queue; further requests are rejected. Leaving the page "
        "cancels the work on your recording.\n"
    )


def heading(model: PageModel) -> str:
    """Title and what the model is, in a line."""
    uses = modality_names([name for name in ("text", "speech", "video") if model.uses(name)])
    return (
        f"# Emotion of an utterance\n`{model.name}` uses {uses} to predict one of {len(model.labels)} emotions: "
        f"{', '.join(model.labels)}."
    )


def explanation_limits(system: str) -> str:
    """How true explanations of a system are, as HTML: what was measured, or that nothing was."""
    if system not in _HOW_TRUE:
        return "How true explanations of this model are was not measured."
    name, words, by_chance, segments, segments_by_chance = _HOW_TRUE[system]
    return (
        "How true this is: on synthetic speech, where the answer is known, the word with the highest value truly "
        f"carries the emotion in {words}&nbsp;% of the utterances that {name} labels correctly "
        f"({by_chance}&nbsp;% by chance), the segment of sound in {segments}&nbsp;% ({segments_by_chance}&nbsp;%). "
        "For real speech the answer is not known."
    )


def not_for(corpus: Corpus) -> str:
    """What the model predicts, and what it must not be used for."""
    if corpus.generated:
        return (
            "**A demonstration.** This model was trained on synthetic speech with made-up sentences, whose labels a "
            f"program chose. It knows nothing about real voices. {_NOT_FOR}"
        )
    named = f" ({corpus.title})" if corpus.title else ""
    return (
        "**What this is not for.** The model predicts the label that the annotators of its training corpus"
        f"{named} would give an utterance, not what a person feels. {_NOT_FOR}"
    )


def limitations(corpus: Corpus) -> str:
    """What is to be known of the model before it is used, as points."""
    if corpus.generated:
        told = "This model's training corpus has no real speech at all."
    elif corpus.title:
        told = f"{corpus.limits} The speech is {corpus.language}." if corpus.language else corpus.limits
    else:
        told = "This checkpoint does not state its training corpus."
    return _LIMITS.format(corpus=told)


def advice(model: PageModel, modalities: tuple[str, ...]) -> str:
    """What to do where no label passed the threshold; empty where there is nothing particular to do."""
    if not model.uses("text") or "text" in modalities:
        return ""
    served = "" if model.listens else " (or serve the page with --asr, which recognises them)"
    return (
        f"Without words this model uses {modality_names(modalities)} alone, and its scores are lower. Type the "
        f"words{served}, or set a lower threshold."
    )


def about_threshold(model: PageModel, modalities: tuple[str, ...]) -> str:
    """Where the threshold of an utterance with these modalities is from, if it is not the visitor's own."""
    threshold, names = model.threshold(None, modalities), modality_names(modalities)
    if not model.has_threshold(modalities):
        return f"Threshold {threshold:.2f}, by default: no validation utterance had {names}."
    return f"Threshold {threshold:.2f}: 9 in 10 validation utterances with {names} score as high."


def calibration(model: PageModel, modalities: tuple[str, ...]) -> str:
    """What the scores of an utterance with these modalities are worth."""
    temperature = model.temperature(modalities)
    names = modality_names(modalities)
    if temperature is None:
        return f"Scores from {names}; not calibrated: rely on their order rather than on their values."
    return f"Scores from {names}, calibrated on the validation split (temperature {temperature:.2f})."
