"""Decoding sound files piece by piece: soundfile reads WAV, FLAC, OGG and MP3, PyAV the containers of video files."""

import io
import math
import os
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .audio_headers_mer import is_streamed, missing_seconds
from .audio_samples_mer import AudioError
from .notes_mer import note
from .packets_mer import decoded_frames, reason_of
from .resampling_mer import plausible_rate

try:
    import soundfile
except ImportError:
    soundfile = None
try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

PIECE_SECONDS = 10.0
_PIECE_VALUES = 1 << 24  # of all channels, which is more than 10 s of 32 channels at 48 kHz
_SEEK_FROM = 10.0  # seconds into the file from where jumping is quicker than decoding
_WARM_UP = 2.0  # seconds before a span that are decoded for the state of the decoder
_EXACT = ("WAV", "WAVEX", "FLAC", "AIFF", "AU", "W64", "RF64", "CAF")  # of soundfile, where a jump is exact
_STATED = ("mov", "matroska", "avi", "asf", "flac", "wav", "aiff")  # of PyAV, whose headers state the length
_TOLERANCE = 0.25  # seconds by which the headers of containers are off without anything missing

Piece = tuple[int | None, np.ndarray]
"""First sample on the clock of the file (None where the piece follows the one before), and samples `(N, channels)`."""


@dataclass
class Sound:
    """An opened source.

    Attributes:
        name: For messages.
        rate: Hz.
        channels: Their number.
        seconds: From the beginning of the clock to the end of the sound, as far as it is known.
        pieces: The sound, from the wanted start or a little before.
    """

    name: str
    rate: int
    channels: int
    seconds: float | None
    pieces: Generator[Piece, None, None]


def open_file(file: str | bytes, name: str, start: float = 0.0, until: float | None = None) -> Sound:
    """Opens a file or its bytes: soundfile first, PyAV for what it does not know.

    Args:
        file: Path or bytes.
        name: For messages.
        start: Seconds before which nothing is needed.
        until: Seconds after which nothing is needed; all of it if None.

    Raises:
        AudioError: If it is missing, empty or not readable as audio.
    """
    if isinstance(file, bytes):
        if not file:
            raise AudioError(f"{name}: the audio is empty (0 bytes)")
    else:
        require_file(file, name)
    reasons = []
    if soundfile is not None:
        try:
            sound = _open_soundfile(file, name, start, until)
            if sound.seconds != 0 or av is None or not is_streamed(file):
                return sound
            sound.pieces.close()  # libsndfile believes that there is nothing
        except soundfile.LibsndfileError as error:
            reasons.append(reason_of(error))
    if av is not None:
        try:
            return _open_av(file, name, start)
        except (av.FFmpegError, IndexError) as error:
            reasons.append(reason_of(error))
    if soundfile is None and av is None:
        raise ImportError("Reading audio files needs `pip install soundfile` (and `av` for the sound of video files)")
    raise AudioError(f"{name}: cannot be read as audio ({'; '.join(reasons)})")


def require_file(path: Any, name: str) -> None:
    """Raises an `AudioError` if there is no such file, or it is empty."""
    if not os.path.isfile(path):
        raise AudioError(f"{name}: no such audio file")
    if os.path.getsize(path) == 0:
        raise AudioError(f"{name}: the file is empty (0 bytes)")


def piece_size(rate: int, channels: int) -> int:
    """Samples per channel that are held at once: ten seconds, fewer where rate times channels is huge."""
    return max(1, min(int(PIECE_SECONDS * rate), _PIECE_VALUES // channels))


def _open_soundfile(file: str | bytes, name: str, start: float, until: float | None) -> Sound:
    given: Any = io.BytesIO(file) if isinstance(file, bytes) else file
    if isinstance(file, str) and os.name != "nt":
        given = os.fsencode(file)  # libsndfile's binding refuses a `str` whose bytes are no UTF-8
    sound = soundfile.SoundFile(given)
    plausible_rate(sound.samplerate, name)
    frames = sound.frames if 0 <= sound.frames < 2**62 else None
    seconds = None if frames is None else frames / sound.samplerate
    if missing := missing_seconds(file):
        promised = "" if missing == math.inf else f"its header promises {(seconds or 0) + missing:.2f} s, "
        note(f"{name}: the file is cut off: {promised}{seconds or 0:.2f} s are there", "truncated")
    pieces = _soundfile_pieces(sound, name, start, until, frames)
    return Sound(name, sound.samplerate, sound.channels, seconds, pieces)


def _soundfile_pieces(
    sound: Any, name: str, start: float, until: float | None, frames: int | None
) -> Generator[Piece, None, None]:
    rate, size = sound.samplerate, piece_size(sound.samplerate, sound.channels)
    last = math.inf if until is None else max(1, math.ceil(until * rate) + 1)  # however borders are rounded
    position, problem = 0, ""
    with sound:
        if start >= PIECE_SECONDS and frames is not None and sound.format in _EXACT and sound.seekable():
            position = min(round(start * rate), frames)
            sound.seek(position)
        while position < last and not problem:
            wanted = int(min(size, last - position))
            block = np.zeros((wanted, sound.channels), np.float32)
            try:
                count = len(sound.read(wanted, dtype="float32", always_2d=True, out=block))
            except soundfile.LibsndfileError as error:
                count, problem = max(0, min(wanted, sound.tell() - position)), f" ({reason_of(error)})"
            if count:
                yield position, block[:count]
            position += count
            if count < wanted:
                break
    if problem and not position:
        raise AudioError(f"{name}: cannot be read as audio{problem}")
    if position < last and frames is not None and frames - position > 0.1 * rate:
        note(
            f"{name}: the sound is cut off or damaged{problem}: its header promises {frames / rate:.2f} s, "
            f"{position / rate:.2f} s are there",
            "truncated",
        )


def _open_av(file: str | bytes, name: str, start: float) -> Sound:
    container = av.open(io.BytesIO(file) if isinstance(file, bytes) else file)
    if not container.streams.audio:
        only = " (picture only)" if container.streams.video else ""
        container.close()
        raise AudioError(f"{name}: has no audio stream{only}")
    stream = container.streams.audio[0]
    rate, seconds = plausible_rate(stream.rate, name), _stated_seconds(container, stream)
    if stream.channels < 1:
        raise AudioError(f"{name}: cannot be read as audio (its header states an impossible number of channels)")
    return Sound(name, rate, stream.channels, seconds, _av_pieces(container, name, start, seconds))


def _stated_seconds(container: Any, stream: Any) -> float | None:
    """When the sound ends by the header, on the clock of the file; None where headers only guess."""
    if not container.format.name.startswith(_STATED):
        return None
    origin = Fraction(container.start_time or 0, av.time_base)
    first = (stream.start_time or 0) * stream.time_base - origin
    if stream.duration:
        return float(first + stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION") or stream.metadata.get("DURATION-eng")  # of matroska
    try:
        hours, minutes, seconds = str(tag).split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - float(origin)
    except ValueError:
        alone = len(container.streams) == 1 and container.duration
        return container.duration / av.time_base if alone else None


def _av_pieces(container: Any, name: str, start: float, seconds: float | None) -> Generator[Piece, None, None]:
    """The first audio stream; of a file that is damaged or cut off what comes before, which is noted."""
    with container:
        stream = container.streams.audio[0]
        rate, origin = stream.rate, Fraction(container.start_time or 0, av.time_base)
        # where time stamps are as fine as samples, and only there, a jump lands on the same samples
        if start >= _SEEK_FROM and stream.time_base <= Fraction(1, rate):
            container.seek(int((Fraction(max(0.0, start - _WARM_UP)) + origin) / stream.time_base), stream=stream)
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=rate)
        problems: list[str] = []
        end = 0.0
        for frame in decoded_frames(container, stream, problems):
            plausible_rate(frame.sample_rate, name)  # streams can change theirs
            stamp = None if frame.pts is None else frame.pts * (frame.time_base or stream.time_base) - origin
            at = None if stamp is None else round(stamp * rate)
            end = max(end, float(stamp or 0)) + frame.samples / frame.sample_rate
            try:
                made = resampler.resample(frame)
            except ValueError:  # the stream changes its layout or rate
                resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=rate)
                made = resampler.resample(frame)
            for out in made:
                yield at, out.to_ndarray().T
                at = None
        if end == 0:
            raise AudioError(f"{name}: cannot be read as audio ({problems[0] if problems else 'no audio frames'})")
        if problems or (seconds is not None and seconds - end > _TOLERANCE):
            why = f" ({len(problems)} packets: {problems[0]})" if problems else ""
            promised = "" if seconds is None else f": its header promises {seconds:.2f} s, {end:.2f} s are there"
            note(f"{name}: the sound is cut off or damaged{why}{promised}", "truncated")
