"""Which finished run a student learns from."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import catalog, recipes, runs
from core.catalog import BackboneSpec
from core.datasets import Dataset
from core.errors import RecipeError
from core.recipes import RUN_PREFIX, Recipe
from core.runs import Run
from pages.components import shell
from pages.components.dataset import SplitSummary
from pages.components.text import percent, t


def choose(
    dataset: Dataset, split: SplitSummary, student: BackboneSpec, kept: Recipe, on_change: Callable[[], None]
) -> str:
    """Draw the choice of the teacher and return it as ``Recipe.teacher``; without a run to choose, no run's.

    Args:
        dataset: Whose finished runs are offered, the best on validation first.
        split: That of the Data page, which the teacher's may not be.
        student: The network that is to learn.
        kept: What was chosen for this dataset before.
        on_change: Called when the visitor chooses another one.
    """
    offered = _offered(dataset)
    if not offered:
        st.info(t("teacher.none"), icon=":material/school:")
        return RUN_PREFIX
    before, key = recipes.teacher_run(kept), f"training_teacher_{dataset.id}"
    if st.session_state.get(key) not in offered:  # nothing was chosen yet, or it was deleted
        st.session_state[key] = before if before in offered else next(iter(offered))
    names = shell.run_names(offered.values())
    chosen: str = st.selectbox(
        t("teacher.title"),
        list(offered),
        format_func=lambda run_id: t(
            "teacher.option",
            run=names[run_id],
            accuracy=percent(offered[run_id].metrics["val"]["accuracy"]),
        ),
        key=key,
        help=t("teacher.help"),
        on_change=on_change,
    )
    _remarks(recipes.from_json(offered[chosen].recipe), split, student)
    return RUN_PREFIX + chosen


def _offered(dataset: Dataset) -> dict[str, Run]:
    """Return the finished runs on a dataset by their ids, the best on validation first."""
    done = [
        run for run in runs.list_runs(shell.workspace(), dataset.id) if run.state == "done" and _is_known(run)
    ]
    done.sort(key=lambda run: run.metrics["val"]["accuracy"], reverse=True)
    return {run.id: run for run in done}


def _is_known(run: Run) -> bool:
    try:
        recipes.from_json(run.recipe)
    except RecipeError:  # of a newer Graft
        return False
    return True


def _remarks(teacher: Recipe, split: SplitSummary, student: BackboneSpec) -> None:
    theirs = {name: getattr(teacher, name) for name in split.chosen}
    if theirs != split.chosen:
        st.caption(t("teacher.other_split"))
    spec = catalog.get(teacher.backbone)
    if student.num_parameters >= spec.num_parameters:
        st.caption(t("teacher.not_smaller", student=student.title, teacher=spec.title))
