"""Filters by the columns of a dataset's metadata.csv, behind one button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from core import metadata
from core.datasets import Dataset
from core.metadata import Field, Filter, Metadata
from core.words import one_line
from pages.components import shell
from pages.components.text import code, t

WIDTH = 360
"""Pixels of the popover's fields."""


def of(dataset: Dataset) -> Metadata | None:
    """Return the metadata of an audited dataset, or None where it has none."""
    path = shell.workspace().datasets_dir / dataset.id / "metadata.json"
    try:
        return _load(shell.workspace().home, dataset.id, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@st.cache_resource(max_entries=8, show_spinner=False)
def _load(home: Path, dataset_id: str, written: int) -> Metadata | None:
    return metadata.load(shell.workspace(), dataset_id)


@st.cache_data(max_entries=8, show_spinner=False)
def _fields(home: Path, dataset_id: str, written: int, _found: Metadata) -> tuple[Field, ...]:
    return metadata.fields(_found.columns)


def fields(dataset: Dataset, found: Metadata) -> tuple[Field, ...]:
    """Return what the pictures of a dataset can be filtered by."""
    written = (shell.workspace().datasets_dir / dataset.id / "metadata.json").stat().st_mtime_ns
    return _fields(shell.workspace().home, dataset.id, written, found)


def ask(offered: Sequence[Field], key: str) -> dict[str, Filter]:
    """Draw the filters, where there is something to filter by.

    Args:
        offered: The columns.
        key: Of the widgets, before the name of a column.

    Returns:
        What the visitor has chosen, by the names of columns.
    """
    wanted = {field.name: one for field in offered if (one := _chosen(key, field)) != Filter()}
    if offered:
        label = t("metadata.filter_active", n=len(wanted)) if wanted else t("metadata.filter")
        with st.popover(label, icon=":material/filter_list:", key=f"{key}_filters"):
            for field in offered:
                _input(key, field)
    return wanted


def preset(offered: Sequence[Field], wanted: Mapping[str, Filter], key: str) -> None:
    """Choose these filters, and no other ones, before :func:`ask` draws them."""
    for field in offered:
        one = wanted.get(field.name, Filter())
        if field.kind == "choice":
            value: object = list(one.values)
        elif field.kind == "text":
            value = one.text
        else:
            value = (field.low if one.low is None else one.low, field.high if one.high is None else one.high)
        st.session_state[f"{key}_{field.name}"] = value


def _chosen(key: str, field: Field) -> Filter:
    chosen = st.session_state.get(f"{key}_{field.name}")
    if not chosen:
        return Filter()
    if field.kind == "choice":
        return Filter(values=tuple(chosen))
    if field.kind == "text":
        return Filter(text=chosen)
    return Filter() if tuple(chosen) == (field.low, field.high) else Filter(low=chosen[0], high=chosen[1])


def _input(key: str, field: Field) -> None:
    key, label = f"{key}_{field.name}", code(field.name)
    if field.kind == "choice":
        st.multiselect(label, field.values, key=key, format_func=one_line, width=WIDTH)
    elif field.kind == "text":
        st.text_input(label, key=key, placeholder=t("metadata.contains"), width=WIDTH)
    else:
        st.session_state.setdefault(key, (field.low, field.high))
        st.slider(label, field.low, field.high, format="%.6g", key=key, width=WIDTH)
