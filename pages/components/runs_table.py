"""All runs on a dataset, to choose one of them or to delete it."""

from __future__ import annotations

import time
from collections.abc import Container
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core import datasets, recipes, runs
from core.errors import RecipeError
from core.runs import Run
from pages.components import shell
from pages.components.text import code, plain, t

SHOWN = "●"
IN_OTHER_PLACES = {"backbone", "image_size", "fine_tune_epochs", "fractions", "keep_given", "seed"}
"""Fields that have a column of their own, or are chosen with the dataset."""


def earlier_runs(dataset_id: str | None, current: Run | None) -> None:
    """List the runs of a dataset, and those whose record is damaged; a chosen one becomes the current run.

    Args:
        dataset_id: The dataset; None for the runs whose dataset is not there any more.
        current: The run that the page is about.
    """
    samples = {dataset.id: dataset.sample for dataset in datasets.list_datasets(shell.workspace())}
    found = [
        run
        for run in runs.list_runs(shell.workspace())
        if (run.dataset_id in (dataset_id, "") if dataset_id else _is_left_alone(run, samples))
    ]
    if not found:
        return
    st.header(t("training.runs") if dataset_id else t("training.other_runs"), anchor=False)
    rows = [_row(run, samples.get(run.dataset_id, "")) for run in found]
    shown = [SHOWN if current is not None and run.id == current.id else "" for run in found]
    picked = st.dataframe(
        pd.DataFrame(rows).assign(shown=shown)[["shown", *rows[0]]],
        hide_index=True,
        key=f"runs_table_{found[0].id}_{len(found)}",  # of another list no row is chosen yet
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        column_config=_columns(),
        alt=t("training.runs"),
    )
    chosen = picked["selection"]["rows"]
    if chosen and chosen[0] < len(found):
        _actions(found[chosen[0]], current)


def _is_left_alone(run: Run, known: Container[str]) -> bool:
    """Say whether a run's dataset was removed; that of one under way may be a sample that is being made."""
    return run.dataset_id not in known and run.state in runs.FINAL_STATES


def _columns() -> dict[str, ColumnConfig]:
    """Return the columns; what tells runs apart stands first, in sight on a narrow page too."""
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "shown": text("", width=36, alignment="center", help=t("runs.shown")),
        "started": text(t("runs.started"), width=138),
        "state": text(t("runs.state"), width=104),
        "recipe": text(t("runs.recipe"), width=136),
        "image_size": number(t("runs.image_size"), width=46, help=t("runs.image_size_help")),
        "epochs": number(t("runs.epochs"), width=58, help=t("runs.epochs_help")),
        "test": number(t("runs.test"), width=66, format="%.1f %%", help=t("runs.test_help")),
        "val": number(t("runs.val"), width=84, format="%.1f %%", help=t("runs.val_help")),
        "backbone": text(t("runs.backbone"), width=136),
        "seconds": number(t("runs.seconds"), width=76),
    }


def _row(run: Run, sample: str) -> dict[str, Any]:
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created)),
        "state": state_name(run),
        "recipe": recipe_name(run, sample),
        "image_size": run.recipe.get("image_size"),
        "epochs": run.recipe.get("fine_tune_epochs") or None,
        "test": 100 * run.metrics["test"]["accuracy"] if run.metrics else None,
        "val": 100 * run.metrics["val"]["accuracy"] if run.metrics else None,
        "backbone": run.recipe.get("backbone", ""),
        "seconds": round(sum(run.seconds.values()), 1) or None,
    }


def recipe_name(run: Run, sample: str) -> str:
    """Return the preset that a run was made with; where more was changed than what has a column, its stages."""
    if not run.recipe:
        return ""
    stages = t("runs.two_stages") if run.recipe.get("fine_tune_epochs") else t("runs.one_stage")
    try:
        recipe = recipes.from_json(run.recipe)
    except RecipeError:  # of a newer Graft
        return stages
    for name in recipes.PRESETS:
        preset = recipes.preset(name, sample)
        changed = set(recipes.differences(recipe, preset)) - IN_OTHER_PLACES
        if not changed and bool(preset.fine_tune_epochs) == bool(recipe.fine_tune_epochs):
            return t(f"recipe.{name}.title")
    return t("runs.changed", recipe=stages)


def state_name(run: Run) -> str:
    """Return the state of a run in words, also whether a training that is done was stopped."""
    return t("runs.stopped") if run.stopped and run.state == "done" else t(f"state.{run.state}")


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
        delete_button(run)


def delete_button(run: Run) -> None:
    """Offer to delete a run, once it is not under way; asks again first."""
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
