"""What is taken for what: the matrix in three views and three orders, and the most confused pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pandas as pd
import streamlit as st

from core import evaluation
from core.charts import shorten
from core.evaluation import Confusion, Evaluation
from core.runs import Run
from core.words import one_line
from pages.components import address
from pages.components.choice import choice, keep
from pages.components.csv_file import csv_button
from pages.components.matrix import Shows, choose, choose_none, confusion_matrix
from pages.components.text import code, percent, t

CELL = "cell"
"""Name in the URL of the chosen cell, as ``<true index>-<predicted index>``."""
MAX_PAIRS = 10
"""Most confused pairs listed beside the matrix."""
MAX_NAME_LENGTH = 20
"""Characters of a name that fit into their list; longer ones are shortened in their middle."""
MIN_COLUMN_WIDTH = 190
"""Pixels; where less is left, the most confused pairs stand below the matrix."""
MANY_CLASSES = 30
"""Beyond it the matrix opens with the classes of the most confused pairs."""
ZOOMED = 16
"""Most classes that it then shows."""


def show_matrix(
    run: Run, scores: Evaluation, split: str, show_cell: Callable[[tuple[int, int]], pd.DataFrame]
) -> pd.DataFrame | None:
    """Draw the matrix and the most confused pairs.

    Args:
        run: The run.
        scores: Of the split.
        split: Its name.
        show_cell: Draws the photos of the chosen cell below the matrix.

    Returns:
        What ``show_cell`` returns, if a cell is chosen.
    """
    st.header(t("evaluation.matrix"), anchor=False)
    matrix, names = scores.confusion_matrix, run.class_names
    confused = evaluation.most_confused(matrix, names)
    st.markdown(_verdict(confused))
    key = f"matrix_{run.id}_{split}"
    _restore_cell(key, len(names))
    shows, order, zoom, hidden = _view(len(names) > MANY_CLASSES and bool(confused))
    classes = evaluation.class_order(matrix, order).tolist()
    if zoom == "confused":
        kept = {*evaluation.confused_classes(matrix, ZOOMED).tolist(), *_cell_of(key)}
        classes = [index for index in classes if index in kept]
    grid = st.grid(4, min_column_width=MIN_COLUMN_WIDTH, gap="medium")
    with grid.cell(column_span=3 if confused else 4):
        cell = confusion_matrix(
            matrix,
            names,
            key,
            cast(Shows, shows),
            classes=classes,
            without_diagonal=hidden,
            corner=t("evaluation.matrix_corner"),
            alt=t("evaluation.matrix_alt"),
        )
        st.caption(t("evaluation.matrix_hint"))
        if zoom == "confused":
            st.caption(t("matrix.zoomed", n=len(classes), total=len(names)))
        _keep_cell(cell)
        shown = show_cell(cell) if cell is not None else None
    if confused:
        with grid.container(gap=None, key="pairs"):
            _pairs(confused[:MAX_PAIRS], names, key)
    pairs = [(pair.true, pair.predicted, pair.num_images, pair.share) for pair in confused]
    table = pd.DataFrame(pairs, columns=["true", "predicted", "images", "share_of_errors"])
    with st.container(horizontal=True):
        csv_button(_wide(scores), f"matrix-{run.id}-{split}", key="matrix_csv", label=t("matrix.csv"))
        csv_button(table, f"pairs-{run.id}-{split}", key="pairs_csv", label=t("matrix.pairs_csv"))
    return shown


def _wide(scores: Evaluation) -> pd.DataFrame:
    """Return the matrix with the true class in the first column and a column per predicted class."""
    table = pd.DataFrame(scores.confusion_matrix, columns=list(scores.class_names))
    table.insert(0, "true ↓ predicted →", list(scores.class_names), allow_duplicates=True)
    return table


def _view(many: bool) -> tuple[str, str, str, bool]:
    """Let the visitor choose what cells show, the order, which classes, and whether the diagonal is hidden."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        shows = choice(
            "matrix_shows",
            t("evaluation.matrix_shows"),
            ("counts", "share", "predicted"),
            lambda name: t(f"evaluation.matrix_{name}"),
        )
        order = choice("order", t("matrix.order"), evaluation.ORDERS, lambda name: t(f"matrix.order_{name}"))
        zoom = "all"
        if many:
            zoom = choice(
                "zoom", t("matrix.zoom"), ("confused", "all"), lambda name: t(f"matrix.zoom_{name}")
            )
        diagonal = choice(
            "diagonal", t("matrix.diagonal"), ("shown", "hidden"), lambda name: t(f"matrix.diagonal_{name}")
        )
    return shows, order, zoom, diagonal == "hidden"


def _pairs(confused: Sequence[Confusion], class_names: Sequence[str], key: str) -> None:
    """Draw a button for each pair, which chooses its cell of the matrix ``key``."""
    st.markdown(t("evaluation.pairs"))
    for number, pair in enumerate(confused):
        long = max(len(one_line(name)) for name in (pair.true, pair.predicted)) > MAX_NAME_LENGTH
        st.button(
            t(
                "evaluation.pair",
                true=code(shorten(one_line(pair.true), MAX_NAME_LENGTH)),
                predicted=code(shorten(one_line(pair.predicted), MAX_NAME_LENGTH)),
                n=pair.num_images,
                share=percent(pair.share, 0),
            ),
            key=f"pair_{number}",
            type="tertiary",
            width="stretch",
            help=f"{code(pair.true)} → {code(pair.predicted)}" if long else None,
            on_click=choose,
            args=(key, class_names.index(pair.true), class_names.index(pair.predicted)),
        )


def _verdict(confused: list[Confusion]) -> str:
    if not confused:
        return t("evaluation.no_confusion")
    worst = confused[0]
    ties = sum(pair.num_images == worst.num_images for pair in confused)
    if ties > 1:
        return t("evaluation.confused_alike", count=ties, n=worst.num_images)
    return t(
        "evaluation.most_confused",
        true=code(worst.true),
        predicted=code(worst.predicted),
        n=worst.num_images,
        share=percent(worst.share, 0),
    )


def _cell_of(key: str) -> tuple[int, ...]:
    return tuple((st.session_state.get(key) or {}).get("cell") or ())


def _restore_cell(key: str, num_classes: int) -> None:
    """Choose the cell that the URL names, unless this page wrote it there: then the matrix knows it already."""
    named = st.query_params.get(CELL, "")
    followed = key in st.session_state and named == st.session_state.get(f"_written_{CELL}", "")
    if not followed and not named:
        choose_none(key)
    elif not followed and (wanted := address.pair(named)) and max(wanted) < num_classes:
        choose(key, *wanted)


def _keep_cell(cell: tuple[int, int] | None) -> None:
    named = "" if cell is None else f"{cell[0]}-{cell[1]}"
    keep(CELL, named)
