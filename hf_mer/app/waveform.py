"""The waveform, coloured by label attention, as a picture that scales with the page and follows its colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 240
_HEIGHT, _CURVE = 100, 60  # units of the drawings; the page's style gives their size


@dataclass(frozen=True)
class Envelope:
    """Lowest and highest sample of each of `BINS` equal stretches, scaled so that the loudest is 1.

    Attributes:
        low: Shape `(BINS,)`.
        high: Shape `(BINS,)`.
        seconds: Length of the recording.
    """

    low: np.ndarray
    high: np.ndarray
    seconds: float


def envelope_of(samples: np.ndarray, sampling_rate: int) -> Envelope:
    """The envelope of a recording, shape `(N,)`."""
    from hf_mer.plots.waveform import amplitude_limit, waveform_envelope

    _, low, high = (waveform_envelope(samples, sampling_rate, BINS) / amplitude_limit(samples)).T
    return Envelope(low, high, len(samples) / sampling_rate)


def attention_of_bins(seconds: Sequence[float], attention: Sequence[float], envelope: Envelope) -> np.ndarray:
    """Mean attention of each stretch of the envelope, scaled to the utterance's own range.

    Args:
        seconds: Centres of the encoder's frames, increasing. Length `S`.
        attention: Of one class. Length `S`.
        envelope: Of the same recording.

    Returns:
        0 for the least attention of the utterance, 1 for the greatest, a twentieth at either end cut off. One value
        per stretch.
    """
    centres, values = np.asarray(seconds, dtype=float), np.asarray(attention, dtype=float)
    edges = np.linspace(0, envelope.seconds, len(envelope.low) + 1)
    if len(centres) > 1:
        middles = np.concatenate([[0.0], (centres[:-1] + centres[1:]) / 2, [max(envelope.seconds, centres[-1])]])
        area = np.concatenate([[0.0], np.cumsum(values * np.diff(middles))])
        means = np.diff(np.interp(edges, middles, area)) / np.diff(edges)
    else:
        means = np.full(len(envelope.low), values[0])
    return scaled(means, tails=5.0)


def scaled(values: np.ndarray, tails: float = 0.0) -> np.ndarray:
    """Values in their own range, 0 to 1; zeros where they are all the same.

    Args:
        values: Shape `(N,)`.
        tails: Percent at either end that count as the end: a short dip must not make all the rest alike.
    """
    values = np.asarray(values, dtype=float)
    low, high = np.percentile(values, [tails, 100 - tails]) if values.size else (0.0, 0.0)
    return np.clip((values - low) / (high - low), 0, 1) if high - low > 1e-9 else np.zeros_like(values)


def waveform_html(envelope: Envelope, attention: np.ndarray | None, description: str) -> str:
    """The waveform and, below it, the attention as a curve: colour is never alone.

    Args:
        envelope: Of the recording.
        attention: 0 to 1 per stretch; None for a model without label attention.
        description: For who cannot see it.
    """
    from html import escape

    middle = _HEIGHT / 2
    bars = []
    for place, (low, high) in enumerate(zip(envelope.low, envelope.high, strict=True)):
        top, height = middle * (1 - high), max(middle * (high - low), 0.8)
        strength = "" if attention is None else f' style="--a:{attention[place]:.2f}"'
        bars.append(f'<rect x="{place}" y="{top:.1f}" width="1.02" height="{height:.1f}"{strength}/>')
    width = len(envelope.low)
    parts = [
        f'<svg class="hm-wave" role="img" viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{escape(description)}</title>{''.join(bars)}</svg>"
    ]
    if attention is not None:
        points = " ".join(
            f"{place + 0.5:g},{_CURVE * (0.95 - 0.9 * value):.1f}" for place, value in enumerate(attention)
        )
        parts.append(
            f'<svg class="hm-curve" aria-hidden="true" viewBox="0 0 {width} {_CURVE}" preserveAspectRatio="none">'
            f'<polyline points="{points}"/></svg>'
        )
    return f'<div class="hm-plot">{"".join(parts)}{axis_html(envelope.seconds)}</div>'


def axis_html(seconds: float) -> str:
    """Five times below a drawing, the last one with its unit."""
    times = [seconds * part / 4 for part in range(5)]
    digits = 0 if seconds >= 20 else 1
    labels = [f"{time:.{digits}f}" if seconds < 120 else clock(time) for time in times]
    labels[-1] += " s" if seconds < 120 else " min"
    return f'<div class="hm-axis" aria-hidden="true">{"".join(f"<span>{label}</span>" for label in labels)}</div>'


def clock(seconds: float) -> str:
    """`75.5` as `1:15`, minutes and seconds."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
