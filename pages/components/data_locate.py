"""A dataset whose folder cannot be reached: where it is now."""

from __future__ import annotations

import streamlit as st

from core import datasets
from core.datasets import Dataset, Located
from core.words import quoted
from pages.components import data_browser, data_choice, shell
from pages.components import dataset as dataset_view
from pages.components.text import code, plain, t

_FOUND = "locate_found"


def offer(dataset: Dataset) -> None:
    """Draw the button that lets the visitor say where the folder is now."""
    if st.button(t("locate.start"), key="locate", icon=":material/travel_explore:"):
        data_browser.open_dialog(
            t("locate.title", name=code(dataset.name)),
            lambda path: _locate(dataset, path),
            label=t("locate.use"),
            text=t("locate.text"),
        )


def _locate(dataset: Dataset, path: str) -> None:
    workspace = shell.workspace()
    known, roots = dataset_view.files(dataset), datasets.allowed_roots(workspace)
    st.session_state[_FOUND] = datasets.locate(workspace, dataset.id, known, path, roots)
    data_choice.look(dataset.id)


def tell(dataset: Dataset) -> None:
    """Say once what was found where the folder is now."""
    found: Located | None = st.session_state.pop(_FOUND, None)
    if found is None or found.dataset.id != dataset.id:
        return
    if not found.num_known:
        st.info(t("locate.unknown"), icon=":material/info:")
    elif not found.missing:
        st.success(t("locate.whole", n=found.num_known), icon=":material/check_circle:")
    else:
        missing = quoted(found.missing)
        text = t("locate.part", n=len(found.missing), known=found.num_known, names=missing)
        st.warning(plain(text), icon=":material/warning:")
