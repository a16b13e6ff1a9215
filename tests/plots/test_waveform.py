import numpy as np
import pytest

from hf_mer.plots.waveform import amplitude_limit, waveform_envelope


def test_envelope_keeps_every_peak():
    waveform = np.zeros(48000)
    waveform[12345], waveform[40000] = 0.9, -0.7
    envelope = waveform_envelope(waveform, 16000, bins=100)
    assert envelope.shape == (100, 3)
    times, low, high = envelope.T
    assert times[high.argmax()] == pytest.approx(12345 / 16000, abs=3 / 100)
    assert high.max() == 0.9
    assert times[low.argmin()] == pytest.approx(40000 / 16000, abs=3 / 100)
    assert low.min() == -0.7


def test_short_and_empty_waveforms():
    assert waveform_envelope(np.array([0.5, -0.5]), 2)[:, 0].tolist() == [0.25, 0.75]
    assert waveform_envelope(np.zeros(0), 16000).shape == (0, 3)
    assert amplitude_limit(np.zeros(10), np.zeros(0)) == 1.0
    with pytest.raises(ValueError, match=r"mono, of shape \(samples,\), got \(2, 5\)"):
        waveform_envelope(np.zeros((2, 5)), 16000)
    with pytest.raises(ValueError, match="sampling_rate must be positive"):
        waveform_envelope(np.zeros(5), 0)
