"""A run moved between machines: packed as one file, and brought from one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from core import bundles
from core.runs import Run
from pages.components import shell
from pages.components.text import t

_TURN = "bring_turn"
"""Counts what was brought: another key empties the field, and with it the memory that the upload held."""


def move_run(run: Run) -> None:
    """Offer to take the whole run along, and to bring another one."""
    with st.expander(t("bundle.title"), icon=":material/drive_file_move:"):
        st.markdown(t("bundle.text"))
        st.download_button(
            t("bundle.download"),
            lambda: _packed(run),
            file_name=bundles.name_of(run),
            mime="application/zip",
            icon=":material/download:",
            key="bundle_download",
            on_click="ignore",
        )
    bring_run()


def _packed(run: Run) -> bytes:
    with tempfile.TemporaryDirectory(dir=shell.workspace().runs_dir, prefix=".bundle-") as folder:
        path = Path(folder) / bundles.name_of(run)
        bundles.pack(shell.workspace(), run, path)
        return path.read_bytes()


def bring_run() -> None:
    """Offer to bring a run from a bundle, and make it the current one."""
    with st.expander(t("bundle.bring_title"), icon=":material/move_to_inbox:"):
        key = f"bring_run_{st.session_state.get(_TURN, 0)}"
        st.file_uploader(t("bundle.bring"), type="zip", key=key, on_change=_bring, args=(key,))
        st.caption(t("bundle.bring_text"))


def _bring(key: str) -> None:
    received = st.session_state.get(key)
    if received is None:
        return
    with shell.errors():
        shell.choose("run", bundles.unpack(shell.workspace(), received).id)
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
