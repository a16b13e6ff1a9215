import numpy as np
import pytest
from model_tester import tone

from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.evaluation.sound import Babble, mix, white_noise


@pytest.mark.parametrize("snr", [20.0, 0.0, -5.0])
def test_the_ratio_is_the_one_asked_for(snr):
    samples = tone(0.5)
    added = mix(samples, white_noise(len(samples), 0, "u1"), snr) - samples
    measured = 10 * np.log10(np.mean(samples.astype(float) ** 2) / np.mean(added.astype(float) ** 2))
    assert measured == pytest.approx(snr, abs=0.01)


def test_silence_stays_silent():
    silence = np.zeros(100, dtype=np.float32)
    assert mix(silence, white_noise(100, 0, "u1"), 0.0) is silence
    assert mix(tone(0.1), np.zeros(1600, dtype=np.float32), 0.0).tolist() == tone(0.1).tolist()


def test_noise_belongs_to_seed_and_utterance():
    assert (white_noise(50, 0, "a") == white_noise(50, 0, "a")).all()
    assert (white_noise(50, 0, "a") != white_noise(50, 0, "b")).any()
    assert (white_noise(50, 0, "a") != white_noise(50, 1, "a")).any()


@pytest.fixture
def rows(write_wav):
    """Two speakers with two recordings each, one row without sound."""
    records = [
        make_record(id=f"u{i}", speaker=f"s{i // 2}", label=0, audio=write_wav(f"{i}.wav", 0.2, pitch=200 + 100 * i))
        for i in range(4)
    ]
    return records_to_dataset([*records, make_record(id="u4", speaker="s9", label=0)], ["any"])


def loudest(samples):
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples))


def test_babble_is_of_others(rows):
    babble = Babble(rows, 16000)
    assert len(babble.pool) == 4
    noise = babble.over(rows[0], 3200)
    spectrum = np.abs(np.fft.rfft(noise))
    hertz = np.fft.rfftfreq(len(noise), 1 / 16000)
    power = [spectrum[(hertz > pitch - 40) & (hertz < pitch + 40)].max() for pitch in (200, 300, 400, 500)]
    assert max(power[:2]) < 0.2 * min(power[2:])  # only the other speaker's tones
    assert (noise == Babble(rows, 16000).over(rows[0], 3200)).all()
    assert len(babble.over(rows[0], 8000)) == 8000  # longer than any recording


def test_babble_needs_somebody_else(rows):
    with pytest.raises(ValueError, match="row u0: the corpus has no recording of another speaker"):
        Babble(rows.select([0, 1]), 16000).over(rows[0], 100)
    with pytest.raises(ValueError, match="no recording to make it from"):
        Babble(rows.select([4]), 16000)
