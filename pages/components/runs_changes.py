"""What changed from one run to another, photo by photo and cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core import evaluation, runs
from core.runs import Compared, Run
from pages.components import address, shell
from pages.components.choice import keep, pick
from pages.components.csv_file import csv_button
from pages.components.errors_gallery import photo_gallery, put_into_url, show_chosen
from pages.components.evaluation_run import pictures_of
from pages.components.matrix import choose, choose_none, confusion_change
from pages.components.text import code, t

CELL = "compare_cell"
"""Name in the URL of the chosen cell, as ``<true index>-<predicted index>``."""
PHOTO = "compare_photo"
"""Name in the URL of the photo that is open: its row among what the later run says about the split."""
MANY_CLASSES = 30
"""Beyond it the matrix shows only the classes that changed most."""
ZOOMED = 16
"""Most classes that it then shows."""


def show_changes(found: Compared, split: str) -> None:
    """Draw what one of the runs fixed and broke, and the difference of the matrices."""
    number = 1
    if len(found.runs) > 2:
        ids = [run.id for run in found.runs]
        names = shell.run_names(found.runs)
        number = ids.index(pick("compare_with", t("compare.with"), ids[1:], lambda at: names[at], width=360))
    run, lists = found.runs[number], []
    for fixed in (True, False):
        kind = "fixed" if fixed else "broken"
        rows = found.changed(number, fixed=fixed)
        lists.append(rows)
        st.subheader(t(f"compare.{kind}", n=len(rows)), anchor=False)
        if len(rows):
            _photos(run, rows, kind, t(f"compare.{kind}", n=len(rows)))
            csv_button(rows.drop(columns=["row"]), f"{kind}-{run.id}-{split}", key=f"{kind}_csv")
    lists = _matrix_difference(found, number, split) + lists
    show_chosen(run, pictures_of(run), found.answers[number], found.said[number], lists, PHOTO)


def _photos(run: Run, rows: pd.DataFrame, kind: str, label: str) -> None:
    put_into_url(photo_gallery(pictures_of(run), rows, f"compare_{kind}", label, f"{kind}_page"), PHOTO)


def _matrix_difference(found: Compared, number: int, split: str) -> list[pd.DataFrame]:
    """Draw it; return the lists of photos of the chosen cell, if one is chosen."""
    st.subheader(t("compare.matrix"), anchor=False)
    table = runs.confusion_changes(found, number)
    if table.empty:
        keep(CELL, "")
        st.caption(t("compare.matrix_same"))
        return []
    st.caption(t("compare.matrix_text"))
    before, after, names = found.confusions[0], found.confusions[number], found.class_names
    key = f"change_{found.runs[0].id}_{found.runs[number].id}_{split}"
    _restore(key, len(names))
    classes = None
    if len(names) > MANY_CLASSES:
        classes = evaluation.confused_classes(np.abs(after - before), ZOOMED).tolist()
        st.caption(t("compare.matrix_zoomed", n=len(classes), total=len(names)))
    cell = confusion_change(
        before,
        after,
        names,
        key,
        classes=classes,
        corner=t("evaluation.matrix_corner"),
        alt=t("compare.matrix_alt"),
    )
    keep(CELL, "" if cell is None else f"{cell[0]}-{cell[1]}")
    lists = [] if cell is None else _cell(found, number, *cell)
    with st.expander(t("compare.matrix_list"), icon=":material/table_rows:"):
        _list(table, f"{found.runs[number].id}-{split}")
    return lists


def _restore(key: str, num_classes: int) -> None:
    """Choose the cell that the URL names, unless this page wrote it there: then the matrix knows it already."""
    named = st.query_params.get(CELL, "")
    if key in st.session_state and named == st.session_state.get(f"_written_{CELL}", ""):
        return
    wanted = address.pair(named)
    if wanted is not None and max(wanted) < num_classes:
        choose(key, *wanted)
    else:
        choose_none(key)


def _cell(found: Compared, number: int, true: int, predicted: int) -> list[pd.DataFrame]:
    """Draw the photos that came into a cell, and those that left it; return these lists."""
    pair = found.class_names[true], found.class_names[predicted]
    first, second = (
        ((answers["true"] == pair[0]) & (answers["predicted"] == pair[1])).to_numpy()
        for answers in (found.answers[0], found.answers[number])
    )
    names = {"true": code(pair[0]), "predicted": code(pair[1])}
    if not (first ^ second).any():
        st.markdown(t("compare.cell_same", **names))
    lists = []
    for kind, chosen in (("came", second & ~first), ("left", first & ~second)):
        if chosen.any():
            rows = found.answers[number][chosen]
            lists.append(rows)
            st.markdown(t(f"compare.{kind}", n=len(rows), **names))
            _photos(found.runs[number], rows, kind, t(f"compare.{kind}_label"))
    return lists


def _list(table: pd.DataFrame, name: str) -> None:
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "true": t("compare.true"),
            "predicted": t("compare.predicted"),
            "before": t("compare.before"),
            "after": t("compare.after"),
            "change": st.column_config.NumberColumn(t("compare.change"), format="%+d"),
        },
        key="compare_matrix",
        alt=t("compare.matrix"),
    )
    csv_button(table, f"matrix-change-{name}", key="change_csv")
