"""A student beside its teacher: size, time and accuracy of both, and of the student with 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import exports, recipes, runs
from core.conclusions import points
from core.errors import NotFound
from core.exports import Beside
from core.runs import Compared, Run
from pages.components import shell
from pages.components.csv_file import csv_button
from pages.components.text import code, percent, t


@st.cache_data(max_entries=4, max_size="256MB", show_spinner=False)
def _compared(home: Path, run_ids: tuple[str, str]) -> Compared:
    return runs.compare(shell.workspace(), run_ids, "test")


def show_beside_teacher(run: Run) -> None:
    """Draw the table of a finished run that had a teacher."""
    teacher = str(run.recipe.get("teacher", "")).removeprefix(recipes.RUN_PREFIX)
    if not teacher:
        return
    st.header(t("beside.title"), anchor=False)
    workspace = shell.workspace()
    try:
        runs.get(workspace, teacher)
    except NotFound:
        st.caption(t("beside.gone", run=code(teacher)))
        return
    with shell.errors():
        found = _compared(workspace.home, (teacher, run.id))
        for one in found.runs:
            runs.note_look(workspace, one.id)
        lines = exports.beside_teacher(
            found, exports.certificate(workspace, teacher), exports.certificate(workspace, run.id)
        )
        st.markdown(t("beside.text", n=found.num_images))
        st.table(_table(lines), hide_index=True, border="horizontal", alt=t("beside.title"))
        _remarks(lines, teacher)
        csv_button(exports.to_table(lines), f"beside-teacher-{run.id}", key="beside_csv")


def _table(lines: Sequence[Beside]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            t("beside.model"): [_name(line) for line in lines],
            t("beside.size"): ["–" if line.num_bytes is None else _megabytes(line) for line in lines],
            t("beside.latency"): [
                "–" if line.latency_ms is None else f"{line.latency_ms:,.1f} ms" for line in lines
            ],
            t("beside.accuracy"): [
                t(
                    "export.interval",
                    share=percent(line.accuracy),
                    low=percent(line.low),
                    high=percent(line.high),
                )
                for line in lines
            ],
            t("beside.lead"): [_lead(line) for line in lines],
        }
    )


def _name(line: Beside) -> str:
    name = t(f"beside.{line.model}", network=line.network)
    return name if line.verdict == "passed" else t(f"beside.{line.verdict}", model=name)


def _megabytes(line: Beside) -> str:
    return f"{(line.num_bytes or 0) / 1e6:,.1f} MB"


def _lead(line: Beside) -> str:
    if line.lead is None:
        return "–"
    value, low, high = (points(bound) for bound in line.lead)
    over = t("against.points", value=value, low=low, high=high)
    return t("beside.over_teacher" if line.model == "student" else "beside.over_student", points=over)


def _remarks(lines: Sequence[Beside], teacher: str) -> None:
    """Say what is missing and how it comes, and what keeps the lines from being compared."""
    first, *students = lines
    if len(students) < 2 or students[0].num_bytes is None:
        st.caption(t("beside.export_student"))
    if first.num_bytes is None:
        st.caption(t("beside.export_teacher", run=code(teacher)))
    if len({line.machine for line in lines if line.machine}) > 1:
        st.caption(t("beside.machines"))
    if students[-1].num_images != first.num_images:
        st.caption(t("beside.few", n=students[-1].num_images))
