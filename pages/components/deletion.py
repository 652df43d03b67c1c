"""What is deleted goes for good, so the visitor is asked once more, with what will go before their eyes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st


def ask(title: str, text: str, yes: str, key: str, delete: Callable[..., None], *what: Any) -> None:
    """Open a dialog with a button that deletes.

    Args:
        title: Of the dialog.
        text: What goes and what stays, Markdown.
        yes: What the button says.
        key: Of the button.
        delete: Called with ``what`` when it is pressed.
        what: To be deleted.
    """
    st.dialog(title)(_ask)(text, yes, key, delete, what)


def _ask(text: str, yes: str, key: str, delete: Callable[..., None], what: tuple[Any, ...]) -> None:
    st.markdown(text)
    if st.button(yes, key=key, type="primary", icon=":material/delete:", on_click=delete, args=what):
        st.rerun()
