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
from streamlit.elements.lib.column_types import ColumnConfig

from core.charts import confusion_styles, shorten
from pages.components.text import code, one_line

NOTHING = "·"  # quieter than a 0, of which most matrices are full
ROW_HEIGHT = 36  # pixels
MAX_HEIGHT = 640  # pixels; beyond it the grid scrolls, its headers staying in sight
NAMED_WIDTH = 56  # pixels, of the narrowest column with a name above it
NUMBERED_WIDTH = 48  # pixels, of a column with a number above it; "100 %" fits
CORNER_WIDTH = 136  # pixels, of the words above the true classes
ROOM = 770  # pixels of the matrix beside the most confused pairs on a page of 1440
MAX_TITLE_LENGTH = 13  # characters of a name above its column
MAX_NAME_LENGTH = 20  # characters of a true class beside its row: on a phone they leave room for some columns
LETTER_WIDTH = 7.5  # pixels, of an average letter in the headers
INDEX_LETTER_WIDTH = 7  # the same in rows, whose names are longer and so nearer to the average
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

    Columns carry the names of their classes where these fit, otherwise the numbers of the rows.

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
    before = st.session_state.get(key, {"selection": {"cells": []}})
    chosen = _chosen(before["selection"]["cells"], num_classes)
    event = st.dataframe(
        _styled(matrix, class_names, normalize, dark=st.context.theme.type == "dark", chosen=chosen),
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            "_index": st.column_config.Column(corner, width=_index_width(_rows(class_names))),
            **_columns(class_names),
        },
        row_height=ROW_HEIGHT,
        height=min((num_classes + 1) * ROW_HEIGHT + 2, MAX_HEIGHT),
        width="content",
        alt=alt or None,
    )
    return _chosen(event["selection"]["cells"], num_classes)


def is_numbered(class_names: Sequence[str]) -> bool:
    """Tell whether the columns carry numbers, because their names would take more than the room there is."""
    rows = _shown(class_names, MAX_NAME_LENGTH)
    return _index_width(rows) + sum(_named_widths(class_names)) > ROOM


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
    table = pd.DataFrame(values, index=pd.Index(_rows(class_names)), columns=columns)
    styles = confusion_styles(matrix, dark, chosen).set_axis(table.index).set_axis(columns, axis=1)
    text: Callable[[Any], str] = _percent if normalize else _count
    return table.style.apply(lambda _: styles, axis=None).format(text)


def _count(number: float) -> str:
    return f"{number:,.0f}" if number else NOTHING


def _percent(share: float) -> str:
    if share == 0:
        return NOTHING
    return f"{share:.0f}\u00a0%" if share >= 0.5 else "<1\u00a0%"


def _columns(class_names: Sequence[str]) -> dict[str, ColumnConfig]:
    """Return how each column looks; the whole name of its class is shown under the mouse."""
    if is_numbered(class_names):
        titles = [str(i + 1) for i in range(len(class_names))]
        widths = [NUMBERED_WIDTH] * len(class_names)
    else:
        titles, widths = _titles(class_names), _named_widths(class_names)
    return {
        str(i): st.column_config.NumberColumn(title, width=width, alignment="center", help=code(name))
        for i, (title, width, name) in enumerate(zip(titles, widths, class_names, strict=True))
    }


def _rows(class_names: Sequence[str]) -> list[str]:
    if not is_numbered(class_names):
        return _shown(class_names, MAX_NAME_LENGTH)
    return [f"{i + 1}. {shorten(one_line(name), MAX_NAME_LENGTH)}" for i, name in enumerate(class_names)]


def _index_width(rows: Sequence[str]) -> int:
    return max(CORNER_WIDTH, ceil(max(map(len, rows), default=0) * INDEX_LETTER_WIDTH) + PADDING)


def _titles(class_names: Sequence[str]) -> list[str]:
    return _shown(class_names, MAX_TITLE_LENGTH)


def _named_widths(class_names: Sequence[str]) -> list[int]:
    return [max(NAMED_WIDTH, ceil(len(title) * LETTER_WIDTH) + PADDING) for title in _titles(class_names)]


def _shown(names: Sequence[str], length: int) -> list[str]:
    """Names on one line, of at most ``length`` characters; those that then look the same are numbered."""
    shown: dict[str, None] = {}
    for name in (shorten(one_line(name), length) for name in names):
        candidates = (name if number == 1 else f"{name} ({number})" for number in count(1))
        shown[next(candidate for candidate in candidates if candidate not in shown)] = None
    return list(shown)


def _chosen(cells: Sequence[tuple[int, str]], num_classes: int) -> tuple[int, int] | None:
    """The chosen cell, unless it is a name beside the matrix or no cell of this one."""
    for row, column in cells[:1]:
        if row < num_classes and column.isdecimal() and int(column) < num_classes:
            return int(row), int(column)
    return None
