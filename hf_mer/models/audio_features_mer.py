"""Feature extractors of speech encoders: what each makes of one recording, without padding."""

from typing import Any

import numpy as np
from transformers import WhisperFeatureExtractor

from .fields_mer import FieldError

_HOP = 160  # samples of 10 ms, from one log-mel frame to the next, of extractors that do not say
_WIDTH = 400  # samples that a log-mel frame is made of, 25 ms


def check_extractor(extractor: Any) -> None:
    """Refuses feature extractors whose frames are of no encoder of the package.

    Raises:
        FieldError: Names its class.
    """
    name = (getattr(extractor, "model_input_names", None) or ["none"])[0]
    on_frames = hasattr(extractor, "stride") or is_channel_first(extractor)
    if name != "input_values" and not (name == "input_features" and on_frames):
        raise FieldError(
            f"feature extractor {type(extractor).__name__} makes {name}, which no supported speech encoder takes; use "
            "Wav2Vec2FeatureExtractor, SeamlessM4TFeatureExtractor (wav2vec2-bert) or WhisperFeatureExtractor"
        )


def is_channel_first(extractor: Any) -> bool:
    """Whether its log-mel frames are Whisper's, which the model takes as `(B, F, S)`."""
    return isinstance(extractor, WhisperFeatureExtractor)


def stride_of(extractor: Any) -> int:
    """Log-mel frames of 10 ms that are stacked in one place of `input_features`."""
    return getattr(extractor, "stride", 1)


def hop_of(extractor: Any) -> int:
    """Samples from one place of `input_values` or `input_features` to the next."""
    if extractor.model_input_names[0] == "input_values":
        return 1
    return getattr(extractor, "hop_length", _HOP) * stride_of(extractor)


def samples_for(extractor: Any, places: int) -> float:
    """Samples that so many places are made of."""
    on_samples = extractor.model_input_names[0] == "input_values"
    # a frame is wider than its step; Whisper's reach beyond the end of the recording, which is reflected
    width = 0.5 if on_samples or is_channel_first(extractor) else _WIDTH
    return places * hop_of(extractor) + width


def features_of(extractor: Any, samples: np.ndarray) -> np.ndarray:
    """Samples `(N,)` or log-mel frames `(S, F)` of one recording, normalised over it as the extractor does.

    Args:
        extractor: The feature extractor.
        samples: At its rate. Shape `(N,)`.
    """
    extras: dict[str, Any] = {}
    if is_channel_first(extractor):
        extras = {"padding": False, "truncation": False}  # or every recording would become 30 s
    elif extractor.model_input_names[0] == "input_features":
        extras = {"pad_to_multiple_of": stride_of(extractor)}
    encoded = extractor(
        samples, sampling_rate=extractor.sampling_rate, return_attention_mask=True, return_tensors="np", **extras
    )
    features, mask = encoded[extractor.model_input_names[0]][0], encoded["attention_mask"][0].astype(bool)
    if is_channel_first(extractor):
        return np.ascontiguousarray(features.T, dtype=np.float32)
    if getattr(extractor, "stride", 0) == 1:  # whose mask comes out empty; one recording has no padding then
        mask = np.ones(len(features), dtype=bool)
    return features[mask].astype(np.float32)
