"""Why a run says what it says of a photo: where it looked, and which training pictures that resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import datasets, images, queue
from core.errors import NotFound
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import photos, shell
from pages.components.gallery import Item, gallery
from pages.components.text import code, percent, t

_JOB = "predict_why"
"""Where in the session the number of the job is kept that explains."""
WIDTH = 360
"""Pixels of the lit picture on the page."""


def show_why(run: Run, path: str, predicted: str) -> None:
    """Offer to say why a photo was taken for a class, and say it."""
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
    if job.state != "done":
        job_view.watch(job.id, lambda job: _draw(job, run, path, predicted))
    else:
        with shell.errors():
            _show(run, path, predicted, job.result)


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


def _show(run: Run, path: str, predicted: str, found: Mapping[str, Any]) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        lit = images.spotlight(images.read_bytes(Path(path)), found["maps"][0], run.recipe["resize"])
        st.image(lit, width=WIDTH, alt=t("why.alt", predicted=predicted))
        st.caption(t("why.bright" if found["is_exact"] else "why.bright_about", predicted=code(predicted)))
    with right:
        if found["compares"]:
            st.markdown(t("why.resembles", predicted=code(predicted)))
            _neighbours(run, found["neighbours"][0])
        else:
            st.caption(t("why.no_features"))
        if found["compares"] == "before":
            st.caption(t("why.before"))


def _neighbours(run: Run, neighbours: Sequence[Mapping[str, Any]]) -> None:
    root = datasets.get(shell.workspace(), run.dataset_id).root
    gallery(
        [_item(root, neighbour) for neighbour in neighbours],
        key=f"neighbours_{run.id}",
        label=t("why.neighbours"),
    )


def _item(root: Path, neighbour: Mapping[str, Any]) -> Item:
    picture, found = photos.small(root, neighbour["path"], neighbour["sha256"])
    likeness = t("why.likeness", share=percent(neighbour["likeness"], 0))
    lost = "" if found else t("photo.lost")
    return Item(neighbour["path"], picture, f"{likeness}. {neighbour['label']}", likeness, lost)
