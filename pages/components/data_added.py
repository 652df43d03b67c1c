"""The photos that were added to a dataset's training pictures on the Predict page: looked through and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core import datasets, queue
from core.datasets import Dataset
from pages.components import photos, shell
from pages.components.gallery import Item, gallery, pager
from pages.components.text import code, t

PER_PAGE = 24


def show(dataset: Dataset) -> None:
    """Draw the added photos, the newest first; nothing where there are none."""
    table = datasets.list_added(dataset.pictures).sort_values("mtime_ns", ascending=False, kind="stable")
    if table.empty:
        return
    st.header(t("added.title"), anchor=False)
    st.caption(t("added.text", n=len(table)))
    page = pager(-(-len(table) // PER_PAGE), key=f"data_added_page_{dataset.id}_{len(table)}")
    rows = table.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].to_dict("records")
    opened = gallery(
        [_item(dataset, row) for row in rows], key=f"data_added_{dataset.id}", label=t("added.title")
    )
    if opened is not None:
        row = next(row for row in rows if row["path"] == opened)
        st.dialog(t("photo.title"), width="medium")(shell.errors()(_one))(dataset, row)


def _item(dataset: Dataset, row: Mapping[Any, Any]) -> Item:
    picture, found = photos.small(dataset.pictures, row["path"], datasets.hash_in(row["path"]))
    label = row["label"]
    return Item(row["path"], picture, t("added.alt", label=label), label, "" if found else t("photo.lost"))


def _one(dataset: Dataset, row: Mapping[Any, Any]) -> None:
    path = row["path"]
    picture, _ = photos.large(dataset.pictures, path, datasets.hash_in(path))
    st.image(picture, width="stretch", alt=t("added.alt", label=row["label"]))
    st.markdown(t("data.photos.class_label", label=code(row["label"])))
    st.code(str(dataset.pictures / path), language=None, wrap_lines=True)
    if st.button(t("added.take_back"), key="data_added_take_back", icon=":material/undo:"):
        with shell.errors():
            datasets.take_back(dataset.pictures, path)
            queue.submit_audit(shell.workspace(), dataset.id)
            st.rerun()
