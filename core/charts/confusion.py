"""How the cells of a confusion matrix are coloured."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from core.charts.palette import CIVIDIS, DIVERGING, contrast, mix

# On a light page rare errors start from a tint of Cividis' yellow, or a few of them would shout.
LIGHT_RAMP: Final = ("#FFFBE3", "#FDF0A0", *reversed(CIVIDIS))
DARK_RAMP: Final = CIVIDIS
WORSE_RAMP: Final = DIVERGING[5:]
BETTER_RAMP: Final = tuple(reversed(DIVERGING[:5]))
LEVELS: Final = 255  # more than a screen tells apart
EMPTY: Final = -1
"""Shade of a cell without a picture: none."""


def confusion_shades(
    confusion: npt.ArrayLike, of: str = "true", *, without_diagonal: bool = False
) -> npt.NDArray[np.int64]:
    """How strongly is each cell of a confusion matrix coloured?

    By its share of its row or column, so that rare classes are read like frequent ones.

    Args:
        confusion: Counts, shape (classes, classes); rows are true, columns predicted.
        of: ``"true"``: by the share of the row; ``"predicted"``: of the column.
        without_diagonal: Leave the diagonal empty and colour the largest of the other cells fully.

    Returns:
        Shape (classes, classes): an index into :func:`shade_colors`, or ``EMPTY`` where there is no picture. In a
        large matrix nearly all cells have none.
    """
    shares = confusion_shares(confusion, of)
    if without_diagonal:
        np.fill_diagonal(shares, 0)
        shares /= max(float(shares.max(initial=0)), 1e-12)
    return np.where(shares > 0, np.rint(shares * LEVELS).astype(np.int64), EMPTY)


def confusion_shares(confusion: npt.ArrayLike, of: str = "true") -> npt.NDArray[np.float64]:
    """Return each cell's share of its row (``of="true"``) or column (``"predicted"``), in [0, 1]; 0 of nothing."""
    counts = np.asarray(confusion, dtype=np.float64)
    shares: npt.NDArray[np.float64] = counts / np.maximum(
        counts.sum(axis=1 if of == "true" else 0, keepdims=True), 1
    )
    return shares


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


def change_shades(change: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """How strongly is each cell of the difference of two confusion matrices coloured?

    Better is more on the diagonal and less elsewhere.

    Args:
        change: Counts after minus counts before, shape (classes, classes); rows are true, columns predicted.

    Returns:
        Shape (classes, classes): an index into :func:`change_colors`, or ``EMPTY`` where nothing changed. The largest
        change has the strongest colour.
    """
    better = -np.asarray(change, dtype=np.float64)
    np.fill_diagonal(better, -better.diagonal())
    strength = np.rint(np.abs(better) / max(float(np.abs(better).max(initial=0)), 1e-12) * LEVELS)
    shades = strength.astype(np.int64) + (LEVELS + 1) * (better > 0)
    return np.where(better == 0, EMPTY, shades)


def change_colors(dark: bool = False) -> list[tuple[str, str]]:
    """Which colours have the shades of :func:`change_shades`?

    Args:
        dark: Whether the page is dark; more is farther from the page.

    Returns:
        ``2 × (LEVELS + 1)`` pairs of a background and its text, ``#rrggbb``: first what became worse (vermilion), then
        what became better (blue), each from weak to strong.
    """
    # On a dark page the strongest are bright, but not nearly white: the two hues must stay apart.
    ramps = [tuple(reversed(ramp[1:])) if dark else ramp for ramp in (WORSE_RAMP, BETTER_RAMP)]
    return [_with_text(mix(ramp, level / LEVELS)) for ramp in ramps for level in range(LEVELS + 1)]


def _with_text(background: str) -> tuple[str, str]:
    return background, max("#000000", "#ffffff", key=lambda color: contrast(color, background))
