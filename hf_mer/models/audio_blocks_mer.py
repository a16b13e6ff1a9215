"""Reading audio as a stream of blocks, so that a recording of any length takes the memory of a few seconds."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .audio_mer import mono_blocks
from .resampling_mer import period, resample


def audio_blocks(source: Any, sampling_rate: int = 16000, source_rate: int | None = None) -> Iterator[np.ndarray]:
    """Mono blocks at the asked rate whose concatenation is what `load_audio` gives for the same source.

    A file is decoded, mixed down and resampled block by block; every block is resampled with as much sound on both
    sides as the filter reaches, so that no border can be heard or measured.

    Args:
        source: What `load_audio` takes.
        sampling_rate: Wanted rate in Hz.
        source_rate: Rate of an array in Hz; the wanted rate if not given.

    Yields:
        Samples, about ten seconds at a time. Shape `(N,)`, float32.

    Raises:
        AudioError: Where `load_audio` would raise it; for what lies later in the file when it is reached.
    """
    blocks, rate, _ = mono_blocks(source, sampling_rate, source_rate)
    yield from _resampled(blocks, rate, sampling_rate)


def _resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """As `resample` resamples the whole, where `rate` over `wanted` is `step` over `given` in lowest terms.

    `step` samples in make `given` samples out, each from `step` and `width` samples on both sides; a block is
    resampled with that context, and what the context itself gives is cut off.
    """
    if rate == wanted:
        yield from (np.ascontiguousarray(block, dtype=np.float32) for block in blocks)
        return
    step, given, width = period(rate, wanted)
    context = -(-width // step)  # in steps
    pending, done = np.zeros(0, np.float32), 0  # samples from the context on, and how many steps of them are done
    for block in blocks:
        pending = np.concatenate([pending, block])
        ready = len(pending) // step - context
        if ready <= done:
            continue
        yield resample(pending[: (ready + context) * step], rate, wanted)[done * given : ready * given]
        kept = max(0, ready - context)
        pending, done = pending[kept * step :], ready - kept
    if len(pending) > done * step:
        yield resample(pending, rate, wanted)[done * given :]
