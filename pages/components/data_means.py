"""The mean picture of each class."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import audit
from core.audit import ClassMean
from pages.components import shell
from pages.components.data_facts import Facts
from pages.components.text import code, t

ROOMY = 24
"""Classes whose pictures fit on the page; more of them scroll."""
SCROLL_HEIGHT = 480
"""Pixels."""
COLUMNS = 8
MIN_WIDTH = 96
"""Pixels of a picture."""


def show(facts: Facts) -> None:
    """Draw the mean pictures, where they were made when the files were looked at."""
    means = _load(facts)
    st.header(t("means.title"), anchor=False)
    if not means:
        st.caption(t("means.none"))
        return
    st.markdown(t("means.text"))
    scrolls = len(means) > ROOMY
    with st.container(height=SCROLL_HEIGHT if scrolls else "content", border=scrolls):
        grid = st.grid(COLUMNS, min_column_width=MIN_WIDTH, gap="small")
        for mean in means:
            with grid.container(gap="xsmall"):
                _mean(mean)


def _mean(mean: ClassMean) -> None:
    st.image(mean.picture, width="stretch", alt=t("means.alt", label=mean.label, n=mean.num_pictures))
    st.caption(code(mean.label))


def _load(facts: Facts) -> list[ClassMean]:
    path = shell.workspace().datasets_dir / facts.dataset.id / "class-means.npz"
    try:
        return _cached(shell.workspace().home, facts.dataset.id, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return []


@st.cache_data(max_entries=8, show_spinner=False)
def _cached(home: Path, dataset_id: str, written: int) -> list[ClassMean]:
    return audit.load_class_means(shell.workspace(), dataset_id)
