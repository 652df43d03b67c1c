"""How a run learnt: its curves, epoch by epoch, and its log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, runs
from core.runs import Run
from pages.components import shell
from pages.components.figure import figure
from pages.components.text import language, percent, t

LOG_LINES = 200
MIN_CURVES_WIDTH = 240
"""Pixels; where less is left, the figures go one below the other."""


def show_curves(run: Run) -> None:
    """Draw loss and accuracy of one stage, and in stage 2 the learning rate and what is to be beaten."""
    epochs = runs.epochs(shell.workspace(), run.id)
    if epochs.empty:
        return
    st.header(t("training.curves"), anchor=False)
    stage = _stage(run, [name for name in ("head", "fine_tune") if (epochs["stage"] == name).any()])
    shown = epochs[epochs["stage"] == stage]
    chosen = runs.head_chosen(shell.workspace(), run.id) or {}
    st.caption(_caption(run, stage))
    if stage == "head" and (other := _other_head(run, chosen)):
        st.caption(other)
    reference = _head_alone(run, epochs, chosen) if stage == "fine_tune" else {}
    has_rate = stage == "fine_tune" and len(shown) > 1 and "learning_rate" in shown
    grid = st.grid(3 if has_rate else 2, min_column_width=MIN_CURVES_WIDTH, gap="medium")
    for measure in charts.MEASURES:
        with grid.container():
            figure(
                charts.learning_curves(shown, language(), (measure,), reference),
                key=f"figure_{run.id}_{stage}_{measure}",
                alt=_alt(shown, measure, reference.get(measure)),
            )
    if has_rate:
        _learning_rate(run, shown, grid)


def _stage(run: Run, trained: list[str]) -> str:
    """Let the visitor choose the stage where there are two; the last one is shown first."""
    if len(trained) == 1:
        return trained[0]
    chosen: str | None = st.segmented_control(
        t("training.curves_of"),
        trained,
        default=trained[-1],
        required=True,
        format_func=lambda name: t(f"stage.{name}"),
        key=f"curves_{run.id}",
        label_visibility="collapsed",
    )
    return chosen or trained[-1]


def _caption(run: Run, stage: str) -> str:
    by_adam = stage == "head" and run.recipe.get("head_solver") == "adam"
    said = t("training.curves_head_adam") if by_adam else t(f"training.curves_{stage}")
    return f"{said} {t('training.curves_losses')}"


def _other_head(run: Run, chosen: Mapping[str, Any]) -> str:
    """Return that the curves are not those of the head that counts, where validation chose another one."""
    fitted, strength = run.recipe.get("head_strength"), chosen.get("strength") or run.stage_1.get("strength")
    if not fitted or not strength or strength == fitted:
        return ""
    key = "training.curves_other_head"
    if not run.recipe.get("fine_tune_epochs"):
        key += "_alone"
    elif run.state == "done" and not run.fine_tuned:
        key += "_used"
    return t(key, shown=f"{fitted:g}", chosen=f"{strength:g}")


def _head_alone(run: Run, epochs: pd.DataFrame, chosen: Mapping[str, Any]) -> dict[str, float]:
    """Return loss and accuracy on validation of the head that stage 2 has to beat, if that is known."""
    if "head_loss" in run.stage_2:
        return {measure: run.stage_2[f"head_{measure}"] for measure in charts.MEASURES}
    if chosen:
        return {measure: chosen[f"val_{measure}"] for measure in charts.MEASURES}
    # A run of an older Graft, which did not tell which head it chose.
    head, by_adam = epochs[epochs["stage"] == "head"], run.recipe.get("head_solver") == "adam"
    may_be_another = not by_adam and run.recipe.get("head_strength", 1.0) < 1.0
    if head.empty or may_be_another:
        return {}
    # L-BFGS ends with its last step; Adam keeps the epoch that was best on validation.
    row = head.iloc[int(head["val_loss"].argmin()) if by_adam else -1]
    return {measure: float(row[f"val_{measure}"]) for measure in charts.MEASURES}


def _learning_rate(run: Run, shown: pd.DataFrame, grid: Any) -> None:
    with grid.container():
        figure(
            charts.learning_rate_curve(shown, language()),
            key=f"figure_{run.id}_learning_rate",
            alt=t("training.learning_rate_alt", n=len(shown), last=f"{shown['learning_rate'].iloc[-1]:.2g}"),
        )


def _alt(epochs: pd.DataFrame, measure: str, reference: float | None) -> str:
    """Return what a figure shows, in words."""
    last = epochs.iloc[-1]
    write = percent if measure == "accuracy" else "{:.3f}".format
    said = t(
        f"training.{measure}_alt",
        n=len(epochs),
        train=write(last[measure]),
        val=write(last[f"val_{measure}"]),
    )
    return said if reference is None else f"{said} {t('training.reference_alt', value=write(reference))}"


def show_log(run: Run) -> None:
    """Draw the newest lines of a run's log, folded."""
    lines = [_log_line(event) for event in runs.events(shell.workspace(), run.id)]
    if lines:
        with st.expander(t("training.log"), icon=":material/article:"):
            st.code("\n".join(lines[-LOG_LINES:]), language=None, wrap_lines=True, height=320)


def _log_line(event: dict[str, Any]) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    return f"{clock}  {_said(event)}"


def _said(event: dict[str, Any]) -> str:
    match event["kind"]:
        case "stage":
            return t("stage." + event["name"])
        case "epoch":
            return _epoch_line(event)
        case "resumed":
            return t("training.resumed", epoch=event["epoch"])
        case "batch_halved":
            return t("training.batch_halved", n=event["batch_size"])
        case "head_chosen":
            val = {"loss": f"{event['val_loss']:.4f}", "accuracy": percent(event["val_accuracy"])}
            return t("training.head_chosen", **val)
        case _:
            return str(event.get("text", ""))


def _epoch_line(event: dict[str, Any]) -> str:
    return "  ".join(
        (
            f"  {event['epoch']}/{event['epochs']}",
            f"loss {event['loss']:.4f}",
            f"accuracy {percent(event['accuracy'])}",
            f"val loss {event['val_loss']:.4f}",
            f"val accuracy {percent(event['val_accuracy'])}",
        )
    )
