"""Random utterances of every kind that a graph has to get right."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.graph import GraphSpec, dtype_of, mask_of
from hf_mer.models.encoder_states_mer import RAW_INPUTS
from hf_mer.models.mer_encoders import receptive_field

# of one utterance: tokens, frames of the speech encoder, pictures; 0 or none of what it lacks
Lengths = dict[str, int]
SHORT, LONG = {"text": 12, "speech": 20, "video": 5}, {"text": 48, "speech": 120, "video": 9}


@dataclass
class Case:
    """A batch that is given to model and graph.

    Attributes:
        name: What is special about it.
        batch: Inputs by name; those of a modality that no utterance has are not there.
        outputs: What the model says to it, by name, see `references`.
    """

    name: str
    batch: dict[str, Tensor]
    outputs: dict[str, Tensor] = field(default_factory=dict)


class RandomUtterances:
    """Batches of noise and random tokens for a model, the same for the same seed.

    Args:
        config: Of the model.
        spec: Its inputs.
        seed: Of the random numbers.
    """

    def __init__(self, config: Any, spec: GraphSpec, seed: int = 0):
        self.config, self.spec = config, spec
        self.generator = torch.Generator().manual_seed(seed)
        self.modalities = list(config.modalities)

    def batch(self, utterances: list[Lengths]) -> dict[str, Tensor]:
        """Inputs of utterances of the given lengths, padded to the longest; 0 and masked where one lacks a modality.

        Args:
            utterances: At least one.

        Returns:
            The inputs of the modalities that at least one utterance has.
        """
        batch: dict[str, Tensor] = {}
        for modality in self.modalities:
            lengths = [self._input_length(modality, lengths.get(modality)) for lengths in utterances]
            if any(lengths):
                batch.update(self._inputs(modality, lengths))
        return batch

    def example(self) -> dict[str, Tensor]:
        """Two utterances of unequal length: what the graph is traced with."""
        return self.batch([self.lengths(SHORT, 1.0), self.lengths(SHORT, 0.6)])

    def cases(self) -> list[Case]:
        """Batches of one, of several, short and long, padded, with missing modalities in some rows or in all."""
        full, several = [self.lengths(SHORT, 0.8)], [self.lengths(SHORT) for _ in range(3)]
        cases = {
            "one utterance": full,
            "padded batch": several,
            "shortest": [dict.fromkeys(self.modalities, 1)] * 2,
            "long": [self.lengths(LONG, 1.0), self.lengths(SHORT)],
        }
        if len(self.modalities) > 1:
            lacking = [{**self.lengths(SHORT), modality: 0} for modality in self.modalities]
            alone = [{modality: length} for modality, length in self.lengths(SHORT).items()]
            cases["some without a modality"] = [*lacking, *alone, self.lengths(SHORT)]
            for modality in self.modalities:
                rows = [self.lengths(SHORT) for _ in range(2)]
                cases[f"all without {modality}"] = [{**row, modality: 0} for row in rows]
                cases[f"{modality} alone"] = [{modality: row[modality]} for row in rows]
        return [Case(name, self.batch(rows)) for name, rows in cases.items()]

    def sample(self, count: int, batch_size: int = 8) -> list[dict[str, Tensor]]:
        """Batches of complete utterances of random length, so many in all."""
        rows = [self.lengths(LONG) for _ in range(count)]
        return [self.batch(rows[start : start + batch_size]) for start in range(0, count, batch_size)]

    def lengths(self, longest: Lengths, share: float | None = None) -> Lengths:
        """Of one utterance: the given share of the longest, random if it is not given."""
        if share is None:
            share = 0.2 + 0.8 * float(torch.rand((), generator=self.generator))
        limit = {**longest, "text": min(longest["text"], self._most_tokens())}
        return {modality: max(1, round(share * limit[modality])) for modality in self.modalities}

    def _most_tokens(self) -> int:
        positions = getattr(self.config.text_config, "max_position_embeddings", None)
        return 512 if not positions or positions < 8 else positions - 4  # RoBERTa counts from 2

    def _input_length(self, modality: str, length: int | None) -> int:
        """Tokens, samples, log-mel frames or pictures; 0 where there is nothing."""
        if modality != "speech" or not length or "input_values" not in self.spec.inputs:
            return length or 0
        hop = math.prod(self.config.speech_config.conv_stride)
        rest = int(torch.randint(hop, (), generator=self.generator)) if length > 1 else 0
        return receptive_field(self.config.speech_config) + (length - 1) * hop + rest

    def _inputs(self, modality: str, lengths: list[int]) -> dict[str, Tensor]:
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()  # (B, L)
        inputs = {}
        for name in RAW_INPUTS[modality]:
            if name not in self.spec.inputs:
                continue
            if name == mask_of(modality):
                inputs[name] = mask
            elif name == "token_type_ids":
                turns = torch.tensor(lengths)[:, None] // 2  # history, then as much of the current utterance
                inputs[name] = mask * (torch.arange(max(lengths)) >= turns).long()
            elif name == "input_ids":
                vocabulary = self.config.text_config.vocab_size
                ids = torch.randint(min(5, vocabulary - 1), vocabulary, mask.shape, generator=self.generator)
                padding = getattr(self.config.text_config, "pad_token_id", None) or 0
                inputs[name] = torch.where(mask.bool(), ids, padding)
            else:
                shape, axis = self.spec.shape(name, *mask.shape), self.spec.length_axis(name)
                noise = torch.randn(shape, generator=self.generator, dtype=dtype_of(name))
                real = [size if index in (0, axis) else 1 for index, size in enumerate(shape)]
                inputs[name] = noise * mask.view(real)
        return inputs
