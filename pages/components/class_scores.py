"""Precision, recall and F1 of every class: a sentence, a table, bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from core import charts
from core.evaluation import ClassScores
from pages.components.figure import figure
from pages.components.text import code, language, t

ROOMY, SCROLL_HEIGHT = 18, 440
"""Classes beyond which the bars scroll, and the pixels they then have, about those of the table beside them."""
NAME_WIDTH = 140
"""Pixels of a class name in the table; with more, the figures beside it are out of sight."""
MIN_TABLE_WIDTH = 400
"""Pixels; where less is left, the bars stand below the table."""


def show_classes(per_class: Sequence[ClassScores], run_id: str) -> None:
    """Draw the scores of a run's classes; those without a picture in the split have none."""
    st.header(t("evaluation.classes"), anchor=False)
    st.markdown(_verdict([row for row in per_class if row.support]))
    grid = st.grid(2, min_column_width=MIN_TABLE_WIDTH, gap="medium")
    with grid.container():
        _table(per_class, run_id)
    with grid.container():
        scrolls = len(per_class) > ROOMY
        height: int | Literal["content"] = SCROLL_HEIGHT if scrolls else "content"
        st.caption(t("evaluation.f1_scrolls", n=len(per_class)) if scrolls else t("evaluation.f1_alt"))
        with st.container(height=height, border=scrolls):
            figure(charts.f1_bars(per_class, language()), key=f"f1_{run_id}", alt=t("evaluation.f1_alt"))


def _verdict(judged: Sequence[ClassScores]) -> str:
    worst = min(judged, key=lambda row: row.f1)
    ties = sum(row.f1 == worst.f1 for row in judged)
    if ties > 1:
        return t("evaluation.worst_classes", count=ties, total=len(judged), f1=f"{worst.f1:.2f}")
    return t("evaluation.worst_class", name=code(worst.name), f1=f"{worst.f1:.2f}")


def _table(per_class: Sequence[ClassScores], run_id: str) -> None:
    scores = pd.DataFrame(
        [(row.name, row.precision, row.recall, row.f1, row.support) for row in per_class],
        columns=["name", "precision", "recall", "f1", "support"],
    )
    scores.loc[scores["support"] == 0, ["precision", "recall", "f1"]] = None
    st.dataframe(
        scores,
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn(t("evaluation.class"), width=NAME_WIDTH),
            "precision": st.column_config.NumberColumn(
                t("term.precision_name"), help=t("term.precision"), format="%.3f"
            ),
            "recall": st.column_config.NumberColumn(
                t("term.recall_name"), help=t("term.recall"), format="%.3f"
            ),
            "f1": st.column_config.ProgressColumn(
                "F1", help=t("term.f1"), format="%.3f", min_value=0.0, max_value=1.0
            ),
            "support": st.column_config.NumberColumn(t("evaluation.support"), help=t("term.support")),
        },
        placeholder=t("evaluation.no_score"),
        key=f"classes_{run_id}",
        alt=t("evaluation.classes"),
    )
