"""Stage 2 of a training job: fine-tune, hold it against the head alone, keep the better one."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core import engines, evaluation, runs, training
from core.backbones import Backbone
from core.errors import Cancelled
from core.heads import Head
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.executor import Context
from core.session.leavable import LeftBehind, run_leavable
from core.session.material import Material
from core.training import FineTuned
from core.words import Sentence, sentence


@dataclass(frozen=True, eq=False)
class Model:
    """What a training ends with.

    Args:
        head: The classifier.
        weights: All weights of the backbone where they are not those it began with.
        logits: Per split: float32, shape (images, classes); NaN rows for files that could not be read any more. After
            fine-tuning only those of val, until :func:`with_predictions` adds the others.
    """

    head: Head
    weights: list[np.ndarray] | None
    logits: Mapping[str, np.ndarray]


class _Course:
    """Hears stage 2, and knows whether it builds the network or compiles a step: it cannot hear then that it should
    stop."""

    def __init__(self, listen: training.Listen) -> None:
        self._listen = listen
        self._hears = threading.Event()
        self._has_model = threading.Event()
        self.left = threading.Event()
        self.earlier_s = 0.0

    def listen(self, kind: str, **values: Any) -> None:
        if self.left.is_set():
            raise Cancelled
        if kind in ("compiling", "batch_halved"):
            self._hears.clear()
        if kind == "progress":
            self._hears.set()
        if kind in ("resumed", "epoch"):
            self._has_model.set()  # which is kept when the user asks to stop
        if kind == "compiling":
            return
        if kind == "resumed":
            self.earlier_s = sum(epoch["seconds"] for epoch in values["history"])
        self._listen(kind, **values)

    def may_be_left(self) -> bool:
        return not self._hears.is_set() and not self._has_model.is_set()


def fine_tune(
    context: Context,
    job: Job,
    run: runs.Run,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    probe: Model | None,
    deadline: float | None,
    epoch_seconds: list[float],
) -> tuple[Model, dict[str, Any]]:
    """Fine-tune; return the better model of both stages on val, and how stage 2 went (``runs.Run.stage_2``)."""
    context.stage("fine_tune")
    course = _Course(listener(context, material.notes, epoch_seconds))

    def work() -> FineTuned:
        return training.fine_tune(
            backbone,
            probe.head if probe else None,
            {split: material.images(split) for split in ("train", "val")},
            len(material.class_names),
            recipe,
            course.listen,
            checkpoint=checkpoint_path(context, run),
            fingerprint=_fingerprint(recipe, material, backbone),
            deadline=deadline,
            scratch=runs.folder(context.workspace, run.id),
            engine_of=functools.partial(engines.fastest, context.workspace),
        )

    try:
        tuned = run_leavable(work, context.is_stop_asked, course.may_be_left)
    except Cancelled as stop:
        if isinstance(stop, LeftBehind):
            course.left.set()
            context.warm.forget(networks.warm_key(recipe, job))
        stopped = "time" if isinstance(stop, training.TimeIsUp) else "cancelled"
        if probe is None:
            raise
        _note_stop(context, material, stopped)
        material.notes.append(sentence("note.tuning_stopped"))
        return probe, {"epochs": 0, "planned": recipe.fine_tune_epochs, "stopped": stopped}
    _note_stop(context, material, tuned.stopped)
    told: dict[str, Any] = {
        "epochs": tuned.num_epochs,
        "planned": recipe.fine_tune_epochs,
        "best_epoch": tuned.epoch,
        "stopped": tuned.stopped,
        "batch_size": tuned.batch_size,
        "earlier_s": course.earlier_s,
    }
    kept = True
    if probe is not None:
        comparison = _compare(tuned, probe.logits["val"], material.y_true[material.rows("val")])
        told |= comparison
        kept = comparison["loss"] <= comparison["head_loss"]
        material.notes.append(_decision(kept, tuned.epoch, comparison))
    if probe is not None and not kept:
        return probe, told
    return Model(tuned.head, tuned.weights, {"val": tuned.val_logits}), told


def with_predictions(
    context: Context, recipe: Recipe, backbone: Backbone, material: Material, model: Model
) -> Model:
    """Return the model with what it says about the images of all splits."""
    missing = [split for split in runs.SPLITS if split not in model.logits]
    said = {
        split: training.predict(
            backbone, model.weights, model.head, material.images(split), recipe, context.progress
        )
        for split in missing
    }
    return replace(model, logits={**model.logits, **said})


def _note_stop(context: Context, material: Material, stopped: str) -> None:
    if stopped == "cancelled":
        context.finish_anyway()
        material.notes.append(sentence("note.cancelled"))
    if stopped == "time":
        material.notes.append(sentence("note.time_limit"))


def _compare(tuned: FineTuned, head_logits: np.ndarray, y_true: np.ndarray) -> dict[str, Any]:
    """Hold both stages against each other on the val images that both have read."""
    read = ~np.isnan(tuned.val_logits).any(axis=1)
    before, after, truth = head_logits[read], tuned.val_logits[read], y_true[read]
    head_scores, scores = training.scores(before, truth), training.scores(after, truth)
    difference = evaluation.paired_difference(before.argmax(axis=1) == truth, after.argmax(axis=1) == truth)
    return {
        "head_loss": head_scores.loss,
        "head_accuracy": head_scores.accuracy,
        "loss": scores.loss,
        "accuracy": scores.accuracy,
        "difference": difference._asdict(),
    }


def _decision(kept: bool, epoch: int, comparison: Mapping[str, Any]) -> Sentence:
    return sentence(
        "note.kept" if kept else "note.not_kept",
        epoch=epoch,
        loss=comparison["loss"],
        loss_before=comparison["head_loss"],
        accuracy=100 * comparison["accuracy"],
        accuracy_before=100 * comparison["head_accuracy"],
    )


def checkpoint_path(context: Context, run: runs.Run) -> Path:
    """Return where stage 2 of a run keeps how far it is."""
    return runs.folder(context.workspace, run.id) / "checkpoint.npz"


def _fingerprint(recipe: Recipe, material: Material, backbone: Backbone) -> str:
    """Return a hash of all that must be the same for stage 2 to go on where it was."""
    parts = [recipe.to_json(), material.fingerprint(), backbone.weights_sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def listener(
    context: Context, notes: list[Sentence] | None = None, epoch_seconds: list[float] | None = None
) -> training.Listen:
    """Return what hears a stage: progress goes to the job, all else to the run's events.

    Args:
        context: Of the job.
        notes: Where it is noted that the batch had to be halved.
        epoch_seconds: Where the seconds of each epoch are added.
    """

    def listen(kind: str, **values: Any) -> None:
        if kind == "progress":
            context.progress(values["done"], values["total"])
            return
        context.emit(kind, **values)
        if kind == "epoch" and "seconds" in values and epoch_seconds is not None:
            epoch_seconds.append(values["seconds"])
        if kind == "batch_halved" and notes is not None:
            notes.append(sentence("note.batch_halved", batch_size=values["batch_size"]))

    return listen
