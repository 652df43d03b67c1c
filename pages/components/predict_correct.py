"""Correcting an answer: a copy of the photo, kept in the workspace, becomes a training picture of its true class."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import corrections, datasets, queue
from core.datasets import Dataset
from core.errors import GraftError
from core.runs import Run
from pages.components import shell
from pages.components.text import code, plain, t


def show_correction(run: Run, path: Path, key: str) -> None:
    """Offer to say what a photo really shows, or say that it was added, and offer to take that back.

    Args:
        run: The run that answered.
        path: The photo.
        key: Begins those of the widgets; another one for each photo.
    """
    try:
        dataset = corrections.dataset_of(shell.workspace(), run)
        added = corrections.added_as(dataset, path)
    except GraftError as error:
        st.caption(t("correct.not_here", why=plain(error)))
        return
    if path.is_relative_to(dataset.root):
        st.caption(t("correct.own"))
        return
    # Two places: what is drawn twice into one in the same run leaves the longer one's end standing.
    before, after = st.empty(), st.empty()
    with before.container():
        changed = _form(run, dataset, path, key) if added is None else _added(dataset, *added, key)
    if changed:  # drawn anew here: running the page again would close the dialog around it
        now = corrections.added_as(dataset, path)
        before.empty()
        with after.container():
            if now is None:
                _form(run, dataset, path, key)
            else:
                _added(dataset, *now, key)


def _form(run: Run, dataset: Dataset, path: Path, key: str) -> bool:
    """Return whether the photo was added just now."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        label = st.selectbox(
            t("correct.really"),
            corrections.classes(shell.workspace(), dataset),
            index=None,
            placeholder=t("correct.choose"),
            key=f"{key}_label",
            help=t("correct.help", dataset=code(dataset.name)),
            width=300,
        )
        pressed = st.button(
            t("correct.add"), key=f"{key}_add", icon=":material/add_photo_alternate:", disabled=label is None
        )
    if not pressed or label is None:
        return False
    changed = False
    with shell.errors():
        corrections.add_photo(shell.workspace(), run, path, label)
        changed = True
        queue.submit_audit(shell.workspace(), dataset.id)
    return changed


def _added(dataset: Dataset, path: str, label: str, key: str) -> bool:
    """Return whether the photo was taken back just now."""
    st.success(
        t("correct.added", label=code(label), dataset=code(dataset.name)), icon=":material/photo_library:"
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(t("correct.take_back"), key=f"{key}_take_back", icon=":material/undo:")
        st.page_link("pages/training.py", label=t("correct.train"), icon=":material/model_training:")
    if not pressed:
        return False
    changed = False
    with shell.errors():
        datasets.take_back(dataset.pictures, path)
        changed = True
        queue.submit_audit(shell.workspace(), dataset.id)
    return changed
