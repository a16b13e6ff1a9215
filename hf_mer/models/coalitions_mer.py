"""What a model says of an utterance of which only a part is left.

What is left out is missing as the model knows it from training: masked, never zeros. Every part has the temperature of
the modalities that it has. Where nothing is left, the classes are as likely as they were among the training rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .encoder_states_mer import RAW_INPUTS
from .explain_settings_mer import PLAYERS
from .finite_mer import check_logits
from .mer_masks import masks_of
from .words_mer import turns_with_words, words_of

_ROWS = 32  # of a batch, fewer where recordings are long
_MASKS = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}
_BATCH_SECONDS = 120.0  # of sound


@dataclass(frozen=True, eq=False)
class Variant:
    """An utterance, or what is left of it.

    Attributes:
        text: Its words; None without.
        history: Earlier utterances as far back as the processor looks, oldest first; None without.
        features: What `processor.features_of` gave; None without sound.
        pixels: What `processor.extract_video` gave; None without picture. Shape `(F, 3, H, W)`.
    """

    text: str | None = None
    history: list[str] | None = None
    features: np.ndarray | None = None
    pixels: np.ndarray | None = None

    @classmethod
    def of(cls, utterance: Any, processor: Any) -> "Variant":
        """A whole `Utterance`, as its model sees it."""
        turns = turns_with_words(utterance.history)[-processor.max_history :] if processor.max_history else []
        return cls(words_of(utterance.text), turns or None, utterance.features, utterance.pixels)

    @property
    def players(self) -> list[str]:
        """What it has, of `PLAYERS`."""
        return [name for name, field in PLAYERS.items() if getattr(self, field) is not None]

    @property
    def modalities(self) -> list[str]:
        """What it has as a model counts it: history is text."""
        has = set(self.players)
        return [name for name in ("text", "speech", "video") if name in has or (name == "text" and "history" in has)]

    def only(self, players: Sequence[str]) -> "Variant":
        """The same with nothing but these."""
        return replace(self, **{field: None for name, field in PLAYERS.items() if name not in players})

    def with_changed(self, fields: dict[str, Any]) -> "Variant":
        """The same with other values of some fields."""
        return replace(self, **fields)

    def content(self, modality: str) -> Any:
        """By what two variants with the same input of a modality are known; None where it is missing."""
        if modality == "text":
            return (self.text, tuple(self.history or ())) if self.text or self.history else None
        array = getattr(self, PLAYERS[modality])
        return None if array is None else id(array)


def log_prior(config: Any) -> np.ndarray:
    """Log-probability of every class before anything is seen: `class_prior`, else all alike. Shape `(C,)`."""
    shares = getattr(config, "class_prior", None)
    return np.log(np.full(config.num_labels, 1 / config.num_labels) if shares is None else np.array(shares))


class LogProbabilities:
    """Calibrated log-probabilities of all classes, of any number of variants of one utterance.

    A model that takes the states of its encoders runs every encoder once for each different input of a batch; those of
    the whole utterance once in all.

    Args:
        model: Of the package, or an exported one.
        processor: Its processor.
        whole: The utterance, whose states are kept.
        seconds: Of its sound, for the size of batches.

    Attributes:
        forward_passes: Variants that the model was asked about.
        keeps_states: Whether the model takes the states of its encoders.
    """

    def __init__(self, model: Any, processor: Any, whole: Variant, seconds: float = 0.0):
        self.model, self.processor = model, processor
        self.forward_passes = 0
        self.keeps_states = bool(getattr(model, "takes_features", False))
        self.rows = max(1, min(_ROWS, int(_BATCH_SECONDS / max(seconds, 1e-3))))
        self._prior = log_prior(model.config)
        self._utterance = whole  # whose arrays stay where they are, so that no other is taken for them
        self._whole = {name: whole.content(name) for name in model.config.modalities}
        self._kept: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, variants: Sequence[Variant]) -> np.ndarray:
        """Shape `(N, C)`, float64."""
        found = np.tile(self._prior, (len(variants), 1))
        asked = [index for index, variant in enumerate(variants) if variant.modalities]
        for first in range(0, len(asked), self.rows):
            places = asked[first : first + self.rows]
            found[places] = self._run([variants[index] for index in places])
        self.forward_passes += len(asked)
        return found

    def _run(self, variants: list[Variant]) -> np.ndarray:
        inputs = self._states(variants) if self.keeps_states else self._raw(variants)
        logits = self.model(**inputs, return_dict=True).logits
        check_logits(self.model, logits)
        temperatures = [self.model.config.temperature_of(variant.modalities) for variant in variants]
        scaled = logits.float().cpu().double() / torch.tensor(temperatures, dtype=torch.double)[:, None]
        return scaled.log_softmax(-1).numpy()

    def _raw(self, variants: Sequence[Variant]) -> Any:
        """A batch as the processor makes it."""
        batch = self.processor.collate(
            [variant.features for variant in variants],
            [variant.text for variant in variants],
            [variant.history for variant in variants],
            videos=[variant.pixels for variant in variants],
        )
        return batch.to(self.model.device).to(self.model.dtype)

    def _states(self, variants: Sequence[Variant]) -> dict[str, Tensor]:
        """A batch of encoder states, in the place of what encoders are given."""
        batch: dict[str, Tensor] = {}
        for modality in self.model.config.modalities:
            rows = self._rows_of(modality, variants)
            known = [row for row in rows if row is not None]
            if not known:
                continue
            length = max(len(row["states"]) for row in known)
            names = {"states": f"{modality}_features", "mask": _MASKS[modality], "types": "token_type_ids"}
            for name, key in names.items():
                if name in known[0]:
                    batch[key] = _padded([None if row is None else row[name] for row in rows], length)
        return batch

    def _rows_of(self, modality: str, variants: Sequence[Variant]) -> list[dict[str, Tensor] | None]:
        """States `(L, ...)`, mask and token types `(L,)` of a modality of every variant; None where it is missing."""
        contents = [variant.content(modality) for variant in variants]
        found: dict[Any, dict[str, Tensor]] = {}
        if modality in self._kept:
            found[self._whole[modality]] = self._kept[modality]
        new = {content: variant for content, variant in zip(contents, variants, strict=True) if content is not None}
        new = {content: variant for content, variant in new.items() if content not in found}
        if new:
            found.update(zip(new, self._encoded(modality, list(new.values())), strict=True))
        if self._whole[modality] in new:
            self._kept[modality] = found[self._whole[modality]]
        return [None if content is None else found[content] for content in contents]

    def _encoded(self, modality: str, variants: list[Variant]) -> list[dict[str, Tensor]]:
        """Runs one encoder."""
        players = ["text", "history"] if modality == "text" else [modality]
        batch = self._raw([variant.only(players) for variant in variants])
        raw = {name: batch[name] for name in RAW_INPUTS[modality] if name in batch}
        mask = masks_of(audio=self.model.audio_of(raw), **raw)[modality]
        states, real = self.model.encode_modality(modality, mask, apart=True, **raw)
        rows = []
        for row, length in enumerate(real.sum(dim=1).tolist()):
            one = {"states": states[row, :length], "mask": real[row, :length].long()}
            if "token_type_ids" in raw:
                one["types"] = raw["token_type_ids"][row, :length]
            rows.append(one)
        return rows


def _padded(rows: Sequence[Tensor | None], length: int) -> Tensor:
    """One tensor of rows of the given length, 0 where they are shorter or missing. Shape `(B, length, ...)`."""
    some = next(row for row in rows if row is not None)
    padded = some.new_zeros(len(rows), length, *some.shape[1:])
    for place, row in enumerate(rows):
        if row is not None:
            padded[place, : len(row)] = row
    return padded
