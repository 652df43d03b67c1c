"""What a split is called: the beginning of its hash, the same for the same pictures under the same labels."""

from __future__ import annotations

import streamlit as st

from core import datasets
from core.datasets import Dataset
from core.errors import NotFound
from core.runs import Run
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.text import code, t

LENGTH = 8
"""Signs of the hash that are shown; people compare a handful of splits, not millions."""


def of_dataset(dataset: Dataset) -> None:
    """Say how the split is called that is chosen for a dataset now."""
    fingerprint = dataset_view.fingerprint(dataset, dataset_view.split_choice(dataset))
    if fingerprint:
        st.caption(t("split_name.now", name=code(fingerprint[:LENGTH])), help=t("split_name.help"))


def of_run(run: Run) -> None:
    """Say on which split a finished run was trained and judged, and whether it is the one that is chosen now."""
    if not run.split_fingerprint:
        return
    name, now = code(run.split_fingerprint[:LENGTH]), _now(run)
    if not now:
        text = t("split_name.run", name=name)
    elif now == run.split_fingerprint:
        text = t("split_name.run_same", name=name)
    else:
        text = t("split_name.run_other", name=name, now=code(now[:LENGTH]))
    st.caption(text, help=t("split_name.help"))


def _now(run: Run) -> str:
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return ""
    return dataset_view.fingerprint(dataset, dataset_view.split_choice(dataset))
