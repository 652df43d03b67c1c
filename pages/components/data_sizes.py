"""How large the pictures are, and how they are stored."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components.data_facts import Facts, Sizes, sizes
from pages.components.text import t

MIN_COLUMN_WIDTH = 260
"""Pixels; on a narrower page the tables stand one below the other."""
USUAL_INPUT = 224
"""Pixels a side that most networks of the catalog take."""


def show(facts: Facts) -> None:
    """Draw the ranges of sizes, the most common sizes, and the formats."""
    found = sizes(facts)
    if not found.largest:
        st.markdown(t("data.sizes.none"))
        return
    st.markdown(_verdict(found))
    if found.smallest < USUAL_INPUT:
        st.caption(t("data.sizes.small"))
    grid = st.grid(3, min_column_width=MIN_COLUMN_WIDTH)
    with grid.container():
        _table(_ranges(found), "data_sides", t("data.sizes.alt_sides"))
    with grid.container():
        pixels = found.common["width"].map("{:,}".format) + " × " + found.common["height"].map("{:,}".format)
        rows = pd.DataFrame({t("data.sizes.pixels"): pixels, "count": found.common["count"]})
        _table(rows, "data_common", t("data.sizes.alt_common"))
    with grid.container():
        _table(found.formats, "data_formats", t("data.sizes.alt_formats"))


def _verdict(found: Sizes) -> str:
    smallest, median, largest = (f"{side:,}" for side in (found.smallest, found.median, found.largest))
    if smallest == largest:
        return t("data.sizes.equal", side=smallest)
    return t("data.sizes.verdict", smallest=smallest, median=median, largest=largest)


def _ranges(found: Sizes) -> pd.DataFrame:
    """Return the ranges that hold pictures, and those between them."""
    held = found.sides.index[found.sides["count"] > 0]
    rows = found.sides.loc[held[0] : held[-1]]
    names = [_range(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)]
    return pd.DataFrame({t("data.sizes.side"): names, "count": rows["count"]})


def _range(low: int, high: int | None) -> str:
    if pd.isna(high):
        return t("data.sizes.above", low=f"{low:,}")
    return (
        t("data.sizes.between", low=f"{low:,}", high=f"{high - 1:,}")
        if low
        else t("data.sizes.below", high=high)
    )


def _table(rows: pd.DataFrame, key: str, alt: str) -> None:
    config = {
        "count": st.column_config.ProgressColumn(
            t("data.sizes.pictures"), format="localized", min_value=0, max_value=int(rows["count"].sum())
        ),
        "format": st.column_config.TextColumn(t("data.sizes.format")),
        "mode": st.column_config.TextColumn(t("data.sizes.mode"), help=t("data.sizes.mode_help")),
    }
    st.dataframe(rows, key=key, height="content", hide_index=True, column_config=config, alt=alt)
