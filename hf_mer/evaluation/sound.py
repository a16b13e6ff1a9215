"""Noise over a voice at a set signal-to-noise ratio: white, or babble of other people of the corpus."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.schema import column
from hf_mer.models.audio_mer import AudioError, load_audio
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.segments_mer import audio_of

logger = logging.getLogger(__name__)

VOICES = 6  # that make a babble
POOL = 64  # recordings that voices are drawn from


def mix(samples: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """The samples with noise over them: `samples + noise * sqrt(P_s / (P_n * 10^(snr / 10)))`.

    Powers are means of squares over the whole clip, its pauses included. Silence, in which no ratio can be had, stays
    as it is.

    Args:
        samples: Shape `(N,)`.
        noise: Shape `(N,)`.
        snr: Decibels.
    """
    power, noise_power = (float(np.mean(np.square(wave, dtype=np.float64))) for wave in (samples, noise))
    if power == 0 or noise_power == 0:
        return samples
    return (samples + noise * np.sqrt(power / (noise_power * 10 ** (snr / 10)))).astype(np.float32)


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers of an utterance: the same whichever utterances come before it."""
    digest = hashlib.blake2b("\0".join([str(seed), *names]).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def white_noise(length: int, seed: int, row_id: str) -> np.ndarray:
    """Gaussian noise, the same at every ratio. Shape `(length,)`."""
    return generator(seed, "white", row_id).standard_normal(length).astype(np.float32)


class Babble:
    """Several other people at once, out of a pool of the corpus' recordings.

    An utterance never hears itself, nor its own speaker or dialogue as far as the corpus names them. Every voice is
    as loud as the next, begins at a place of its own, and is repeated if it is too short.

    Args:
        rows: To draw recordings from; best those that are not tested.
        sampling_rate: Hz.
        max_seconds: Of a recording.
        seed: Of all draws.

    Raises:
        ValueError: If no recording can be read.
    """

    def __init__(self, rows: Dataset, sampling_rate: int, max_seconds: float | None = 30.0, seed: int = 0):
        self.seed = seed
        names = {name: column(rows, name) for name in ("id", "speaker", "dialogue")}
        having = np.flatnonzero([item is not None for item in column(rows, "audio")])
        order = generator(seed, "pool").permutation(having)
        self.pool: list[tuple[dict[str, str | None], np.ndarray]] = []
        for index in order.tolist():
            if len(self.pool) == POOL:
                break
            try:
                with collected_notes():  # the check of the corpus has counted them
                    samples = load_audio(audio_of(rows[index]), sampling_rate, max_seconds=max_seconds)
            except AudioError as error:
                logger.warning("left out of the babble: %s", error)
                continue
            loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
            if loudness > 0:
                self.pool.append(({name: names[name][index] for name in names}, samples / loudness))
        if not self.pool:
            raise ValueError("babble: the corpus has no recording to make it from")

    def over(self, row: dict[str, Any], length: int) -> np.ndarray:
        """The babble over an utterance, the same at every ratio. Shape `(length,)`.

        Raises:
            ValueError: If the pool has nobody but its own speaker.
        """
        rng = generator(self.seed, "babble", row["id"])
        others = [samples for said, samples in self.pool if not _same(said, row)]
        if not others:
            raise ValueError(
                f"babble: row {row['id']}: the corpus has no recording of another speaker; "
                "leave babble out of --noises"
            )
        chosen = rng.choice(len(others), size=min(VOICES, len(others)), replace=False)
        total = np.zeros(length, dtype=np.float32)
        for index in chosen.tolist():
            voice = others[index]
            start = int(rng.integers(len(voice)))
            total += np.resize(np.roll(voice, -start), length)
        return total


def _same(said: dict[str, str | None], row: dict[str, Any]) -> bool:
    names: Sequence[str] = ("id", "speaker", "dialogue")
    return any(said[name] is not None and said[name] == row.get(name) for name in names)
