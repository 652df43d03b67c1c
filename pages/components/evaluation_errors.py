"""The misclassified photos, and those that were right by a hair: filtered and sorted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core import audit, datasets, runs
from core.datasets import Pictures
from core.errors import NotFound
from core.runs import Run
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.choice import choice
from pages.components.csv_file import csv_button
from pages.components.errors_gallery import photo_gallery, put_into_url
from pages.components.text import t

EVERYTHING = ""


def show_errors(run: Run, pictures: Pictures | None, answers: pd.DataFrame) -> pd.DataFrame:
    """Draw the list that the visitor asks for; return its rows in order."""
    st.header(t("evaluation.worst"), anchor=False)
    num_wrong = int(answers["wrong"].sum())
    if num_wrong:
        st.markdown(t("evaluation.worst_text", n=num_wrong))
    else:
        st.success(t("evaluation.no_errors"), icon=":material/check_circle:")
    kind = choice("list", t("errors.list"), runs.LISTS, lambda name: t(f"errors.list_{name}"))
    listed = runs.listed(answers, kind)
    if listed.empty:
        if num_wrong:
            st.caption(t("errors.none"))
        return listed
    shown = _filtered(run, listed)
    if shown.empty:
        st.caption(t("errors.none"))
        return shown
    put_into_url(photo_gallery(pictures, shown, key="error_photos", label=t("evaluation.worst")))
    csv_button(
        shown.drop(columns=["row", "true_index", "predicted_index"]),
        f"photos-{run.id}-{kind}",
        key="errors_csv",
    )
    return shown


def _filtered(run: Run, listed: pd.DataFrame) -> pd.DataFrame:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = st.selectbox(
            t("errors.order"),
            runs.ORDERS,
            format_func=lambda name: t(f"errors.order_{name}"),
            key="errors_order",
            width=220,
        )
        label = st.selectbox(
            t("evaluation.only_class"),
            sorted(listed["true"].unique()),
            index=None,
            placeholder=t("evaluation.all_classes"),
            key="errors_of",
            width=220,
        )
        said = st.selectbox(
            t("errors.said"),
            sorted(listed["predicted"].unique()),
            index=None,
            placeholder=t("evaluation.all_classes"),
            key="errors_said",
            width=220,
        )
        flagged = _flagged(run)
        flag = None
        if flagged is not None:
            flag = st.selectbox(
                t("errors.flag"),
                list(flagged),
                format_func=lambda name: t(f"audit.title.{name}"),
                index=None,
                placeholder=t("errors.any_flag"),
                key="errors_flag",
                width=220,
            )
        low, high = st.slider(
            t("errors.confidence"), 0, 100, (0, 100), format="%d %%", key="errors_confidence", width=220
        )
    paths = flagged[flag] if flagged is not None and flag else None
    return runs.chosen(
        listed, order, true=label, predicted=said, confidence=(low / 100, high / 100), paths=paths
    )


def _flagged(run: Run) -> dict[str, frozenset[str]] | None:
    """Return the files that each check of the audit flags; None where there is no audit any more."""
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return None
    files = dataset_view.files(dataset)
    if files is None:
        return None
    return _flags(shell.workspace().home, dataset.id, dataset_view.version(dataset) or "")


@st.cache_data(max_entries=8, show_spinner=False)
def _flags(home: Path, dataset_id: str, version: str) -> dict[str, frozenset[str]]:
    workspace = shell.workspace()
    table = audit.load_decided(workspace, dataset_id)
    if table is None:
        return {}
    return audit.flagged_paths(table, audit.load_thresholds(workspace, dataset_id))
