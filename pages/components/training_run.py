"""One run: where it is, its curves, what it decided, how it ended."""

from __future__ import annotations

import time
from typing import Any, Literal

import pandas as pd
import streamlit as st

from core import charts, datasets, queue, recipes, runs
from core.errors import GraftError
from core.queue import Job
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell
from pages.components.figure import figure
from pages.components.text import language, percent, plain, t, told

STAGES = ("audit", "prepare", "features", "head", "fine_tune", "evaluate")
MARKS: dict[str, tuple[str, Literal["green", "blue", "gray"]]] = {
    "done": (":material/check_circle:", "green"),
    "now": (":material/pending:", "blue"),
    "later": (":material/circle:", "gray"),
}
LOG_LINES = 200
MIN_CURVES_WIDTH = 240
"""Pixels; where less is left, loss and accuracy go one below the other."""


def show_run(run: Run) -> None:
    """Draw a run in whatever state it is, and keep it up to date while it is under way."""
    job = queue.latest(shell.workspace(), kind="train", run_id=run.id)
    if job is None:
        _draw(run, None)
    else:
        job_view.watch(job.id, lambda job: _draw(_fresh(run), job))


def _fresh(run: Run) -> Run:
    try:
        return runs.get(shell.workspace(), run.id)
    except GraftError:
        return run


def _draw(run: Run, job: Job | None) -> None:
    events = runs.events(shell.workspace(), run.id)
    if job is not None and job.active:
        job_view.progress(job)
        _steps(run, str(job.progress.get("stage", "")))
    elif job is not None:
        job_view.outcome(job, retry=lambda: _again(run, job.args.get("sample", "")))
    elif run.error:
        st.error(plain(run.error), title=t("job.failed"), icon=":material/error:")
    if run.state == "done":
        _result(run)
    _curves(run, events)
    _log(run, events)


def _again(run: Run, sample: str) -> None:
    workspace = shell.workspace()
    with shell.errors():
        if not sample:
            datasets.get(workspace, run.dataset_id)  # says so where it was removed
        recipe = recipes.from_json(run.recipe)
        job = queue.submit_training(workspace, run.dataset_id, run.dataset_name, recipe, sample=sample)
        shell.choose("run", job.run_id)


def _steps(run: Run, stage: str) -> None:
    """Draw the stages in a row: what is done, what is under way, what comes."""
    names = [name for name in STAGES if name != "fine_tune" or run.recipe.get("fine_tune_epochs")]
    reached = names.index(stage) if stage in names else -1
    with st.container(horizontal=True, gap="small"):
        for index, name in enumerate(names):
            state = "done" if index < reached else "now" if index == reached else "later"
            icon, color = MARKS[state]
            st.badge(t(f"stage.{name}"), icon=icon, color=color, help=t(f"stage.{name}_help"))


def _result(run: Run) -> None:
    """Draw the scores, the verdict and the way to the errors."""
    test, val = run.metrics["test"], run.metrics["val"]
    with st.container(border=True):
        st.markdown(
            t(
                "training.verdict",
                right=f"{round(test['accuracy'] * test['num_images']):,}",
                total=f"{test['num_images']:,}",
                low=percent(test["accuracy_interval"][0], 0),
                high=percent(test["accuracy_interval"][1], 0),
            )
        )
        with st.container(horizontal=True, gap="medium"):
            for name, scores in (("test", test), ("val", val)):
                st.metric(
                    t("training.accuracy_on", split=t(f"split.{name}")),
                    percent(scores["accuracy"]),
                    width="content",
                )
            st.metric(
                t("training.macro_f1"), f"{test['macro_f1']:.3f}", width="content", help=t("term.macro_f1")
            )
            st.metric(t("training.duration"), job_view.duration(sum(run.seconds.values())), width="content")
        for note in run.notes:
            st.caption(told(note))
        if run.recipe.get("fine_tune_epochs") and run.temperature != 1:
            st.caption(t("training.losses", temperature=f"{run.temperature:.2f}"))
    if st.button(
        t("training.to_evaluation"),
        type="primary",
        icon=":material/arrow_forward:",
        icon_position="right",
        key="to_evaluation",
    ):
        st.switch_page("pages/evaluation.py", query_params={"dataset": run.dataset_id, "run": run.id})


def _curves(run: Run, events: list[dict[str, Any]]) -> None:
    epochs = pd.DataFrame([event for event in events if event["kind"] == "epoch"])
    if epochs.empty:
        return
    trained = [stage for stage in ("head", "fine_tune") if (epochs["stage"] == stage).any()]
    st.header(t("training.curves"), anchor=False)
    stage = trained[-1]
    if len(trained) > 1:
        chosen = st.segmented_control(
            t("training.curves_of"),
            trained,
            default=stage,
            required=True,
            format_func=lambda name: t(f"stage.{name}"),
            key=f"curves_{run.id}",
            label_visibility="collapsed",
        )
        stage = chosen or trained[-1]
    shown = epochs[epochs["stage"] == stage]
    st.caption(t(f"training.curves_{stage}"))
    grid = st.grid(2, min_column_width=MIN_CURVES_WIDTH, gap="medium")
    for measure in charts.MEASURES:
        with grid.container():
            figure(
                charts.learning_curves(shown, language(), (measure,)),
                key=f"figure_{run.id}_{stage}_{measure}",
                alt=t(f"training.{measure}_alt", n=len(shown), **_last(shown, measure)),
            )


def _last(epochs: pd.DataFrame, measure: str) -> dict[str, str]:
    """Return how a measure stood after the last epoch, in words."""
    last = epochs.iloc[-1]
    write = percent if measure == "accuracy" else "{:.3f}".format
    return {"train": write(last[measure]), "val": write(last[f"val_{measure}"])}


def _log(run: Run, events: list[dict[str, Any]]) -> None:
    lines = [_log_line(event) for event in events]
    if lines:
        with st.expander(t("training.log"), icon=":material/article:"):
            st.code("\n".join(lines[-LOG_LINES:]), language=None, wrap_lines=True, height=320)


def _log_line(event: dict[str, Any]) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    if event["kind"] == "stage":
        return f"{clock}  {t('stage.' + event['name'])}"
    if event["kind"] == "epoch":
        return "  ".join(
            (
                f"{clock}    {event['epoch']}/{event['epochs']}",
                f"loss {event['loss']:.4f}",
                f"accuracy {percent(event['accuracy'])}",
                f"val loss {event['val_loss']:.4f}",
                f"val accuracy {percent(event['val_accuracy'])}",
            )
        )
    return f"{clock}  {event.get('text', '')}"
