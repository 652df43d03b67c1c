"""A cleaned copy of the dataset: where to, how, and how it is going."""

from __future__ import annotations

import streamlit as st

from core import curation, datasets, queue
from core.datasets import Dataset
from core.errors import DataError
from core.queue import Job
from pages.components import job as job_view
from pages.components import shell
from pages.components.text import code, plain, t


def show(dataset: Dataset) -> None:
    """Draw the form for a cleaned copy, or the copy that is being written, and how the last one ended."""
    st.header(t("cleaned.title"), anchor=False)
    st.markdown(t("cleaned.text"))
    job = queue.latest(shell.workspace(), kind="clean_copy", dataset_id=dataset.id)
    if job is not None:
        job_view.watch(job.id, _draw)
    if job is None or not job.active:
        _form(dataset, "" if job is None or job.state == "done" else job.args["target"])


def _draw(job: Job) -> None:
    if job.active:
        with st.container(border=True):
            job_view.progress(job)
    elif job.state == "done":
        said = t("cleaned.done", n=job.result["num_images"], path=code(job.result["target"]))
        st.success(said, icon=":material/check_circle:")
    else:
        job_view.outcome(job)
        st.caption(t("cleaned.left" if job.state == "interrupted" else "cleaned.nothing"))


def _form(dataset: Dataset, target: str) -> None:
    """Draw where to and how; ``target``: where a copy was to go that did not come about, if any."""
    with st.form("data_cleaned_form", border=False):
        path = st.text_input(
            t("cleaned.path"),
            value=target or str(curation.suggest_target(dataset.root)),
            key=f"data_cleaned_path_{dataset.id}",
        )
        way = st.radio(
            t("cleaned.way"),
            curation.WAYS,
            format_func=lambda way: t(f"cleaned.ways.{way}"),
            captions=[t(f"cleaned.ways.{way}_help") for way in curation.WAYS],
            key="data_cleaned_way",
        )
        if st.form_submit_button(
            t("cleaned.submit"), key="data_cleaned_submit", icon=":material/folder_copy:"
        ):
            _begin(dataset, path, way)


def _begin(dataset: Dataset, path: str, way: str) -> None:
    workspace = shell.workspace()
    try:
        roots = datasets.allowed_roots(workspace)
        target = curation.copy_target(path, roots, dataset.root, workspace.home)
    except DataError as error:
        st.error(plain(error), icon=":material/error:")
        return
    args = {"dataset_id": dataset.id, "target": str(target), "way": way}
    queue.submit(workspace, "clean_copy", args, dataset_id=dataset.id)
    st.rerun()
