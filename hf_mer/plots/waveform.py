"""A waveform as its envelope: what a line of many samples would look like, at a few points per pixel."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes


def waveform_envelope(waveform: np.ndarray, sampling_rate: int, bins: int = 1200) -> np.ndarray:
    """Lowest and highest sample of each of many equal segments.

    Args:
        waveform: Mono samples. Shape `(N,)`.
        sampling_rate: In Hz.
        bins: Most segments that are made.

    Returns:
        One row per segment, with its centre in seconds, its lowest and its highest sample. Shape `(min(N, bins), 3)`.

    Raises:
        ValueError: If the waveform is not one-dimensional, or the sampling rate is not positive.
    """
    waveform = np.asarray(waveform, dtype=np.float64)
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be mono, of shape (samples,), got {waveform.shape}")
    if sampling_rate <= 0:
        raise ValueError(f"sampling_rate must be positive (Hz), got {sampling_rate!r}")
    if not waveform.size:
        return np.zeros((0, 3))
    edges = np.linspace(0, len(waveform), min(bins, len(waveform)) + 1).round().astype(int)
    low = np.minimum.reduceat(waveform, edges[:-1])
    high = np.maximum.reduceat(waveform, edges[:-1])
    return np.column_stack([(edges[:-1] + edges[1:]) / 2 / sampling_rate, low, high])


def draw_waveform(axes: Axes, waveform: np.ndarray, sampling_rate: int, color: str, limit: float) -> None:
    """Draw the envelope over seconds, symmetric about zero, `limit` being the amplitude at the panel's edge."""
    envelope = waveform_envelope(waveform, sampling_rate)
    draw_envelope(axes, envelope, max(len(waveform), 1) / sampling_rate, color, limit)


def draw_envelope(axes: Axes, envelope: np.ndarray, seconds: float, color: str, limit: float) -> None:
    """As [`draw_waveform`], from what [`waveform_envelope`] gives of a recording of so many seconds."""
    times, low, high = envelope.T
    # a stroke as well as the area: silence must not vanish
    axes.fill_between(times, low, high, facecolor=color, edgecolor=color, linewidth=0.4)
    axes.set_xlim(0, seconds)
    axes.set_ylim(-limit, limit)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def amplitude_limit(*waveforms: np.ndarray) -> float:
    """A common amplitude for the panels' edges, a little above the loudest finite sample."""
    peaks = [float(np.nanmax(np.abs(waveform))) for waveform in waveforms if np.size(waveform)]
    loudest = max(peaks, default=0.0)
    return 1.08 * loudest if loudest > 0 else 1.0
