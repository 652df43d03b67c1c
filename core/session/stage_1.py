"""Stage 1 of a training job: features of all images, kept for later, and the head that is fitted on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import psutil

from core import backbones, runs, training
from core.backbones import Backbone
from core.errors import JobError
from core.features import Decoded, View
from core.heads import Head
from core.progress import part
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.material import Material, without_lost
from core.session.stages import Course, Model, fingerprint, listener, note_stop

STAGE = "head"
MEMORY_SHARE = 0.5
"""Share of the free memory that the features of a training may take; fitting needs about as much again."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """The features of a run's images.

    Args:
        matrix: float32, shape (images, features).
        views: The same of variations of the training images, each of shape (training images, features).
        num_computed: Pictures that went through the network now.
    """

    matrix: np.ndarray
    views: list[np.ndarray]
    num_computed: int


def extract(
    context: Context, job: Job, recipe: Recipe, backbone: Backbone, material: Material
) -> tuple[Material, Extracted]:
    """Compute the features of all images, and of variations of those of train."""
    context.stage("features")
    train = material.rows("train")
    num_plain, num_train = len(train), int(train.sum())
    total = num_plain + recipe.views * num_train
    _check_memory(backbone, recipe, total)
    decoded = Decoded(material.table["sha256"][train]) if recipe.views else None
    plain = networks.extract(
        context,
        recipe,
        job,
        backbone,
        material.paths,
        material.hashes,
        part(context.progress, 0, total),
        num_expected=total,
        decoded=decoded,
    )
    num_computed, num_cached = plain.num_computed, plain.num_cached
    material, matrix = without_lost(material, plain)
    images = material.images("train")
    hashes = list(material.table["sha256"][material.rows("train")])
    views = []
    for index in range(recipe.views):
        view = networks.extract(
            context,
            recipe,
            job,
            backbone,
            images.paths,
            hashes,
            part(context.progress, num_plain + index * num_train, total),
            view=View(recipe.augment, index, recipe.seed),
            num_expected=total,
            decoded=decoded,
        )
        num_computed, num_cached = num_computed + view.num_computed, num_cached + view.num_cached
        views.append(view.matrix)
    by = f" by {plain.engine.precision}" if num_computed else ""
    why = f" ({plain.engine.reason})" if num_computed and plain.engine.reason else ""
    context.log(f"Features: {num_computed} computed{by}{why}, {num_cached} taken from the cache.")
    return material, Extracted(matrix, views, num_computed)


def _check_memory(backbone: Backbone, recipe: Recipe, num_rows: int) -> None:
    width = backbones.num_features(backbone, recipe.pooling)
    needed, free = 4 * width * num_rows, psutil.virtual_memory().available
    if needed > MEMORY_SHARE * free:
        raise JobError(
            f"The features of this training would take {needed / 1e9:.1f} GB ({num_rows:,} pictures and variations "
            f"with {width:,} numbers each); {free / 1e9:.1f} GB of memory are free. Choose average pooling instead "
            "of flatten, fewer variations (views), or a smaller image size."
        )


def train_head(
    context: Context,
    run: runs.Run,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    extracted: Extracted,
    deadline: float | None,
) -> tuple[Model, Head, dict[str, Any]]:
    """Fit the head.

    Returns:
        The best head on val as a model, the head that stage 2 begins with, and how stage 1 went
        (``runs.Run.stage_1``).
    """
    context.stage(STAGE)
    y_true, matrix = material.y_true, extracted.matrix
    rows = {split: material.rows(split) for split in runs.SPLITS}
    course = Course(listener(context))
    trained = training.train_head(
        {split: matrix[rows[split]] for split in ("train", "val")},
        {split: y_true[rows[split]] for split in ("train", "val")},
        len(material.class_names),
        recipe,
        course.listen,
        views=extracted.views,
        targets=material.targets,
        checkpoint=runs.checkpoint_path(context.workspace, run.id, STAGE),
        # The optimiser's state is Keras' own, which another version may count otherwise.
        fingerprint=f"{fingerprint(recipe, material, backbone)} {keras.__version__}",
        deadline=deadline,
    )
    note_stop(context, material, trained.stopped)
    told = {
        "epochs": trained.num_epochs,
        "planned": recipe.head_epochs,
        "stopped": trained.stopped,
        "earlier_s": course.earlier_s,
    }
    if trained.strength is not None:
        told["strength"] = trained.strength
    if trained.start is not None:
        context.log(
            f"Head: one with C = {trained.strength:g} is better on val than that with C = {recipe.head_strength:g}."
            + (
                " Fine-tuning begins with the latter and has to beat the former."
                if recipe.fine_tune_epochs
                else ""
            )
        )
    logits = {split: trained.head.logits(matrix[rows[split]]) for split in runs.SPLITS}
    val = training.scores(logits["val"], y_true[rows["val"]])
    # Epochs are told of one head only, and of Adam's not which one was kept.
    context.emit("head_chosen", strength=trained.strength, val_loss=val.loss, val_accuracy=val.accuracy)
    return Model(trained.head, None, logits), trained.start or trained.head, told
