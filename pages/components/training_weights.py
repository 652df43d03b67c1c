"""What the backbone begins with: ImageNet's weights, those of a file or of an earlier run, or random ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from core import recipes, runs
from core.recipes import RANDOM_WEIGHTS, RUN_PREFIX, Recipe
from core.runs import Run
from pages.components import shell
from pages.components.text import t
from pages.components.training_form import Form

SOURCES = ("imagenet", "file", "run", "random")


def choose(form: Form, recipe: Recipe) -> Recipe:
    """Draw the choice of the weights and return the recipe with them.

    Args:
        form: Draws the widgets.
        recipe: Its backbone and depth decide which runs can be gone on from.
    """
    fitting = _fitting(recipe)
    sources = [name for name in SOURCES if name != "run" or fitting]
    source = form.pick("weights", sources, _source(recipe, fitting), lambda name: t(f"option.weights.{name}"))
    return replace(recipe, weights=_weights(form, recipe, source, fitting))


def _weights(form: Form, recipe: Recipe, source: str, fitting: dict[str, Run]) -> str:
    if source == "random":
        return RANDOM_WEIGHTS
    if source == "run":
        begin = recipes.parent_run(recipe)
        called = shell.run_names(fitting.values())
        names = {run_id: f"{called[run_id]} · {run.dataset_name}" for run_id, run in fitting.items()}
        first = begin if begin in fitting else next(iter(fitting))
        return RUN_PREFIX + form.pick("weights_run", list(fitting), first, lambda run_id: names[run_id])
    if source == "file":
        path = recipes.weights_file(recipe)
        given = form.text("weights_file", str(path or ""), t("field.weights_file_empty"))
        if not given:
            form.place.caption(t("field.weights_file_missing"))
        return given
    return ""


def _fitting(recipe: Recipe) -> dict[str, Run]:
    """Return the finished runs with this backbone, cut at the same depth, by their ids, newest first."""
    wanted = (recipe.backbone, recipe.depth)
    return {
        run.id: run
        for run in runs.list_runs(shell.workspace())
        if run.state == "done" and (run.recipe.get("backbone"), run.recipe.get("depth", 1.0)) == wanted
    }


def _source(recipe: Recipe, fitting: Collection[str]) -> str:
    if recipe.weights == RANDOM_WEIGHTS:
        return "random"
    if parent := recipes.parent_run(recipe):
        return "run" if parent in fitting else "imagenet"
    return "file" if recipe.weights else "imagenet"
