import numpy as np
import pytest

from hf_mer.data.generated.voice import SAMPLING_RATE, Speaker, VoiceSettings, draw_speaker, synthesize

SPEAKER = Speaker(pitch=120.0, formant_scale=1.0, level=-32.0, tempo=1.0, breath=0.03, tilt=0.8)


def level(waveform, spans):
    """RMS in dB of the samples within the spans (seconds)."""
    samples = np.concatenate([waveform[int(a * SAMPLING_RATE) : int(b * SAMPLING_RATE)] for a, b in spans])
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2))


def pitch_of(waveform, span):
    """Median pitch in Hz of a span (seconds), by autocorrelation of 50 ms frames."""
    samples = waveform[int(span[0] * SAMPLING_RATE) : int(span[1] * SAMPLING_RATE)].astype(np.float64)
    found = []
    for start in range(0, len(samples) - 800, 160):
        frame = samples[start : start + 800] * np.hanning(800)
        correlation = np.correlate(frame, frame, "full")[799:]
        shortest, longest = SAMPLING_RATE // 260, SAMPLING_RATE // 70
        found.append(SAMPLING_RATE / (shortest + np.argmax(correlation[shortest:longest])))
    return float(np.median(found))


def speak(arousal, seed, **changes):
    return synthesize(10, SPEAKER, arousal, np.random.default_rng(seed), VoiceSettings(**changes))


def test_waveform_is_bounded_and_never_silent():
    speech = speak(1, 0)
    assert speech.waveform.dtype == np.float32
    assert speech.waveform.ndim == 1
    assert np.abs(speech.waveform).max() < 1
    assert 1.5 < speech.duration < 5
    edge = speech.waveform[:320]  # before the first word only the room is heard
    assert -70 < 20 * np.log10(edge.std()) < -54


def test_same_seed_same_samples():
    assert np.array_equal(speak(-1, 3).waveform, speak(-1, 3).waveform)
    assert not np.array_equal(speak(-1, 3).waveform, speak(-1, 4).waveform)


@pytest.mark.parametrize("seed", range(3))
def test_length_timing_and_salient_words_do_not_tell_the_arousal(seed):
    high, low = speak(1, seed), speak(-1, seed)
    assert len(high.waveform) == len(low.waveform)
    assert np.array_equal(high.word_spans, low.word_spans)
    assert np.array_equal(high.salient, low.salient)


@pytest.mark.parametrize("seed", range(3))
def test_only_the_salient_stretches_change(seed):
    high, low = speak(1, seed), speak(-1, seed)
    neutral = high.word_spans[~high.salient]
    assert level(high.waveform, neutral) == pytest.approx(SPEAKER.level, abs=1)
    assert level(low.waveform, neutral) == pytest.approx(SPEAKER.level, abs=1)
    assert level(high.waveform, high.salient_spans) > SPEAKER.level + 3
    assert level(low.waveform, low.salient_spans) < SPEAKER.level - 3


def test_pitch_follows_speaker_and_arousal():
    changes = {"salient_stretches": (1, 1), "salient_share": (0.5, 0.5)}
    pitches = {}
    for arousal in (1, -1):
        speeches = [speak(arousal, seed, **changes) for seed in range(4)]
        pitches[arousal] = np.median([pitch_of(speech.waveform, speech.salient_spans[0]) for speech in speeches])
        plain = [pitch_of(s.waveform, span) for s in speeches for span in s.word_spans[~s.salient]]
        assert np.median(plain) == pytest.approx(SPEAKER.pitch, rel=0.12)
    assert pitches[1] > 1.2 * SPEAKER.pitch
    assert pitches[-1] < 0.9 * SPEAKER.pitch


def test_no_cue_without_arousal_or_strength():
    for speech in (speak(0, 1), speak(1, 1, cue_strength=0.0)):
        neutral = level(speech.waveform, speech.word_spans[~speech.salient])
        assert level(speech.waveform, speech.salient_spans) == pytest.approx(neutral, abs=3)
    assert np.array_equal(speak(0, 1).waveform, speak(1, 1, cue_strength=0.0).waveform)


@pytest.mark.parametrize("num_words", [2, 3, 7, 12])
def test_salient_stretches_stay_within_their_settings(num_words):
    rng = np.random.default_rng(0)
    settings = VoiceSettings(word_seconds=(0.06, 0.08))
    for _ in range(15):
        speech = synthesize(num_words, SPEAKER, 1, rng, settings)
        assert 1 <= len(speech.salient_spans) <= 3
        assert 0.3 - 0.5 / num_words <= speech.salient.mean() <= 0.5 + 0.5 / num_words
        assert speech.salient.sum() == sum(
            ((speech.word_spans[:, 0] >= start) & (speech.word_spans[:, 1] <= end)).sum()
            for start, end in speech.salient_spans
        )


def test_speakers_differ_and_women_are_higher():
    rng = np.random.default_rng(0)
    women = [draw_speaker(rng, female=True) for _ in range(5)]
    men = [draw_speaker(rng, female=False) for _ in range(5)]
    assert min(w.pitch for w in women) > max(m.pitch for m in men)
    assert min(w.formant_scale for w in women) > max(m.formant_scale for m in men)
    assert len({speaker.level for speaker in women + men}) == 10
