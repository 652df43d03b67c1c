"""A table to take along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components.text import t

# A spreadsheet takes a cell that begins so for a formula, and names of files and classes may be anything.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    """Return a table as CSV; texts that spreadsheets would take for formulas begin with an apostrophe."""
    texts = table.select_dtypes(exclude="number").columns
    harmless = table.assign(**{column: table[column].map(_harmless) for column in texts})
    return harmless.to_csv(index=False).encode("utf-8-sig")


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
