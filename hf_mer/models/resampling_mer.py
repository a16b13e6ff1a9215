"""Sampling rates: which are plausible, and resampling from any of them to any other in bounded memory."""

import functools
import math
from numbers import Real
from typing import Any

import numpy as np

from .audio_samples_mer import AudioError

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz. Speech below 1 kHz is none; 768 kHz is the highest rate that converters and formats for sound have."""

_LOWPASS_WIDTH, _ROLLOFF = 6, 0.99  # of torchaudio's resampling, its defaults
_LARGEST_KERNEL = 1 << 22  # values; torchaudio needs about 20 bytes for each
_LARGEST_BLOCK = 1 << 20  # values


def plausible_rate(rate: Any, name: str) -> int:
    """The rate as an `int`.

    Args:
        rate: Hz, of a header, a dictionary, a processor or a call.
        name: Where it comes from, for the message.

    Raises:
        AudioError: If it is no whole number from `LOWEST_RATE` to `HIGHEST_RATE`.
    """
    value = rate.item() if hasattr(rate, "item") else rate
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and LOWEST_RATE <= value <= HIGHEST_RATE and value == int(value)):
        raise AudioError(
            f"{name}: a sampling rate of {value!r:.40} Hz is not valid; it must be a whole number from "
            f"{LOWEST_RATE} to {HIGHEST_RATE} Hz"
        )
    return int(value)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Samples `(N,)` at `rate` Hz as samples at `wanted` Hz, float32, by the low-pass filter that torchaudio has.

    torchaudio keeps one filter for every sample out of a period of the two rates, each as long as the period and
    nearly all zeros. Where the rates have a large common divisor (8000, 44100 or 48000 to 16000 Hz) that is little,
    and it is torchaudio that resamples. Where they have none (44101 to 16000 Hz) it is gigabytes, and the same
    filters are kept without their zeros: at most `14.2 * max(rate, wanted)` values.

    The ratio is the exact one for every rate, so that no pitch or time is off. Against the same filters in double
    precision the values are off by 6e-7 at most (torchaudio's, in single precision, by 2e-4 at 5512 Hz and 2e-5 at
    44100 Hz; noise of deviation 1). Sines of 100 to 3000 Hz come out with the same signal-to-noise ratio as from the
    nearest common rate, to a decibel: 66 dB or more at 22051, 44101 and 47999 Hz, 55 dB at 11027 Hz.

    Raises:
        ImportError: If torchaudio is needed and not installed.
    """
    step, given, width = period(rate, wanted)
    if given * (step + 2 * width) > _LARGEST_KERNEL:
        return _resampled_by_phases(samples, step, given)
    try:
        import torch
        import torchaudio
    except ImportError as error:
        raise ImportError(f"Audio at {rate} Hz must be resampled to {wanted} Hz: `pip install torchaudio`") from error
    waveform = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    return torchaudio.functional.resample(waveform, rate, wanted).numpy()


def period(rate: int, wanted: int) -> tuple[int, int, int]:
    """Samples in and samples out of a period of the two rates, and samples in that a filter reaches to each side."""
    divisor = math.gcd(rate, wanted)
    step, given = rate // divisor, wanted // divisor
    return step, given, math.ceil(_LOWPASS_WIDTH * step / (min(step, given) * _ROLLOFF))


def _resampled_by_phases(samples: np.ndarray, step: int, given: int) -> np.ndarray:
    """`y[j] = sum_k x[floor(j * step / given) + k] * filter[j mod given, k]`, a block of `j` at a time."""
    filters = _filters(step, given)  # (given, taps)
    taps = filters.shape[1]
    padded = np.pad(samples.astype(np.float32, copy=False), (taps // 2 - 1, taps // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)  # (N, taps), without copying
    resampled = np.empty(-(-len(samples) * given // step), np.float32)
    size = max(1, _LARGEST_BLOCK // taps)
    for begin in range(0, len(resampled), size):
        index = np.arange(begin, min(begin + size, len(resampled)))
        resampled[index] = np.einsum("jk,jk->j", windows[index * step // given], filters[index % given])
    return resampled


@functools.lru_cache(maxsize=1)  # the recordings of a corpus, and the blocks of a recording, share their rate
def _filters(step: int, given: int) -> np.ndarray:
    """A filter for every place `j * step / given` between two samples: a sinc in a Hann window. `(given, taps)`."""
    *_, width = period(step, given)
    cutoff = min(step, given) * _ROLLOFF / step
    between = np.arange(given, dtype=np.int64) * step % given / given
    filters = np.empty((given, 2 * width), np.float32)
    for row in range(0, given, size := max(1, _LARGEST_BLOCK // (2 * width))):
        places = np.arange(1 - width, width + 1) - between[row : row + size, None]
        crossings = np.clip(places * cutoff, -_LOWPASS_WIDTH, _LOWPASS_WIDTH)
        window = np.cos(crossings * (math.pi / 2 / _LOWPASS_WIDTH)) ** 2
        filters[row : row + size] = np.sinc(crossings) * window * cutoff
    return filters
