"""A confusion matrix whose cells are reached by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from core.charts import confusion_styles, shorten

NOTHING = "·"  # quieter than a 0, of which most matrices are full
ROW_HEIGHT = 36  # pixels
MAX_HEIGHT = 640  # pixels; beyond it the grid scrolls, its headers staying in sight
CELL_WIDTHS = (56, 116)  # pixels, of the narrowest and the widest column
MAX_NAME_LENGTH = 32  # characters of a true class beside its row
LETTER_WIDTH = 7.5  # pixels, of an average letter in the headers
PADDING = 16  # pixels, left and right of it together


def confusion_matrix(
    matrix: npt.NDArray[np.integer],
    class_names: Sequence[str],
    key: str,
    normalize: bool = False,
    *,
    corner: str = "",
    alt: str = "",
) -> tuple[int, int] | None:
    """Draw the matrix and tell which cell is chosen.

    Args:
        matrix: Counts, shape (classes, classes); rows are true, columns predicted.
        class_names: Names in the order of rows and columns; none is read as Markdown or HTML.
        key: Of the widget; ``choose`` sets its cell.
        normalize: Write percentages of the true class instead of counts. The colours show these in any case.
        corner: Words above the true classes, such as "True ↓  Predicted →".
        alt: What a screen reader says the table is.

    Returns:
        ``(true_index, predicted_index)`` of the chosen cell, or None.
    """
    num_classes = len(class_names)
    width = _cell_width(class_names)
    longest = int((width - PADDING) / LETTER_WIDTH)
    columns = {
        str(i): st.column_config.NumberColumn(name, width=width, alignment="center")
        for i, name in enumerate(_shown(class_names, longest))
    }
    before = st.session_state.get(key, {"selection": {"cells": []}})
    chosen = _chosen(before["selection"]["cells"], num_classes)
    event = st.dataframe(
        _styled(matrix, class_names, normalize, dark=st.context.theme.type == "dark", chosen=chosen),
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        column_config={"_index": st.column_config.Column(corner), **columns},
        row_height=ROW_HEIGHT,
        height=min((num_classes + 1) * ROW_HEIGHT + 2, MAX_HEIGHT),
        width="content",
        alt=alt or None,
    )
    return _chosen(event["selection"]["cells"], num_classes)


def choose(key: str, true_index: int, predicted_index: int) -> None:
    """Choose a cell of the matrix ``key`` from a callback or before it is drawn."""
    _select(key, [(true_index, str(predicted_index))])


def choose_none(key: str) -> None:
    """Let no cell of the matrix ``key`` be chosen; called before it is drawn."""
    _select(key, [])


def _select(key: str, cells: list[tuple[int, str]]) -> None:
    st.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": cells}}


def _styled(
    matrix: npt.NDArray[np.integer],
    class_names: Sequence[str],
    normalize: bool,
    dark: bool,
    chosen: tuple[int, int] | None,
) -> Styler:
    # Columns are called by number: names may look alike, and the chosen cell is told by its column's name.
    columns = [str(i) for i in range(len(class_names))]
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    values = matrix / totals * 100 if normalize else matrix
    table = pd.DataFrame(values, index=pd.Index(_shown(class_names, MAX_NAME_LENGTH)), columns=columns)
    styles = confusion_styles(matrix, dark, chosen).set_axis(table.index).set_axis(columns, axis=1)
    text: Callable[[Any], str] = _percent if normalize else _count
    return table.style.apply(lambda _: styles, axis=None).format(text)


def _count(number: float) -> str:
    return f"{number:,.0f}" if number else NOTHING


def _percent(share: float) -> str:
    if share == 0:
        return NOTHING
    return f"{share:.0f}\u00a0%" if share >= 0.5 else "<1\u00a0%"


def _shown(names: Sequence[str], length: int) -> list[str]:
    """Names on one line, of at most ``length`` characters; those that then look the same are numbered."""
    shown: dict[str, None] = {}
    for name in (shorten(" ".join(name.split()), length) for name in names):
        candidates = (name if number == 1 else f"{name} ({number})" for number in count(1))
        shown[next(candidate for candidate in candidates if candidate not in shown)] = None
    return list(shown)


def _cell_width(class_names: Sequence[str]) -> int:
    narrowest, widest = CELL_WIDTHS
    longest = max((len(name) for name in class_names), default=0)
    return min(max(narrowest, ceil(longest * LETTER_WIDTH) + PADDING), widest)


def _chosen(cells: Sequence[tuple[int, str]], num_classes: int) -> tuple[int, int] | None:
    """The chosen cell, unless it is a name beside the matrix or no cell of this one."""
    for row, column in cells[:1]:
        if row < num_classes and column.isdecimal() and int(column) < num_classes:
            return int(row), int(column)
    return None
