"""The cross-validation job: a run's head judged by all images, each by a head that has not seen it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from core import datasets, evaluation, recipes, runs, splits, training
from core.errors import Cancelled, JobError
from core.features import Decoded, View
from core.progress import part
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.learnt import require_unlearnt

NUM_FOLDS = 5
VAL_FOLD = 1
"""The fold after the one that judges is val: it stops a head that is trained in batches."""


def do_cross_validate(context: Context, job: Job) -> dict[str, Any]:
    """Fit stage 1 of a run's recipe on four fifths of its images, five times, and judge it by the other fifth.

    The head sits on the network that the recipe begins with: fine-tuning five times would take five times as long.
    Near-duplicates and images with the same bytes share a fold. All splits are used, so the test images are no longer
    unseen afterwards by whoever chooses by this number; the page says so.

    Raises:
        JobError: The run is not done, has no stage 1, or begins with a network that has learnt from its images.
    """
    run = runs.get(context.workspace, job.args["run_id"])
    if run.state != "done":
        raise JobError(f"The run {run.id} is {run.state}. Choose a finished run to cross-validate.")
    recipe = _of_the_head(run, recipes.from_json(run.recipe))
    if not recipe.head_epochs:
        raise JobError(
            "This recipe has no stage 1, so there is no head to cross-validate. Choose another run."
        )
    dataset = datasets.get(context.workspace, run.dataset_id)
    table = runs.load_split(context.workspace, run.id)
    require_unlearnt(context.workspace, run.dataset_id, recipe, table, "cross-validation")
    context.stage("prepare")
    backbone = networks.warm_backbone(context, recipe, job)
    context.stage("features")
    total = len(table) * (1 + recipe.views)
    extract = functools.partial(
        networks.extract,
        context,
        recipe,
        job,
        backbone,
        [dataset.pictures / path for path in table["path"]],
        list(table["sha256"]),
        num_expected=total,
        decoded=Decoded(table["sha256"]) if recipe.views else None,
    )
    plain = extract(part(context.progress, 0, total))
    views = []
    for index in range(recipe.views):  # of all pictures: each is learnt from in some fold
        before = len(table) * (1 + index)
        view = extract(part(context.progress, before, total), view=View(recipe.augment, index, recipe.seed))
        views.append(view.matrix)
    read = np.ones(len(table), dtype=bool)
    read[sorted(plain.unreadable)] = False
    context.stage("cross_validate")
    summary = _cross_validate(
        context, recipe, run, table[read], plain.matrix[read], [view[read] for view in views]
    )
    runs.save_cross_validation(context.workspace, run.id, summary)
    return {"run_id": run.id}


def _of_the_head(run: runs.Run, recipe: Recipe) -> Recipe:
    """Return the recipe of the run's head alone, with the freedom that val has chosen for it."""
    strength = run.stage_1.get("strength", recipe.head_strength)
    # Of every fold, most of what would judge is among what the teacher has learnt from.
    return replace(recipe, fine_tune_epochs=0, head_strength=strength, head_search=False, teacher="")


def _cross_validate(
    context: Context,
    recipe: Recipe,
    run: runs.Run,
    table: pd.DataFrame,
    matrix: np.ndarray,
    views: Sequence[np.ndarray],
) -> dict[str, Any]:
    """Return what :func:`core.runs.cross_validation` does, and keep the out-of-fold answers."""
    index = {name: number for number, name in enumerate(run.class_names)}
    y_true = table["label"].map(index).to_numpy(dtype=np.int64)
    fold = splits.folds(table, NUM_FOLDS, recipe.seed).to_numpy()
    logits = np.zeros((len(table), len(run.class_names)), dtype=np.float32)
    quiet = _Quiet(context)
    for number in range(NUM_FOLDS):
        context.progress(number, NUM_FOLDS)
        judged, val = fold == number, fold == (number + VAL_FOLD) % NUM_FOLDS
        train = ~judged if recipe.head_solver == "lbfgs" else ~judged & ~val
        trained = training.train_head(
            {"train": matrix[train], "val": matrix[val]},
            {"train": y_true[train], "val": y_true[val]},
            len(run.class_names),
            recipe,
            quiet,
            [view[train] for view in views],
        )
        if trained.stopped:
            raise Cancelled
        logits[judged] = trained.head.logits(matrix[judged])
    context.progress(NUM_FOLDS, NUM_FOLDS)
    dealt = fold >= 0  # what a person added is learnt from only
    table, fold, logits, y_true = table[dealt], fold[dealt], logits[dealt], y_true[dealt]
    y_prob = _calibrated(logits, y_true, fold)
    runs.save_out_of_fold(context.workspace, run.id, rows=table.index.to_numpy(), fold=fold, y_prob=y_prob)
    scores = evaluation.evaluate(
        y_true, y_prob, list(run.class_names), groups=runs.groups_of(table)
    ).to_json()
    right = logits.argmax(axis=1) == y_true
    return {
        "num_folds": NUM_FOLDS,
        "num_images": len(table),
        "accuracy": scores["accuracy"],
        "accuracy_interval": scores["accuracy_interval"],
        "macro_f1": scores["macro_f1"],
        "fold_accuracies": [float(right[fold == number].mean()) for number in np.unique(fold)],
    }


def _calibrated(logits: np.ndarray, y_true: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return probabilities, (images, classes); the temperature of a fold is fitted on all the others."""
    y_prob = np.empty(logits.shape)
    for number in np.unique(fold):
        judged = fold == number
        temperature = evaluation.fit_temperature(logits[~judged], y_true[~judged])
        y_prob[judged] = evaluation.softmax(logits[judged], temperature)
    return y_prob


class _Quiet:
    """Hears the epochs of a fold, which are nobody's curves, but lets the user stop."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, kind: str, **values: Any) -> None:
        if kind == "progress":
            self._context.check()
