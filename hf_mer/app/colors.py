"""Colours of the figures' style for a page that is light or dark."""

from collections.abc import Sequence

from matplotlib.colors import to_rgb


def page_colors(labels: Sequence[str]) -> dict[str, str]:
    """Per class the style attribute that sets its colour: `--c` on a light page, `--d` on a dark one.

    The classes have the colours that they have in every figure of the package, told apart with every kind of colour
    blindness; on a dark page the darkest are lightened, on a light one the lightest darkened.
    """
    from hf_mer.plots.style import class_colors, shade

    def on_dark(color: str) -> str:
        return (
            shade(color, 0.85) if _luminance(color) < 0.02 else shade(color, 0.3) if _luminance(color) < 0.2 else color
        )

    def on_light(color: str) -> str:
        return shade(color, -0.35) if _luminance(color) > 0.6 else color

    return {label: f"--c:{on_light(color)};--d:{on_dark(color)}" for label, color in class_colors(labels).items()}


def _luminance(color: str) -> float:
    """Relative luminance, of the Web Content Accessibility Guidelines 2.2."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
