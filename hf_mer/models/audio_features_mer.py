"""Feature extractors of speech encoders: what each makes of one recording, without padding."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from transformers import SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from .fields_mer import FieldError

_HOP = 160  # samples of 10 ms, from one log-mel frame to the next, of extractors that do not say
_WIDTH = 400  # samples that a log-mel frame is made of, 25 ms
_BLOCK = 512  # log-mel frames that are computed at once


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
    if type(extractor) is SeamlessM4TFeatureExtractor:
        extractor = _FramesInBlocks.like(extractor)
    encoded = extractor(
        samples, sampling_rate=extractor.sampling_rate, return_attention_mask=True, return_tensors="np", **extras
    )
    features, mask = encoded[extractor.model_input_names[0]][0], encoded["attention_mask"][0].astype(bool)
    if is_channel_first(extractor):
        return np.ascontiguousarray(features.T, dtype=np.float32)
    if getattr(extractor, "stride", 0) == 1:  # whose mask comes out empty; one recording has no padding then
        mask = np.ones(len(features), dtype=bool)
    return features[mask].astype(np.float32)


class _FramesInBlocks(SeamlessM4TFeatureExtractor):
    """The same log-mel frames, many at once: transformers goes through them one by one."""

    @classmethod
    def like(cls, extractor: SeamlessM4TFeatureExtractor) -> "_FramesInBlocks":
        """One that shares all settings."""
        made = cls.__new__(cls)
        made.__dict__ = extractor.__dict__
        return made

    def _extract_fbank_features(self, waveform: np.ndarray) -> np.ndarray:
        """`(N,)` samples to `(S, F)` frames: mean taken off, pre-emphasis, window, power, mel bands, logarithm."""
        samples = np.squeeze(waveform).astype(np.float64) * 2**15
        if len(samples) < _WIDTH:
            return super()._extract_fbank_features(waveform)
        frames = sliding_window_view(samples, _WIDTH)[::_HOP]
        window = self.window.astype(np.float64)
        power = np.empty((len(frames), len(self.mel_filters)))
        for first in range(0, len(frames), _BLOCK):
            block = frames[first : first + _BLOCK]
            block = block - block.mean(axis=1, keepdims=True)
            block[:, 1:] -= 0.97 * block[:, :-1]
            block[:, 0] *= 1 - 0.97
            spectrum = np.fft.rfft(block * window, 2 * (len(self.mel_filters) - 1)).astype(np.complex64)
            power[first : first + _BLOCK] = np.abs(spectrum, dtype=np.float64) ** 2.0
        bands = np.maximum(np.finfo(np.float32).eps, np.dot(self.mel_filters.T, power.T))
        return np.log(bands).astype(np.float32).T
