"""Which pictures to work with: the datasets that are known, a sample, or a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from core import datasets, queue
from core.datasets import SAMPLES, Dataset
from core.errors import DataError, NotFound
from core.queue import Job
from core.workspace import directory_size
from pages.components import data_browser, data_facts, data_samples, data_upload, deletion, shell
from pages.components import job as job_view
from pages.components.text import code, plain, t, told, when

LIST_HEIGHT = 390
"""Pixels; a longer list of datasets scrolls."""
ROOMY = 5
"""Datasets that are listed without scrolling."""
MIN_WAY_WIDTH = 320
"""Pixels; on a narrower page the two ways to pictures stand one below the other."""

_CHOOSING = "data_choosing"
_OWN_JOB = "data_own_job"
"""Number of the job that brings in the pictures that this visitor asked for."""
BRINGING = ("sample", "upload")
"""Kinds of jobs that end with a dataset."""


def is_choosing() -> bool:
    """Return whether the visitor is about to choose other pictures."""
    return bool(st.session_state.get(_CHOOSING)) or shell.current("dataset") is None


def begin() -> None:
    """Let the visitor choose other pictures."""
    st.session_state[_CHOOSING] = True


def end() -> None:
    """Go back to the current dataset."""
    st.session_state[_CHOOSING] = False


def choose(dataset_id: str | None) -> None:
    """Make a dataset the current one, or none."""
    with shell.errors():
        shell.choose("dataset", dataset_id)
        # A sample that is still being made is not waited for any more.
        st.session_state.pop(_OWN_JOB, None)
        end()


def look(dataset_id: str) -> None:
    """Have the files of a dataset looked at."""
    with shell.errors():
        queue.submit_audit(shell.workspace(), dataset_id)


def make_sample(name: str) -> None:
    """Have a sample made, or choose it where it is there already."""
    with shell.errors():
        if any(dataset.id == name for dataset in datasets.list_datasets(shell.workspace())):
            choose(name)
            if data_facts.written(datasets.get(shell.workspace(), name)) is None:
                look(name)
            return
        job = queue.submit(shell.workspace(), "sample", {"sample": name}, dataset_id=name)
        st.session_state[_OWN_JOB] = job.id


def follow() -> None:
    """Choose the sample or upload that this visitor waits for, as soon as it is there."""
    job = _own_job()
    if job is not None and job.state == "done":
        choose(str(job.result["dataset_id"]))


def _own_job() -> Job | None:
    """Return the job that this visitor waits for."""
    job_id = st.session_state.get(_OWN_JOB)
    with contextlib.suppress(NotFound):  # the workspace may be another one now
        return None if job_id is None else queue.get(shell.workspace(), job_id)
    return None


def _bringing_job() -> Job | None:
    """Return what is being brought in, whoever asked for it, or this visitor's that did not work."""
    active = queue.list_jobs(shell.workspace(), active=True)
    return next((job for job in active if job.kind in BRINGING), None) or _own_job()


def show(current: Dataset | None) -> None:
    """Draw all ways to come to pictures."""
    known = datasets.list_datasets(shell.workspace())
    job = _bringing_job()
    if job is not None:
        job_view.watch(job.id, _draw_job)
    if current is not None:
        label = t("data.choice.back", name=code(current.name))
        st.button(label, key="data_back", icon=":material/arrow_back:", type="tertiary", on_click=end)
    if known:
        st.header(t("data.choice.yours"), anchor=False)
        _list(known)
        st.header(t("data.choice.add"), anchor=False)
    ways = st.grid(2, min_column_width=MIN_WAY_WIDTH, gap="medium")
    busy = job is not None and job.active
    with ways.container(border=True):
        data_samples.show({dataset.id for dataset in known}, busy, make_sample, choose)
    with ways.container():
        with st.container(border=True):
            _folder()
        with st.container(border=True):
            data_upload.show(busy, _OWN_JOB)
        with st.container(border=True):
            _layouts()


def _draw_job(job: Job) -> None:
    with st.container(border=True):
        is_upload = job.kind == "upload"
        st.markdown(data_upload.title(job) if is_upload else f"**{told(SAMPLES[job.args['sample']].title)}**")
        if job.active:
            job_view.progress(job)
        elif not is_upload:
            job_view.outcome(job, retry=lambda: make_sample(job.args["sample"]))
        elif job.state == "failed":  # what was refused will not be better the next time
            job_view.outcome(job)
            st.caption(t("upload.again"))
        else:
            job_view.outcome(job, retry=lambda: data_upload.retry(job, _OWN_JOB))


def _list(known: Sequence[Dataset]) -> None:
    busy = {job.dataset_id for job in queue.list_jobs(shell.workspace(), active=True)}
    with st.container(border=True, height=LIST_HEIGHT if len(known) > ROOMY else "content", gap="small"):
        for dataset in known:
            _row(dataset, dataset.id in busy)


def _row(dataset: Dataset, busy: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap=None):
            st.text(dataset.name)
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.caption(_facts_of(dataset), width="content")
                if not dataset.sample:
                    st.markdown(code(dataset.root), width="content")
        st.button(t("data.choice.open"), key=f"data_open_{dataset.id}", on_click=choose, args=(dataset.id,))
        pressed = st.button(
            t("data.choice.delete"),
            key=f"data_delete_{dataset.id}",
            icon=":material/delete:",
            type="tertiary",
            disabled=busy,
            help=t("data.choice.delete_busy") if busy else None,
        )
    if pressed:
        deletion.ask(
            t("data.delete.title"),
            _what_goes(dataset),
            t("data.delete.yes"),
            "data_delete_yes",
            delete,
            dataset.id,
        )


def _facts_of(dataset: Dataset) -> str:
    num_pictures = data_facts.count_pictures(dataset)
    pictures = (
        t("data.choice.row_unknown")
        if num_pictures is None
        else t("data.choice.row_pictures", n=num_pictures)
    )
    row = t("data.choice.row", pictures=pictures, when=when(dataset.created))
    return row if dataset.root.is_dir() else f"{row} · :material/folder_off: {t('data.choice.unreachable')}"


def _what_goes(dataset: Dataset) -> str:
    """Return what deleting a dataset takes away, and what it leaves."""
    workspace = shell.workspace()
    num_bytes = directory_size(workspace.datasets_dir / dataset.id)
    is_own = datasets.is_kept_in(workspace, dataset)
    if is_own:
        num_bytes += directory_size(dataset.root)
    size = f"{num_bytes / 1e6:,.1f}"
    if is_own:
        goes = t("data.delete.sample" if dataset.sample else "data.delete.uploaded", size=size)
    else:
        goes = t("data.delete.folder", size=size, path=code(dataset.root))
    num_added = len(datasets.list_added(dataset.pictures))
    added = [t("data.delete.added", n=num_added)] if num_added else []
    return "\n\n".join([code(dataset.name), goes, *added])


def delete(dataset_id: str) -> None:
    """Forget a dataset, and choose none where it was the current one.

    Raises:
        NotFound: It is gone already.
        DataError: It is being worked on, since the visitor was asked or from another tab.
        WorkspaceError: Its files cannot be deleted.
    """
    if queue.list_jobs(shell.workspace(), active=True, dataset_id=dataset_id):
        raise DataError(t("data.choice.delete_busy"))
    current = shell.current("dataset")
    datasets.remove(shell.workspace(), dataset_id)
    if current is not None and current.id == dataset_id:
        shell.choose("dataset", None)


def _folder() -> None:
    st.markdown(f"### {t('data.choice.folder')}")
    st.caption(t("data.choice.folder_text"))
    with st.form("data_folder_form", border=False):
        path = st.text_input(
            t("data.choice.path"),
            key="data_folder",
            placeholder=t("data.choice.path_placeholder"),
            help=t("data.choice.path_help"),
        )
        with st.container(horizontal=True, gap="small"):
            submitted = st.form_submit_button(
                t("data.choice.submit"), key="data_folder_submit", icon=":material/folder_open:"
            )
            browsing = st.form_submit_button(t("browse.open"), key="data_browse", icon=":material/search:")
    if browsing:
        data_browser.open_dialog(t("browse.title"), _use_folder)
    if submitted:
        try:
            _use_folder(path.strip().strip("\"'"))
        except DataError as error:
            st.error(plain(error), icon=":material/error:")
            return
        st.rerun()


def _use_folder(path: str) -> None:
    workspace = shell.workspace()
    dataset = datasets.add_folder(workspace, path, roots=datasets.allowed_roots(workspace))
    look(dataset.id)
    choose(dataset.id)


def _layouts() -> None:
    st.markdown(t("data.choice.layouts"), help=t("data.choice.layout_help"))
    classes, split = st.columns(2)
    with classes:
        st.caption(t("data.choice.layout_classes_title"))
        st.code(t("data.choice.layout_classes"), language=None)
    with split:
        st.caption(t("data.choice.layout_splits_title"))
        st.code(t("data.choice.layout_splits"), language=None)
