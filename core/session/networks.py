"""What the jobs that need TensorFlow share: the network that a recipe begins with, and that of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from core import backbones, catalog, engines, features, queue, recipes, runs
from core.backbones import Backbone
from core.engines import Engine
from core.errors import JobError
from core.features import Decoded, Features, View
from core.progress import Progress
from core.queue import Job
from core.recipes import Recipe
from core.session.context import Context
from core.session.leavable import LeftBehind, run_hearing, run_leavable

WEIGHT_COPIES = 2
"""TensorFlow's kernels keep weights once more in an order of their own."""
GRAPH_BYTES = 50 * 10**6
"""What a network takes beside its weights: layers, traces, pictures on their way. 30 to 100 MB were measured."""

Result = TypeVar("Result")


def warm_backbone(context: Context, recipe: Recipe, job: Job) -> Backbone:
    """Return the network that a recipe begins with, from those kept warm where it is among them.

    Raises:
        Cancelled: The user asked to stop while it was built.
    """

    def build() -> Backbone:
        return run_leavable(lambda: build_backbone(context, recipe, job), context.is_stop_asked)

    name = ", ".join(_description(recipe))
    return context.warm.get(warm_key(recipe, job), build, num_bytes(recipe), name, engines.num_bytes)


def num_bytes(recipe: Recipe) -> int:
    """Return about how much memory the network of a recipe takes while it is warm, but for LiteRT's."""
    return WEIGHT_COPIES * 4 * catalog.get(recipe.backbone).num_parameters + GRAPH_BYTES


def leaving(
    context: Context,
    recipe: Recipe,
    job: Job,
    work: Callable[[Progress], Result],
    progress: Progress,
    is_stop_asked: Callable[[], bool],
) -> Result:
    """Do work with the network that a recipe begins with; leave it behind where it does not hear that it should stop.

    It keeps the network then, which is warm no more: nobody else gets one that is still in use.

    Args:
        context: Of the job.
        recipe: Whose network.
        job: The job.
        work: What to do; it is given what it has to tell its progress to.
        progress: Hears that.
        is_stop_asked: Whether the user has asked to stop.

    Raises:
        LeftBehind: The work was left behind.
    """
    try:
        return run_hearing(work, progress, is_stop_asked)
    except LeftBehind:
        context.warm.forget(warm_key(recipe, job))
        raise


def extract(
    context: Context,
    recipe: Recipe,
    job: Job,
    backbone: Backbone,
    paths: Sequence[Path],
    hashes: Sequence[str],
    progress: Progress,
    *,
    pooling: str = "",
    view: View | None = None,
    num_expected: int = 0,
    decoded: Decoded | None = None,
) -> Features:
    """Compute features as :func:`core.features.extract` does, with the warm network that a recipe begins with.

    Args:
        context: Of the job.
        recipe: Says how pictures are brought to size, and features pooled.
        job: The job.
        backbone: Of :func:`warm_backbone`.
        paths: The files.
        hashes: SHA-256 of each file's bytes.
        progress: Called with files done and files in all.
        pooling: Another one than the recipe's.
        view: A random variation of each picture to take instead of the picture itself.
        num_expected: How many pictures and variations the job will ask about in all, where these are but some.
        decoded: Keeps pixels from one call to the next, for variations of the same pictures.

    Raises:
        Cancelled: The user asked to stop. Where that could not be heard, as while the network is converted, the
            network is not warm any more, and ``backbone`` must not be changed.
    """

    def work(tell: Progress) -> Features:
        return features.extract(
            context.workspace,
            backbone,
            paths,
            hashes,
            resize=recipe.resize,
            progress=tell,
            pooling=pooling or recipe.pooling,
            view=view,
            num_expected=num_expected,
            decoded=decoded,
        )

    return leaving(context, recipe, job, work, progress, context.is_stop_asked)


def note_engine(context: Context, what: str, extracted: Features) -> None:
    """Say why what had to be computed was not computed by the fastest engine, where it was not.

    Args:
        context: Of the job.
        what: For what, such as ``"Evaluation"``.
        extracted: What was computed.
    """
    if extracted.num_computed:
        say_engine(context, what, extracted.engine)


def say_engine(context: Context, what: str, engine: Engine) -> None:
    """Say which engine computes, and why it is not a faster one; nothing where it is the fastest."""
    if engine.reason:
        context.log_once(f"{what}: computed by {engine.precision} ({engine.reason}).")


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
