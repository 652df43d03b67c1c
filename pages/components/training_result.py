"""What a finished run came to: its verdict, what its numbers say, and against what they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pandas as pd
import streamlit as st

from core import conclusions, runs
from core.evaluation import Difference, Estimate
from core.runs import Run
from pages.components import job as job_view
from pages.components import shell, split_name
from pages.components.cross_validation import show_cross_validation
from pages.components.csv_file import csv_button
from pages.components.evaluation_against import recorded_share, with_interval
from pages.components.evaluation_scores import after_review, metric
from pages.components.text import code, percent, t, told

STOPS: dict[str, tuple[str, Literal["orange", "blue"]]] = {
    "patience": (":material/flag:", "blue"),
    "time": (":material/timer_off:", "orange"),
    "cancelled": (":material/stop_circle:", "orange"),
}
"""How stage 2 may have ended before its last epoch: icon and colour of the badge."""


class Row(NamedTuple):
    """A line of the table *Against what?*: what, accuracy and interval, judged on how many pictures, lead over it."""

    what: str
    accuracy: Estimate
    num_images: int
    lead: str = ""


def show_result(run: Run) -> None:
    """Draw a run in state ``"done"``, what matters most first."""
    _scores(run)
    _conclusions(run)
    _against(run)
    show_cross_validation(run)
    _notes(run)
    split_name.of_run(run)


def _scores(run: Run) -> None:
    """Draw the verdict, the scores and the way to the errors."""
    test, val = run.metrics["test"], run.metrics["val"]
    runs.note_look(shell.workspace(), run.id)
    with st.container(border=True):
        _badge(run)
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
                label = t("training.accuracy_on", split=t(f"split.{name}"))
                metric(
                    t("review.after_review", measure=label)
                    if "accuracy" in scores.get("original", {})
                    else label,
                    runs.estimate(scores, "accuracy"),
                    percent,
                    t("term.accuracy"),
                )
            metric(
                after_review("training.macro_f1", run, "test"),
                runs.estimate(test, "macro_f1"),
                "{:.3f}".format,
                t("term.macro_f1"),
            )
            st.metric(
                t("training.duration"),
                job_view.duration(sum(run.seconds.values())),
                width="content",
                help=t("training.duration_help"),
            )
        for note in runs.review_notes(run, "test"):
            st.warning(told(note), icon=":material/balance:")
    if st.button(
        t("training.to_evaluation"),
        type="primary",
        icon=":material/arrow_forward:",
        icon_position="right",
        key="to_evaluation",
    ):
        st.switch_page("pages/evaluation.py", query_params={"dataset": run.dataset_id, "run": run.id})


def _badge(run: Run) -> None:
    stopped = run.stopped or run.stage_2.get("stopped", "")
    if stopped in STOPS:
        icon, color = STOPS[stopped]
        st.badge(t(f"stopped.{stopped}"), icon=icon, color=color, help=t(f"stopped.{stopped}_help"))


def _conclusions(run: Run) -> None:
    found = conclusions.conclude(run)
    if not found:
        return
    st.header(t("training.conclusions"), anchor=False)
    said = {kind: [told(one.sentence) for one in found if one.kind == kind] for kind in conclusions.KINDS}
    for text in said["warning"]:
        st.warning(text, icon=":material/warning:")
    for text in said["good"]:
        st.success(text, icon=":material/check_circle:")
    if said["note"]:
        st.markdown("\n".join(f"- {text}" for text in said["note"]))
    if said["next"]:
        st.markdown("\n".join([t("training.next"), "", *(f"- {text}" for text in said["next"])]))


def _against(run: Run) -> None:
    """Draw a table of what else could have been done, on the same pictures."""
    rows = [*_stages(run), *_controls(run)]
    if rows:
        st.header(t("training.against"), anchor=False)
        own = Row(t("against.this"), runs.estimate(run.metrics["val"], "accuracy"), run.num_images["val"])
        table = _table([own, *rows])
        st.table(table, hide_index=True, border="horizontal", alt=t("training.against"))
        without_stars = table.replace(r"\*", "", regex=True)  # they are Markdown
        csv_button(without_stars, f"against-{run.id}", key="against_csv")
    if run.controls:
        num_train, num_val = run.controls["num_train"], run.controls["num_val"]
        st.caption(t("against.controls_text", train=f"{num_train:,}", val=f"{num_val:,}"))
    if run.forgetting:
        st.markdown(_on_old_test(run.forgetting))


def _on_old_test(told_of: Mapping[str, Any]) -> str:
    """Return how it does on the test pictures of the run it goes on from; one of an older Graft has no interval."""
    if not told_of["num_images"]:
        return t("against.forgetting_nothing", run=code(told_of["run_id"]))
    text = t(
        "against.forgetting",
        n=told_of["num_images"],
        run=code(told_of["run_id"]),
        before=percent(told_of["before"]),
        after=percent(told_of["after"]),
    )
    if "difference" not in told_of:
        return text
    is_clear = Difference(**told_of["difference"]).is_clear
    difference = _lead(told_of["difference"])
    said = t("against.forgetting_clear" if is_clear else "against.forgetting_unclear", difference=difference)
    return f"{text} {said}"


def _table(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            t("against.model"): [row.what for row in rows],
            t("against.accuracy"): [with_interval(row.accuracy) for row in rows],
            t("against.pictures"): [f"{row.num_images:,}" for row in rows],
            t("against.lead"): [row.lead or "–" for row in rows],
        }
    )


def _stages(run: Run) -> Iterator[Row]:
    """The stage that this model is not: the head alone, or the fine-tuning that was not kept."""
    if "difference" not in run.stage_2:
        return
    difference, num_val = run.stage_2["difference"], run.num_images["val"]
    if run.fine_tuned:
        head = recorded_share(run.stage_2, "head_accuracy", num_val)
        yield Row(t("against.head"), head, num_val, _lead(difference))
    else:
        tuned = recorded_share(run.stage_2, "accuracy", num_val)
        yield Row(t("against.tuned"), tuned, num_val, _lead(_turned(difference)))


def _controls(run: Run) -> Iterator[Row]:
    controls = run.controls
    if not controls:
        return
    num_val = controls["num_val"]
    yield Row(t("against.pretrained"), recorded_share(controls, "pretrained", num_val), num_val)
    for name in ("random", "pixels"):
        lead = _lead(controls[f"over_{name}"])
        yield Row(t(f"against.{name}"), recorded_share(controls, name, num_val), num_val, lead)
    yield Row(t("against.majority"), recorded_share(controls, "majority", num_val), num_val)


def _turned(difference: Mapping[str, float]) -> dict[str, float]:
    """Return the difference seen from the other side."""
    return {"value": -difference["value"], "low": -difference["high"], "high": -difference["low"]}


def _lead(difference: Mapping[str, float]) -> str:
    numbers = {name: conclusions.points(difference[name]) for name in ("value", "low", "high")}
    return t("against.points", **numbers)


def _notes(run: Run) -> None:
    losses = bool(run.recipe.get("fine_tune_epochs")) and run.temperature != 1
    if not run.notes and not losses:
        return
    with st.expander(t("training.notes"), icon=":material/notes:"):
        for note in run.notes:
            st.markdown(told(note))
        if losses:
            st.caption(t("training.losses", temperature=f"{run.temperature:.2f}"))
