"""Pictures from the visitor's own computer: a zip or a folder, unpacked by a job into the workspace."""

from __future__ import annotations

import streamlit as st

from core import datasets, queue
from core.queue import Job
from pages.components import shell
from pages.components.text import code, t

KINDS = ("zip", "folder")
_TURN = "upload_turn"
"""Counts what was taken: another key empties the field, and with it the memory that the upload held."""


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
    key = f"upload_{kind}_{st.session_state.get(_TURN, 0)}"
    st.file_uploader(
        t(f"upload.{kind}"),
        type="zip" if kind == "zip" else None,
        accept_multiple_files=False if kind == "zip" else "directory",
        key=key,
        disabled=busy,
        on_change=_take,
        args=(key, begun),
    )
    st.caption(t("upload.limits", files=f"{most.max_files:,}", gb=f"{most.max_bytes / 1e9:g}"))


def _take(key: str, begun: str) -> None:
    """Put aside what was uploaded and have it unpacked."""
    uploaded = st.session_state.get(key)
    if not uploaded:
        return
    with shell.errors():
        workspace = shell.workspace()
        if isinstance(uploaded, list):
            token, name = datasets.stage_files(workspace, uploaded), uploaded[0].name
        else:
            token, name = datasets.stage_zip(workspace, uploaded), uploaded.name
        st.session_state[begun] = queue.submit(workspace, "upload", {"token": token, "name": name}).id
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def title(job: Job) -> str:
    """Return what an upload is called, as Markdown."""
    return code(datasets.display_name(job.args["name"]))


def retry(job: Job, begun: str) -> None:
    """Unpack an upload once more, after its job was cancelled or interrupted."""
    with shell.errors():
        st.session_state[begun] = queue.submit(shell.workspace(), "upload", dict(job.args)).id
