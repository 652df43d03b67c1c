"""Precision, recall and F1 of every class: a sentence, a table with intervals, dots with theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import ceil

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core import charts
from core.charts import shorten
from core.evaluation import CLASS_MEASURES, ClassScores, Estimate, Evaluation
from core.words import one_line
from pages.components.csv_file import csv_button
from pages.components.figure import figure
from pages.components.text import code, language, t

ROOMY, WORST = 18, 14
"""Classes beyond which only the worst have dots, and how many of them."""
FEW = 5
"""Pictures of a class up to which an F1 of 0 may well be chance."""
SLACK = 16
"""Pixels that a place has more than what is drawn there takes, so that it never scrolls."""
ROWS, ROW_HEIGHT = 10, 35
"""Classes that are seen in the table at once, and pixels of a row."""
NAME_WIDTHS, LETTER_WIDTH = (90, 172), 7.2
"""Pixels of the narrowest and the widest column of class names, and of an average letter."""
MAX_NAME_LENGTH = 21
"""Characters of a name that fit into the widest; longer ones are shortened in their middle."""
SCORE_WIDTH = 132
"""Pixels of a score with its interval: with the widest names all columns fit a window of 1,440 pixels."""
COLUMNS = ("f1", "precision", "recall", "specificity", "average_precision", "roc_auc")
"""Measures from left to right: those that most people look for stand first."""


def show_classes(scores: Evaluation, run_id: str, split: str) -> Callable[[], None]:
    """Draw the scores of a run's classes on a split.

    Returns:
        What draws table and dots, whose places are kept free. It is to be called once the page's photos are drawn:
        browsers take longest for the first table and the first figure.
    """
    st.header(t("evaluation.classes"), anchor=False)
    per_class = scores.per_class
    st.markdown(verdict_in_words([row for row in per_class if row.support]))
    name = f"{run_id}-{split}"
    height = ROW_HEIGHT * (1 + min(len(per_class), ROWS)) + 2
    table = st.container(height=height + SLACK, border=False)
    st.caption(t("evaluation.class_intervals"))
    if any(
        math.isnan(scores.of_class(number, measure).value)
        for measure in ("f1", "precision", "recall")
        for number in range(len(per_class))
    ):
        st.caption(t("evaluation.undefined"))
    csv_button(classes_as_table(scores), f"classes-{name}", key="classes_csv")
    many = len(per_class) > ROOMY
    shown = WORST if many else len(per_class)
    said = t("evaluation.f1_worst", n=WORST, total=len(per_class)) if many else t("evaluation.f1_alt")
    st.caption(said)
    dots = st.container(height=charts.bars_height(shown) + SLACK, border=False)

    def draw() -> None:
        with table:
            _table(scores, name, height)
        with dots:
            figure(charts.f1_dots(per_class, language(), shown), key=f"f1_{run_id}", alt=said)

    return draw


def verdict_in_words(judged: Sequence[ClassScores]) -> str:
    """Say which class is the hardest, of those with pictures, at least 1."""
    worst = min(judged, key=lambda row: row.f1)
    f1, supports = f"{worst.f1:.3f}", [row.support for row in judged if row.f1 == worst.f1]
    ties = len(supports)
    if len(judged) == 1:
        return t("evaluation.worst_only", name=code(worst.name), f1=f1)
    if ties == len(judged):
        return t("evaluation.worst_all", total=ties, f1=f1)
    if ties > 1:
        said = t("evaluation.worst_classes", count=ties, total=len(judged), f1=f1)
        few = max(supports) <= FEW
        return f"{said} {t('evaluation.worst_few', n=max(supports))}" if few else said
    return t("evaluation.worst_class", name=code(worst.name), f1=f1)


def _table(scores: Evaluation, name: str, height: int) -> None:
    names = [shorten(one_line(row.name), MAX_NAME_LENGTH) for row in scores.per_class]
    shown = pd.DataFrame({"name": names, "support": [row.support for row in scores.per_class]})
    for measure in COLUMNS:
        shown[measure] = [_cell(scores.of_class(number, measure)) for number in range(len(names))]
    st.dataframe(
        shown,
        hide_index=True,
        height=height,
        column_config={
            "name": st.column_config.TextColumn(t("evaluation.class"), width=_name_width(names)),
            "support": st.column_config.NumberColumn(
                t("evaluation.support"), help=t("term.support"), width=76
            ),
            **{measure: _column(measure) for measure in COLUMNS},
        },
        placeholder=t("evaluation.no_score"),
        key=f"classes_{name}",
        alt=t("evaluation.classes"),
    )


def _column(measure: str) -> ColumnConfig:
    """Return how a column of scores looks; as text of equal length, which sorts like the numbers."""
    if measure in ("f1", "precision", "recall"):
        title, means = t(f"term.{measure}_name"), t(f"term.{measure}")
    else:
        title, means = t(f"measure.{measure}.name"), t(f"measure.{measure}.means")
    return st.column_config.TextColumn(title, help=means, width=SCORE_WIDTH, alignment="right")


def _cell(found: Estimate) -> str | None:
    """Return a score and its interval, or nothing where it is not defined."""
    if math.isnan(found.value):
        return None
    return f"{found.value:.3f} ({found.low:.2f} – {found.high:.2f})"


def classes_as_table(scores: Evaluation) -> pd.DataFrame:
    """Return one row per class: its images, those given it, and each measure with its interval where it is defined."""
    rows = []
    for number, one in enumerate(scores.per_class):
        row: dict[str, object] = {"class": one.name, "images": one.support}
        row |= {"predicted": int(scores.num_predicted[number])}
        for measure in CLASS_MEASURES:
            value, low, high = scores.of_class(number, measure)
            row |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _name_width(names: Sequence[str]) -> int:
    narrowest, widest = NAME_WIDTHS
    return min(max(narrowest, ceil(max(map(len, names)) * LETTER_WIDTH) + 20), widest)
