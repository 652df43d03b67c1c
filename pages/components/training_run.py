"""One run: where it is, its curves, what it decided, how it ended."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core import datasets, queue, recipes, runs
from core.errors import GraftError, NotFound
from core.queue import DeviceMemory, Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell
from pages.components.dataset import version
from pages.components.text import code, plain, t
from pages.components.training_curves import show_curves, show_log
from pages.components.training_result import show_result

STAGES = ("audit", "prepare", "features", "teacher", "head", "fine_tune", "controls", "evaluate")
MARKS: dict[str, tuple[str, Literal["green", "blue", "gray"]]] = {
    "done": (":material/check_circle:", "green"),
    "now": (":material/pending:", "blue"),
    "later": (":material/circle:", "gray"),
}
MEMORY_TTL_S = 4.0
"""How long a device's memory is not asked for again: a graphics card's driver takes a while to answer."""


def show_run(run: Run) -> None:
    """Draw a run in whatever state it is, and keep it up to date while it is under way."""
    job = queue.latest(shell.workspace(), kind="train", run_id=run.id)
    if job is None:
        _draw(run, None)
    else:
        job_view.watch(job.id, lambda job: _draw(_fresh(run), job), lambda: _what_is_there(run))


def _what_is_there(run: Run) -> tuple[bool, bool]:
    """Return whether the dataset of a run is there, and whether it is audited: a training makes and audits a sample."""
    try:
        dataset = datasets.get(shell.workspace(), run.dataset_id)
    except NotFound:
        return False, False
    return True, version(dataset) is not None


def _fresh(run: Run) -> Run:
    try:
        return runs.get(shell.workspace(), run.id)
    except GraftError:
        return run


def _draw(run: Run, job: Job | None) -> None:
    if job is not None and job.active:
        _under_way(run, job)
    elif run.state == "done":
        show_result(run)
    else:
        _ended_badly(run, job)
    show_curves(run)
    show_log(run)


def _under_way(run: Run, job: Job) -> None:
    job_view.progress(job, cancel_help=t("training.cancel_help"))
    if job.state == "queued":
        return
    _steps(run, str(job.progress.get("stage", "")))
    _memory(job.device)


def _steps(run: Run, stage: str) -> None:
    """Draw the stages in a row: what is done, what is under way, what comes."""
    names = _stages(run)
    reached = names.index(stage) if stage in names else -1
    with st.container(horizontal=True, gap="small"):
        for index, name in enumerate(names):
            state = "now" if index == reached else "done" if index < reached else "later"
            icon, color = MARKS[state]
            st.badge(t(f"stage.{name}"), icon=icon, color=color, help=t(f"stage.{name}_help"))


def _stages(run: Run) -> list[str]:
    """Return the stages that a run's recipe has, in their order."""
    left_out = set()
    if not run.recipe.get("head_epochs", 1):
        left_out |= {"features", "head"}
    if not run.recipe.get("teacher"):
        left_out.add("teacher")
    if not run.recipe.get("fine_tune_epochs"):
        left_out.add("fine_tune")
    if run.recipe.get("weights") == recipes.RANDOM_WEIGHTS:
        left_out.add("controls")
    return [name for name in STAGES if name not in left_out]


def _memory(device: str) -> None:
    """Say how much memory the session takes, and how full that of its device is."""
    parts = []
    known = next((item for item in queue.devices() if item.id == device), None)
    held = queue.session_status(shell.workspace(), known).memory_mb if known else 0.0
    if held:
        parts.append(t("training.session_memory", gb=f"{held / 1000:.1f}"))
    if memory := _device_memory(device):
        key = "training.computer_memory" if device == "cpu" else "training.gpu_memory"
        used, total = f"{memory.used_mb / 1000:.1f}", f"{memory.total_mb / 1000:.1f}"
        parts.append(t(key, used=used, total=total, device=code(known.title if known else device)))
    if parts:
        st.caption(" · ".join(parts))


@st.cache_data(ttl=MEMORY_TTL_S, max_entries=16, show_spinner=False)
def _device_memory(device: str) -> DeviceMemory | None:
    return queue.device_memory(device)


def _ended_badly(run: Run, job: Job | None) -> None:
    goes_on = runs.has_checkpoint(shell.workspace(), run.id)
    then = t("training.goes_on" if goes_on else "training.begins_again")
    label = t("training.go_on" if goes_on else "job.retry")
    sample = str(job.args.get("sample", "")) if job else ""
    if job is not None:
        job_view.outcome(job, lambda: _go_on(run, sample), label, then)
    elif run.state in runs.FINAL_STATES:
        st.error(plain(run.error), title=t("job.failed"), icon=":material/error:")
        job_view.again(f"retry_{run.id}", lambda: _go_on(run, sample), label, then)


def _go_on(run: Run, sample: str) -> None:
    workspace = shell.workspace()
    with shell.errors():
        if runs.get_state(workspace, run.id) in runs.ACTIVE_STATES:
            return  # pressed twice, or in another tab
        if not sample:
            datasets.get(workspace, run.dataset_id)  # says so where it was removed
        queue.retry_training(workspace, run.id)
