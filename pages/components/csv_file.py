"""A table to take along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import csv_tables
from pages.components.text import t


def csv_button(table: pd.DataFrame, name: str, key: str, label: str = "") -> None:
    """Offer a table as a CSV file; it is made when it is asked for.

    Args:
        table: What to write, with its columns' names as they are.
        name: Of the file, without its ending.
        key: Of the widget.
        label: What the button says, where a page offers several.
    """
    st.download_button(
        label or t("csv.download"),
        data=lambda: as_csv(table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=key,
    )


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8, with the mark by which spreadsheets know that; see :mod:`core.csv_tables`."""
    return csv_tables.to_csv(table).encode("utf-8-sig")
