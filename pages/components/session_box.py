"""The device session: where it computes, what it does, what it holds, and how to give that back."""

from __future__ import annotations

import streamlit as st

from core import queue
from core.queue import SessionStatus
from pages.components import shell
from pages.components.text import code, t, told

REFRESH_S = 1.0
"""How often the box looks whether the session lives; a dead one must not be called ready for longer."""
ICONS = {
    "off": ":material/power_settings_new:",
    "starting": ":material/hourglass_top:",
    "idle": ":material/check_circle:",
    "busy": ":material/bolt:",
}


def session_box() -> None:
    """Draw the state of the device session in the sidebar, fresh every few seconds."""
    with st.sidebar:
        _box()


@st.fragment(run_every=REFRESH_S)
def _box() -> None:
    with shell.errors():  # the frame's own do not reach into a fragment
        queue.tend(shell.workspace())
        _draw(queue.session_status(shell.workspace()))


def _draw(status: SessionStatus) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(
            f"{ICONS[status.state]} {t('session.title', device=code(status.device.title))}",
        )
        st.caption(_words(status), help=t("session.help"))
        if status.note:
            st.warning(told(status.note), icon=":material/warning:")
        if status.alive:
            st.button(
                t("session.release"),
                key="release_session",
                icon=":material/eject:",
                disabled=status.state == "busy",
                help=t("session.release_help"),
                width="stretch",
                on_click=_release,
            )


def _words(status: SessionStatus) -> str:
    words = [t(f"session.{status.state}")]
    if status.memory_mb:
        words.append(t("session.memory", gb=f"{status.memory_mb / 1000:.1f}"))
    if status.loaded:
        words.append(t("session.loaded", names=", ".join(code(name) for name in status.loaded)))
    return " · ".join(words)


def _release() -> None:
    with shell.errors():
        queue.release(shell.workspace())
