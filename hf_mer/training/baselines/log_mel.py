"""Statistics of log-mel frames, the oldest features of speech emotion, and a linear classifier on them."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import FeatureExtractionMixin

from hf_mer.files import write_json
from hf_mer.metrics.scores import emotion_scores
from hf_mer.models.audio_mer import AudioError, load_audio
from hf_mer.models.notes_mer import collected_notes

logger = logging.getLogger(__name__)

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of C, the inverse strength of the penalty, that are tried; the strongest first."""

_INNER_FOLDS = 5
_ITERATIONS = 1000


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
    def size(self) -> int:
        """Width of the vector."""
        return 2 * self.num_mel_bins * (2 + len(self.percentiles))

    @property
    def feature_extractor(self) -> "LogMelStatistics":
        """Itself: the part of a processor that `cache_features` names its file after."""
        return self

    def extract_audio(self, source: Any) -> np.ndarray:
        """The vector of an utterance.

        Args:
            source: What `load_audio` takes; arrays at `sampling_rate`.

        Returns:
            Bins of the mean, of the deviation and of each percentile, then the same of the slopes. Shape `(size,)`,
            float32.

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


@dataclass
class LogMelClassifier:
    """Multinomial logistic regression on standardised statistics.

    Attributes:
        extractor: Makes the statistics.
        labels: Class names.
        mean: Of the training part. Shape `(F,)`.
        scale: Deviation of the training part, 1 where there is none. Shape `(F,)`.
        weight: Shape `(C, F)`.
        bias: Shape `(C,)`.
    """

    extractor: LogMelStatistics
    labels: list[str]
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(
        cls, extractor: LogMelStatistics, labels: list[str], features: np.ndarray, targets: np.ndarray, penalty: float
    ) -> "LogMelClassifier":
        """Learns from the training part.

        Args:
            extractor: Made the features.
            labels: Class names; every class occurs.
            features: Shape `(N, F)`.
            targets: Class ids. Shape `(N,)`.
            penalty: C of the logistic regression.
        """
        pipeline = _pipeline(penalty).fit(features, targets)
        scaler, regression = pipeline[0], pipeline[-1]
        weight, bias = regression.coef_, regression.intercept_
        if len(labels) == 2:  # scikit-learn keeps the second class only
            weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
        return cls(extractor, labels, scaler.mean_, scaler.scale_, weight, bias)

    @property
    def parameters(self) -> dict[str, int]:
        """Numbers in the classifier, all and those that training minimises a loss over."""
        trained = self.weight.size + self.bias.size
        return {"all": trained + self.mean.size + self.scale.size, "trained": trained}

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Class scores of statistics, `(N, F)` to `(N, C)`."""
        return (features - self.mean) / self.scale @ self.weight.T + self.bias

    def predict(self, sources: Sequence[Any]) -> np.ndarray:
        """Probabilities of the classes for recordings, of what `load_audio` takes. Shape `(N, C)`."""
        with collected_notes():  # the check of the corpus has counted them
            features = np.stack([self.extractor.extract_audio(source) for source in sources])
        return softmax(self.logits(features.astype(np.float64)), axis=1)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes `config.json`, `preprocessor_config.json` and `model.safetensors`."""
        path = Path(folder)
        self.extractor.save_pretrained(path)
        write_json(path / "config.json", {"baseline": "log_mel_statistics", "labels": self.labels})
        tensors = {name: getattr(self, name) for name in ("mean", "scale", "weight", "bias")}
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "LogMelClassifier":
        """Reads what `save_pretrained` wrote."""
        path = Path(folder)
        labels = json.loads((path / "config.json").read_text(encoding="utf-8"))["labels"]
        return cls(LogMelStatistics.from_pretrained(str(path)), labels, **load_file(path / "model.safetensors"))


def choose_penalty(
    features: np.ndarray,
    targets: np.ndarray,
    num_labels: int,
    metric: str,
    validation: tuple[np.ndarray, np.ndarray] | None,
    speakers: Sequence[str | None],
    seed: int,
) -> dict[str, Any]:
    """C of the logistic regression: by the validation part, or within the training part where there is none.

    Args:
        features: Of the training part. Shape `(N, F)`.
        targets: Its class ids. Shape `(N,)`.
        num_labels: Number of classes.
        metric: `wa`, `ua` or `wf1`.
        validation: Features and class ids of the validation part.
        speakers: Of the training rows; no speaker is on both sides of an inner fold. Where any is unknown, or all are
            one, inner folds are drawn at random.
        seed: Of that draw.

    Returns:
        `C`, `metric`, `by` (what it was chosen by) and `scores` (of every C); of equal scores the smallest C.
    """
    inner, groups, by = None, None, "the validation part"
    if validation is None:
        inner, groups, by = _inner_folds(targets, speakers, seed)
        logger.info("no validation part: C is chosen by %s", by)
    scores = {}
    for penalty in PENALTIES:
        pipeline = _pipeline(penalty)
        if validation is None:
            truth, found = targets, cross_val_predict(pipeline, features, targets, groups=groups, cv=inner)
        else:
            truth, found = validation[1], pipeline.fit(features, targets).predict(validation[0])
        scores[penalty] = emotion_scores(truth, found, num_labels)[metric]
    best = max(PENALTIES, key=lambda penalty: (scores[penalty], -penalty))
    return {"C": best, "metric": metric, "by": by, "scores": {f"{key:g}": value for key, value in scores.items()}}


def _inner_folds(targets: np.ndarray, speakers: Sequence[str | None], seed: int) -> tuple[Any, Any, str]:
    known = sorted({speaker for speaker in speakers if speaker is not None})
    if len(known) > 1 and all(speaker is not None for speaker in speakers):
        count = min(_INNER_FOLDS, len(known))
        return GroupKFold(count), list(speakers), f"{count} folds of the training part's {len(known)} speakers"
    smallest = int(np.bincount(targets)[np.unique(targets)].min())
    if smallest < 2:
        raise ValueError(
            "C cannot be chosen: no validation part, no speakers, and a class with a single training row; "
            "set validation"
        )
    count = min(_INNER_FOLDS, smallest)
    return StratifiedKFold(count, shuffle=True, random_state=seed), None, f"{count} random folds of the training part"


def _pipeline(penalty: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=_ITERATIONS))
