"""Statistics of log-mel frames, the oldest features of speech emotion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torchaudio
from transformers import FeatureExtractionMixin

from hf_mer.models.audio_mer import AudioError, load_audio


class LogMelStatistics(FeatureExtractionMixin):
    """One vector per utterance: mean, deviation and percentiles over time of every mel bin and of its slope.

    Frames are of Kaldi's filter bank without dither. Levels are kept, loudness being a part of emotion; percentiles
    stand where minimum and maximum would be a click's or a digital silence's.

    Args:
        sampling_rate: Hz.
        num_mel_bins: Bins from 20 Hz to half of the sampling rate.
        frame_length: Milliseconds.
        frame_shift: Milliseconds.
        slope_window: Frames that a slope is fitted over.
        percentiles: Between 0 and 100.
        max_audio_seconds: Longer audio is cut.
        min_audio_seconds: Shorter audio is refused.
    """

    model_input_names = ("input_features",)

    def __init__(
        self,
        sampling_rate: int = 16000,
        num_mel_bins: int = 80,
        frame_length: float = 25.0,
        frame_shift: float = 10.0,
        slope_window: int = 5,
        percentiles: Sequence[float] = (10.0, 50.0, 90.0),
        max_audio_seconds: float | None = 30.0,
        min_audio_seconds: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.sampling_rate, self.num_mel_bins = sampling_rate, num_mel_bins
        self.frame_length, self.frame_shift = frame_length, frame_shift
        self.slope_window, self.percentiles = slope_window, list(percentiles)
        self.max_audio_seconds, self.min_audio_seconds = max_audio_seconds, min_audio_seconds

    @property
    def feature_extractor(self) -> "LogMelStatistics":
        """Itself: the part of a processor that `cache_features` names its file after."""
        return self

    def extract_audio(self, source: Any) -> np.ndarray:
        """The vector of an utterance.

        Args:
            source: What `load_audio` takes; arrays at `sampling_rate`.

        Returns:
            Bins of the mean, of the deviation and of each percentile, then the same of the slopes, float32.
            Shape `(2 * (2 + P) * M,)`, of `M` bins and `P` percentiles.

        Raises:
            AudioError: If the audio is unusable or shorter than `min_audio_seconds`.
        """
        samples = load_audio(source, self.sampling_rate, max_seconds=self.max_audio_seconds)
        if len(samples) < self.min_audio_seconds * self.sampling_rate:
            raise AudioError(
                f"{len(samples) / self.sampling_rate:.3f} s of audio is too short; "
                f"at least {self.min_audio_seconds} s are needed"
            )
        frames = torchaudio.compliance.kaldi.fbank(
            torch.from_numpy(samples).unsqueeze(0),
            num_mel_bins=self.num_mel_bins,
            frame_length=self.frame_length,
            frame_shift=self.frame_shift,
            sample_frequency=self.sampling_rate,
            dither=0.0,
        ).T  # (M, S)
        slopes = torchaudio.functional.compute_deltas(frames, self.slope_window)
        shares = torch.tensor(self.percentiles, dtype=frames.dtype) / 100
        statistics = [
            torch.stack([values.mean(dim=-1), values.std(dim=-1, correction=0), *values.quantile(shares, dim=-1)])
            for values in (frames, slopes)
        ]
        return torch.stack(statistics).flatten().numpy()
