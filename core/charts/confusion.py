"""How the cells of a confusion matrix look."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.charts.palette import CIVIDIS, VERMILION, contrast, mix

# On a light page rare errors start from a tint of Cividis' yellow, or a few of them would shout.
LIGHT_RAMP: Final = ("#FFFBE3", "#FDF0A0", *reversed(CIVIDIS))
DARK_RAMP: Final = CIVIDIS
LEVELS: Final = 255  # more than a screen tells apart


def confusion_styles(
    confusion: npt.ArrayLike, dark: bool = False, chosen: tuple[int, int] | None = None
) -> pd.DataFrame:
    """How should the cells of a confusion matrix look?

    A cell's colour is its share of its row, so that rare classes are read like frequent ones. More is farther
    from the page: darker on a light page, brighter on a dark one. Cells without an image have no style: in a
    large matrix they are nearly all, and each style costs the browser.

    Args:
        confusion: Counts, shape (classes, classes); rows are true, columns predicted.
        dark: Whether the page is dark.
        chosen: Row and column of a cell to stand out from all others.

    Returns:
        CSS declarations, str, shape (classes, classes), rows and columns numbered from 0. Text has a contrast
        of at least 4.5 on its cell.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ramp = DARK_RAMP if dark else LIGHT_RAMP
    styles = np.array([_filled(mix(ramp, level / LEVELS)) for level in range(LEVELS + 1)], dtype=object)
    css = np.where(counts > 0, styles[np.rint(shares * LEVELS).astype(int)], "")
    if chosen is not None:
        css[chosen] = _filled(VERMILION) + ";font-weight:bold"
    return pd.DataFrame(css)


def _filled(background: str) -> str:
    text = max("#000000", "#ffffff", key=lambda color: contrast(color, background))
    return f"background-color:{background};color:{text}"
