"""A grid of pictures that is walked through and opened by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from pages.components import cards

Mark = Literal["", "right", "wrong", "warning"]
PAGE_WIDTH = 44
"""Pixels per number of the pager; with less it leaves numbers out, even where there are two."""

_component = st.components.v2.component(
    "graft_gallery",
    html='<div class="graft-gallery graft-cards" role="group"></div>',
    css=cards.asset("gallery.css"),
    js=cards.asset("gallery.js"),
    isolate_styles=False,  # a dialog gives the focus back only to what it finds in the page's own tree
)


@dataclass(frozen=True)
class Item:
    """One picture of a gallery. No text of it is read as Markdown or HTML.

    Attributes:
        id: Told back when the picture is opened; unique in its gallery.
        thumbnail: A small picture, WEBP bytes.
        alt: What a screen reader says instead of the picture, its captions and its mark.
        title: First line below the picture.
        subtitle: Second line, quieter.
        mark: A sign in the picture's corner, with a shape and a colour of its own.
    """

    id: str
    thumbnail: bytes
    alt: str
    title: str
    subtitle: str = ""
    mark: Mark = ""


def gallery(items: Sequence[Item], key: str, label: str) -> str | None:
    """Show the pictures; arrows, Home and End move between them, Enter or a click opens one.

    Args:
        items: The pictures in order. Each adds its thumbnail to the page: show a few dozen at a time.
        key: Of the widget.
        label: What a screen reader says the group of pictures is.

    Returns:
        The id of the picture that was opened just now, else None.
    """
    if not items:
        return None
    result = _component(
        key=key,
        data={"label": label, "items": [_as_json(item) for item in items]},
        on_open_change=lambda: None,
    )
    opened = result.open
    return opened if any(item.id == opened for item in items) else None


def pager(num_pages: int, key: str, default: int = 1) -> int:
    """Let the visitor choose a page of pictures and return it, 1 to ``num_pages``; draw nothing for one page.

    It begins with ``default``. Whoever wants another page shown later gives another key: Streamlit's widget always
    has a default, and logs a warning with its stack where the session's state is written besides.
    """
    if num_pages <= 1:
        return 1
    return st.pagination(num_pages, default=default, width=PAGE_WIDTH * (min(num_pages, 7) + 4), key=key)


def _as_json(item: Item) -> dict[str, str]:
    return {
        "id": item.id,
        "src": cards.picture(item.thumbnail),
        "alt": item.alt,
        "title": item.title,
        "subtitle": item.subtitle,
        "mark": item.mark,
    }
