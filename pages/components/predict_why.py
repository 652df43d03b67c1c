"""Why a run says what it says of a photo: where it looked, and which training pictures that resembles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core import datasets, queue
from core.errors import NotFound
from core.queue import Job
from core.runs import Run
from pages.components import explanation, shell
from pages.components import job as job_view
from pages.components.text import t

_JOB = "predict_why"
"""Where in the session the number of the job is kept that explains."""


def show_why(run: Run, path: str, predicted: str, *, in_dialog: bool = False) -> None:
    """Offer to say why a photo was taken for a class, and say it.

    Args:
        run: The run that was asked.
        path: The photo's file.
        predicted: The class.
        in_dialog: Whether it stands in one, which would close if the whole page ran again as the answer comes.
    """
    st.button(
        t("why.ask"),
        key="predict_why_ask",
        icon=":material/center_focus_strong:",
        on_click=_ask,
        args=(run, path, predicted),
    )
    job = _job(run, path)
    if job is None:
        return
    if in_dialog:
        explanation.show_as_it_comes(explanation.waited_for(job), lambda found: _show(run, path, found))
    elif job.state != "done":
        job_view.watch(job.id, lambda job: _draw(job, run, path, predicted))
    else:
        with shell.errors():
            _show(run, path, job.result)


def _ask(run: Run, path: str, predicted: str) -> None:
    with shell.errors():
        job = queue.submit_explanation(shell.workspace(), run, Path(path), [predicted])
        st.session_state[_JOB] = job.id


def _job(run: Run, path: str) -> Job | None:
    """Return the job that explains this photo, if this visitor asked for it."""
    try:
        job = queue.get(shell.workspace(), st.session_state.get(_JOB, 0))
    except NotFound:
        return None
    return job if (job.args["run_id"], job.args["path"]) == (run.id, path) else None


def _draw(job: Job, run: Run, path: str, predicted: str) -> None:
    if job.active:
        job_view.progress(job)
    else:
        job_view.outcome(job, retry=lambda: _ask(run, path, predicted))


def _show(run: Run, path: str, found: Mapping[str, Any]) -> None:
    try:
        pictures = datasets.get(shell.workspace(), run.dataset_id).pictures
    except NotFound:  # of a run from another machine; where it looked needs the photo alone
        pictures = None
    explanation.show_found(run, pictures, Path(path), found)
