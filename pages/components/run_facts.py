"""What a run is called by its recipe and its state, and how it is deleted."""

from __future__ import annotations

import streamlit as st

from core import recipes, runs
from core.errors import RecipeError
from core.runs import Run
from pages.components import deletion, shell
from pages.components.text import code, t

IN_OTHER_PLACES = {"backbone", "image_size", "fine_tune_epochs", "fractions", "keep_given", "seed", "teacher"}
"""Fields that have a column of their own, or are chosen with the dataset."""


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
        same_kind = all(
            bool(getattr(preset, field)) == bool(getattr(recipe, field))
            for field in ("fine_tune_epochs", "teacher")
        )
        if not changed and same_kind:
            return t(f"recipe.{name}.title")
    return t("runs.changed", recipe=stages)


def state_name(run: Run) -> str:
    """Return the state of a run in words, also whether a training that is done was stopped."""
    return t("runs.stopped") if run.stopped and run.state == "done" else t(f"state.{run.state}")


def delete_button(run: Run) -> None:
    """Offer to delete a run, once it is not under way; asks again first."""
    if run.state not in runs.ACTIVE_STATES and st.button(
        t("runs.delete"), icon=":material/delete:", key="delete_run"
    ):
        text = t("runs.delete_text", run=code(shell.run_name(run)))
        deletion.ask(t("runs.delete_title"), text, t("runs.delete_yes"), "delete_run_yes", _delete, run.id)


def _delete(run_id: str) -> None:
    runs.delete(shell.workspace(), run_id)
    if shell.current("run") is None:
        shell.choose("run", None)
