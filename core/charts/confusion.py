"""How the cells of a confusion matrix are coloured."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from core.charts.palette import CIVIDIS, contrast, mix

# On a light page rare errors start from a tint of Cividis' yellow, or a few of them would shout.
LIGHT_RAMP: Final = ("#FFFBE3", "#FDF0A0", *reversed(CIVIDIS))
DARK_RAMP: Final = CIVIDIS
LEVELS: Final = 255  # more than a screen tells apart
EMPTY: Final = -1
"""Shade of a cell without a picture: none."""


def confusion_shades(confusion: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """How strongly is each cell of a confusion matrix coloured?

    By its share of its row, so that rare classes are read like frequent ones.

    Args:
        confusion: Counts, shape (classes, classes); rows are true, columns predicted.

    Returns:
        Shape (classes, classes): an index into :func:`shade_colors`, or ``EMPTY`` where there is no picture. In a
        large matrix nearly all cells have none.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.where(counts > 0, np.rint(shares * LEVELS).astype(np.int64), EMPTY)


def shade_colors(dark: bool = False) -> list[tuple[str, str]]:
    """Which colours have the shades of a confusion matrix?

    More is farther from the page: darker on a light page, brighter on a dark one.

    Args:
        dark: Whether the page is dark.

    Returns:
        ``LEVELS + 1`` pairs of a background and its text, ``#rrggbb``, with a contrast of at least 4.5.
    """
    ramp = DARK_RAMP if dark else LIGHT_RAMP
    return [_with_text(mix(ramp, level / LEVELS)) for level in range(LEVELS + 1)]


def _with_text(background: str) -> tuple[str, str]:
    return background, max("#000000", "#ffffff", key=lambda color: contrast(color, background))
