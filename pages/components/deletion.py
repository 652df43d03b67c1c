"""What is deleted goes for good, so the visitor is asked once more, with what will go before their eyes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import NotFound
from pages.components import shell


def ask(title: str, text: str, yes: str, key: str, delete: Callable[..., None], *what: Any) -> None:
    """Open a dialog with a button that deletes.

    Args:
        title: Of the dialog.
        text: What goes and what stays, Markdown.
        yes: What the button says.
        key: Of the button.
        delete: Called with ``what`` when it is pressed. Where it raises, the dialog stays and says why; that it is
            gone already, by a second press or in another tab, is no failure.
        what: To be deleted.
    """
    st.dialog(title)(_ask)(text, yes, key, delete, what)


def _ask(text: str, yes: str, key: str, delete: Callable[..., None], what: tuple[Any, ...]) -> None:
    st.markdown(text)
    failed = shell.tell_failure()
    pressed = st.button(
        yes, key=key, type="primary", icon=":material/delete:", on_click=_delete, args=(delete, what)
    )
    if pressed and not failed:
        st.rerun()


def _delete(delete: Callable[..., None], what: tuple[Any, ...]) -> None:
    with shell.errors(), contextlib.suppress(NotFound):
        delete(*what)
