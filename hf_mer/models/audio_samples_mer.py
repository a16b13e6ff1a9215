"""Samples as numbers: what scale an array is in, which channel is heard, what is silence."""

import math
from typing import Any

import numpy as np

from .notes_mer import note

SILENCE_PEAK = 1e-3  # of full scale: -60 dBFS
_SIXTEEN_BITS = 32768
_LOUDEST = 16  # 24 dB over full scale
_OPPOSED = 0.25  # of the energy that the mean of unrelated channels has
_MOST_CHANNELS = 32


class AudioError(ValueError):
    """Audio that cannot be used; the message names the source and says why."""


def as_channels(values: Any, name: str) -> np.ndarray:
    """Samples `(N, channels)` of full scale 1 of an array, tensor or list; of two axes the shorter is the channels.

    Signed integers of 8, 16 and 32 bits are scaled by their own full scale, unsigned ones are centred in their range.
    Wider integers, and lists, within 16 bits are taken for 16-bit samples, and so are floats of that size: noted.

    Raises:
        AudioError: If these are no numbers, or their scale cannot be told.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        samples = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise AudioError(f"{name}: the channels of an audio array differ in length") from error
    if samples.ndim not in (1, 2):
        raise AudioError(f"{name}: an audio array must have one or two dimensions, not shape {samples.shape}")
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"{name}: audio must be an array of numbers (float, or int16), not of {samples.dtype}")
    if isinstance(values, (list, tuple)) and samples.dtype.kind == "i":
        samples = samples.astype(np.int64)
    samples = _of_floats(samples, name) if samples.dtype.kind == "f" else _of_integers(samples, name)
    if samples.ndim == 1:
        return samples[:, None]
    samples = samples.T if samples.shape[0] < samples.shape[1] else samples
    if samples.shape[1] > _MOST_CHANNELS:
        raise AudioError(f"{name}: {samples.shape[1]} channels are not sound; give samples (N,) or (channels, N)")
    return samples


def _of_integers(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.size == 0:
        return samples.astype(np.float32)
    low, high = int(samples.min()), int(samples.max())
    peak, dtype = max(-low, high), samples.dtype
    advice = "give float samples from -1 to 1, or 16-bit samples as int16"
    if dtype == np.int64:
        if peak > _SIXTEEN_BITS:
            raise AudioError(f"{name}: the scale of {dtype} samples with a peak of {peak} is not known; {advice}")
        if peak:
            note(f"{name}: {dtype} samples with a peak of {peak} are read as 16-bit samples")
        return (samples / _SIXTEEN_BITS).astype(np.float32)
    limits = np.iinfo(dtype)
    middle, half = (limits.max + limits.min + 1) // 2, (limits.max - limits.min + 1) // 2
    centred = samples.astype(np.float64) - middle
    if dtype.kind == "u" and dtype.itemsize > 1 and float(np.median(np.abs(centred))) > half / 2:
        raise AudioError(
            f"{name}: {dtype} samples from {low} to {high} are not centred on {middle}, as unsigned samples are; "
            f"{advice}"
        )
    if dtype == np.int32 and 0 < peak < _SIXTEEN_BITS:
        note(f"{name}: int32 samples with a peak of {peak} are almost silent; give 16-bit samples as int16")
    return (centred / half).astype(np.float32)


def _of_floats(samples: np.ndarray, name: str) -> np.ndarray:
    finite = samples[np.isfinite(samples)]
    peak = float(np.abs(finite).max()) if finite.size else 0.0
    if peak <= 1:
        return samples
    whole = bool((finite == np.round(finite)).all())
    if peak > _SIXTEEN_BITS:
        raise AudioError(
            f"{name}: the scale of {samples.dtype} samples with a peak of {peak:g} is not known; "
            "give float samples from -1 to 1, or 16-bit samples as int16"
        )
    if whole or peak > _LOUDEST:
        note(f"{name}: {samples.dtype} samples with a peak of {peak:g} are read as 16-bit samples; full scale is 1")
        return samples / np.float32(_SIXTEEN_BITS)
    return samples


def loudness(block: np.ndarray, name: str, second: float) -> float:
    """The largest absolute value of samples `(N, channels)`.

    Args:
        block: Of full scale 1.
        name: For messages.
        second: At which the block begins.

    Raises:
        AudioError: If a sample is not finite, or so large that the scale must be another one.
    """
    peak = float(np.abs(block).max()) if block.size else 0.0
    where = f" of the block from {second:.2f} s on" if second else ""
    if not math.isfinite(peak):
        bad = int((~np.isfinite(block)).any(axis=1).sum())
        raise AudioError(f"{name}: {bad} of {len(block)} samples{where} are NaN or infinite")
    if peak > _LOUDEST:
        raise AudioError(
            f"{name}: the samples{where} reach {peak:g}, but full scale is 1: divide them by their full "
            f"scale, such as {_SIXTEEN_BITS} for 16-bit samples"
        )
    return peak


def note_loudness(peak: float, name: str) -> None:
    """Says it where samples go far beyond full scale."""
    if peak > 2:
        note(f"{name}: samples with a peak of {peak:g} go beyond full scale, 1; they are used as they are")


class Downmix:
    """Makes one channel of many, block by block, and remembers what had to be chosen.

    Of six channels (5.1: FL FR FC LFE BL BR) the third is taken, the centre with the speech, of others the mean. Where
    channels cancel each other out, as on telephone lines with opposite phase, the louder one is taken; where the
    centre is silent and others are not, the mean of all.
    """

    def __init__(self) -> None:
        self.opposed: int | None = None
        self.empty_centre = False

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """`(N, channels)` to `(N,)`."""
        channels = block.shape[1]
        if channels == 1:
            return block[:, 0]
        if channels == 6:
            if not is_silent(block[:, 2]) or is_silent(block):
                return block[:, 2]
            self.empty_centre = True
        mean = block.mean(axis=1)
        energies = np.square(block, dtype=np.float64).mean(axis=0)
        unrelated = energies.sum() / channels**2
        if np.square(mean, dtype=np.float64).mean() >= _OPPOSED * unrelated or is_silent(block):
            return mean
        chosen = self.opposed
        if chosen is None or chosen >= channels or energies[chosen] < _OPPOSED * energies.max():
            chosen = int(energies.argmax())
        self.opposed = chosen
        return block[:, chosen]

    def notes(self, name: str) -> list[str]:
        """What is to be said of the blocks so far."""
        told = []
        if self.opposed is not None:
            told.append(
                f"{name}: the channels cancel each other out (opposite phase); channel {self.opposed + 1} is used"
            )
        if self.empty_centre:
            told.append(f"{name}: the centre of six channels is silent; the mean of all is used")
        return told


def peak_of(samples: np.ndarray) -> float:
    """Half the way from the lowest to the highest sample, so that an offset is no sound; of channels the largest."""
    return float(np.ptp(samples, axis=0).max()) / 2 if samples.size else 0.0


def is_silent(samples: np.ndarray) -> bool:
    """Whether there is nothing to be heard: the peak is below -60 dBFS."""
    return peak_of(samples) < SILENCE_PEAK


def decibels(peak: float) -> str:
    """A peak in dBFS for a message."""
    return "all samples are the same" if peak == 0 else f"peak {20 * math.log10(peak):.0f} dBFS"
