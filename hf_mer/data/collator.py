"""From rows to a batch: text, history, audio, video or what was computed of them, and what training does to them."""

import contextlib
import logging
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hf_mer.data.augmentation import augment_log_mel
from hf_mer.data.collator_columns import check_columns, label_column_advice, labels_of
from hf_mer.models.lengths_mer import pad_arrays, pad_masked
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of
from hf_mer.models.words_mer import has_words

logger = logging.getLogger(__name__)

STATE_MASKS = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}
"""Modality to the mask of its states, where those of a frozen encoder were computed beforehand."""


class MerDataCollator:
    """Makes model inputs out of rows of a corpus; the processor does the padding.

    A row may hold what was computed of it beforehand: `features`, of its audio, with their width in `feature_dim`;
    `frames`, of its video, with their shape in `frames_shape`; or `<modality>_states`, of a frozen encoder, an array
    `(L, D)` or of K layers `(L, K, D)`, or where it lies, see `state_files`. These then take the place of what they
    were computed from. They are empty or None where an utterance lacks the modality.

    With a plain `Trainer` it needs `TrainingArguments(remove_unused_columns=False)`: the columns are its own, not
    arguments of the model.

    Args:
        processor: A `MerProcessor`.
        modalities: What is put into the batch: any of `text`, `speech` and `video`.
        use_history: Whether earlier utterances of the dialogue are spliced before the text.
        modality_dropout: Share of the training utterances that lose one of their modalities, each as often; never
            the last one.
        every_modality: Whether one utterance of a batch keeps each modality, so that every rank of a distributed run
            uses every parameter. In batches of two or three fewer are dropped then, of one none.
        spec_augment: SpecAugment on log-mel frames in training: `time_masks`, `time_frames` (10 ms each),
            `frequency_masks`, `frequency_bins`; None for none. Encoders on the waveform mask inside themselves, by
            their own configuration.
        training: Whether dropout, SpecAugment and the next one apply.
        soft_targets: Whether labels are the shares of the raters' `votes`, in training and where a row has any.
    """

    def __init__(
        self,
        processor: Any,
        modalities: list[str],
        use_history: bool = True,
        modality_dropout: float = 0.0,
        spec_augment: dict[str, int] | None = None,
        training: bool = False,
        soft_targets: bool = False,
        every_modality: bool = True,
    ):
        if not 0 <= modality_dropout <= 1:
            raise ValueError(f"modality_dropout={modality_dropout} must be between 0 and 1")
        self.processor, self.modalities, self.use_history = processor, modalities, use_history
        self.modality_dropout, self.spec_augment, self.training = modality_dropout, spec_augment, training
        self.soft_targets, self.every_modality = soft_targets, every_modality
        self._advised = False
        self._seed: Any = None

    def draw_by(self, seed: int) -> None:
        """From now on augmentations depend on this seed and the rows' `id` alone; workers that run hear of it, too."""
        import torch

        if self._seed is None:
            self._seed = torch.zeros((), dtype=torch.int64).share_memory_()
        self._seed.fill_(seed)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Makes a batch of the inputs of `forward`, and `labels` where rows have a `label` (or `labels`).

        These are class ids `(B,)`, or shares of the classes `(B, C)`; -100 where a row has none.

        Raises:
            ValueError: If the rows have no column of a modality, or a label is no number.
        """
        import torch

        check_columns(rows, self.modalities, self.use_history)
        cached = [name for name in self.modalities if f"{name}_states" in rows[0]]
        items = {
            name: [states_of(row, name) if name in cached else self._read(name, row) for row in rows]
            for name in self.modalities
        }
        if self.training:
            if "speech" in items and "speech" not in cached:
                items["speech"] = [self._augment(item, row) for item, row in zip(items["speech"], rows, strict=True)]
            with self._random_numbers(rows):
                self._drop_modalities(items)
        batch = self._collate({name: items[name] for name in items if name not in cached}, len(rows))
        for name in cached:
            if any(item is not None for item in items[name]):
                padded = pad_masked(items[name], f"{name}_features", STATE_MASKS[name])
                if name == "text" and (types := _token_types(rows, items[name])) is not None:
                    padded["token_type_ids"] = pad_arrays(types, padded[STATE_MASKS[name]].shape[1], "token types")
                batch.update({key: torch.from_numpy(value) for key, value in padded.items()})
        labels = labels_of(rows, self.training and self.soft_targets)
        if labels is not None:
            batch["labels"] = torch.from_numpy(labels)
        elif not self._advised and (advice := label_column_advice(rows)):
            logger.warning(advice)
            self._advised = True
        return batch

    def audio_features(self, row: dict[str, Any]) -> np.ndarray | None:
        """Cached features of a row if it has them, else computed from its audio; None without audio."""
        cached = row.get("features")
        if cached is not None:
            cached = np.asarray(cached, dtype=np.float32)
            if not len(cached):
                return None
            return cached.reshape(-1, row["feature_dim"]) if row["feature_dim"] > 1 else cached
        with collected_notes():  # the check of the corpus has counted them
            return None if row.get("audio") is None else self.processor.extract_audio(audio_of(row))

    def video_pixels(self, row: dict[str, Any]) -> np.ndarray | None:
        """Pixels of a row's cached frames if it has them, else of its video; None without video."""
        cached = row.get("frames")
        if cached is not None:
            frames = np.asarray(cached, dtype=np.uint8)
            return self.processor.normalize_video(frames.reshape(row["frames_shape"])) if len(frames) else None
        with collected_notes():
            return None if row.get("video") is None else self.processor.extract_video(row["video"])

    def _read(self, modality: str, row: dict[str, Any]) -> Any:
        """A row's text with its history, features of its audio, or pixels of its video; None where it has none."""
        if modality == "speech":
            return self.audio_features(row)
        if modality == "video":
            return self.video_pixels(row)
        history = list(row.get("history") or []) if self.use_history else []
        return (row.get("text"), history) if has_words(row.get("text"), history) else None

    def _collate(self, items: dict[str, list], size: int) -> dict[str, Any]:
        nothing: list[Any] = [None] * size
        spoken: list[Any] = [item or (None, []) for item in items.get("text", nothing)]
        return dict(
            self.processor.collate(
                items.get("speech", nothing),
                [text for text, _ in spoken],
                [history for _, history in spoken],
                videos=items.get("video", nothing),
                require_input=False,
            )
        )

    def _drop_modalities(self, items: dict[str, list]) -> None:
        """Takes one modality from some of the utterances that have several."""
        import torch

        for index in range(len(next(iter(items.values())))):
            having = [name for name in items if items[name][index] is not None]
            if len(having) < 2 or torch.rand(()) >= self.modality_dropout:
                continue
            name = having[int(torch.randint(len(having), ()))]
            if not self.every_modality or sum(item is not None for item in items[name]) > 1:
                items[name][index] = None

    def _augment(self, features: np.ndarray | None, row: dict[str, Any]) -> np.ndarray | None:
        if features is None or not self.spec_augment or features.ndim != 2:
            return features
        with self._random_numbers([row]):
            processor = self.processor
            if not processor.is_channel_first:
                return augment_log_mel(features, processor.stride, self.spec_augment)
            # Whisper's frames have another mean than 0, and its encoder has so many positions
            longest = processor.most_places
            return augment_log_mel(features, 1, self.spec_augment, float(features.mean()), longest)

    @contextlib.contextmanager
    def _random_numbers(self, rows: list[dict[str, Any]]) -> Iterator[None]:
        """Torch's generator, seeded for these rows while the block runs; as it is where they have no `id`."""
        import torch

        if self._seed is None or any(row.get("id") is None for row in rows):
            yield
            return
        ids = zlib.crc32("\n".join(str(row["id"]) for row in rows).encode("utf-8", "surrogatepass"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence((int(self._seed), ids)).generate_state(1)[0]))
            yield


def states_of(row: dict[str, Any], modality: str) -> np.ndarray | None:
    """A frozen encoder's states of one utterance, `(L, D)` or `(L, K, D)`; None where it lacks the modality."""
    states = row[f"{modality}_states"]
    if isinstance(states, Mapping):
        from hf_mer.data.state_files import read_states  # brings in pyarrow

        states = read_states(states)
    return None if states is None or not len(states) else np.asarray(states, dtype=np.float32)


def _token_types(rows: list[dict[str, Any]], states: list[np.ndarray | None]) -> list[np.ndarray | None] | None:
    """0 history, 1 current utterance, for the tokens of states that lie in files; None if no row tells."""
    told = [row["text_states"] if isinstance(row["text_states"], Mapping) else {} for row in rows]
    if all(one.get("history") is None for one in told):
        return None
    return [
        None if own is None else (np.arange(len(own)) >= one.get("history", 0)).astype(np.int64)
        for one, own in zip(told, states, strict=True)
    ]
