"""Reading audio from whatever a user has: path, bytes, array or a row of a dataset.

This file travels with a checkpoint. soundfile reads WAV, FLAC, OGG and MP3, PyAV reads the containers of video files,
torchaudio resamples; each is asked for only when it is needed.
"""

import contextlib
import io
import logging
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import soundfile
except ImportError:
    soundfile = None
try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


class AudioError(ValueError):
    """Audio that cannot be used; the message names the source and says why."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        duration: Seconds.
        sampling_rate: Hz.
        channels: Number of channels.
    """

    duration: float
    sampling_rate: int
    channels: int


def probe_audio(path: str | os.PathLike) -> AudioInfo:
    """Reads the header of an audio file without decoding it.

    Raises:
        AudioError: If the file is missing, empty or not readable as audio.
    """
    require_file(path)
    if soundfile is not None:
        with contextlib.suppress(soundfile.LibsndfileError):  # what it cannot read is decoded instead
            info = soundfile.info(os.fspath(path))
            return AudioInfo(info.frames / info.samplerate, info.samplerate, info.channels)
    samples, rate = _decode(os.fspath(path), os.fspath(path))
    return AudioInfo(len(samples) / rate, rate, samples.shape[1])


def load_audio(
    source: Any, sampling_rate: int = 16000, source_rate: int | None = None, max_seconds: float | None = None
) -> np.ndarray:
    """Loads audio as mono float32 at the asked rate.

    Stereo is averaged; of 5.1 (six channels, FL FR FC LFE BL BR) the centre channel is taken, which carries the
    speech.

    Args:
        source: Path, bytes of a file, array or tensor of samples (`(N,)` or `(channels, N)` or `(N, channels)`), or a
            dictionary with `array` and `sampling_rate`, or with `path` and/or `bytes` (a row of a `datasets` audio
            column). Of a dictionary with `start` and `end` (the `video` of a corpus row) that span is taken, seconds.
        sampling_rate: Wanted rate in Hz.
        source_rate: Rate of an array in Hz; the wanted rate if not given. Files know their own.
        max_seconds: Cut after so many seconds; everything if None.

    Returns:
        Samples. Shape `(N,)`.

    Raises:
        AudioError: If the source is missing, unreadable, empty, or has samples that are not finite.
    """
    until = _until(source, max_seconds)
    samples, rate, name = _open(source, source_rate if source_rate is not None else sampling_rate, until)
    if rate <= 0:
        raise AudioError(f"{name}: a sampling rate of {rate} Hz is not possible")
    if isinstance(source, dict):
        samples = _span(samples, rate, source.get("start"), source.get("end"), name)
    if samples.size == 0:
        raise AudioError(f"{name}: the audio is empty (0 samples)")
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise AudioError(f"{name}: {bad} of {samples.size} samples are NaN or infinite")
    if max_seconds is not None:
        samples = samples[: max(1, int(max_seconds * rate))]
    if rate != sampling_rate:
        samples = resample(samples, rate, sampling_rate)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _until(source: Any, max_seconds: float | None) -> float | None:
    """Seconds of a file beyond which nothing is needed, so that it is not decoded; None for all of it."""
    start, end = (source.get("start"), source.get("end")) if isinstance(source, dict) else (None, None)
    limits = [end] if end is not None else []
    if max_seconds is not None:
        limits.append(max(0.0, start or 0.0) + max_seconds)
    return min(limits) if limits else None


def _span(samples: np.ndarray, rate: int, start: float | None, end: float | None, name: str) -> np.ndarray:
    """The samples from `start` to `end` seconds, as far as there are any."""
    seconds = len(samples) / rate
    first, last = start if start is not None else 0.0, end if end is not None else seconds
    if samples.size and not (first < last and first < seconds and last > 0):
        raise AudioError(f"{name}: the span from {first:g} to {last:g} s lies outside the {seconds:g} s of sound")
    return samples[round(max(0.0, first) * rate) : round(min(last, seconds) * rate)]


def require_file(path: Any) -> None:
    """Raises an `AudioError` if there is no such file, or it is empty."""
    if not os.path.isfile(path):
        raise AudioError(f"{os.fspath(path)}: no such audio file")
    if os.path.getsize(path) == 0:
        raise AudioError(f"{os.fspath(path)}: the file is empty (0 bytes)")


def _open(source: Any, array_rate: int, until: float | None = None) -> tuple[np.ndarray, int, str]:
    """Gives samples (of a file at least those before `until`, seconds), rate and a name for messages."""
    if isinstance(source, dict):
        name = str(source.get("path") or "audio")
        if source.get("array") is not None:
            return as_samples(source["array"], name), int(source.get("sampling_rate") or array_rate), name
        if source.get("raw") is not None:
            return as_samples(source["raw"], name), int(source.get("sampling_rate") or array_rate), name
        if source.get("bytes") is not None:
            return *_decoded_mono(source["bytes"], name, until), name
        if source.get("path") is not None:
            return _open(source["path"], array_rate, until)
        raise AudioError(f"audio dictionary needs 'array', 'raw', 'bytes' or 'path'; it has {sorted(source)}")
    if isinstance(source, (bytes, bytearray)):
        return *_decoded_mono(bytes(source), "audio bytes", until), "audio bytes"
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        require_file(path)
        return *_decoded_mono(path, path, until), path
    if source is None:
        raise AudioError("no audio was given")
    if hasattr(source, "get_all_samples"):  # a decoder object of `datasets` (torchcodec)
        decoded = source.get_all_samples()
        return downmix(decoded.data.numpy().T), int(decoded.sample_rate), "audio"
    return as_samples(source, "audio array"), array_rate, "audio array"


def _decoded_mono(file: str | bytes, name: str, until: float | None) -> tuple[np.ndarray, int]:
    if len(file) == 0:
        raise AudioError(f"{name}: the audio is empty (0 bytes)")
    samples, rate = _decode(file, name, until)
    return downmix(samples), rate


def _decode(file: str | bytes, name: str, until: float | None = None) -> tuple[np.ndarray, int]:
    """Decodes a file or its bytes: soundfile first, PyAV for what it does not know. Shape `(N, channels)`."""
    reasons = []
    if soundfile is not None:
        try:
            with soundfile.SoundFile(io.BytesIO(file) if isinstance(file, bytes) else file) as sound:
                frames = -1 if until is None else _frames(until, sound.samplerate)
                return sound.read(frames, dtype="float32", always_2d=True), sound.samplerate
        except soundfile.LibsndfileError as error:
            reasons.append(str(error.error_string if hasattr(error, "error_string") else error))
    if av is not None:
        try:
            return _decode_av(io.BytesIO(file) if isinstance(file, bytes) else file, name, until)
        except AudioError:
            raise
        except (av.FFmpegError, IndexError, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)
    if soundfile is None and av is None:
        raise ImportError("Reading audio files needs `pip install soundfile` (and `av` for the sound of video files)")
    raise AudioError(f"{name}: cannot be read as audio ({'; '.join(reasons)})")


def _frames(seconds: float, rate: int) -> int:
    """Samples that hold so many seconds, whichever way their borders are rounded."""
    return max(1, math.ceil(seconds * rate) + 1)


def _decode_av(file: Any, name: str, until: float | None) -> tuple[np.ndarray, int]:
    """The first audio stream; of a file that is damaged or cut off what comes before, with a warning."""
    with av.open(file) as container:
        if not container.streams.audio:
            raise AudioError(f"{name}: has no audio stream{' (picture only)' if container.streams.video else ''}")
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name)
        blocks: list[np.ndarray] = []
        needed, count = math.inf if until is None else _frames(until, stream.rate), 0
        try:
            for frame in container.decode(stream):
                blocks += [out.to_ndarray() for out in resampler.resample(frame)]
                count += frame.samples
                if count >= needed:
                    break
        except av.FFmpegError as error:
            if not blocks:
                raise
            logger.warning("%s: the sound is damaged (%s); what comes before is used", name, error.strerror)
        if not blocks:
            raise ValueError("no audio frames")
        return np.concatenate(blocks, axis=1).T, stream.rate


def as_samples(values: Any, name: str) -> np.ndarray:
    """Mono samples of an array or tensor; integers are scaled to -1 to 1. Of two axes the shorter is the channels."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    samples = np.asarray(values)
    if samples.ndim not in (1, 2):
        raise AudioError(f"{name}: an audio array must have one or two dimensions, not shape {samples.shape}")
    if not (np.issubdtype(samples.dtype, np.integer) or np.issubdtype(samples.dtype, np.floating)):
        raise AudioError(f"{name}: audio must be an array of numbers, not of {samples.dtype}")
    if np.issubdtype(samples.dtype, np.integer):
        limits = np.iinfo(samples.dtype)
        middle, half = (limits.max + limits.min + 1) // 2, (limits.max - limits.min + 1) // 2
        samples = ((samples.astype(np.float64) - middle) / half).astype(np.float32)
    if samples.ndim == 2:
        samples = downmix(samples.T if samples.shape[0] < samples.shape[1] else samples)
    return samples


def downmix(samples: np.ndarray) -> np.ndarray:
    """`(N, channels)` to `(N,)`: of six channels the third, the centre of 5.1, of others the mean."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    if samples.shape[1] == 6:
        return samples[:, 2]
    return samples.mean(axis=1)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Samples `(N,)` at `rate` Hz as samples at `wanted` Hz, float32.

    Raises:
        ImportError: If torchaudio is not installed.
    """
    try:
        import torch
        import torchaudio
    except ImportError as error:
        raise ImportError(f"Audio at {rate} Hz must be resampled to {wanted} Hz: `pip install torchaudio`") from error
    waveform = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    return torchaudio.functional.resample(waveform, rate, wanted).numpy()
