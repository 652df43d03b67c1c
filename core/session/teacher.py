"""What a student is told: the labels of its training images, and what its teacher says of them.

The loss is the cross entropy with targets ``(1 - w) * label + w * softmax(z / (temperature * softening))``, with ``z``
the teacher's logits and ``temperature`` its own, fitted on val. Cross entropy being linear in its targets, that is the
sum of the two losses that distillation adds up.

Reference:
    Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531, section 2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core import evaluation, features, queue, runs
from core.errors import JobError
from core.queue import Job
from core.recipes import Recipe
from core.session.context import Context
from core.session.learnt import Learnt, learnt_by
from core.session.leavable import run_hearing, run_leavable
from core.session.material import Material
from core.session.predict_job import Predictor, load_predictor
from core.words import quoted, sentence


def taught(context: Context, job: Job, recipe: Recipe, material: Material) -> Material:
    """Return the material with the targets that its training images have by the recipe's teacher.

    Only training images are shown to the teacher. Its features are kept like others, so that a training that goes on
    after a kill, or another student of the same teacher, does not compute them again. An image that could not be read
    any more keeps its label.

    Raises:
        Cancelled: The user asked to stop.
        JobError: The teacher knows other classes, or has learnt from an image that judges the student.
        NotFound: It has been deleted.
        RecipeError: It is not finished, or of another dataset.
    """
    context.stage("teacher")
    run = queue.teacher_of(context.workspace, material.dataset_id, recipe)
    _require_same_classes(run, material)
    _require_unseen(run, learnt_by(context.workspace, run), material)
    teacher = run_leavable(lambda: load_predictor(context, run, job), context.is_stop_asked)
    said = _says(context, teacher, recipe, material)
    labels = np.eye(len(material.class_names), dtype=np.float32)[material.y_true[material.rows("train")]]
    read = ~np.isnan(said).any(axis=1)
    targets = labels.copy()
    targets[read] += np.float32(recipe.teacher_weight) * (said[read] - labels[read])
    material.notes.append(
        sentence(
            "note.taught",
            run=run.id,
            share=f"{100 * recipe.teacher_weight:g}",
            temperature=f"{recipe.teacher_temperature:g}",
            agrees=f"{100 * (said[read].argmax(axis=1) == labels[read].argmax(axis=1)).mean():.1f}",
        )
    )
    return replace(material, targets=targets)


def _says(context: Context, teacher: Predictor, recipe: Recipe, material: Material) -> np.ndarray:
    """Return the teacher's softened probabilities of the training images; NaN rows for what cannot be read."""
    train = material.rows("train")
    extracted = run_hearing(
        lambda progress: features.extract(
            context.workspace,
            teacher.backbone,
            material.images("train").paths,
            list(material.table["sha256"][train]),
            resize=teacher.recipe.resize,
            progress=progress,
            pooling=teacher.recipe.pooling,
        ),
        context.progress,
        context.is_stop_asked,
    )
    context.log(
        f"Teacher: features of {extracted.num_computed} pictures computed, {extracted.num_cached} taken from the cache."
    )
    softening = teacher.run.temperature * recipe.teacher_temperature
    said = evaluation.softmax(teacher.head.logits(extracted.matrix), softening).astype(np.float32)
    said[sorted(extracted.unreadable)] = np.nan
    return said


def _require_same_classes(teacher: runs.Run, material: Material) -> None:
    if list(teacher.class_names) == material.class_names:
        return
    ours, theirs = set(material.class_names), set(teacher.class_names)
    differing = sorted(ours ^ theirs)
    raise JobError(
        f"The teacher {teacher.id} knows {len(theirs)} classes, the pictures to learn from are of {len(ours)}; only "
        f"one of both has {quoted(differing)}. A teacher has to know the same classes. Train it again, then this run."
    )


def _require_unseen(teacher: runs.Run, learnt: Learnt, material: Material) -> None:
    """Refuse a teacher that has learnt from, or was chosen by, an image that judges the student, or one near it.

    What it learnt of them would reach the student, whose scores would then be too good.
    """
    spoilt = learnt.spoilt(material.table)
    for judging in ("test", "val"):
        seen = spoilt & material.rows(judging)
        if seen.any():
            paths = list(material.table["path"][seen])
            raise JobError(
                f"Of the {int(material.rows(judging).sum())} {judging} pictures {len(paths)} are among those that the "
                f"teacher {teacher.id} has learnt from, or near-duplicates of these: {quoted(paths)}. The student "
                "would be judged too well. The folder or the decisions about it have changed since the teacher was "
                "trained: train the teacher again, then this run."
            )
