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
from pages.components.text import code, percent, plain, t

STAGES = ("audit", "prepare", "features", "head", "fine_tune", "evaluate")
MARKS: dict[str, tuple[str, Literal["green", "blue", "gray"]]] = {
    "done": (":material/check_circle:", "green"),
    "now": (":material/pending:", "blue"),
    "later": (":material/circle:", "gray"),
}
LOG_LINES = 200


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
            st.caption(plain(note))
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
    last = shown.iloc[-1]
    st.caption(t(f"training.curves_{stage}"))
    figure(
        charts.learning_curves(shown),
        key=f"figure_{run.id}_{stage}",
        alt=t(
            "training.curves_alt",
            n=len(shown),
            accuracy=percent(last["accuracy"]),
            val_accuracy=percent(last["val_accuracy"]),
        ),
    )


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


def earlier_runs(dataset_id: str | None, current: Run | None) -> None:
    """List the runs of a dataset, and those whose record is damaged; a chosen one becomes the current run.

    Args:
        dataset_id: The dataset; None for the runs whose dataset is not there any more.
        current: The run that the page is about.
    """
    known = {dataset.id for dataset in datasets.list_datasets(shell.workspace())}
    found = [
        run
        for run in runs.list_runs(shell.workspace())
        if (run.dataset_id in (dataset_id, "") if dataset_id else run.dataset_id not in known)
    ]
    if not found:
        return
    st.header(t("training.runs") if dataset_id else t("training.other_runs"), anchor=False)
    table = pd.DataFrame([_row(run) for run in found])
    picked = st.dataframe(
        table,
        hide_index=True,
        key=f"runs_table_{found[0].id}_{len(found)}",  # of another list no row is chosen yet
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        column_config={
            t("runs.test"): st.column_config.NumberColumn(format="%.1f %%"),
            t("runs.val"): st.column_config.NumberColumn(format="%.1f %%"),
        },
        alt=t("training.runs"),
    )
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(found):
        _actions(found[rows[0]], current)


def _row(run: Run) -> dict[str, Any]:
    return {
        t("runs.started"): time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)),
        t("runs.state"): t(f"state.{run.state}"),
        t("runs.backbone"): run.recipe.get("backbone", ""),
        t("runs.stages"): t("runs.two_stages") if run.recipe.get("fine_tune_epochs") else t("runs.one_stage"),
        t("runs.val"): 100 * run.metrics["val"]["accuracy"] if run.metrics else None,
        t("runs.test"): 100 * run.metrics["test"]["accuracy"] if run.metrics else None,
        t("runs.seconds"): round(sum(run.seconds.values()), 1) or None,
    }


def _actions(run: Run, current: Run | None) -> None:
    is_damaged = not run.dataset_id
    if is_damaged:
        st.warning(plain(run.error), icon=":material/warning:")
    with st.container(horizontal=True, gap="small"):
        if not is_damaged and (current is None or run.id != current.id):
            st.button(
                t("runs.show"),
                icon=":material/visibility:",
                key="show_run",
                on_click=shell.choose,
                args=("run", run.id),
            )
        if run.state not in runs.ACTIVE_STATES and st.button(
            t("runs.delete"), icon=":material/delete:", key="delete_run"
        ):
            _confirm_delete(run)


@st.dialog(t("runs.delete_title"))
def _confirm_delete(run: Run) -> None:
    st.markdown(t("runs.delete_text", run=code(shell.run_name(run))))
    if st.button(
        t("runs.delete_yes"),
        type="primary",
        icon=":material/delete:",
        key="delete_run_yes",
        on_click=_delete,
        args=(run.id,),
    ):
        st.rerun()


def _delete(run_id: str) -> None:
    with shell.errors():
        runs.delete(shell.workspace(), run_id)
        if shell.current("run") is None:
            shell.choose("run", None)
