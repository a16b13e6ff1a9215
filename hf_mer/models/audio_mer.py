"""Reading audio from whatever a user has: path, bytes, open file, array or a row of a dataset.

This file travels with a checkpoint. Sound is placed by its time stamps, seconds from the beginning of the file as
`video_mer` counts them, so that sound and picture of one span belong together. What an answer rests on that the source
does not say by itself (a cut, a scale, a channel, silence in a gap) is noted, see `notes_mer`.
"""

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .audio_files_mer import Sound, open_file, piece_size
from .audio_samples_mer import AudioError, Downmix, as_channels, decibels, is_silent, loudness, note_loudness, peak_of
from .notes_mer import note
from .resampling_mer import plausible_rate, resample
from .sources_mer import as_source, border, shown_name

__all__ = ["AudioError", "AudioInfo", "load_audio", "mono_blocks", "probe_audio"]

_JITTER = 0.01  # seconds by which rounded time stamps are off
_GAP = 0.05  # seconds of gaps that are worth a word
_MOST_SILENCE = 3600.0  # seconds of gaps, beside as much as there is sound; more are damaged time stamps
_BEYOND = 0.1  # seconds by which a recording is longer than what is heard, that are worth a word


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


def probe_audio(path: Any) -> AudioInfo:
    """Reads the header of an audio file; it is decoded only where the header does not say how long it is.

    Raises:
        AudioError: If the file is missing, empty or not readable as audio.
    """
    sound = _open(path, 0)
    seconds = sound.seconds
    if seconds is None:
        seconds = sum(len(block) for block in _placed(sound, 0, math.inf)) / sound.rate
    return AudioInfo(seconds, sound.rate, sound.channels)


def load_audio(
    source: Any, sampling_rate: int = 16000, source_rate: int | None = None, max_seconds: float | None = None
) -> np.ndarray:
    """Loads audio as mono float32 at the asked rate.

    Channels become one as `Downmix` says, numbers are scaled as `as_channels` says. Sound that begins after the
    picture, or has gaps, has silence there. What was cut, is missing, silent or guessed is noted.

    Args:
        source: Path, bytes of a file in whatever form, open binary file, array or tensor of samples (`(N,)` or
            `(channels, N)` or `(N, channels)`), or a dictionary with `array` and `sampling_rate`, or with `path` or
            `bytes` (a row of a `datasets` audio column). Of a dictionary with `start` and `end` (the `video` of a
            corpus row) that span is taken, seconds.
        sampling_rate: Wanted rate in Hz.
        source_rate: Rate of an array in Hz; the wanted rate if not given. Files know their own.
        max_seconds: Cut after so many seconds; everything if None.

    Returns:
        Samples. Shape `(N,)`.

    Raises:
        AudioError: If the source is missing, unreadable, empty, or has samples that are not finite or no sound.
    """
    blocks, rate, name = mono_blocks(source, sampling_rate, source_rate, max_seconds)
    samples = np.concatenate(list(blocks))
    if is_silent(samples):
        level = decibels(peak_of(samples))
        note(f"{name}: the {len(samples) / rate:.1f} s of sound that are used are silent ({level})", "silent")
    if rate != sampling_rate:
        samples = resample(samples, rate, sampling_rate)
    return np.ascontiguousarray(samples, dtype=np.float32)


def mono_blocks(
    source: Any, sampling_rate: int, source_rate: int | None = None, max_seconds: float | None = None
) -> tuple[Iterator[np.ndarray], int, str]:
    """The one way into sound: mono blocks of the wanted span at the rate of the source, that rate, and a name.

    Args:
        source: What `load_audio` takes.
        sampling_rate: Rate that the sound will be resampled to, Hz; checked here, before anything is read.
        source_rate: Rate of an array that does not say, Hz; the wanted rate if not given.
        max_seconds: Cut after so many seconds, which is noted; everything if None.

    Raises:
        AudioError: If the source cannot be opened, or is found unusable as the blocks are read.
    """
    spans = isinstance(source, Mapping)
    start, end = (border(source, name, AudioError) if spans else None for name in ("start", "end"))
    begin = max(0.0, start or 0.0)
    limits = [limit for limit in (end, None if max_seconds is None else begin + max_seconds) if limit is not None]
    until = min(limits) if limits else None
    sound = _open(source, sampling_rate if source_rate is None else source_rate, begin, until)
    plausible_rate(sampling_rate, "the wanted rate")
    _check_span(sound, start, end)
    first, last = round(begin * sound.rate), math.inf if end is None else round(max(0.0, end) * sound.rate)
    kept = math.inf if max_seconds is None else first + max(1, int(max_seconds * sound.rate))
    blocks = _placed(sound, first, min(last, kept))
    return _mono(sound, blocks, (start, end), (first, last, kept)), sound.rate, sound.name


def _open(source: Any, array_rate: int, start: float = 0.0, until: float | None = None) -> Sound:
    """Opens whatever was given."""
    named = source
    source = as_source(source, AudioError)
    name = shown_name(source, "") or shown_name(named, "")
    if isinstance(source, Mapping):
        name = name or "audio"
        for key in ("array", "raw"):
            if source.get(key) is not None:
                stated = source.get("sampling_rate")
                return _of_array(source[key], array_rate if stated is None else stated, name, start)
        for key in ("bytes", "path"):
            if source.get(key) is not None:
                file = source[key] if key == "bytes" else os.fspath(source[key])
                return open_file(file, name, start, until)
        keys = sorted(str(key) for key in source)
        raise AudioError(f"audio dictionary needs 'array', 'raw', 'bytes' or 'path'; it has {keys}")
    if isinstance(source, bytes):
        return open_file(source, name or "audio bytes", start, until)
    if isinstance(source, (str, os.PathLike)):
        return open_file(os.fspath(source), name or "audio", start, until)
    if source is None:
        raise AudioError("no audio was given")
    return _of_array(source, array_rate, name or "audio array", start)


def _of_array(values: Any, rate: Any, name: str, start: float) -> Sound:
    if hasattr(values, "get_all_samples"):  # a decoder object of `datasets` (torchcodec)
        decoded = values.get_all_samples()
        values, rate = decoded.data.reshape(-1, decoded.data.shape[-1]).T, decoded.sample_rate
    rate = plausible_rate(rate, name)
    samples = as_channels(values, name)
    size, skipped = piece_size(rate, samples.shape[1]), min(len(samples), round(start * rate))
    pieces = ((at, samples[at : at + size]) for at in range(skipped, len(samples), size))
    return Sound(name, rate, samples.shape[1], len(samples) / rate, pieces)


def _check_span(sound: Sound, start: float | None, end: float | None) -> None:
    """Refuses spans that are known to lie outside, and notes those that go beyond the end."""
    first, seconds = start if start is not None else 0.0, sound.seconds
    if start is None and end is None:
        return
    last = end if end is not None else math.inf if seconds is None else max(seconds, first)
    if not (first < last and last > 0) or (seconds and first >= seconds):
        raise AudioError(_outside(sound, start, end))
    if end is not None and seconds and end - seconds > _GAP + _BEYOND and math.isfinite(end):
        note(f"{sound.name}: the span to {end:g} s goes beyond the {seconds:.2f} s of sound and is cut there")


def _outside(sound: Sound, start: float | None, end: float | None) -> str:
    first, seconds = start if start is not None else 0.0, sound.seconds
    last = f"{end:g} s" if end is not None else "the end"
    length = "the sound" if seconds is None else f"the {seconds:g} s of sound"
    return f"{sound.name}: the span from {first:g} to {last} lies outside {length}"


def _placed(sound: Sound, first: int, last: float) -> Iterator[np.ndarray]:
    """The samples `first` to `last` on the clock of the file: silence in gaps, overlaps cut. `(N, channels)`."""
    jitter, cursor, expected = _JITTER * sound.rate, first, None
    latest = math.inf if sound.seconds is None else (sound.seconds + 10.0) * sound.rate
    gaps, silence, heard = list[tuple[int, int]](), 0, 0
    size = piece_size(sound.rate, sound.channels)
    try:
        for stamp, piece in sound.pieces:
            at = expected or 0 if stamp is None else stamp
            if expected is not None and (abs(at - expected) <= jitter or at > latest):
                at = expected
            expected = max(expected if expected is not None else at, at + len(piece))
            if at > cursor:
                until = int(min(at, last))
                silence += until - cursor
                if silence - heard > _MOST_SILENCE * sound.rate:
                    raise AudioError(_without_sound(sound, cursor, until))
                gaps.append((cursor, until))
                for begin in range(cursor, until, size):
                    yield np.zeros((min(size, until - begin), piece.shape[1]), np.float32)
                cursor = until
            chosen = piece[max(0, cursor - at) : None if last == math.inf else max(0, int(last) - at)]
            if len(chosen):
                yield chosen
                cursor, heard = cursor + len(chosen), heard + len(chosen)
            if cursor >= last:
                return
    finally:
        _note_gaps(sound, gaps)


def _without_sound(sound: Sound, begin: int, until: int) -> str:
    return (
        f"{sound.name}: there is no sound from {begin / sound.rate:.2f} to {until / sound.rate:.2f} s: gaps may "
        f"be at most {_MOST_SILENCE:.0f} s longer than the sound before them; the time stamps are damaged, or the "
        "parts with sound must be given one by one (start and end, seconds)"
    )


def _note_gaps(sound: Sound, gaps: list[tuple[int, int]]) -> None:
    wide = [(begin, end) for begin, end in gaps if end - begin > _GAP * sound.rate]
    if wide:
        seconds = sum(end - begin for begin, end in wide) / sound.rate
        where = ", ".join(f"{begin / sound.rate:.2f} to {end / sound.rate:.2f} s" for begin, end in wide[:3])
        more = f" and {len(wide) - 3} more places" if len(wide) > 3 else ""
        note(
            f"{sound.name}: there is no sound from {where}{more}; these {seconds:.2f} s are filled with silence",
            "gaps",
        )


def _mono(
    sound: Sound,
    blocks: Iterator[np.ndarray],
    span: tuple[float | None, float | None],
    borders: tuple[int, float, float],
) -> Iterator[np.ndarray]:
    """Gathers, checks and mixes down; notes what was chosen, and what was cut."""
    downmix, count, loudest = Downmix(), 0, 0.0
    for block in _gathered(blocks, piece_size(sound.rate, sound.channels)):
        loudest = max(loudest, loudness(block, sound.name, count / sound.rate))
        count += len(block)
        yield downmix(block)
    if not count and span != (None, None):
        raise AudioError(_outside(sound, *span))
    if not count:
        raise AudioError(f"{sound.name}: the audio is empty (0 samples)")
    note_loudness(loudest, sound.name)
    for told in downmix.notes(sound.name):
        note(told, "opposed")
    _note_cut(sound, count, borders)


def _note_cut(sound: Sound, count: int, borders: tuple[int, float, float]) -> None:
    first, last, kept = borders
    if kept >= last or first + count < kept:
        return  # heard to its end
    end = last if sound.seconds is None else min(last, sound.seconds * sound.rate)
    heard = f"{sound.name}: heard the first {count / sound.rate:.1f} s of"
    advice = "cut it into windows to hear all of it (window_seconds, --window)"
    if end == math.inf and any(len(piece) for _, piece in itertools.islice(sound.pieces, 2)):
        note(f"{heard} a longer recording; {advice}")
    elif end != math.inf and (end - kept) / sound.rate > _BEYOND:
        note(f"{heard} {(end - first) / sound.rate:.1f} s; {advice}")


def _gathered(blocks: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Blocks of `size` samples, but the last."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        while len(block):
            part, block = block[: size - count], block[size - count :]
            held.append(part)
            count += len(part)
            if count == size:
                yield np.concatenate(held) if len(held) > 1 else held[0]
                held, count = [], 0
    if held:
        yield np.concatenate(held)
