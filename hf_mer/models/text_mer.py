"""From history and current utterance to tokens, and from tokens back to words.

Nothing of the tokenizer is changed: it is asked for all tokens, and they are cut here, so that threads can share it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .lengths_mer import Lengths, pad_arrays


@dataclass(frozen=True)
class SplicedText:
    """Tokens of one utterance: `[CLS] history [SEP] current [SEP]`, or without history `[CLS] current [SEP]`.

    Attributes:
        history: Earlier utterances, joined; None without any.
        current: The utterance, as far as there was room for it.
        ids: One number per token.
        sequences: 0 or 1 for the text that a token is of, None for special tokens.
        offsets: First character of every token in its text, and the one after its last.
    """

    history: str | None
    current: str
    ids: list[int]
    sequences: list[int | None]
    offsets: list[tuple[int, int]]

    @classmethod
    def of(cls, tokenizer: Any, text: str, turns: list[str], max_tokens: int) -> "SplicedText":
        """Splices and tokenizes.

        The oldest history is dropped first. The current utterance is never cut to keep history, and is itself cut at
        its end only when it alone is too long.

        Args:
            tokenizer: A fast one.
            text: The current utterance.
            turns: Of its history, oldest first.
            max_tokens: Special tokens counted.
        """
        plain = _encode(tokenizer, text, add_special_tokens=False)
        room = max_tokens - tokenizer.num_special_tokens_to_add(pair=False)
        current = text[: plain.offsets[room - 1][1]] if len(plain.ids) > room else text
        pair_room = max_tokens - tokenizer.num_special_tokens_to_add(pair=True)
        history = " ".join(turns) if turns and len(plain.ids) < pair_room else None
        pair = (current,) if history is None else (history, current)
        encoding = _encode(tokenizer, *pair)
        kept = _kept(encoding.sequence_ids, max_tokens, from_left=history is not None)
        return cls(
            history,
            current,
            [encoding.ids[place] for place in kept],
            [encoding.sequence_ids[place] for place in kept],
            [encoding.offsets[place] for place in kept],
        )

    @property
    def types(self) -> list[int]:
        """0 history (or all of an utterance without), 1 current utterance."""
        first = self.sequences.index(1) if 1 in self.sequences else len(self.sequences)
        return [int(place >= first) for place in range(len(self.ids))]

    @property
    def words(self) -> list[tuple[str, list[int], bool]]:
        """Words, their token positions, and whether they are the current utterance's.

        A word is what lies between spaces, as far as it was not cut.
        """
        texts = [text for text in (self.history, self.current) if text is not None]
        spans = [[match.span() for match in re.finditer(r"\S+", text)] for text in texts]
        found: dict[tuple[int, int], list[int]] = {}  # (text, word) to [first character, last character, *positions]
        for position, (sequence, (start, end)) in enumerate(zip(self.sequences, self.offsets, strict=True)):
            if sequence is None or end <= start:
                continue
            touched = [i for i, (first, last) in enumerate(spans[sequence]) if first < end and start < last]
            if touched:
                word = found.setdefault((sequence, touched[0]), [start, end])
                word[1] = max(word[1], end)
                word.append(position)
        return [
            (texts[sequence][start:end].strip(), positions, sequence == len(texts) - 1)
            for (sequence, _), (start, end, *positions) in found.items()
        ]


def encode_texts(
    tokenizer: Any, texts: Sequence[str | None], histories: Sequence[list[str]], max_tokens: int, lengths: Lengths
) -> tuple[dict[str, np.ndarray], list[SplicedText]]:
    """A batch of texts with their histories, spliced, cut at `max_tokens` and padded.

    Returns:
        batch: `input_ids`, `attention_mask` and `token_type_ids`. Each of shape `(B, T)`.
        spliced: Before they were padded.
    """
    spliced = [
        SplicedText.of(tokenizer, text or "", turns, max_tokens) for text, turns in zip(texts, histories, strict=True)
    ]
    spoken = [bool(text or turns) for text, turns in zip(texts, histories, strict=True)]
    rows = {
        "input_ids": [one.ids for one in spliced],
        # an item without text is all padding
        "attention_mask": [[int(has)] * len(one.ids) for one, has in zip(spliced, spoken, strict=True)],
        "token_type_ids": [one.types for one in spliced],
    }
    length = lengths.common([len(one.ids) for one in spliced])
    fills = {"input_ids": tokenizer.pad_token_id or 0}
    return {
        name: pad_arrays([np.asarray(row) for row in rows[name]], length, name, fills.get(name, 0)) for name in rows
    }, spliced


def settle(tokenizer: Any) -> None:
    """Turns off what a tokenizer's file may have turned on, once, before threads use it."""
    _encode(tokenizer, "a")


def _encode(tokenizer: Any, *texts: str, add_special_tokens: bool = True) -> Any:
    encoded = tokenizer(*texts, add_special_tokens=add_special_tokens, truncation=False, padding=False, verbose=False)
    return encoded.encodings[0]


def _kept(sequences: list[int | None], max_tokens: int, from_left: bool) -> list[int]:
    """Positions that are left when the first text loses as many tokens as there are too many."""
    excess = max(0, len(sequences) - max_tokens)
    first = [place for place, sequence in enumerate(sequences) if sequence == 0]
    dropped = set(first[:excess] if from_left else first[len(first) - excess :])
    return [place for place in range(len(sequences)) if place not in dropped]
