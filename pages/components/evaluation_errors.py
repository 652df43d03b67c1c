"""The misclassified photos, and those that were right by a hair: filtered and sorted."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import datasets, metadata, runs
from core.datasets import Dataset, Pictures
from core.errors import NotFound
from core.runs import Run
from pages.components import address, metadata_filters, shell
from pages.components import dataset as dataset_view
from pages.components.choice import choice, follow, keep, pick
from pages.components.csv_file import csv_button
from pages.components.errors_gallery import photo_gallery, put_into_url
from pages.components.text import t

WHERE = "where"
"""Name in the URL of the filters by metadata, as :func:`core.metadata.to_text` writes them."""
FLAG, FLAG_WIDTH = "errors_flag", 220
"""Name of the filter by the audit in the URL, and its pixels."""
EVERY_CONFIDENCE = (0, 100)
"""Percentages."""


def show_errors(run: Run, split: str, pictures: Pictures | None, answers: pd.DataFrame) -> pd.DataFrame:
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
        address.leave_as_it_is("evaluation")
        return listed
    dataset = _audited(run)
    shown, place = _filtered(dataset, listed)
    if shown.empty:
        st.caption(t("errors.none"))
    else:
        put_into_url(photo_gallery(pictures, shown, "error_photos", t("evaluation.worst"), "errors_page"))
        csv_button(
            shown.drop(columns=["row", "true_index", "predicted_index"]),
            f"photos-{run.id}-{split}-{kind}",
            key="errors_csv",
        )
    if dataset is not None:
        with place:
            _offer_flags(dataset)
    return shown


def _filtered(dataset: Dataset | None, listed: pd.DataFrame) -> tuple[pd.DataFrame, DeltaGenerator]:
    """Ask what to show; return its rows in order, and the place of the question for flags."""
    everything = t("evaluation.all_classes")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = pick(
            "errors_order", t("errors.order"), runs.ORDERS, lambda name: t(f"errors.order_{name}"), width=200
        )
        label = pick(
            "errors_of",
            t("evaluation.only_class"),
            sorted(listed["true"].unique()),
            placeholder=everything,
        )
        said = pick(
            "errors_said", t("errors.said"), sorted(listed["predicted"].unique()), placeholder=everything
        )
        paths = None if dataset is None else _flagged(dataset)
        confidence = _confidence()
        passing = None if dataset is None else _passing(dataset)
        place = st.container(
            width=FLAG_WIDTH
        )  # at the end, so that it moves none of the others when it comes
    if passing is not None:
        paths = passing if paths is None else passing & paths
    rows = runs.chosen(
        listed, order, true=label or None, predicted=said or None, confidence=confidence, paths=paths
    )
    return rows, place


def _confidence() -> tuple[float, float]:
    """Ask for the least and the largest confidence, 0 to 1."""
    follow("errors_confidence", _range)
    st.slider(t("errors.confidence"), 0, 100, format="%d %%", key="errors_confidence", width=200)
    low, high = st.session_state["errors_confidence"]
    keep("errors_confidence", "" if (low, high) == EVERY_CONFIDENCE else f"{low}-{high}")
    return low / 100, high / 100


def _range(text: str) -> tuple[int, int]:
    """Read two percentages; all of them where it is no such thing."""
    found = address.pair(text)
    return found if found and found[0] <= found[1] <= EVERY_CONFIDENCE[1] else EVERY_CONFIDENCE


def _audited(run: Run) -> Dataset | None:
    """Return the dataset of a run; None where it is not there, or not audited, any more."""
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return None
    return None if dataset_view.files(dataset) is None else dataset


def _flagged(dataset: Dataset) -> frozenset[str] | None:
    """Return the files that the chosen check of the audit flags; None where all are wanted."""
    follow(FLAG, lambda text: text)
    chosen = st.session_state[FLAG]
    return dataset_view.flags(dataset).get(chosen) if chosen else None


def _offer_flags(dataset: Dataset) -> None:
    """Ask for a check of the audit, once the photos are there: what each flags takes longest to find the first time."""
    pick(
        FLAG,
        t("errors.flag"),
        list(dataset_view.flags(dataset)),
        lambda name: t(f"audit.title.{name}"),
        placeholder=t("errors.any_flag"),
        width=FLAG_WIDTH,
    )


def _passing(dataset: Dataset) -> frozenset[str] | None:
    """Ask for values of metadata and return the files that have them; None where all are wanted."""
    found = metadata_filters.of(dataset)
    if found is None:
        return None
    offered, key = metadata_filters.fields(dataset, found), f"errors_metadata_{dataset.id}"
    in_url = st.query_params.get(WHERE, "")
    unknown = any(f"{key}_{field.name}" not in st.session_state for field in offered)
    if unknown or in_url != st.session_state.get(f"_written_{WHERE}", ""):
        metadata_filters.preset(offered, metadata.from_text(in_url, offered), key)
    wanted = metadata_filters.ask(offered, key)
    keep(WHERE, metadata.to_text(wanted))
    return frozenset(metadata.matching(found.columns, wanted)) if wanted else None
