"""What the dataset's own metadata.csv says of its pictures: filters, and the values of one picture."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import metadata
from core.words import one_line
from pages.components import metadata_filters
from pages.components.data_facts import Facts
from pages.components.text import plain, t, told


def filtered(facts: Facts, pictures: pd.DataFrame) -> pd.DataFrame:
    """Draw the filters, where there is something to filter by, and return the pictures that pass."""
    found = metadata_filters.of(facts.dataset)
    if found is None:
        return pictures
    offered = metadata_filters.fields(facts.dataset, found)
    wanted = metadata_filters.ask(offered, f"metadata_{facts.dataset.id}")
    if not wanted:
        return pictures
    return pictures[pictures["path"].isin(metadata.matching(found.columns, wanted))].reset_index(drop=True)


def notes(facts: Facts) -> None:
    """Say what in the file could not be used."""
    found = metadata_filters.of(facts.dataset)
    if found is None:
        return
    if found.problem:
        st.warning(plain(found.problem), title=t("metadata.unread"), icon=":material/table_view:")
    elif found.notes:
        st.caption(" ".join(told(note) for note in found.notes))


def values(facts: Facts, path: str) -> None:
    """Draw what is known of one picture."""
    found = metadata_filters.of(facts.dataset)
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
