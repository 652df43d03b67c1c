"""Pictures from the visitor's own computer: a zip or a folder, unpacked by a job into the workspace."""

from __future__ import annotations

import streamlit as st
from streamlit.typing import UploadedFile

from core import datasets, queue
from core.queue import Job
from pages.components import shell
from pages.components.text import code, t

Uploaded = UploadedFile | list[UploadedFile]

KINDS = ("zip", "folder")
_TURN = "upload_turn"
"""Counts what was taken: another key empties the field, and with it the memory that the upload held."""

_TAKEN = "upload_taken"


def show(busy: bool, begun: str) -> None:
    """Draw the fields.

    Args:
        busy: Whether pictures are being brought in already.
        begun: Where in the session the number of the job is kept.
    """
    most = datasets.limits()
    st.markdown(f"### {t('upload.title')}")
    st.caption(t("upload.text", mb=int(st.get_option("server.maxUploadSize"))))
    kind = st.segmented_control(
        t("upload.kind"),
        KINDS,
        default=KINDS[0],
        required=True,
        format_func=lambda name: t(f"upload.kind_{name}"),
        key="upload_kind",
        label_visibility="collapsed",
    )
    uploaded = st.file_uploader(
        t(f"upload.{kind}"),
        type="zip" if kind == "zip" else None,
        accept_multiple_files=False if kind == "zip" else "directory",
        key=f"upload_{kind}_{st.session_state.get(_TURN, 0)}",
        disabled=busy,
    )
    st.caption(t("upload.limits", files=f"{most.max_files:,}", gb=f"{most.max_bytes / 1e9:g}"))
    # Not a callback: one that takes long runs again when another part of the page runs meanwhile.
    if uploaded and _first(uploaded).file_id != st.session_state.get(_TAKEN):
        with shell.errors():
            _take(uploaded, begun)
            st.rerun()


def _first(uploaded: Uploaded) -> UploadedFile:
    return uploaded[0] if isinstance(uploaded, list) else uploaded


def _take(uploaded: Uploaded, begun: str) -> None:
    """Put aside what was uploaded and have it unpacked; the same upload is taken once."""
    first, workspace = _first(uploaded), shell.workspace()
    st.session_state[_TAKEN] = first.file_id
    if isinstance(uploaded, list):
        token = datasets.stage_files(workspace, uploaded)
    else:
        token = datasets.stage_zip(workspace, uploaded)
    st.session_state[begun] = queue.submit(workspace, "upload", {"token": token, "name": first.name}).id
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def title(job: Job) -> str:
    """Return what an upload is called, as Markdown."""
    return code(datasets.display_name(job.args["name"]))


def retry(job: Job, begun: str) -> None:
    """Unpack an upload once more, after its job was cancelled or interrupted."""
    with shell.errors():
        st.session_state[begun] = queue.submit(shell.workspace(), "upload", dict(job.args)).id
