"""An explanation in a terminal: coloured words, a coloured bar below a small waveform; in a pipe signs and factors."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_mer.factors import factor_text, prior_text, shown_value, value_limit

_FOR, _AGAINST = (183, 135, 54), (187, 143, 100)  # of 256 colours, pale to full: violet and olive, as in figures
_DARK_INK, _LIGHT_INK = 16, 231
_LEVELS = (1 / 6, 1 / 2, 5 / 6)  # of the limit, from which the next colour is taken
_BLOCKS = " ▁▂▃▄▅▆▇█"
_LABEL, _HALF, _WIDEST = 10, 16, 100  # characters: before a row, of half a bar of a modality, of a row


def has_colours() -> bool:
    """Whether standard output is a terminal that shows colours, and no `NO_COLOR` asks for none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def explanation_lines(
    explanation: Mapping[str, Any], waveform: np.ndarray | None = None, colours: bool = False, width: int = 80
) -> list[str]:
    """What spoke for and against a class.

    Args:
        explanation: As the pipeline gives it.
        waveform: Mono samples of the utterance, drawn above the segments. Shape `(N,)`.
        colours: Whether to write colours; without them, words have their factors in brackets and bars are `+` and `-`.
        width: Of the terminal, in characters.
    """
    room, pen = max(20, min(width, _WIDEST) - _LABEL), _Pen(value_limit(explanation), colours)
    lines = [f"why {explanation['label']}: {prior_text(explanation)}"]
    lines += _modality_lines(explanation["modalities"], colours)
    for name, current in (("earlier", False), ("words", True)):
        words = [word for word in explanation["words"] if word["current"] == current]
        lines += _rows(name, _wrapped(words, pen, room))
    if segments := explanation["segments"]:
        drawn = [] if waveform is None else [_waveform(waveform, room)]
        lines += _rows("sound", [*drawn, _bar(segments, pen, room)])
        lines.append(f"{'':<{_LABEL}}{segments[0]['start']:<{room - 8}.1f}{segments[-1]['end']:>6.1f} s")
    if explanation["video_spans"]:
        lines += _rows("video", [_bar(explanation["video_spans"], pen, room)])
    return [*lines, pen.legend(explanation["label"])]


class _Pen:
    """Writes text on the colour of a value; without colours, or where the value is small or unsure, as it is."""

    def __init__(self, limit: float, colours: bool):
        self.limit, self.colours = limit, colours

    def level(self, value: float) -> int:
        """0 for what is small, to 3."""
        return sum(abs(value) >= share * self.limit for share in _LEVELS)

    def write(self, text: str, value: float) -> str:
        level = self.level(value)
        if not self.colours or not level:
            return text
        ground = (_FOR if value > 0 else _AGAINST)[level - 1]
        return f"\x1b[38;5;{_LIGHT_INK if level == 3 else _DARK_INK};48;5;{ground}m{text}\x1b[0m"

    def legend(self, label: str) -> str:
        if not self.colours:
            return f"×2 doubles the probability of {label}, ÷2 halves it; + for, - against, · little or unsure"
        scale = "".join(self.write("  ", share * self.limit) for share in (-1, -0.6, -0.2, 0.0, 0.2, 0.6, 1))
        return f"against {factor_text(-self.limit)} {scale} {factor_text(self.limit)} for {label}"


def _modality_lines(modalities: Mapping[str, float], colours: bool) -> list[str]:
    longest = max(*(abs(value) for value in modalities.values()), np.log(2))
    lines = []
    for name, value in modalities.items():
        bar = "█" * round(_HALF * abs(value) / longest)
        gap = " " * (_HALF - len(bar))
        if colours and bar:
            bar = f"\x1b[38;5;{_FOR[1] if value > 0 else _AGAINST[1]}m{bar}\x1b[0m"
        left, right = (" " * _HALF, bar) if value > 0 else (gap + bar, "")
        lines.append(f"{name:<{_LABEL}}{factor_text(value):<7}{left}|{right}".rstrip())
    return lines


def _wrapped(words: Sequence[Mapping[str, Any]], pen: _Pen, room: int) -> list[str]:
    """Words in rows; their colours take no room."""
    rows: list[list[str]] = [[]]
    used = 0
    for word in words:
        value, shown = shown_value(word), str(word["word"])
        if not pen.colours and pen.level(value):
            shown += f"[{factor_text(value)}]"
        if used and used + len(shown) > room:
            rows.append([])
            used = 0
        rows[-1].append(pen.write(shown, value))
        used += len(shown) + 1
    return [" ".join(row) for row in rows if row]


def _bar(places: Sequence[Mapping[str, Any]], pen: _Pen, room: int) -> str:
    """Every place as wide as it is long: `+` for the class, `-` against it, `·` where little or unsurely."""
    timed = places[0]["start"] is not None
    edges = np.array([places[0]["start"], *(place["end"] for place in places)] if timed else range(len(places) + 1))
    columns = np.round((edges - edges[0]) / (edges[-1] - edges[0]) * room).astype(int)
    signs = []
    for place, length in zip(places, np.diff(columns), strict=True):
        value = shown_value(place)
        signs.append(pen.write(("·" if not pen.level(value) else "+" if value > 0 else "-") * int(length), value))
    return "".join(signs)


def _waveform(waveform: np.ndarray, room: int) -> str:
    """Blocks as high as the loudest sample of each piece of time."""
    peaks = np.array([np.abs(piece).max(initial=0.0) for piece in np.array_split(np.asarray(waveform), room)])
    heights = np.ceil(8 * peaks / (peaks.max() or 1.0)).astype(int)
    return "".join(_BLOCKS[height] for height in heights)


def _rows(name: str, rows: Sequence[str]) -> list[str]:
    return [f"{name if place == 0 else '':<{_LABEL}}{row}" for place, row in enumerate(rows)]
