"""What a condition is, and the list of those that a model can be put under."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_mer.data.word_errors import WORD_ERROR_SHARES, check_word_errors

KINDS = ("all", "alone", "missing", "words", "white", "babble", "seconds")


@dataclass(frozen=True)
class Condition:
    """What utterances are like when they are recognised.

    Attributes:
        kind: One of `KINDS`: everything as it is; one modality `alone`; one `missing`; a share of the `words` wrong;
            `white` noise or `babble` over the voice; so many `seconds` from the start.
        modalities: What the model is given.
        value: Of the kinds that have a strength: word error rate, decibels of signal over noise, seconds.
        missing: The modality that is missing.
    """

    kind: str
    modalities: tuple[str, ...]
    value: float | None = None
    missing: str | None = None

    @property
    def name(self) -> str:
        """For tables and messages."""
        if self.kind == "words":
            return f"{100 * (self.value or 0):g} % of the words wrong"
        if self.kind in ("white", "babble"):
            return f"{'white noise' if self.kind == 'white' else 'babble'}, {self.value:g} dB"
        if self.kind == "seconds":
            return f"first {self.value:g} s"
        if self.kind == "missing":
            return f"{self.missing} missing"
        return f"{self.modalities[0]} alone" if self.kind == "alone" else "everything"

    @property
    def changes(self) -> tuple[str, ...]:
        """Modalities whose content is another than the corpus'."""
        changed = {"words": ("text",), "white": ("speech",), "babble": ("speech",)}
        return self.modalities if self.kind == "seconds" else changed.get(self.kind, ())


@dataclass(frozen=True)
class ConditionSettings:
    """How strong the conditions are.

    Attributes:
        word_error_rates: Errors per word, above 0 to 1.
        word_error_shares: Of deletions, substitutions and insertions among the errors.
        noises: Any of `white` and `babble`.
        snrs: Decibels of the voice over the noise.
        seconds: Kept from the start of a clip, of sound, picture and, in proportion, words.
        seed: Of errors and noise.

    Raises:
        ValueError: With the valid values.
    """

    word_error_rates: tuple[float, ...] = (0.1, 0.2, 0.4, 0.6)
    word_error_shares: tuple[float, ...] = WORD_ERROR_SHARES
    noises: tuple[str, ...] = ("white", "babble")
    snrs: tuple[float, ...] = (20.0, 10.0, 5.0, 0.0)
    seconds: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    seed: int = 0

    def __post_init__(self) -> None:
        for rate in self.word_error_rates:
            check_word_errors(rate, self.word_error_shares)
            if rate == 0:
                raise ValueError("word_error_rates: 0 is the transcript as it is; leave it out")
        for noise in self.noises:
            if noise not in ("white", "babble"):
                raise ValueError(f"noises: '{noise}' is not one of white, babble")
        for snr in self.snrs:
            if not -60 <= snr <= 100:
                raise ValueError(f"snrs: {snr} dB must be between -60 and 100")
        for seconds in self.seconds:
            if not seconds >= 0.1:
                raise ValueError(f"seconds: {seconds} must be at least 0.1")


def all_conditions(modalities: Sequence[str], settings: ConditionSettings) -> list[Condition]:
    """The conditions that mean something to a model of these modalities, the unchanged utterances first.

    Of two modalities one alone is the other missing, and is listed once.
    """
    whole = tuple(modalities)
    conditions = [Condition("all", whole)]
    if len(whole) > 1:
        conditions += [Condition("alone", (name,)) for name in whole]
    if len(whole) > 2:
        conditions += [
            Condition("missing", tuple(one for one in whole if one != name), missing=name) for name in whole
        ]
    if "text" in whole:
        conditions += [Condition("words", whole, rate) for rate in sorted(set(settings.word_error_rates))]
    if "speech" in whole:
        snrs = sorted(set(settings.snrs), reverse=True)
        conditions += [Condition(noise, whole, snr) for noise in settings.noises for snr in snrs]
    if set(whole) & {"speech", "video"}:
        conditions += [Condition("seconds", whole, value) for value in sorted(set(settings.seconds), reverse=True)]
    return conditions
