"""What the dataset's own metadata.csv says of its pictures: filters, and the values of one picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core import metadata
from core.metadata import Field, Filter, Metadata
from pages.components import shell
from pages.components.data_facts import Facts
from pages.components.text import code, one_line, plain, t, told

WIDTH = 360
"""Pixels of the popover's fields."""


def filtered(facts: Facts, pictures: pd.DataFrame) -> pd.DataFrame:
    """Draw the filters, where there is something to filter by, and return the pictures that pass."""
    found = of(facts)
    if found is None:
        return pictures
    offered = metadata.fields(found.columns)
    active = {field.name: wanted for field in offered if (wanted := _chosen(facts, field)) != Filter()}
    if offered:
        label = t("metadata.filter_active", n=len(active)) if active else t("metadata.filter")
        with st.popover(label, icon=":material/filter_list:", key="metadata_filters"):
            for field in offered:
                _input(facts, field)
    if not active:
        return pictures
    return pictures[pictures["path"].isin(metadata.matching(found.columns, active))].reset_index(drop=True)


def notes(facts: Facts) -> None:
    """Say what in the file could not be used."""
    found = of(facts)
    if found is None:
        return
    if found.problem:
        st.warning(plain(found.problem), title=t("metadata.unread"), icon=":material/table_view:")
    elif found.notes:
        st.caption(" ".join(told(note) for note in found.notes))


def values(facts: Facts, path: str) -> None:
    """Draw what is known of one picture."""
    found = of(facts)
    if found is None or path not in found.columns.index:
        return
    row = found.columns.loc[path]
    st.dataframe(
        pd.DataFrame({"name": row.index.map(one_line), "value": row.map(str)}),
        key="metadata_values",
        hide_index=True,
        column_config={"name": t("metadata.name"), "value": t("metadata.value")},
        alt=t("metadata.alt"),
    )


def of(facts: Facts) -> Metadata | None:
    """Return the metadata of an audited dataset, or None where it has none."""
    path = shell.workspace().datasets_dir / facts.dataset.id / "metadata.json"
    try:
        return _load(shell.workspace().home, facts.dataset.id, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@st.cache_data(max_entries=8, show_spinner=False)
def _load(home: Path, dataset_id: str, written: int) -> Metadata | None:
    return metadata.load(shell.workspace(), dataset_id)


def _key(facts: Facts, field: Field) -> str:
    return f"metadata_{facts.dataset.id}_{field.name}"


def _chosen(facts: Facts, field: Field) -> Filter:
    """Return what the visitor has chosen for a column."""
    chosen = st.session_state.get(_key(facts, field))
    if not chosen:
        return Filter()
    if field.kind == "choice":
        return Filter(values=tuple(chosen))
    if field.kind == "text":
        return Filter(text=chosen)
    return Filter() if tuple(chosen) == (field.low, field.high) else Filter(low=chosen[0], high=chosen[1])


def _input(facts: Facts, field: Field) -> None:
    key, label = _key(facts, field), code(field.name)
    if field.kind == "choice":
        st.multiselect(label, field.values, key=key, format_func=one_line, width=WIDTH)
    elif field.kind == "text":
        st.text_input(label, key=key, placeholder=t("metadata.contains"), width=WIDTH)
    else:
        span = (field.low, field.high)
        st.slider(label, field.low, field.high, span, format="%.6g", key=key, width=WIDTH)
