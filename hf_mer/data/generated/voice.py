"""A source-filter voice: babble whose only message is how aroused the speaker is.

A glottal pulse train with jitter and shimmer, and noise for consonants and breath, run through formant resonators that
glide from vowel to vowel. The syllables are drawn at random and do not spell the words of the transcript, and the
timing of the words is drawn before the arousal is looked at: the waveform tells the speaker and the arousal, and
nothing about valence, the words or the label, and its length tells nothing at all.

Arousal is heard in a few *salient* words only (higher, livelier, louder, faster and brighter speech, or the opposite),
always relative to the speaker's own neutral voice, in which the rest is spoken.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

SAMPLING_RATE = 16_000
"""Hz of every waveform made here."""

# F1, F2, F3 in Hz of an average adult male voice (Peterson and Barney, 1952).
_VOWELS = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
        [660, 1720, 2410],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ],
    dtype=np.float64,
)
_FOURTH_FORMANT = 3400.0
_BANDWIDTHS = np.array([70.0, 100.0, 150.0, 220.0])
_BLOCK = 400  # samples (25 ms) during which the formants stand still
_FRICATIVE = butter(2, 3000, "highpass", fs=SAMPLING_RATE, output="sos")
_BREATH = butter(1, [800, 3000], "bandpass", fs=SAMPLING_RATE, output="sos")
_Track = tuple[np.ndarray, np.ndarray]  # piecewise linear: times in seconds and values


@dataclass(frozen=True)
class Speaker:
    """What tells one synthetic speaker from another.

    Attributes:
        pitch: Fundamental frequency of the neutral voice, Hz.
        formant_scale: Factor on all formants (a short vocal tract has a large one).
        level: Level of the neutral voice while speaking, dB below full scale (RMS).
        tempo: Factor on the speaking rate.
        breath: Amplitude of breath noise relative to the pulses.
        tilt: Pole of the low-pass that darkens the voice, 0 (bright) to 1.
    """

    pitch: float
    formant_scale: float
    level: float
    tempo: float
    breath: float
    tilt: float


@dataclass(frozen=True)
class ArousalCue:
    """How salient words differ from the speaker's neutral voice.

    Attributes:
        pitch: Shift of the pitch, semitones.
        pitch_range: Height of the accent within a word, semitones.
        energy: Gain, dB.
        tempo: Factor on the number of syllables per second.
        effort: Vocal effort, -1 (dull) to 1 (bright); 0 is neutral.
    """

    pitch: float
    pitch_range: float
    energy: float
    tempo: float
    effort: float

    def scaled(self, strength: float) -> ArousalCue:
        """The cue moved from neutral (0) over this cue (1) to more (above 1)."""
        return ArousalCue(
            self.pitch * strength,
            NEUTRAL.pitch_range + (self.pitch_range - NEUTRAL.pitch_range) * strength,
            self.energy * strength,
            self.tempo**strength,
            float(np.clip(self.effort * strength, -1, 1)),
        )


NEUTRAL = ArousalCue(pitch=0.0, pitch_range=1.2, energy=0.0, tempo=1.0, effort=0.0)
HIGH = ArousalCue(pitch=5.0, pitch_range=4.0, energy=7.0, tempo=1.4, effort=0.9)
LOW = ArousalCue(pitch=-3.5, pitch_range=0.2, energy=-6.0, tempo=0.65, effort=-0.9)


@dataclass(frozen=True)
class VoiceSettings:
    """Settings of the voice that do not belong to a speaker.

    Attributes:
        salient_share: Least and greatest share of the words that carry the arousal.
        salient_stretches: Least and greatest number of runs that these words form.
        cue_strength: Factor on the arousal cue; 0 leaves none.
        word_seconds: Least and greatest length of a word at tempo 1.
        pause_seconds: Least and greatest pause between words.
        edge_seconds: Least and greatest silence before the first and after the last word.
        syllable_seconds: Length of a syllable at tempo 1.
        room_level: Level of the room noise, dB below full scale (RMS).
    """

    salient_share: tuple[float, float] = (0.3, 0.5)
    salient_stretches: tuple[int, int] = (1, 3)
    cue_strength: float = 1.0
    word_seconds: tuple[float, float] = (0.15, 0.32)
    pause_seconds: tuple[float, float] = (0.01, 0.07)
    edge_seconds: tuple[float, float] = (0.06, 0.16)
    syllable_seconds: float = 0.13
    room_level: float = -62.0


@dataclass(frozen=True)
class Speech:
    """One spoken utterance and where its arousal is.

    Attributes:
        waveform: Mono float32 in [-1, 1], 16 kHz. Shape `(samples,)`.
        word_spans: Start and end of each word, seconds. Shape `(words, 2)`.
        salient: True for the words that carry the arousal. Shape `(words,)`.
    """

    waveform: np.ndarray
    word_spans: np.ndarray
    salient: np.ndarray

    @property
    def salient_spans(self) -> list[tuple[float, float]]:
        """Start and end of each salient segment, seconds."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.salient.astype(np.int8), [0]])))
        return [
            (float(self.word_spans[first, 0]), float(self.word_spans[stop - 1, 1]))
            for first, stop in zip(edges[::2], edges[1::2], strict=True)
        ]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLING_RATE


def draw_speaker(rng: np.random.Generator, *, female: bool) -> Speaker:
    """Draw a speaker's voice.

    Args:
        rng: Source of randomness.
        female: Whether pitch and formants are those of a woman's voice.
    """
    return Speaker(
        pitch=rng.uniform(175, 230) if female else rng.uniform(92, 135),
        formant_scale=rng.uniform(1.1, 1.24) if female else rng.uniform(0.93, 1.05),
        level=rng.uniform(-36, -30),
        tempo=rng.uniform(0.88, 1.14),
        breath=rng.uniform(0.02, 0.06),
        tilt=rng.uniform(0.72, 0.84),
    )


def synthesize(
    num_words: int,
    speaker: Speaker,
    arousal: int,
    rng: np.random.Generator,
    settings: VoiceSettings | None = None,
) -> Speech:
    """Speak `num_words` words of babble.

    Args:
        num_words: Number of words, at least 2 (one salient, one not).
        speaker: The voice.
        arousal: 1 for high, -1 for low, 0 for no cue. Word timing and salient words do not depend on it.
        rng: Source of randomness; the same state gives the same samples.
        settings: Defaults to `VoiceSettings()`.
    """
    settings = settings or VoiceSettings()
    spans, num_samples = _word_timing(num_words, speaker, rng, settings)
    salient = _salient_words(num_words, rng, settings)
    cue = {1: HIGH, -1: LOW, 0: NEUTRAL}[arousal].scaled(settings.cue_strength if arousal else 0.0)
    cues = [cue if is_salient else NEUTRAL for is_salient in salient]

    tracks = _draw_tracks(spans, cues, speaker, rng, settings)
    speech = _excite_and_filter(tracks, num_samples, speaker, rng)
    speech *= _level_gain(speech, spans[~salient], speaker.level)
    speech += _room_noise(num_samples, rng, settings.room_level)
    return Speech(np.clip(speech, -1, 1).astype(np.float32), spans, salient)


def _word_timing(
    num_words: int, speaker: Speaker, rng: np.random.Generator, settings: VoiceSettings
) -> tuple[np.ndarray, int]:
    """Start and end of every word in seconds `(words, 2)`, and the number of samples."""
    lengths = rng.uniform(*settings.word_seconds, num_words) / speaker.tempo
    pauses = rng.uniform(*settings.pause_seconds, num_words)
    before, after = rng.uniform(*settings.edge_seconds, 2)
    pauses[0] = before
    ends = np.cumsum(lengths + pauses)
    return np.stack([ends - lengths, ends], axis=1), int(np.ceil((ends[-1] + after) * SAMPLING_RATE))


def _salient_words(num_words: int, rng: np.random.Generator, settings: VoiceSettings) -> np.ndarray:
    """Mark `salient_share` of the words, in `salient_stretches` runs that do not touch. Shape `(words,)`."""
    marked = int(np.clip(round(rng.uniform(*settings.salient_share) * num_words), 1, num_words - 1))
    low, high = settings.salient_stretches
    runs = min(int(rng.integers(low, high + 1)), marked, num_words - marked + 1)
    cuts = np.sort(rng.choice(np.arange(1, marked), runs - 1, replace=False))
    run_lengths = np.diff(np.concatenate([[0], cuts, [marked]]))
    # One plain word stands between two runs; the others fall anywhere.
    spare = num_words - marked - (runs - 1)
    gaps = np.bincount(rng.integers(0, runs + 1, spare), minlength=runs + 1)
    gaps[1:runs] += 1
    salient = np.zeros(num_words, dtype=bool)
    position = 0
    for gap, length in zip(gaps[:runs], run_lengths, strict=True):
        salient[position + gap : position + gap + length] = True
        position += gap + length
    return salient


def _draw_tracks(
    spans: np.ndarray, cues: list[ArousalCue], speaker: Speaker, rng: np.random.Generator, settings: VoiceSettings
) -> list[_Track]:
    """Draw pitch, effort, voicing, frication and formants of every syllable: times in seconds and values."""
    tracks: tuple[list, ...] = ([], [], [], [], [])
    pitch, effort, voicing, frication, formants = tracks
    end_of_speech = spans[-1, 1]
    for (start, end), cue in zip(spans, cues, strict=True):
        length = end - start
        base = speaker.pitch * 2 ** ((cue.pitch + rng.normal(0, 0.5)) / 12)
        base *= 1.06 - 0.12 * start / end_of_speech  # declination
        peak = base * 2 ** (cue.pitch_range * rng.uniform(0.6, 1.2) / 12)
        pitch += [(start, base), (start + length * rng.uniform(0.3, 0.6), peak), (end, base * 0.98)]
        effort += [(start, cue.effort), (end, cue.effort)]
        gain = 10 ** ((cue.energy + rng.normal(0, 1.0)) / 20)
        rate = cue.tempo * speaker.tempo / settings.syllable_seconds
        syllables = max(1, int(length * rate + rng.uniform(0, 1)))
        bounds = np.linspace(start, end, syllables + 1)
        for first, last in pairwise(bounds):
            onset = first + min(rng.uniform(0.2, 0.4) * (last - first), 0.06)
            consonant = rng.choice([0.0, 0.12, 0.3]) * gain
            release = last - 0.2 * (last - first)
            voicing += [(first, 0.08 * gain), (onset, gain), (release, 0.85 * gain), (last, 0.05 * gain)]
            frication += [(first, 0.0), (first + 0.3 * (onset - first), consonant), (onset, 0.0)]
            target = np.append(_VOWELS[rng.integers(len(_VOWELS))] * rng.uniform(0.95, 1.05, 3), _FOURTH_FORMANT)
            formants.append((0.5 * (onset + last), target * speaker.formant_scale))
        voicing += [(start - 1e-3, 0.0), (end + 1e-3, 0.0)]
    for points in tracks:
        points.sort(key=lambda point: point[0])
    return [(np.array([time for time, _ in points]), np.array([value for _, value in points])) for points in tracks]


def _excite_and_filter(
    tracks: list[_Track], num_samples: int, speaker: Speaker, rng: np.random.Generator
) -> np.ndarray:
    """Glottal source and noise through the gliding formants. Shape `(samples,)`, arbitrary level."""
    times = np.arange(num_samples) / SAMPLING_RATE
    pitch, effort, voicing, frication = (np.interp(times, *track) for track in tracks[:4])
    bright = 0.5 + 0.5 * effort  # 0 dull, 1 bright

    source = _glottal_pulses(pitch, rng)
    dark = lfilter([1 - speaker.tilt], [1, -speaker.tilt], source)
    darker = lfilter([1 - speaker.tilt], [1, -speaker.tilt], dark)
    noise = rng.standard_normal(num_samples)
    excitation = bright * dark + (1 - bright) * darker
    excitation += speaker.breath * (1.2 - bright) * sosfilt(_BREATH, noise)
    return _formant_filter(excitation * voicing, tracks[4]) + 0.5 * sosfilt(_FRICATIVE, noise) * frication


def _glottal_pulses(pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Derivative of a Rosenberg pulse train at `pitch` Hz, with 1 % jitter and 5 % shimmer. Shape as `pitch`."""
    cycles = np.cumsum(pitch) / SAMPLING_RATE
    wobble = rng.standard_normal((2, int(cycles[-1]) + 2))
    knots = np.arange(wobble.shape[1])
    cycles = cycles + np.interp(cycles, knots, 0.01 * wobble[0])
    cycle = np.clip(cycles.astype(np.int64), 0, len(knots) - 1)
    phase = cycles - cycle
    opening, closing = 0.4, 0.16
    flow = np.where(
        phase < opening,
        0.5 - 0.5 * np.cos(np.pi * phase / opening),
        np.cos(0.5 * np.pi * np.minimum(phase - opening, closing) / closing),
    )
    flow = np.where(phase < opening + closing, flow, 0.0) * (1 + 0.05 * wobble[1][cycle])
    # The pulses' own level must not fall with the pitch, so the derivative is taken per cycle, not per second.
    return np.diff(flow, prepend=flow[0]) * (SAMPLING_RATE / 100.0) / np.sqrt(pitch)


def _formant_filter(excitation: np.ndarray, formants: _Track) -> np.ndarray:
    """Cascade of four second-order resonators (unit gain at 0 Hz) whose frequencies glide. Shape as `excitation`."""
    times, targets = formants
    starts = np.arange(0, len(excitation), _BLOCK)
    centres = (starts + _BLOCK / 2) / SAMPLING_RATE
    frequency = np.stack([np.interp(centres, times, column) for column in targets.T], axis=1)  # (blocks, 4)
    radius = np.exp(-np.pi * _BANDWIDTHS / SAMPLING_RATE)
    sections = np.zeros((*frequency.shape, 6))
    sections[..., 3] = 1.0
    sections[..., 4] = -2 * radius * np.cos(2 * np.pi * frequency / SAMPLING_RATE)
    sections[..., 5] = radius**2
    sections[..., 0] = sections[..., 3:].sum(axis=-1)
    state = np.zeros((frequency.shape[1], 2))
    filtered = np.empty_like(excitation)
    for start, block in zip(starts, sections, strict=True):
        filtered[start : start + _BLOCK], state = sosfilt(block, excitation[start : start + _BLOCK], zi=state)
    return filtered


def _level_gain(speech: np.ndarray, neutral_spans: np.ndarray, level: float) -> float:
    """Factor that brings the neutral words to `level` dB (RMS)."""
    bounds = (neutral_spans * SAMPLING_RATE).astype(int)
    power = np.mean(np.concatenate([speech[start:end] for start, end in bounds]) ** 2)
    return float(10 ** (level / 20) / np.sqrt(power))


def _room_noise(num_samples: int, rng: np.random.Generator, level: float) -> np.ndarray:
    """Low-passed noise at `level` dB (RMS). Shape `(samples,)`."""
    noise = lfilter([0.2], [1, -0.8], rng.standard_normal(num_samples))
    return noise * (10 ** (level / 20) / (0.2 / np.sqrt(1 - 0.8**2)))
