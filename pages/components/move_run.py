"""A run moved between machines: packed as one file, and brought from one."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import streamlit as st

from core import bundles, queue
from core.errors import GraftError, NotFound
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell
from pages.components.text import plain, t

_TURN = "bring_turn"
"""Counts what was brought: another key empties the field, and with it the memory that the upload held."""
_REFUSED = "bring_refused"
"""Why the last file was refused. Said below the field: above the tabs it would take the visitor back to the first."""


def move_run(run: Run) -> None:
    """Offer to take the whole run along, and to bring another one."""
    with st.expander(t("bundle.title"), icon=":material/drive_file_move:"):
        st.markdown(t("bundle.text"))
        if bundles.is_measured(shell.workspace(), run):
            _download(run)
        else:
            _measure(run)
    bring_run()


def _download(run: Run) -> None:
    st.download_button(
        t("bundle.download"),
        lambda: _packed(run),
        file_name=bundles.name_of(run),
        mime="application/zip",
        icon=":material/download:",
        key="bundle_download",
        on_click="ignore",
    )


def _measure(run: Run) -> None:
    """Measure what the run takes for familiar before it leaves its pictures; where that fails, offer it without."""
    key = f"bundle_job_{run.id}"
    with contextlib.suppress(NotFound):  # the workspace may be another one now
        if key in st.session_state:
            job_view.watch(queue.get(shell.workspace(), st.session_state[key]).id, _draw)
            if not queue.get(shell.workspace(), st.session_state[key]).active:
                st.caption(t("bundle.unmeasured"))
                _download(run)
            return
    st.caption(t("bundle.measure_text"))
    if st.button(t("bundle.measure"), key="bundle_measure", icon=":material/straighten:"):
        with shell.errors():
            st.session_state[key] = queue.submit_familiarity(shell.workspace(), run).id
            st.rerun()


def _draw(job: Job) -> None:
    if job.active:
        job_view.progress(job)
    else:
        job_view.outcome(job)


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
        if refused := st.session_state.pop(_REFUSED, ""):
            st.error(plain(refused), icon=":material/error:")
        st.caption(t("bundle.bring_text"))


def _bring(key: str) -> None:
    received = st.session_state.get(key)
    if received is None:
        return
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    try:
        shell.choose("run", bundles.unpack(shell.workspace(), received).id)
    except GraftError as error:
        st.session_state[_REFUSED] = str(error)
