"""From rows to a batch: audio or its cached features, text, history, and what training does to them."""

from typing import Any

import numpy as np

from hf_mer.data.augmentation import augment_log_mel


class MerDataCollator:
    """Makes model inputs out of rows of a corpus; the processor does the padding.

    Args:
        processor: A `MerProcessor`.
        modalities: What is put into the batch: `text`, `speech` or both.
        use_history: Whether earlier utterances of the dialogue are spliced before the text.
        modality_dropout: Share of the training utterances that lose one of their modalities, each as often; never
            both.
        spec_augment: SpecAugment on log-mel frames in training: `time_masks`, `time_frames` (10 ms each),
            `frequency_masks`, `frequency_bins`; None for none. Encoders on the waveform mask inside themselves, by
            their own configuration.
        training: Whether the last two apply.
    """

    def __init__(
        self,
        processor: Any,
        modalities: list[str],
        use_history: bool = True,
        modality_dropout: float = 0.0,
        spec_augment: dict[str, int] | None = None,
        training: bool = False,
    ):
        if not 0 <= modality_dropout <= 1:
            raise ValueError(f"modality_dropout={modality_dropout} must be between 0 and 1")
        self.processor, self.modalities, self.use_history = processor, modalities, use_history
        self.modality_dropout, self.spec_augment, self.training = modality_dropout, spec_augment, training

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Makes a batch of `input_ids`, `attention_mask`, `token_type_ids`, audio inputs and `labels (B,)`."""
        import torch

        features = [self.audio_features(row) if "speech" in self.modalities else None for row in rows]
        texts = [row.get("text") if "text" in self.modalities else None for row in rows]
        histories = [
            list(row.get("history") or []) if self.use_history and "text" in self.modalities else [] for row in rows
        ]
        if self.training:
            features = [None if feature is None else self._augment(feature) for feature in features]
            self._drop_modalities(features, texts, histories)
        batch = dict(self.processor.collate(features, texts, histories, require_input=False))
        if rows[0].get("label") is not None:
            batch["labels"] = torch.tensor([row["label"] for row in rows])
        return batch

    def audio_features(self, row: dict[str, Any]) -> np.ndarray | None:
        """Cached features of a row if it has them, else computed from its audio; None without audio."""
        cached = row.get("features")
        if cached is not None:
            cached = np.asarray(cached, dtype=np.float32)
            return cached.reshape(-1, row["feature_dim"]) if row["feature_dim"] > 1 else cached
        return None if row.get("audio") is None else self.processor.extract_audio(row["audio"])

    def _drop_modalities(self, features: list, texts: list, histories: list) -> None:
        import torch

        complete = [i for i, feature in enumerate(features) if feature is not None and (texts[i] or histories[i])]
        chosen = [i for i in complete if torch.rand(()) < self.modality_dropout]
        speech_left, text_left = len(complete), len(complete)
        for index in chosen:
            # one utterance of the batch keeps each modality, so that every rank of a distributed run uses every
            # parameter
            if torch.rand(()) < 0.5 and speech_left > 1:
                features[index] = None
                speech_left -= 1
            elif text_left > 1:
                texts[index], histories[index] = None, []
                text_left -= 1

    def _augment(self, features: np.ndarray) -> np.ndarray:
        if not self.spec_augment or features.ndim != 2:
            return features
        return augment_log_mel(features, self.processor.feature_extractor.stride, self.spec_augment)
