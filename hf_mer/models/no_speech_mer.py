"""Whether there is speech at all: a Whisper writes words for noise and music too, and its own numbers tell."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

NO_SPEECH = 0.3
"""Probability of "no speech" above which a draft is asked for. Whisper tiny.en gives 0.03 to 0.16 for acted speech
(RAVDESS, clips of all eight emotions), up to 0.45 for its softest clips (peak of -46 dBFS), and 0.58 to 0.96 for noise
of several colours and levels, hum, tones, clicks, chords and melodies of 3, 8 and 30 s, of which it writes "you",
"Thank you." or a sentence over and over."""
UNLIKELY = -0.7
"""Mean log-probability of a draft below which there is no speech. Whisper tiny.en gives -0.03 to -0.30 for the speech,
and -0.93 to -2.7 for the noise and music, where it wrote any letter at all."""
_DRAFT_TOKENS = 64


@dataclass(frozen=True)
class Evidence:
    """What a Whisper itself says about a segment of sound.

    Attributes:
        no_speech: Probability of its token for "no speech", in the place of the first token.
        draft: What it writes at a first glance; None where it was not asked, as speech is likely.
        log_probability: Of the draft, mean over its tokens.
    """

    no_speech: float
    draft: str | None = None
    log_probability: float = 0.0

    @property
    def is_speech(self) -> bool:
        """Whether there are words to recognise: speech is likely, or else the draft says something that is."""
        return self.draft is None or (has_letters(self.draft) and self.log_probability >= UNLIKELY)

    def __str__(self) -> str:
        unlikely = self.draft is not None and has_letters(self.draft)
        told = f", mean log-probability of what it would write {self.log_probability:.2f}" if unlikely else ""
        return f"no-speech probability {self.no_speech:.2f}{told}"


def has_letters(text: str) -> bool:
    """Whether a text has any letter or digit; what a recogniser writes without is no word."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def can_tell(recogniser: Any) -> bool:
    """Whether a pipeline's model is a Whisper whose special tokens are known."""
    settings = getattr(recogniser.model, "generation_config", None)
    wanted = ["no_timestamps_token_id"]
    if getattr(settings, "is_multilingual", False):
        wanted += ["lang_to_id", "task_to_id"]
    is_whisper = getattr(recogniser, "type", None) == "seq2seq_whisper"
    return is_whisper and all(getattr(settings, name, None) is not None for name in wanted)


@torch.no_grad()
def evidence_of(recogniser: Any, samples: np.ndarray) -> Evidence:
    """How sure a Whisper is that there is speech.

    Args:
        recogniser: The pipeline; `can_tell` says whether this is possible.
        samples: At the rate of its feature extractor, at most as many as it hears at once. Shape `(N,)`.
    """
    model, extractor = recogniser.model, recogniser.feature_extractor
    inputs = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    features = inputs["input_features"].to(device=model.device, dtype=model.dtype)
    encoded = model.get_encoder()(features)
    settings = model.generation_config
    first = model(encoder_outputs=encoded, decoder_input_ids=_ids(model, [settings.decoder_start_token_id])).logits
    # in every vocabulary of Whisper's the token stands before that for "no time stamps"
    no_speech = float(first[0, -1].float().softmax(-1)[settings.no_timestamps_token_id - 1])
    if no_speech <= NO_SPEECH:
        return Evidence(no_speech)
    longest = min(_DRAFT_TOKENS, model.config.max_target_positions)
    tokens = model.generate(features, num_beams=1, do_sample=False, max_length=longest)[0]
    draft = recogniser.tokenizer.decode(tokens, skip_special_tokens=True).strip()
    return Evidence(no_speech, draft, _log_probability(recogniser, encoded, draft))


def _log_probability(recogniser: Any, encoded: Any, text: str) -> float:
    """Mean over the tokens of a text and the end token."""
    model = recogniser.model
    prompt, end = _prompt(model, encoded), model.config.eos_token_id
    tokens = [*recogniser.tokenizer(f" {text}", add_special_tokens=False)["input_ids"], end]
    tokens = tokens[: model.config.max_target_positions - len(prompt)]
    logits = model(encoder_outputs=encoded, decoder_input_ids=_ids(model, [*prompt, *tokens[:-1]])).logits
    said = logits[0, len(prompt) - 1 :].float().log_softmax(-1)  # (T, V)
    return float(said.gather(1, _ids(model, tokens).T).mean())


def _ids(model: Any, tokens: list[int]) -> torch.Tensor:
    return torch.tensor([tokens], device=model.device)


def _prompt(model: Any, encoded: Any) -> list[int]:
    """What stands before the words: beginning, language and task of a multilingual model, no time stamps."""
    settings = model.generation_config
    prompt = [settings.decoder_start_token_id]
    if getattr(settings, "is_multilingual", False):
        language = getattr(settings, "language", None)
        token = settings.lang_to_id.get(f"<|{language}|>" if language else None)
        if token is None:
            token = int(model.detect_language(encoder_outputs=encoded, generation_config=settings)[0])
        prompt += [token, settings.task_to_id[getattr(settings, "task", None) or "transcribe"]]
    return [*prompt, settings.no_timestamps_token_id]
