"""The three steps of the journey with their state, and the one that comes next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core import queue, runs
from core.datasets import Dataset
from core.errors import DataError
from core.runs import Run
from core.workspace import directory_size
from pages.components import dataset as dataset_view
from pages.components import job as job_view
from pages.components import shell
from pages.components.text import code, percent, plain, t, told


@dataclass(frozen=True)
class Step:
    """One step: its page, its state in words, and whether it is done."""

    name: str
    text: str
    done: bool


def welcome() -> None:
    """Greet a first visitor and offer the shortest way to a trained model."""
    with st.container(border=True):
        st.markdown(t("home.welcome"))
        with st.container(horizontal=True, vertical_alignment="center"):
            dataset_view.train_sample_button(t("home.try_sample"), key="try_sample")
            st.page_link("pages/data.py", label=t("home.own_pictures"), icon=":material/folder_open:")


def under_way(run: Run | None) -> None:
    """Draw how far the current run's training is, while it is under way."""
    job = queue.latest(shell.workspace(), kind="train", run_id=run.id) if run is not None else None
    if job is not None and job.active:
        with st.container(border=True):
            job_view.watch(job.id, job_view.progress)


def steps(dataset: Dataset | None, run: Run | None) -> None:
    """Draw the three steps side by side; the first that is not done carries the button."""
    found = [_data(dataset), _training(dataset, run), _evaluation(run)]
    following = next((step.name for step in found if not step.done), "evaluation")
    if run is not None and run.state in runs.ACTIVE_STATES:
        following = "training"
    if dataset is None and run is None:
        following = ""
    grid = st.grid(3, key="steps")  # shell says when they stand one below the other
    for step in found:
        with grid.container(border=True, height="stretch"):
            icon = ":material/check_circle:" if step.done else f":material/{shell.ICONS[step.name]}:"
            st.markdown(f"### {icon} {t(f'{step.name}.title')}")
            st.caption(t(f"{step.name}.question"))
            st.markdown(step.text)
            if step.name == following and st.button(
                t("home.continue"),
                type="primary",
                icon=":material/arrow_forward:",
                key="continue",
                width="stretch",
            ):
                st.switch_page(f"pages/{step.name}.py", query_params=st.query_params.to_dict())


def _data(dataset: Dataset | None) -> Step:
    if dataset is None:
        return Step("data", t("home.data_none"), done=False)
    try:
        split = dataset_view.split_summary(dataset)
    except DataError as error:
        return Step("data", plain(error), done=False)
    if split is None:
        return Step("data", t("home.data_unread", name=code(dataset.name)), done=False)
    total = f"{sum(split.num_images.values()):,}"
    return Step(
        "data", t("home.data_done", name=code(dataset.name), pictures=total, n=split.num_classes), done=True
    )


def _training(dataset: Dataset | None, run: Run | None) -> Step:
    if run is None:
        return Step("training", t("home.training_none"), done=False)
    words = t(f"home.training_{run.state if run.state not in runs.ACTIVE_STATES else 'running'}")
    return Step("training", words, done=run.state == "done")


def _evaluation(run: Run | None) -> Step:
    if run is None or run.state != "done":
        return Step("evaluation", t("home.evaluation_none"), done=False)
    scores = run.metrics["test"]
    low, high = scores["accuracy_interval"]
    text = t(
        "home.evaluation_done",
        accuracy=percent(scores["accuracy"]),
        low=percent(low, 0),
        high=percent(high, 0),
        n=scores["num_images"],
    )
    runs.note_look(shell.workspace(), run.id)
    text = " ".join([text, *(told(note) for note in runs.review_notes(run, "test"))])
    return Step("evaluation", text, done=False)


def workspace_line() -> None:
    """Say where everything is kept, how large it is, and that it stays there."""
    home = shell.workspace().home
    st.caption(t("home.workspace", path=code(home), size=_readable(_size(home))))


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def _size(home: Path) -> int:
    return directory_size(home)


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
