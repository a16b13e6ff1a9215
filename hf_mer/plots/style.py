"""The one style of all figures: readable in print, in grey and for colour-blind readers.

Figures are made without pyplot, so that nothing global is touched and no window can open: whoever asks for a figure
gets a `matplotlib.figure.Figure` and decides what becomes of it. The reader's own matplotlib settings do not leak in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
from matplotlib import colormaps, font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito, "Color Universal Design", 2008; told apart with every kind of colour blindness. Grey is added.
OKABE_ITO = {
    "vermilion": "#D55E00",
    "orange": "#E69F00",
    "grey": "#8C8C8C",
    "blue": "#0072B2",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}

# An emotion has the same colour in every figure, whatever the corpus calls it.
_EMOTION_COLORS = {
    "vermilion": ("angry", "anger", "ang"),
    "orange": ("happy", "happiness", "hap", "joy", "joyful"),
    "grey": ("neutral", "neu", "calm"),
    "blue": ("sad", "sadness"),
    "green": ("excited", "excitement", "exc", "disgust", "disgusted", "dis"),
    "purple": ("frustrated", "frustration", "fru"),
    "sky": ("surprise", "surprised", "sur"),
    "black": ("fear", "fearful", "fea"),
}
_COLOR_OF_EMOTION = {emotion: color for color, emotions in _EMOTION_COLORS.items() for emotion in emotions}

_MARKERS = "os^DvPX*hp<>"

# Fonts that are asked, in this order, for what DejaVu Sans (it ships with matplotlib) does not draw.
_FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Yu Gothic",
    "Malgun Gothic",
    "Nirmala UI",
    "Arial Unicode MS",
)

FONT_SIZE = 9.0
SMALL_FONT_SIZE = 8.0
INK = "#262626"
FAINT_INK = "#5A5A5A"

_SETTINGS: dict[str, Any] = {
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE + 1,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": FONT_SIZE,
    "axes.edgecolor": FAINT_INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # words of a corpus may hold dollar signs
    "xtick.labelsize": SMALL_FONT_SIZE,
    "ytick.labelsize": SMALL_FONT_SIZE,
    "xtick.color": FAINT_INK,
    "ytick.color": FAINT_INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": SMALL_FONT_SIZE,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.titlesize": FONT_SIZE + 2,
    "figure.titleweight": "bold",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}

# White to orange, never so dark that black text on it could not be read.
HEAT = LinearSegmentedColormap.from_list("hf_mer_heat", ["#FFFFFF", "#FDE3C0", "#FDB863", "#E8862E"])
BLUES = colormaps["Blues"]


@functools.cache
def font_families() -> tuple[str, ...]:
    """DejaVu Sans, then those of the known fonts for other scripts that this machine has."""
    installed = set(font_manager.get_font_names())
    return ("DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed))


def style_context() -> AbstractContextManager[None]:
    """A context in which matplotlib's settings are its defaults and this style; they are restored at its end."""
    return matplotlib.style.context(["default", {**_SETTINGS, "font.family": list(font_families())}])


def styled(make: Callable[P, R]) -> Callable[P, R]:
    """Decorator: build a figure within [`style_context`]."""

    @functools.wraps(make)
    def within_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with style_context():
            return make(*args, **kwargs)

    return within_style


class StyledFigure(Figure):
    """A figure that keeps the style when it is drawn: ticks, for one, are made only then."""

    def draw(self, renderer: Any) -> None:
        """Draw within the style."""
        with style_context():
            super().draw(renderer)

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Save within the style: the fonts of a PDF are embedded after the last stroke."""
        with style_context():
            super().savefig(*args, **kwargs)


def figure(width: float = 7.0, height: float = 4.0, title: str | None = None) -> Figure:
    """An empty figure with constrained layout, made without pyplot.

    Args:
        width: In inches.
        height: In inches.
        title: Written above; its room is part of the height.

    Returns:
        The figure, 150 dots per inch.
    """
    made = StyledFigure(figsize=(width, height), dpi=150, layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))
    if title:
        made.suptitle(title)
    return made


def percent_ticks(axis: Axis) -> None:
    """Ticks of fractions in percent, without the sign: `76.5` for 0.765."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


def write_beside(axes: Axes, place: float, text: str) -> None:
    """Write right of the axes, beside a place on their vertical axis."""
    axes.annotate(
        text,
        (1, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL_FONT_SIZE,
        annotation_clip=False,
    )


def class_colors(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each class, the same for the same emotion in every figure.

    Args:
        labels: Names of the classes, in their order.

    Returns:
        Hexadecimal colour by name. Up to nine are Okabe and Ito's and grey; further ones are darker shades of them.
    """
    chosen: dict[str, str] = {}
    for label in labels:
        wanted = OKABE_ITO.get(_COLOR_OF_EMOTION.get(label.strip().lower(), ""))
        if wanted and wanted not in chosen.values():
            chosen[label] = wanted
    free = iter(_palette(taken=chosen.values(), count=len(labels)))
    return {label: chosen.get(label) or next(free) for label in labels}


def class_markers(labels: Sequence[str]) -> dict[str, str]:
    """A marker for each class, by its position: classes can be told apart without colours too."""
    return {label: _MARKERS[index % len(_MARKERS)] for index, label in enumerate(labels)}


def shade(color: str, amount: float) -> str:
    """A darker (amount below 0) or lighter (above 0) colour, black at -1 and white at 1."""
    target = 1.0 if amount > 0 else 0.0
    red, green, blue = (channel + (target - channel) * abs(amount) for channel in to_rgb(color))
    return to_hex((red, green, blue)).upper()


def _palette(taken: Iterable[str], count: int) -> list[str]:
    shades = []
    for darkness in range(1 + count // len(OKABE_ITO) + 1):
        for color in OKABE_ITO.values():
            shades.append(shade(color, 0.6**darkness - 1))
    return [color for color in dict.fromkeys(shades) if color not in set(taken)]


def ink_on(background: tuple[float, float, float, float] | str) -> str:
    """Black or white, whichever reads better on a colour: white where its relative luminance is below 0.3.

    Source: Web Content Accessibility Guidelines 2.2, relative luminance. Their contrast ratio would keep black down to
    0.18, where white is easier to read on saturated colours.
    """
    luminance = 0.0
    for weight, channel in zip((0.2126, 0.7152, 0.0722), to_rgb(background), strict=True):
        linear = ((channel + 0.055) / 1.055) ** 2.4 if channel > 0.04045 else channel / 12.92
        luminance += weight * linear
    return "#FFFFFF" if luminance < 0.3 else INK
