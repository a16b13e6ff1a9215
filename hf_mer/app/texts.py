"""What the page says."""

from hf_mer.app.lane import Limits
from hf_mer.app.model import PageModel, modality_names

NOT_FOR = (
    "**What this is not for.** The model predicts the label that the annotators of its training corpus would give an "
    "utterance, not what a person feels. It is not a lie detector, makes no diagnosis, and is no basis for decisions "
    "about people."
)

LIMITS = """
- Accuracy drops with microphones, languages, ages and cultures that the training corpus does not cover; most corpora
  are acted speech of a few speakers of one language. Evaluate on your own recordings before use.
- Emotion recognition of people at work or in education is prohibited in the European Union, except for medical and
  safety reasons (AI Act, Regulation (EU) 2024/1689, article 5(1)(f)). Where it is allowed, the people concerned must
  be told. Ask the people you record.
- Without one of its modalities the model relies on the others and is less accurate.
- A prediction above the threshold can still be wrong. Below the threshold the page gives no label.
- Label attention shows which words and segments the model relied on, not why a person spoke as they did.
"""

PRIVACY = (
    "Nothing you give is kept: recordings and videos are stored in a temporary folder on the server and deleted after "
    "ten minutes, or when the server stops; words and results are discarded when you leave the page. Nothing is sent "
    "to any other server."
)


def limits_of(limits: Limits) -> str:
    """What the page takes at most, as one more point of `LIMITS`."""
    return (
        f"- Long recordings of up to {limits.minutes:g} minutes are processed one at a time. Up to {limits.waiting} "
        f"of them, and {limits.waiting} predictions, wait in a queue; further requests are rejected. Leaving the page "
        "cancels the work on your recording.\n"
    )


def heading(model: PageModel) -> str:
    """Title and what the model is, in a line."""
    uses = modality_names([name for name in ("text", "speech", "video") if model.uses(name)])
    return (
        f"# Emotion of an utterance\n`{model.name}` recognises {len(model.labels)} classes from {uses}: "
        f"{', '.join(model.labels)}."
    )


def calibration(model: PageModel, modalities: tuple[str, ...]) -> str:
    """What the scores of an utterance with these modalities are worth."""
    temperature = model.temperature(modalities)
    names = modality_names(modalities)
    if temperature is None:
        return f"Scores from {names}; not calibrated: rely on their order rather than on their values."
    return f"Scores from {names}, calibrated on the validation split (temperature {temperature:.2f})."
