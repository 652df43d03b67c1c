"""The pictures themselves, class by class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import datasets, images
from core.errors import UnreadableImage
from pages.components import data_metadata, photo_decisions, photos, shell
from pages.components import dataset as dataset_view
from pages.components.data_facts import Facts, file_name, thumbnails
from pages.components.gallery import Item, gallery, pager
from pages.components.split_facts import SplitFacts, class_pictures
from pages.components.text import code, plain, t

PER_PAGE = 48
ALL = ""
"""Stands for all classes where the name of one is expected; no folder is called so."""
LARGE_SIDE = 1280
"""Pixels; longer side of the picture that the dialog loads."""


@st.fragment
@shell.errors()
def show(facts: Facts, found: SplitFacts) -> None:
    """Draw the pictures of the class that is chosen, a page at a time."""
    counts = {
        ALL: facts.num_pictures,
        **{str(name): int(total) for name, total in found.counts["total"].items()},
    }
    names = [name for name, count in counts.items() if count or name == ALL]
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        label = st.selectbox(
            t("data.photos.class"),
            names,
            format_func=lambda name: f"{name or t('data.photos.all')} ({counts[name]:,})",
            key=f"data_class_{facts.dataset.id}",
            width=360,
        )
        pictures = class_pictures(facts, label, dataset_view.split_choice(facts.dataset))
        of_class, pictures = pictures, data_metadata.filtered(facts, pictures)
        num_pages = max(1, -(-len(pictures) // PER_PAGE))
        page = pager(num_pages, key=f"data_page_{facts.dataset.id}_{names.index(label)}_{len(pictures)}")
    data_metadata.notes(facts)
    if pictures.empty and not of_class.empty:
        st.markdown(t("metadata.none_pass"))
    first = (page - 1) * PER_PAGE
    shown = pictures.iloc[first : first + PER_PAGE]
    if num_pages > 1:
        line = t("data.photos.shown", n=len(pictures), first=f"{first + 1:,}", last=f"{first + len(shown):,}")
        st.caption(line)
    items = _items(facts, shown, with_class=label == ALL)
    opened = gallery(items, key="data_gallery", label=t("data.photos.group"))
    if opened is not None:
        picture = shown[shown["path"] == opened].iloc[0]
        st.dialog(code(file_name(opened)), width="medium", on_dismiss="rerun")(shell.errors()(enlarge))(
            facts, picture
        )


def _items(facts: Facts, shown: pd.DataFrame, with_class: bool) -> list[Item]:
    small = thumbnails(facts.dataset, shown)
    return [
        _item(row, thumbnail, with_class)
        for row, thumbnail in zip(shown.to_dict("records"), small, strict=True)
    ]


def _item(row: Mapping[Hashable, Any], thumbnail: bytes, with_class: bool) -> Item:
    name, label, split = file_name(row["path"]), row["label"], _split_name(row["split"])
    if datasets.is_added(row["path"]):
        name, split = t("added.name"), t("added.split", split=split)
    return Item(
        id=row["path"],
        thumbnail=thumbnail,
        alt=t("data.photos.alt", name=name, label=label, split=split),
        title=label if with_class else name,
        subtitle=split if thumbnail else t("data.photos.unavailable"),
    )


def _split_name(split: str) -> str:
    return t(f"split.{split}") if split else t("data.photos.unsplit")


def enlarge(facts: Facts, picture: pd.Series) -> None:
    """Draw a picture as large as a dialog holds, and what is known of it; ``picture``: a row of the table."""
    path = facts.dataset.pictures / picture["path"]
    try:
        large = images.thumbnail(images.read_bytes(path), LARGE_SIDE)
        alt = t("data.photos.large_alt", name=file_name(picture["path"]), label=picture["label"])
        with st.container(horizontal_alignment="center"):
            st.image(large, width=photos.shown_width(picture["width"], picture["height"]), alt=alt)
    except UnreadableImage as error:
        st.error(plain(error), icon=":material/broken_image:")
    size = f"{picture['size'] / 1e6:.1f} MB" if picture["size"] >= 1e6 else f"{picture['size'] / 1e3:.0f} kB"
    with st.container(horizontal=True, gap="medium"):
        st.markdown(t("data.photos.class_label", label=code(picture["label"])), width="content")
        st.markdown(t("data.photos.split_label", split=_split_name(picture["split"])), width="content")
        facts_line = t(
            "data.photos.size_label",
            width=f"{picture['width']:,}",
            height=f"{picture['height']:,}",
            bytes=size,
            format=picture["format"],
        )
        st.markdown(facts_line, width="content")
    data_metadata.values(facts, picture["path"])
    with shell.errors():
        row = {str(name): value for name, value in picture.items()}
        key = f"decide_{facts.dataset.id}_{picture['path']}"
        photo_decisions.offer(facts.dataset, row, facts.class_names, key, t("decide.text_here"))
    st.code(str(path), language=None, wrap_lines=True)
