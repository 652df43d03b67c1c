"""Which pictures to work with: the datasets that are known, a sample, or a folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import streamlit as st

from core import datasets, queue
from core.datasets import SAMPLES, Dataset, Sample
from core.errors import DataError, NotFound
from core.queue import Job
from core.workspace import directory_size
from pages.components import data_facts, shell
from pages.components import job as job_view
from pages.components.dataset import DEFAULT_SAMPLE
from pages.components.text import code, plain, t, told

LIST_HEIGHT = 390
"""Pixels; a longer list of datasets scrolls."""
ROOMY = 5
"""Datasets that are listed without scrolling."""
MIN_WAY_WIDTH = 320
"""Pixels; on a narrower page the two ways to pictures stand one below the other."""
SAMPLE_ICONS = {"digits": ":material/pin:", "solar-cells": ":material/solar_power:"}

_CHOOSING = "data_choosing"
_SAMPLE_JOB = "data_sample_job"


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
        st.session_state.pop(_SAMPLE_JOB, None)
        end()


def look(dataset_id: str) -> None:
    """Have the files of a dataset looked at."""
    with shell.errors():
        queue.submit(shell.workspace(), "audit", {"dataset_id": dataset_id}, dataset_id=dataset_id)


def make_sample(name: str) -> None:
    """Have a sample made, or choose it where it is there already."""
    with shell.errors():
        if any(dataset.id == name for dataset in datasets.list_datasets(shell.workspace())):
            choose(name)
            if data_facts.written(datasets.get(shell.workspace(), name)) is None:
                look(name)
            return
        job = queue.submit(shell.workspace(), "sample", {"sample": name}, dataset_id=name)
        st.session_state[_SAMPLE_JOB] = job.id


def follow_sample() -> None:
    """Choose the sample that this visitor asked for, as soon as it is made."""
    job = _own_sample_job()
    if job is not None and job.state == "done":
        choose(str(job.result["dataset_id"]))


def _own_sample_job() -> Job | None:
    """Return the sample that this visitor waits for."""
    job_id = st.session_state.get(_SAMPLE_JOB)
    with contextlib.suppress(NotFound):  # the workspace may be another one now
        return None if job_id is None else queue.get(shell.workspace(), job_id)
    return None


def _sample_job() -> Job | None:
    """Return the sample that is being made, whoever asked for it, or this visitor's that did not work."""
    active = queue.list_jobs(shell.workspace(), active=True, kind="sample", limit=1)
    return active[0] if active else _own_sample_job()


def show(current: Dataset | None) -> None:
    """Draw all ways to come to pictures."""
    known = datasets.list_datasets(shell.workspace())
    job = _sample_job()
    if job is not None:
        job_view.watch(job.id, _draw_sample_job)
    if current is not None:
        label = t("data.choice.back", name=code(current.name))
        st.button(label, key="data_back", icon=":material/arrow_back:", type="tertiary", on_click=end)
    if known:
        st.header(t("data.choice.yours"), anchor=False)
        _list(known)
        st.header(t("data.choice.add"), anchor=False)
    ways = st.grid(2, min_column_width=MIN_WAY_WIDTH, gap="medium")
    with ways.container(border=True, height="stretch"):
        _samples({dataset.id for dataset in known}, busy=job is not None and job.active)
    with ways.container(border=True, height="stretch"):
        _folder()


def _draw_sample_job(job: Job) -> None:
    with st.container(border=True):
        st.markdown(f"**{told(SAMPLES[job.args['sample']].title)}**")
        if job.active:
            job_view.progress(job)
        else:
            job_view.outcome(job, retry=lambda: make_sample(job.args["sample"]))


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
        st.dialog(t("data.delete.title"))(_confirm_delete)(dataset)


def _facts_of(dataset: Dataset) -> str:
    num_pictures = data_facts.count_pictures(dataset)
    pictures = (
        t("data.choice.row_unknown")
        if num_pictures is None
        else t("data.choice.row_pictures", n=num_pictures)
    )
    return t("data.choice.row", pictures=pictures, when=when(dataset.created))


def when(seconds: float) -> str:
    """Return a moment as people read it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _confirm_delete(dataset: Dataset) -> None:
    workspace = shell.workspace()
    num_bytes = directory_size(workspace.datasets_dir / dataset.id)
    if dataset.sample:
        num_bytes += directory_size(dataset.root)
    st.markdown(code(dataset.name))
    size = f"{num_bytes / 1e6:,.1f}"
    if dataset.sample:
        st.markdown(t("data.delete.sample", size=size))
    else:
        st.markdown(t("data.delete.folder", size=size, path=code(dataset.root)))
    label, key = t("data.delete.yes"), "data_delete_yes"
    if st.button(
        label, key=key, type="primary", icon=":material/delete:", on_click=delete, args=(dataset.id,)
    ):
        st.rerun()


def delete(dataset_id: str) -> None:
    """Forget a dataset, and choose none where it was the current one."""
    with shell.errors():
        current = shell.current("dataset")
        datasets.remove(shell.workspace(), dataset_id)
        if current is not None and current.id == dataset_id:
            shell.choose("dataset", None)


def _samples(known: set[str], busy: bool) -> None:
    st.markdown(f"### {t('data.choice.sample')}")
    st.caption(t("data.choice.sample_text"))
    for sample in SAMPLES.values():
        with st.container(border=True, gap="small"):
            _sample(sample, sample.name in known, busy)


def _sample(sample: Sample, is_known: bool, busy: bool) -> None:
    offline = not sample.download_mb
    size = t("data.sample.offline") if offline else t("data.sample.download", mb=f"{sample.download_mb:.0f}")
    st.markdown(f"{SAMPLE_ICONS.get(sample.name, '')} **{told(sample.title)}**")
    st.markdown(told(sample.text))
    st.caption(
        t("data.sample.facts", pictures=f"{sample.num_images:,}", classes=sample.num_classes, size=size)
    )
    key = f"data_sample_{sample.name}"
    if is_known:
        st.button(t("data.choice.open"), key=key, on_click=choose, args=(sample.name,))
    elif offline:
        st.button(
            t("data.sample.make"),
            key=key,
            type="primary" if sample.name == DEFAULT_SAMPLE else "secondary",
            icon=":material/play_arrow:",
            disabled=busy,
            on_click=make_sample,
            args=(sample.name,),
        )
    elif st.button(t("data.sample.details"), key=key, icon=":material/download:", disabled=busy):
        st.dialog(t("data.sample.title"))(_confirm_fetch)(sample)


def _confirm_fetch(sample: Sample) -> None:
    mb = f"{sample.download_mb:.0f}"
    st.markdown(f"**{told(sample.title)}.** {told(sample.text)}")
    st.markdown(t("data.sample.size_label", mb=mb, pictures=f"{sample.num_images:,}"))
    st.markdown(t("data.sample.licence_label", licence=sample.licence))
    st.markdown(t("data.sample.source_label", source=sample.source))
    st.caption(t("data.sample.how"))
    label, key = t("data.sample.fetch", mb=mb), "data_fetch"
    if st.button(
        label, key=key, type="primary", icon=":material/download:", on_click=make_sample, args=(sample.name,)
    ):
        st.rerun()


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
        submitted = st.form_submit_button(
            t("data.choice.submit"), key="data_folder_submit", icon=":material/folder_open:"
        )
    if submitted:
        _use_folder(path.strip().strip("\"'"))
    st.markdown(t("data.choice.layouts"), help=t("data.choice.layout_help"))
    classes, split = st.columns(2)
    with classes:
        st.caption(t("data.choice.layout_classes_title"))
        st.code(t("data.choice.layout_classes"), language=None)
    with split:
        st.caption(t("data.choice.layout_splits_title"))
        st.code(t("data.choice.layout_splits"), language=None)


def _use_folder(path: str) -> None:
    try:
        dataset = datasets.add_folder(shell.workspace(), path)
    except DataError as error:
        st.error(plain(error), icon=":material/error:")
        return
    look(dataset.id)
    choose(dataset.id)
    st.rerun()
