"""What the page says."""

from hf_mer.app.lane import Limits
from hf_mer.app.model import PageModel, modality_names

NOT_FOR = (
    "**What this is not for.** It tells how an utterance would be *labelled* by the raters of the corpus the model "
    "learned from, not what a person feels. It is not a lie detector, gives no diagnosis, and is no basis for "
    "decisions about people."
)

LIMITS = """
- Scores fall on other microphones, languages, ages and cultures than those of the training corpus, which is mostly
  acted speech of a few speakers of one language. Measure on your own recordings before you use it.
- Recognising emotions of people at work or in education is prohibited in the European Union outside medical and
  safety reasons (AI Act, Regulation (EU) 2024/1689, article 5(1)(f)). Where it is allowed, the people it is used on
  must be told. Ask the people you record.
- Without one of its modalities a model decides by the others alone, and is right less often.
- A score above the threshold can be wrong. The threshold is there so that the page can also say nothing.
- Label attention shows what the model went by, which is not a reason why a person spoke so.
"""

PRIVACY = (
    "Nothing you give is kept: recordings and films lie in a temporary folder of the server, are deleted after ten "
    "minutes, and are gone with it when it stops; words and results are forgotten when you leave the page. Nothing is "
    "sent anywhere else."
)


def limits_of(limits: Limits) -> str:
    """What the page takes at most, as one more point of `LIMITS`."""
    return (
        f"- Long recordings may have {limits.minutes:g} minutes and are done one at a time; {limits.waiting} of them "
        f"may wait, and {limits.waiting} predictions: who comes then is asked to try again. Leaving the page ends the "
        "work on your recording.\n"
    )


def heading(model: PageModel) -> str:
    """Title and what the model is, in a line."""
    uses = modality_names([name for name in ("text", "speech", "video") if model.uses(name)])
    return (
        f"# Emotion of an utterance\n`{model.name}` goes by {uses} and tells apart {len(model.labels)} classes: "
        f"{', '.join(model.labels)}."
    )


def calibration(model: PageModel, modalities: tuple[str, ...]) -> str:
    """What the scores of an utterance with these modalities are worth."""
    temperature = model.temperature(modalities)
    names = modality_names(modalities)
    if temperature is None:
        return f"Scores from {names}; not calibrated for that, so that their order counts more than their size."
    return f"Scores from {names}, calibrated on validation (temperature {temperature:.2f})."
