"""A confusion matrix whose cells are reached and chosen by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import streamlit as st

from core import charts
from core.words import one_line
from pages.components.text import t

Shows = Literal["counts", "share", "predicted"]

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
    shows: Shows = "counts",
    *,
    classes: Sequence[int] | None = None,
    without_diagonal: bool = False,
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
        shows: Write counts, or percentages of the true class, or of the predicted one. The colours show the share of
            the true class, unless it is that of the predicted one that is written.
        classes: Indices of the classes to draw, in order; by default all as given.
        without_diagonal: Draw what is right as empty, and the largest of the other shares in the strongest colour.
        corner: Words above the true classes, such as "True ↓  Predicted →".
        alt: What a screen reader says the table is.

    Returns:
        ``(true_index, predicted_index)`` of the chosen cell among all classes, or None.
    """
    drawn = tuple(range(len(class_names)) if classes is None else (int(index) for index in classes))
    return _draw(
        class_names, drawn, key, corner, alt, _cells(matrix, drawn, shows, without_diagonal), _words(shows)
    )


def confusion_change(
    before: npt.NDArray[np.integer],
    after: npt.NDArray[np.integer],
    class_names: Sequence[str],
    key: str,
    *,
    classes: Sequence[int] | None = None,
    corner: str = "",
    alt: str = "",
) -> tuple[int, int] | None:
    """Draw what changed from one matrix to another: blue where it became better, vermilion where worse.

    Args:
        before, after: Counts, shape (classes, classes); rows are true, columns predicted.
        class_names, key, classes, corner, alt: As those of :func:`confusion_matrix`, and so are keys and answer.
    """
    drawn = tuple(range(len(class_names)) if classes is None else (int(index) for index in classes))
    part, change = np.ix_(drawn, drawn), after - before
    pairs = zip(before[part].tolist(), after[part].tolist(), strict=True)
    fields = {"true": "{true}", "predicted": "{predicted}", "n": "{n}", "share": "{share}"}
    cells = {
        "counts": [[_signed(number) for number in row] for row in change[part].tolist()],
        "shares": [[f"{old:,} → {new:,}" for old, new in zip(*rows, strict=True)] for rows in pairs],
        "totals": [f"{total:,}" for total in after.sum(axis=1)[list(drawn)].tolist()],
        "show": "counts",
        "shades": charts.change_shades(change)[part].tolist(),
        "colors": {"light": charts.change_colors(dark=False), "dark": charts.change_colors(dark=True)},
        "diverging": True,
    }
    said = {
        "right": [t("matrix.change_right", **fields)] * 2,
        "wrong": [t("matrix.change_wrong", **fields)] * 2,
    }
    return _draw(class_names, drawn, key, corner, alt, cells, said)


def _signed(number: int) -> str:
    return f"{number:+,}".replace("-", "\N{MINUS SIGN}") if number else "0"


def _draw(
    class_names: Sequence[str],
    drawn: tuple[int, ...],
    key: str,
    corner: str,
    alt: str,
    cells: dict[str, Any],
    said: dict[str, Any],
) -> tuple[int, int] | None:
    names = [class_names[index] for index in drawn]
    # Only Python keeps the choice: what a browser keeps of a component, it would send again after ``choose``.
    chosen = _chosen(st.session_state.get(key), len(class_names))
    _component(
        key=key,
        data={
            "label": alt,
            "corner": corner,
            "chosen": [drawn.index(index) for index in chosen]
            if chosen and set(chosen) <= set(drawn)
            else None,
            "names": [one_line(name) for name in names],
            "shown": _shown(names),
            "row": [t("evaluation.matrix_row", n=n, true="{true}") for n in (1, "{n}")],
            "scrolls": t("evaluation.matrix_scrolls", n=len(names)),
            **cells,
            **said,
        },
        on_choose_change=partial(_follow, key, drawn),
    )
    return chosen


def choose(key: str, true_index: int, predicted_index: int) -> None:
    """Choose a cell of the matrix ``key`` from a callback or before it is drawn."""
    st.session_state[key] = {"cell": (true_index, predicted_index)}


def choose_none(key: str) -> None:
    """Let no cell of the matrix ``key`` be chosen; called before it is drawn."""
    st.session_state[key] = {"cell": None}


def _follow(key: str, drawn: Sequence[int]) -> None:
    """Take over what the visitor chose: row and column among those drawn, or nothing."""
    match st.session_state[key].get("choose"):
        case [int(row), int(column)] if 0 <= row < len(drawn) and 0 <= column < len(drawn):
            choose(key, drawn[row], drawn[column])
        case _:
            choose_none(key)


def _chosen(state: Any, num_classes: int) -> tuple[int, int] | None:
    """The chosen cell, unless it is none of this matrix; it may come from the browser, so it may be anything."""
    match (state or {}).get("cell"):
        case [int(true), int(predicted)] if 0 <= true < num_classes and 0 <= predicted < num_classes:
            return true, predicted
    return None


def _cells(
    matrix: npt.NDArray[np.integer], drawn: Sequence[int], shows: Shows, without_diagonal: bool
) -> dict[str, Any]:
    part = np.ix_(drawn, drawn)
    of = "predicted" if shows == "predicted" else "true"
    return {
        "counts": [[f"{number:,}" for number in row] for row in matrix[part].tolist()],
        "shares": [
            [_percent(100 * share) for share in row]
            for row in charts.confusion_shares(matrix, of)[part].tolist()
        ],
        "totals": [f"{total:,}" for total in matrix.sum(axis=1)[list(drawn)].tolist()],
        "show": "counts" if shows == "counts" else "shares",
        "shades": charts.confusion_shades(matrix, of, without_diagonal=without_diagonal)[part].tolist(),
        "colors": {"light": charts.shade_colors(dark=False), "dark": charts.shade_colors(dark=True)},
    }


def _percent(share: float) -> str:
    return f"{share:.0f}\u00a0%" if share == 0 or share >= 0.5 else "<1\u00a0%"


def _words(shows: Shows) -> dict[str, Any]:
    """Return what the browser says about cells: for one picture and for more, with fields to fill in."""
    fields = {"true": "{true}", "predicted": "{predicted}", "share": "{share}"}
    of = "_of_predicted" if shows == "predicted" else ""
    return {
        "right": [t(f"evaluation.matrix_right{of}", n=n, **fields) for n in (1, "{n}")],
        "wrong": [t(f"evaluation.matrix_wrong{of}", n=n, **fields) for n in (1, "{n}")],
    }


def _shown(names: Sequence[str], length: int = MAX_NAME_LENGTH) -> list[str]:
    """Names on one line, of at most ``length`` characters; those that then look the same are numbered."""
    shown: dict[str, None] = {}
    for name in (charts.shorten(one_line(name), length) for name in names):
        candidates = (name if number == 1 else f"{name} ({number})" for number in count(1))
        shown[next(candidate for candidate in candidates if candidate not in shown)] = None
    return list(shown)
