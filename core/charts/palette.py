"""Colours that the colour-blind tell apart, and how well one is read on another."""

from __future__ import annotations

from typing import Final

# Three hues of Okabe & Ito's palette (2008), the blue lighter than theirs: each has a contrast of at least 3 on
# Graft's light page and on its dark one, so that a figure need not know on which it stands.
BLUE: Final = "#1F7FC0"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
GRAY: Final = "#7F8784"

# Nuñez, Anderton & Renslow 2018, Optimizing colormaps with consideration for color vision deficiency.
CIVIDIS: Final = (
    "#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838",
)  # fmt: skip


# Blue to vermilion through a hue of each that is nearly white, like the theme's: the two directions stay apart for the
# colour-blind, and the strength of either is read from its lightness.
DIVERGING: Final = (
    "#004B78", "#0072B2", "#4C9CCB", "#9CC9E4", "#DDECF4", "#FBE9DA", "#F4BE93", "#E68A4C", "#D55E00", "#913F00",
)  # fmt: skip


def mix(colors: tuple[str, ...], level: float) -> str:
    """The colour at ``level``, 0 … 1, of the way from the first to the last of the colours.

    Example:
        >>> mix(("#000000", "#ff0000", "#ffffff"), 0.75)
        '#ff8080'
    """
    position = level * (len(colors) - 1)
    index = min(int(position), len(colors) - 2)
    parts = zip(_rgb(colors[index]), _rgb(colors[index + 1]), strict=True)
    return "#" + "".join(f"{round(low + (high - low) * (position - index)):02x}" for low, high in parts)


def contrast(first: str, second: str) -> float:
    """Contrast of two ``#rrggbb`` colours, 1 … 21; text needs 4.5, lines and bars need 3.

    Reference:
        WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio

    Example:
        >>> round(contrast("#000000", "#ffffff"), 2)
        21.0
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    shares = (part / 255 for part in _rgb(color))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
