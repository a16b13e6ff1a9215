"""Reading audio as a stream of blocks, so that a recording of any length takes the memory of a few seconds."""

import io
import logging
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .audio_mer import AudioError, as_samples, downmix, require_file, resample

try:
    import soundfile
except ImportError:
    soundfile = None
try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_BLOCK_SECONDS = 10.0
_LOWPASS_WIDTH, _ROLLOFF = 6, 0.99  # of torchaudio's resampling, its defaults


def audio_blocks(source: Any, sampling_rate: int = 16000, source_rate: int | None = None) -> Iterator[np.ndarray]:
    """Mono blocks at the asked rate whose concatenation is what `load_audio` gives for the same source.

    A file is decoded, averaged and resampled block by block; every block is resampled with as much sound on both
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
    span = (source.get("start"), source.get("end")) if isinstance(source, dict) else (None, None)
    blocks, rate, name = _raw_blocks(source, source_rate if source_rate is not None else sampling_rate)
    if rate <= 0:
        raise AudioError(f"{name}: a sampling rate of {rate} Hz is not possible")
    checked = _checked(_within(blocks, rate, *span), name, span)
    yield from _resampled(_gathered(checked, int(_BLOCK_SECONDS * rate)), rate, sampling_rate)


def _raw_blocks(source: Any, array_rate: int) -> tuple[Iterable[np.ndarray], int, str]:
    """Mono blocks of any size at the rate of the source, that rate, and a name for messages."""
    if isinstance(source, dict):
        name = str(source.get("path") or "audio")
        for key in ("array", "raw"):
            if source.get(key) is not None:
                return [as_samples(source[key], name)], int(source.get("sampling_rate") or array_rate), name
        if source.get("bytes") is not None:
            return *_file_blocks(bytes(source["bytes"]), name), name
        if source.get("path") is not None:
            return _raw_blocks(source["path"], array_rate)
        raise AudioError(f"audio dictionary needs 'array', 'raw', 'bytes' or 'path'; it has {sorted(source)}")
    if isinstance(source, (bytes, bytearray)):
        return *_file_blocks(bytes(source), "audio bytes"), "audio bytes"
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        require_file(path)
        return *_file_blocks(path, path), path
    if source is None:
        raise AudioError("no audio was given")
    if hasattr(source, "get_all_samples"):  # a decoder object of `datasets` (torchcodec)
        decoded = source.get_all_samples()
        return [downmix(decoded.data.numpy().T)], int(decoded.sample_rate), "audio"
    return [as_samples(source, "audio array")], array_rate, "audio array"


def _file_blocks(file: str | bytes, name: str) -> tuple[Iterator[np.ndarray], int]:
    """Mono blocks of a file or its bytes: soundfile first, PyAV for what it does not know."""
    if len(file) == 0:
        raise AudioError(f"{name}: the audio is empty (0 bytes)")
    reasons = []
    if soundfile is not None:
        try:
            sound = soundfile.SoundFile(io.BytesIO(file) if isinstance(file, bytes) else file)
            return _soundfile_blocks(sound, name), sound.samplerate
        except soundfile.LibsndfileError as error:
            reasons.append(str(getattr(error, "error_string", error)))
    if av is not None:
        try:
            container = av.open(io.BytesIO(file) if isinstance(file, bytes) else file)
        except (av.FFmpegError, IndexError, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)
        else:
            if container.streams.audio:
                return _av_blocks(container, name), container.streams.audio[0].rate
            only = " (picture only)" if container.streams.video else ""
            container.close()
            raise AudioError(f"{name}: has no audio stream{only}")
    if soundfile is None and av is None:
        raise ImportError("Reading audio files needs `pip install soundfile` (and `av` for the sound of video files)")
    raise AudioError(f"{name}: cannot be read as audio ({'; '.join(reasons)})")


def _soundfile_blocks(sound: Any, name: str) -> Iterator[np.ndarray]:
    with sound:
        try:
            for block in sound.blocks(int(_BLOCK_SECONDS * sound.samplerate), dtype="float32", always_2d=True):
                yield downmix(block)
        except soundfile.LibsndfileError as error:
            reason = getattr(error, "error_string", error)
            raise AudioError(f"{name}: cannot be read as audio ({reason})") from error


def _av_blocks(container: Any, name: str) -> Iterator[np.ndarray]:
    """The first audio stream; of a file that is damaged or cut off what comes before, with a warning."""
    with container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name)
        empty = True
        try:
            for frame in container.decode(stream):
                for out in resampler.resample(frame):
                    empty = False
                    yield downmix(out.to_ndarray().T)
        except av.FFmpegError as error:
            if empty:
                raise AudioError(f"{name}: cannot be read as audio ({error})") from error
            logger.warning("%s: the sound is damaged (%s); what comes before is used", name, error.strerror)
        if empty:
            raise AudioError(f"{name}: cannot be read as audio (no audio frames)")


def _within(blocks: Iterable[np.ndarray], rate: int, start: float | None, end: float | None) -> Iterator[np.ndarray]:
    """The samples from `start` to `end` seconds, as far as there are any."""
    first = round(max(0.0, start or 0.0) * rate)
    last = math.inf if end is None else round(max(0.0, end) * rate)
    position = 0
    for block in blocks:
        begin, position = position, position + len(block)
        chosen = block[max(0, first - begin) : None if last == math.inf else max(0, int(last) - begin)]
        if len(chosen):
            yield chosen
        if position >= last:
            return


def _checked(blocks: Iterable[np.ndarray], name: str, span: tuple[float | None, float | None]) -> Iterator[np.ndarray]:
    empty = True
    for block in blocks:
        if not np.isfinite(block).all():
            bad = int((~np.isfinite(block)).sum())
            raise AudioError(f"{name}: {bad} of {block.size} samples of a block are NaN or infinite")
        empty = False
        yield block
    if empty and span != (None, None):
        raise AudioError(f"{name}: the span from {span[0] or 0:g} s to {span[1]} s lies outside the sound")
    if empty:
        raise AudioError(f"{name}: the audio is empty (0 samples)")


def _gathered(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Blocks of at least `size` samples, but the last; longer ones are cut."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        for begin in range(0, len(block), size):
            held.append(block[begin : begin + size])
            count += len(held[-1])
            if count >= size:
                yield np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)


def _resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """As torchaudio resamples the whole, where `rate` over `wanted` is `step` over `given` in lowest terms.

    `step` samples in make `given` samples out, each from `step` and `width` samples on both sides; a block is
    resampled with that context, and what the context itself gives is cut off.
    """
    if rate == wanted:
        yield from (np.ascontiguousarray(block, dtype=np.float32) for block in blocks)
        return
    divisor = math.gcd(rate, wanted)
    step, given = rate // divisor, wanted // divisor
    width = math.ceil(_LOWPASS_WIDTH * step / (min(step, given) * _ROLLOFF))
    context = math.ceil(width / step)  # in steps
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
