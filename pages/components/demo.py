"""The demo: a visitor with the right link asks one model about a few photos, and can do nothing else."""

from __future__ import annotations

import hmac
import os
from typing import BinaryIO

import streamlit as st

from core import demonstration, images, inbox, queue, runs
from core.runs import Run
from pages.components import shell
from pages.components.predict_answers import show_answers
from pages.components.predict_ask import ask, asked
from pages.components.text import code, t

_TURN = "demo_turn"
"""Counts what was taken: another key empties the field, and with it the memory that the upload held."""


def run() -> None:
    """Draw the whole demo of the run that ``GRAFT_DEMO_RUN`` names, for who has ``GRAFT_DEMO_TOKEN`` in the link."""
    st.set_page_config(page_title="Graft", page_icon=str(shell.ASSETS_DIR / "favicon.png"), layout="centered")
    st.html(shell.STYLE)
    if not _is_invited():
        st.title(t("demo.locked"), anchor=False)
        st.markdown(t("demo.locked_text"))
        return
    with shell.errors():
        _show(runs.get(shell.workspace(), os.environ[demonstration.RUN]))


def _is_invited() -> bool:
    token = os.environ.get(demonstration.TOKEN, "")
    given = st.query_params.get("token", "")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _show(run: Run) -> None:
    st.title(t("demo.title"), anchor=False)
    st.caption(t("demo.name", run=code(shell.run_name(run)), dataset=code(run.dataset_name)))
    st.markdown(t("demo.knows", names=", ".join(code(name) for name in run.class_names)))
    st.caption(t("demo.otherwise"))
    turn = st.session_state.get(_TURN, 0)
    photos, camera = st.tabs([t("predict.way_photos"), t("predict.way_camera")])
    with photos:
        key = f"demo_photos_{turn}"
        st.file_uploader(
            t("demo.drop"),
            type=[suffix.lstrip(".") for name in images.FORMATS for suffix in images.suffixes_of(name)],
            accept_multiple_files=True,
            key=key,
            on_change=_take,
            args=(key, run),
        )
        most = demonstration.MAX_PHOTOS
        st.caption(t("demo.limits", n=most, mb=f"{demonstration.MAX_BYTES / 1e6:.0f}"))
    with camera:
        key = f"demo_camera_{turn}"
        st.camera_input(t("predict.camera"), key=key, on_change=_take, args=(key, run))
        st.caption(t("predict.camera_text"))
    show_answers(run, asked(run), lambda paths: ask(run, paths), visitor=True)


def _take(key: str, run: Run) -> None:
    received = st.session_state.get(key)
    if not received:
        return
    files: list[BinaryIO] = received if isinstance(received, list) else [received]
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    with shell.errors():
        waiting = queue.list_jobs(shell.workspace(), active=True, kind="predict")
        demonstration.require_room(len(files), waiting)
        token = inbox.put(shell.workspace(), files, demonstration.MAX_BYTES)
        found = list(inbox.photos(shell.workspace(), token))
        demonstration.require_room(len(found), waiting)  # of a zip more may come out than went in
        ask(run, found)
