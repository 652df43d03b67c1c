"""A run's head judged by all pictures: offered where the test set is too small to say much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core import datasets, queue, runs
from core.conclusions import FEW_TEST_IMAGES
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell
from pages.components.csv_file import as_csv
from pages.components.text import percent, t


def show_cross_validation(run: Run) -> None:
    """Offer the cross-validation of a finished run, show how it goes, and what it found."""
    if not run.recipe.get("head_epochs", 1):
        return  # without stage 1 there is no head that could be fitted in seconds
    found, job = runs.cross_validation(shell.workspace(), run.id), _job(run)
    few = 0 < run.num_images.get("test", 0) < FEW_TEST_IMAGES
    if found is None and job is None and not few:
        return
    st.header(t("cross_validation.title"), anchor=False)
    if job is not None and job.state != "done":
        job_view.watch(job.id, lambda job: _draw(run, job))
    if found is not None:
        _result(found)
        if run.recipe.get("teacher"):
            st.caption(t("cross_validation.without_teacher"))
        if runs.has_out_of_fold(shell.workspace(), run.id):
            _answers(run)
    elif job is None or job.state == "done":  # done, but its file was lost
        _offer(run)


def _job(run: Run) -> Job | None:
    """Return the newest job that cross-validates the run."""
    found = queue.list_jobs(shell.workspace(), kind="cross_validate", dataset_id=run.dataset_id)
    return next((job for job in found if job.args.get("run_id") == run.id), None)


def _draw(run: Run, job: Job) -> None:
    if job.active:
        job_view.progress(job)
    else:
        job_view.outcome(job, retry=lambda: _submit(run))


def _offer(run: Run) -> None:
    st.markdown(t("cross_validation.offer"))
    st.button(
        t("cross_validation.start"),
        key="cross_validate",
        icon=":material/rule:",
        help=t("cross_validation.start_help"),
        on_click=_submit,
        args=(run,),
    )


def _submit(run: Run) -> None:
    with shell.errors():
        datasets.get(shell.workspace(), run.dataset_id)  # says so where it was removed
        queue.submit_cross_validation(shell.workspace(), run)


def _result(found: Mapping[str, Any]) -> None:
    low, high = found["accuracy_interval"]
    folds = found["fold_accuracies"]
    st.markdown(
        t(
            "cross_validation.result",
            accuracy=percent(found["accuracy"]),
            total=f"{found['num_images']:,}",
            low=percent(low),
            high=percent(high),
        )
    )
    st.markdown(
        t("cross_validation.spread", n=len(folds), lowest=percent(min(folds)), highest=percent(max(folds)))
    )
    st.caption(t("cross_validation.means"))


def _answers(run: Run) -> None:
    st.download_button(
        t("cross_validation.each"),
        lambda: as_csv(runs.out_of_fold(shell.workspace(), run)),
        file_name=f"{run.id}-cross-validation.csv",
        mime="text/csv",
        icon=":material/download:",
        key="out_of_fold",
        on_click="ignore",
    )
