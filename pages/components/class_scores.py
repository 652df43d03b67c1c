"""Precision, recall and F1 of every class: a sentence, a table, bars."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal

import pandas as pd
import streamlit as st

from core import charts
from core.charts import shorten
from core.evaluation import ClassScores
from pages.components.figure import figure
from pages.components.text import code, language, one_line, t

ROOMY, SCROLL_HEIGHT = 18, 440
"""Classes beyond which the bars scroll, and the pixels they then have, about those of the table beside them."""
NAME_WIDTHS, LETTER_WIDTH = (90, 200), 7.2
"""Pixels of the narrowest and the widest column of class names, and of an average letter."""
MAX_NAME_LENGTH = 26
"""Characters of a name that fit into the widest; longer ones are shortened in their middle."""
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
    names = [shorten(one_line(row.name), MAX_NAME_LENGTH) for row in per_class]
    scores = pd.DataFrame(
        [
            (name, row.f1, row.precision, row.recall, row.support)
            for name, row in zip(names, per_class, strict=True)
        ],
        columns=["name", "f1", "precision", "recall", "support"],
    )
    scores.loc[scores["support"] == 0, ["precision", "recall", "f1"]] = None
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
        },
        placeholder=t("evaluation.no_score"),
        key=f"classes_{run_id}",
        alt=t("evaluation.classes"),
    )


def _name_width(names: Sequence[str]) -> int:
    narrowest, widest = NAME_WIDTHS
    return min(max(narrowest, ceil(max(map(len, names)) * LETTER_WIDTH) + 20), widest)
