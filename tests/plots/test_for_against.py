import math

import numpy as np
import pytest
from explained import explanation, place
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hf_mer.plots.for_against import (
    AGAINST,
    FOR,
    FOR_AGAINST,
    draw_value_bars,
    factor_ticks,
    place_color,
    value_norm,
)
from hf_mer.plots.style import OKABE_ITO, ink_on


def test_the_scale_is_symmetric():
    norm = value_norm(explanation([place(0.4)], [place(-0.9)]))
    assert (norm.vmin, norm.vmax) == (-0.9, 0.9)
    assert norm(5.0) == 1.0


def test_for_and_against_are_violet_and_olive_and_nothing_is_white():
    norm = value_norm(explanation([place(1.0)]))
    assert place_color(place(1.0), norm).upper() == FOR
    assert place_color(place(-1.0), norm).upper() == AGAINST
    assert place_color(place(0.0), norm) == "#ffffff"
    assert place_color(place(0.5, error=0.5), norm) == "#ffffff"
    darkness = [np.mean(to_rgb(place_color(place(value), norm))) for value in np.linspace(0, 1, 20)]
    assert (np.diff(darkness) < 0).all()


def _linear(color):
    channels = np.array(to_rgb(color))
    return np.where(channels > 0.04045, ((channels + 0.055) / 1.055) ** 2.4, channels / 12.92)


def _lab(linear):
    """CIELAB of linear RGB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(linear, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# Machado, Oliveira and Fernandes (2009), severity 1
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9690]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_ends_are_told_apart_with_every_kind_of_colour_blindness(kind):
    ends = [_lab(BLINDNESS[kind] @ _linear(color)) for color in (FOR, AGAINST)]
    assert np.linalg.norm(ends[0] - ends[1]) > 25  # 2 can just be seen


def test_no_end_is_the_colour_of_a_class():
    for end in (FOR, AGAINST):
        distances = {name: np.linalg.norm(_lab(_linear(end)) - _lab(_linear(c))) for name, c in OKABE_ITO.items()}
        assert min(distances.values()) > 30, distances


def test_words_can_be_read_on_every_colour():
    for share in np.linspace(0, 1, 41):
        light, dark = sorted([_luminance(FOR_AGAINST(share)), _luminance(ink_on(FOR_AGAINST(share)))])
        assert (dark + 0.05) / (light + 0.05) > 3.0


def _luminance(color):
    return float(np.dot([0.2126, 0.7152, 0.0722], _linear(color)))


def test_ticks_are_round_factors():
    assert [text for _, text in factor_ticks(math.log(2.2))] == ["÷2", "×1", "×2"]
    assert [value for value, _ in factor_ticks(math.log(2))] == [-math.log(2), 0, math.log(2)]
    assert [text for _, text in factor_ticks(0.01)] == ["×1"]


def test_bars_stand_at_their_times_with_whiskers_where_values_are_sampled():
    axes = Figure().add_subplot()
    places = [place(0.5, 0.1, start=0.0, end=0.4), place(-1.2, 0.0, start=0.4, end=1.0)]
    draw_value_bars(axes, places, value_norm(explanation(segments=places)))
    first, second = axes.patches
    assert first.get_x() + first.get_width() / 2 == pytest.approx(0.2)
    assert (first.get_height(), second.get_height()) == (0.5, -1.2)
    (whiskers,) = axes.collections
    assert whiskers.get_paths()[0].vertices[:, 1].tolist() == pytest.approx([0.4, 0.6])
    assert len(whiskers.get_paths()) == 1
    assert axes.get_ylim() == pytest.approx((-1.296, 1.296))
