"""A confusion matrix whose cells are reached and chosen by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from core.charts import confusion_shades, shade_colors, shorten
from pages.components.text import one_line, t

MAX_NAME_LENGTH = (
    20  # characters of a class beside its row and above its column; the whole name is in the tooltip
)

_DIR = Path(__file__).parent
_component = st.components.v2.component(
    "graft_matrix",
    html=(
        '<div class="graft-matrix"><div class="frame"><div class="scroller">'
        '<table role="grid"><thead></thead><tbody></tbody></table>'
        '</div></div><p class="scrolls" hidden></p></div>'
    ),
    css=(_DIR / "matrix.css").read_text("utf-8"),
    js=(_DIR / "matrix.js").read_text("utf-8"),
    isolate_styles=False,
)


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

    Arrows, Home, End, Page Up and Page Down move between the cells, Enter, Space or a click chooses one, Escape or a
    second click lets it go, Tab leads to what follows.

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
    # Only Python keeps the choice: what a browser keeps of a component, it would send again after ``choose``.
    chosen = _chosen(st.session_state.get(key), len(class_names))
    _component(
        key=key,
        data={
            "label": alt,
            "corner": corner,
            "chosen": chosen,
            "names": [one_line(name) for name in class_names],
            "shown": _shown(class_names),
            **_cells(matrix, normalize),
            **_words(len(class_names)),
        },
        on_choose_change=partial(_follow, key),
    )
    return chosen


def choose(key: str, true_index: int, predicted_index: int) -> None:
    """Choose a cell of the matrix ``key`` from a callback or before it is drawn."""
    st.session_state[key] = {"cell": (true_index, predicted_index)}


def choose_none(key: str) -> None:
    """Let no cell of the matrix ``key`` be chosen; called before it is drawn."""
    st.session_state[key] = {"cell": None}


def _follow(key: str) -> None:
    """Take over what the visitor chose: row and column, or nothing."""
    match st.session_state[key].get("choose"):
        case [int(true_index), int(predicted_index)]:
            choose(key, true_index, predicted_index)
        case _:
            choose_none(key)


def _chosen(state: Any, num_classes: int) -> tuple[int, int] | None:
    """The chosen cell, unless it is none of this matrix; it may come from the browser, so it may be anything."""
    match (state or {}).get("cell"):
        case [int(true), int(predicted)] if 0 <= true < num_classes and 0 <= predicted < num_classes:
            return true, predicted
    return None


def _cells(matrix: npt.NDArray[np.integer], normalize: bool) -> dict[str, Any]:
    totals = matrix.sum(axis=1)
    shares = matrix / np.maximum(totals, 1)[:, None]
    return {
        "counts": [[f"{number:,}" for number in row] for row in matrix.tolist()],
        "shares": [[_percent(100 * share) for share in row] for row in shares.tolist()],
        "totals": [f"{total:,}" for total in totals.tolist()],
        "show": "shares" if normalize else "counts",
        "shades": confusion_shades(matrix).tolist(),
        "colors": {"light": shade_colors(dark=False), "dark": shade_colors(dark=True)},
    }


def _percent(share: float) -> str:
    return f"{share:.0f}\u00a0%" if share == 0 or share >= 0.5 else "<1\u00a0%"


def _words(num_classes: int) -> dict[str, Any]:
    """Return what the browser says about cells and rows: for one picture and for more, with fields to fill in."""
    fields = {"true": "{true}", "predicted": "{predicted}", "share": "{share}"}
    return {
        "right": [t("evaluation.matrix_right", n=n, **fields) for n in (1, "{n}")],
        "wrong": [t("evaluation.matrix_wrong", n=n, **fields) for n in (1, "{n}")],
        "row": [t("evaluation.matrix_row", n=n, **fields) for n in (1, "{n}")],
        "scrolls": t("evaluation.matrix_scrolls", n=num_classes),
    }


def _shown(names: Sequence[str], length: int = MAX_NAME_LENGTH) -> list[str]:
    """Names on one line, of at most ``length`` characters; those that then look the same are numbered."""
    shown: dict[str, None] = {}
    for name in (shorten(one_line(name), length) for name in names):
        candidates = (name if number == 1 else f"{name} ({number})" for number in count(1))
        shown[next(candidate for candidate in candidates if candidate not in shown)] = None
    return list(shown)
