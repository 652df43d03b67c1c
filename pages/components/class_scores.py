"""Precision, recall and F1 of every class: a sentence, a table, bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.charts import shorten
from core.evaluation import CLASS_MEASURES, ClassScores
from pages.components.csv_file import csv_button
from pages.components.figure import figure
from pages.components.text import code, language, one_line, t

ROOMY, WORST = 18, 14
"""Classes beyond which only the worst have bars, and how many of them: about as high as the table beside them."""
SLACK = 16
"""Pixels that the place of the bars has more than they take, so that it never scrolls."""
NAME_WIDTHS, LETTER_WIDTH = (90, 200), 7.2
"""Pixels of the narrowest and the widest column of class names, and of an average letter."""
MAX_NAME_LENGTH = 26
"""Characters of a name that fit into the widest; longer ones are shortened in their middle."""
FURTHER = ("specificity", "average_precision", "roc_auc")
"""Measures of the table that stand to the right of those most people look for."""
MIN_TABLE_WIDTH = 400
"""Pixels; where less is left, the bars stand below the table."""


def show_classes(per_class: Sequence[ClassScores], run_id: str) -> Callable[[], None]:
    """Draw the scores of a run's classes; those without a picture in the split have none.

    Returns:
        What draws the bars, whose place is kept free. It is to be called once the page's photos are drawn: browsers
        take longest for the first figure.
    """
    st.header(t("evaluation.classes"), anchor=False)
    st.markdown(_verdict([row for row in per_class if row.support]))
    grid = st.grid(2, min_column_width=MIN_TABLE_WIDTH, gap="medium")
    with grid.container():
        _table(per_class, run_id)
    many = len(per_class) > ROOMY
    shown = WORST if many else len(per_class)
    said = t("evaluation.f1_worst", n=WORST, total=len(per_class)) if many else t("evaluation.f1_alt")
    with grid.container():
        st.caption(said)
        place = st.container(height=charts.bars_height(shown) + SLACK, border=False)
    return partial(_bars, place, per_class, shown, f"f1_{run_id}", said)


def _bars(place: DeltaGenerator, per_class: Sequence[ClassScores], most: int, key: str, alt: str) -> None:
    with place:
        figure(charts.f1_bars(per_class, language(), most), key=key, alt=alt)


def _verdict(judged: Sequence[ClassScores]) -> str:
    worst = min(judged, key=lambda row: row.f1)
    ties = sum(row.f1 == worst.f1 for row in judged)
    if ties > 1:
        return t("evaluation.worst_classes", count=ties, total=len(judged), f1=f"{worst.f1:.2f}")
    return t("evaluation.worst_class", name=code(worst.name), f1=f"{worst.f1:.2f}")


def _table(per_class: Sequence[ClassScores], run_id: str) -> None:
    names = [shorten(one_line(row.name), MAX_NAME_LENGTH) for row in per_class]
    scores = pd.DataFrame(
        [
            (
                name,
                row.f1,
                _interval(row, "f1"),
                row.precision,
                row.recall,
                row.support,
                row.specificity,
                row.average_precision,
                row.roc_auc,
            )
            for name, row in zip(names, per_class, strict=True)
        ],
        columns=["name", "f1", "interval", "precision", "recall", "support", *FURTHER],
    )
    scores.loc[scores["support"] == 0, ["precision", "recall", "f1", "interval"]] = None
    st.dataframe(
        scores,
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn(t("evaluation.class"), width=_name_width(names)),
            "f1": st.column_config.ProgressColumn(
                "F1", help=t("term.f1"), format="%.3f", min_value=0.0, max_value=1.0, width=120
            ),
            "precision": st.column_config.NumberColumn(
                t("term.precision_name"), help=t("term.precision"), format="%.3f", width=84
            ),
            "recall": st.column_config.NumberColumn(
                t("term.recall_name"), help=t("term.recall"), format="%.3f", width=76
            ),
            "support": st.column_config.NumberColumn(
                t("evaluation.support"), help=t("term.support"), width=76
            ),
            "interval": st.column_config.TextColumn(
                t("measures.interval"), help=t("evaluation.interval"), width=112
            ),
            **{
                name: st.column_config.NumberColumn(
                    t(f"measure.{name}.name"), help=t(f"measure.{name}.means"), format="%.3f", width=92
                )
                for name in FURTHER
            },
        },
        placeholder=t("evaluation.no_score"),
        key=f"classes_{run_id}",
        alt=t("evaluation.classes"),
    )
    csv_button(_with_intervals(per_class), f"classes-{run_id}", key="classes_csv")


def _with_intervals(per_class: Sequence[ClassScores]) -> pd.DataFrame:
    rows = []
    for scores in per_class:
        row: dict[str, object] = {"class": scores.name, "images": scores.support}
        for measure in CLASS_MEASURES:
            value, low, high = scores.estimate(measure)
            row |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _interval(scores: ClassScores, measure: str) -> str:
    low, high = scores.intervals.get(measure, (0.0, 1.0))
    return f"{low:.2f} – {high:.2f}"


def _name_width(names: Sequence[str]) -> int:
    narrowest, widest = NAME_WIDTHS
    return min(max(narrowest, ceil(max(map(len, names)) * LETTER_WIDTH) + 20), widest)
