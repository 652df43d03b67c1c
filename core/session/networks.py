"""What the jobs that need TensorFlow share: the network that a recipe begins with, and that of a finished run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core import backbones, catalog, queue, recipes, runs
from core.backbones import Backbone
from core.errors import JobError
from core.queue import Job
from core.recipes import Recipe
from core.session.executor import Context
from core.session.leavable import run_leavable


def warm_backbone(context: Context, recipe: Recipe, job: Job) -> Backbone:
    """Return the network that a recipe begins with, from those kept warm where it is among them.

    Raises:
        Cancelled: The user asked to stop while it was built.
    """

    def build() -> Backbone:
        return run_leavable(lambda: build_backbone(context, recipe, job), context.is_stop_asked)

    return context.warm.get(warm_key(recipe, job), build, ", ".join(_description(recipe)))


def warm_key(recipe: Recipe, job: Job) -> str:
    """Return the name under which the network that a recipe begins with is kept warm."""
    parts = [recipe.backbone, *_description(recipe), recipe.weights]
    # Two askers may keep other weights under the same name.
    parts += [job.args["keras_home"]] if catalog.get(recipe.backbone).source == "keras" else []
    return ", ".join(parts)


def _description(recipe: Recipe) -> list[str]:
    """Return what people know a network as."""
    parts = [catalog.get(recipe.backbone).title, f"{recipe.image_size} px"]
    parts += [f"{100 * recipe.depth:.0f} % deep"] if recipe.depth < 1 else []
    parts += [Path(recipe.weights).name] if recipe.weights else []
    parts += [f"seed {recipe.seed}"] if recipe.weights == recipes.RANDOM_WEIGHTS else []
    return parts


def build_backbone(context: Context, recipe: Recipe, job: Job) -> Backbone:
    """Build the network that a recipe begins with: pretrained, random, or that of an earlier run."""
    keras_home = Path(job.args["keras_home"])
    if parent := recipes.parent_run(recipe):
        return _of_run(context, runs.get(context.workspace, parent), recipe, keras_home)
    random_seed = recipe.seed if recipe.weights == recipes.RANDOM_WEIGHTS else None
    return backbones.build(
        context.workspace,
        recipe.backbone,
        recipe.image_size,
        recipes.weights_file(recipe),
        context.progress,
        depth=recipe.depth,
        random_seed=random_seed,
        keras_home=keras_home,
    )


def _of_run(context: Context, parent: runs.Run, recipe: Recipe, keras_home: Path) -> Backbone:
    """Build the network of an earlier run."""
    queue.check_parent(context.workspace, recipe)
    arrays = own_weights(context, parent)
    if arrays is None:  # its backbone is the published one
        return backbones.build(
            context.workspace,
            recipe.backbone,
            recipe.image_size,
            progress=context.progress,
            depth=recipe.depth,
            keras_home=keras_home,
        )
    return with_arrays(context, recipe, arrays, parent.id)


def own_weights(context: Context, run: runs.Run) -> list[np.ndarray] | None:
    """Return the weights of a run's backbone, or None where they are its published ones."""
    if not (run.fine_tuned or recipes.from_json(run.recipe).weights):
        return None
    arrays = runs.load_arrays(context.workspace, run.id, "backbone")
    return [arrays[name] for name in sorted(arrays)]


def with_arrays(context: Context, recipe: Recipe, arrays: list[np.ndarray], run_id: str) -> Backbone:
    """Build a recipe's network with the weights of a run; needs no pretrained weights on this machine."""
    empty = backbones.build(
        context.workspace, recipe.backbone, recipe.image_size, depth=recipe.depth, random_seed=0
    )
    shapes = [weight.shape for weight in empty.model.weights]
    if shapes != [array.shape for array in arrays]:
        title = catalog.get(recipe.backbone).title
        raise JobError(
            f"The weights of the run {run_id} do not fit {title} as this Graft builds it. Train that run again."
        )
    return backbones.adopt(empty, arrays, backbones.hash_arrays(arrays))
