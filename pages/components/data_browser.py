"""A walk through the folders of this machine, by mouse or keyboard, that ends with one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from core import datasets
from core.datasets import Folder, Listing
from core.errors import DataError
from pages.components import shell
from pages.components.gallery import pager
from pages.components.text import code, plain, t

PER_PAGE = 30
LIST_HEIGHT = 340
"""Pixels; a longer list scrolls."""

_AT = "browse_at"
_FAILURE = "browse_failure"

Use = Callable[[str], None]
"""Called with the path that was chosen; raises DataError where it cannot be used."""


def open_dialog(title: str, use: Use, *, label: str = "", text: str = "") -> None:
    """Open the dialog in which a folder is chosen.

    Args:
        title: Of the dialog.
        use: Takes the folder; the dialog closes unless it raises.
        label: Of the button that takes the folder.
        text: Said on top.
    """
    st.dialog(title, width="medium")(shell.errors()(_draw))(use, label or t("browse.use"), text)


def _draw(use: Use, label: str, text: str) -> None:
    roots = datasets.allowed_roots(shell.workspace())
    if text:
        st.markdown(text)
    _places(roots)
    try:
        listing = datasets.browse(st.session_state.get(_AT, str(roots[0])), roots)
    except DataError as error:
        st.error(plain(error), icon=":material/folder_off:")
        return
    _around(listing)
    failure = st.session_state.pop(_FAILURE, "")
    if failure:
        st.error(failure, icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(t("browse.here", what=_counts(listing.here)), width="content")
        chosen = st.button(
            label,
            key="browse_use",
            type="primary",
            icon=":material/check:",
            on_click=_take,
            args=(use, listing.here.path),
        )
    if chosen and not failure:
        st.rerun()
    _folders(listing)
    st.caption(t("browse.hint"))


def _take(use: Use, path: Path) -> None:
    try:
        use(str(path))
    except DataError as error:
        st.session_state[_FAILURE] = plain(error)


def _go(path: Path) -> None:
    st.session_state[_AT] = str(path)


def _places(roots: Sequence[Path]) -> None:
    """Draw where a walk may begin, if there is a choice."""
    places = [root for root in roots if root != shell.workspace().home]
    if len(places) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption(t("browse.places"), width="content")
        for number, place in enumerate(places):
            label = t("browse.home") if number == 0 else code(place)
            st.button(label, key=f"browse_place_{number}", type="tertiary", on_click=_go, args=(place,))


def _around(listing: Listing) -> None:
    """Draw the way from the outermost folder to this one; each part leads back to it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        for number, folder in enumerate(listing.above):
            name = code(folder.name or folder)
            st.button(name, key=f"browse_above_{number}", type="tertiary", on_click=_go, args=(folder,))
            st.markdown(":material/chevron_right:", width="content")
        st.markdown(f"**{code(listing.here.name)}**", width="content")


def _folders(listing: Listing) -> None:
    num_pages = max(1, -(-len(listing.folders) // PER_PAGE))
    page = pager(num_pages, key="browse_page")
    shown = listing.folders[(page - 1) * PER_PAGE : page * PER_PAGE]
    if not shown:
        st.caption(t("browse.empty"))
        return
    with st.container(height=LIST_HEIGHT if len(shown) > 8 else "content", border=True, gap=None):
        for number, folder in enumerate(shown):
            _row(number, folder)
    if listing.num_more:
        st.caption(t("browse.more", n=listing.num_more))


def _row(number: int, folder: Folder) -> None:
    # The key is the row's and not the folder's, so that the focus stays in its row while the list changes.
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            code(folder.name),
            key=f"browse_row_{number}",
            icon=":material/folder:",
            type="tertiary",
            on_click=_go,
            args=(folder.path,),
        )
        mark = f" :green-badge[:material/photo_library: {t('browse.dataset')}]"
        st.caption(_counts(folder) + (mark if folder.looks_like_dataset else ""), width="content")


def _counts(folder: Folder) -> str:
    if folder.num_pictures is None:
        return t("browse.uncounted")
    what = t("count.pictures", n=folder.num_pictures)
    if folder.num_classes:
        what = t("browse.counts", pictures=what, classes=t("count.class_folders", n=folder.num_classes))
    elif not folder.num_pictures:
        what = t("browse.nothing")
    return what if folder.is_whole else t("browse.least", what=what)
