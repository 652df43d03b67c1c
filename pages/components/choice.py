"""Choices that stand in the URL, so that a link brings back what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.components import address


def choice(
    name: str, label: str, options: Sequence[str], shown: Callable[[str], str], help_text: str | None = None
) -> str:
    """Offer a few things of which one is chosen; the first option need not be written in the URL."""
    follow(name, lambda text: text)
    if st.session_state[name] not in options:
        st.session_state[name] = options[0]
    picked = st.segmented_control(label, options, required=True, format_func=shown, key=name, help=help_text)
    chosen = picked or options[0]
    keep(name, chosen if chosen != options[0] else "")
    return chosen


def pick(
    name: str,
    label: str,
    options: Sequence[str],
    shown: Callable[[str], str] = str,
    *,
    placeholder: str = "",
    width: int = 220,
    help_text: str | None = None,
) -> str:
    """Offer many things in a list that folds out.

    Args:
        name: Of the choice in the URL, and of the widget.
        label: What is asked.
        options: What can be chosen, ``""`` not among them.
        shown: How an option is written.
        placeholder: What stands there while none is chosen; without it the first is chosen unless another is.
        width: Pixels.
        help_text: Behind the question mark.

    Returns:
        One of the options, or ``""`` where none is chosen.
    """
    follow(name, lambda text: text)
    if st.session_state[name] not in options:
        st.session_state[name] = None if placeholder or not options else options[0]
    chosen = st.selectbox(
        label,
        options,
        format_func=shown,
        index=None if placeholder else 0,
        placeholder=placeholder or None,
        key=name,
        width=width,
        help=help_text,
    )
    keep(name, chosen if chosen and (placeholder or chosen != options[0]) else "")
    return chosen or ""


def follow(name: str, read: Callable[[str], Any]) -> bool:
    """Set a widget to what the URL says, unless it stands there because the widget says so.

    Args:
        name: Of the parameter in the URL, and of the widget, which is drawn afterwards.
        read: Makes the widget's value of what the URL says, ``""`` where it says nothing.

    Returns:
        Whether it was set: on a first visit, and where a link or the way back was followed.
    """
    in_url = st.query_params.get(name, "")
    is_new = name not in st.session_state or in_url != st.session_state.get(f"_written_{name}", "")
    if is_new:
        st.session_state[name] = read(in_url)
    return is_new


def keep(name: str, text: str) -> None:
    """Write in the URL what a widget says now; ``""`` takes it out."""
    address.keep(name, text)
