"""How good it is on the parts of a split that metadata or the audit name, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import audit, datasets, metadata, runs
from core.datasets import Dataset
from core.errors import NotFound
from core.evaluation import Estimate
from core.metadata import Part
from core.runs import Predictions, Run, Slice
from core.words import one_line
from pages.components import dataset as dataset_view
from pages.components import metadata_filters, shell
from pages.components.choice import pick
from pages.components.csv_file import csv_button
from pages.components.text import t

AUDIT = " audit"
"""The choice of parts by what the audit found; names of metadata's columns have no space at their ends."""


def show_slices(run: Run, said: Predictions, split: str) -> None:
    """Offer parts by the audit and by the columns of metadata, and draw the scores of each; nothing without either."""
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return
    known = metadata_filters.of(dataset)
    offered = [] if known is None else metadata_filters.fields(dataset, known)
    names = [] if dataset_view.files(dataset) is None else [AUDIT]
    names += [field.name for field in offered if field.kind != "text"]
    if not names:
        return
    st.header(t("slices.title"), anchor=False)
    by = pick("slices", t("slices.by"), names, _column, placeholder=t("slices.none"), width=360)
    if not by:
        return
    found = _slices(shell.workspace().home, run.id, split, by, _written(dataset, by), run, said, dataset)
    st.caption(t("slices.text_audit" if by == AUDIT else "slices.text", few=runs.FEW))
    if small := sum(one.is_small for one in found):
        st.caption(t("slices.small", n=small))
    _table(found, f"{run.id}-{split}")


def _column(name: str) -> str:
    return t("slices.audit") if name == AUDIT else one_line(name)


def _written(dataset: Dataset, by: str) -> str:
    """Return what changes with what the pictures are parted by."""
    if by == AUDIT:
        return f"{dataset_view.version(dataset)} {audit.load_thresholds(shell.workspace(), dataset.id)}"
    return str((shell.workspace().datasets_dir / dataset.id / "metadata.json").stat().st_mtime_ns)


@st.cache_data(max_entries=32, show_spinner=True)
def _slices(
    home: Path,
    run_id: str,
    split: str,
    by: str,
    written: str,
    _run: Run,
    _said: Predictions,
    _dataset: Dataset,
) -> list[Slice]:
    paths = list(_said.images["path"])
    if by == AUDIT:
        return runs.slices(_run, _said, runs.flagged_parts(paths, dataset_view.flags(_dataset)))
    column = metadata.of_pictures(shell.workspace(), _dataset.id, paths)[by]
    return runs.slices(_run, _said, metadata.parts(column))


def _table(parts: Sequence[Slice], name: str) -> None:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        pd.DataFrame([_row(part) for part in parts]),
        hide_index=True,
        column_config={
            "part": text(t("slices.part"), width=200),
            "pictures": number(t("evaluation.support"), width=84),
            "accuracy": number(t("evaluation.accuracy"), format="%.1f %%", width=92),
            "accuracy_interval": text(t("measures.interval"), width=130, help=t("evaluation.interval")),
            "macro_f1": number(t("evaluation.macro_f1"), format="%.3f", width=92, help=t("slices.macro_f1")),
            "macro_f1_interval": text(t("measures.interval"), width=116, help=t("evaluation.interval")),
            "remark": text(t("slices.remark"), width=180),
        },
        key="slices_table",
        alt=t("slices.title"),
    )
    csv_button(_for_csv(parts), f"slices-{name}", key="slices_csv")


def _row(part: Slice) -> dict[str, object]:
    accuracy, macro_f1 = part.scores.accuracy, part.scores.macro_f1
    return {
        "part": _name(part.part),
        "pictures": part.scores.num_images,
        "accuracy": 100 * accuracy.value,
        "accuracy_interval": _interval(Estimate(*(100 * end for end in accuracy)), 1),
        "macro_f1": macro_f1.value,
        "macro_f1_interval": _interval(macro_f1, 2),
        "remark": t("slices.too_small") if part.is_small else "",
    }


def _interval(estimate: Estimate, digits: int) -> str:
    return f"{estimate.low:.{digits}f} – {estimate.high:.{digits}f}"


def _name(part: Part) -> str:
    if part.kind == "value":
        return one_line(part.value)
    if part.kind == "range":
        return t("slices.range", low=f"{part.low:.6g}", high=f"{part.high:.6g}")
    if part.kind == "flag":
        return t(f"audit.title.{part.value}")
    return t(f"slices.{part.kind}")


def _for_csv(parts: Sequence[Slice]) -> pd.DataFrame:
    rows = [
        (
            part.part.kind,
            part.part.value,
            part.part.low,
            part.part.high,
            part.scores.num_images,
            *part.scores.accuracy,
            *part.scores.macro_f1,
            part.is_small,
        )
        for part in parts
    ]
    columns = ["kind", "value", "from", "to", "pictures"]
    columns += [f"{name}{end}" for name in ("accuracy", "macro_f1") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*columns, "too_small"])
