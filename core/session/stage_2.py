"""Stage 2 of a training job: fine-tune, hold it against the head alone, keep the better one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core import engines, evaluation, runs, training
from core.backbones import Backbone
from core.engines import Engine
from core.errors import Cancelled
from core.heads import Head
from core.progress import Progress
from core.queue import Job
from core.recipes import Recipe
from core.session import networks
from core.session.context import Context
from core.session.judged import logits_of
from core.session.leavable import LeftBehind, run_leavable
from core.session.material import Material
from core.session.stages import Course, Model, fingerprint, listener, note_stop
from core.training import FineTuned
from core.words import Sentence, sentence

STAGE = "fine_tune"
PATIENCE_S = 0.2
"""How long stage 2 is given to stop by itself where it is known not to hear."""
SILENT_S = 1.0
"""Seconds without a word after which it counts as not hearing: the steps of a large network take longer."""


class _Course(Course):
    """Knows also whether stage 2 can hear that it should stop: not while it builds the network or compiles a step."""

    def __init__(self, listen: training.Listen) -> None:
        super().__init__(listen)
        self._hears = threading.Event()
        self._heard = threading.Event()
        self._told_at = 0.0
        self.left = threading.Event()

    def listen(self, kind: str, **values: Any) -> None:
        if self.left.is_set():
            raise Cancelled
        if kind in ("compiling", "batch_halved"):
            self._hears.clear()
        if kind == "progress":
            self._told_at = time.monotonic()
            self._hears.set()
        if kind != "compiling":
            try:
                super().listen(kind, **values)
            except Cancelled:
                self._heard.set()
                raise

    def may_be_left(self) -> bool:
        """Return whether it does not hear; once it has heard, it gathers what is kept and is waited for."""
        if self._heard.is_set():
            return False
        return not self._hears.is_set() or time.monotonic() - self._told_at > SILENT_S


def _hear_no_step(kind: str, **values: Any) -> None:
    """Let a stage take up what its checkpoint holds, and end there with the best epoch; without one it is cancelled."""
    if kind == "compiling":
        raise Cancelled


def fine_tune(
    context: Context,
    job: Job,
    run: runs.Run,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    probe: Model | None,
    start: Head | None,
    deadline: float | None,
    epoch_seconds: list[float],
) -> tuple[Model, dict[str, Any]]:
    """Fine-tune from ``start``; return the better model of both stages on val, and how stage 2 went.

    Returns:
        The model, and what ``runs.Run.stage_2`` holds.
    """
    course = _Course(listener(context, material.notes, epoch_seconds))

    try:
        context.stage(STAGE)
        tuned = _tune(context, job, run, recipe, backbone, material, start, deadline, course)
    except Cancelled as stop:
        stopped = "time" if isinstance(stop, training.TimeIsUp) else "cancelled"
        if probe is None:
            raise
        note_stop(context, material, stopped)
        _decide(context, material, sentence("note.tuning_stopped"))
        return probe, {"epochs": 0, "planned": recipe.fine_tune_epochs, "stopped": stopped}
    note_stop(context, material, tuned.stopped)
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
        comparison = _compare(tuned, probe.logits["val"], material)
        told |= comparison
        kept = comparison["loss"] <= comparison["head_loss"]
        _decide(context, material, _decision(kept, tuned.epoch, comparison))
    if probe is not None and not kept:
        return probe, told
    return Model(tuned.head, tuned.weights, {"val": tuned.val_logits}), told


def _tune(
    context: Context,
    job: Job,
    run: runs.Run,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    start: Head | None,
    deadline: float | None,
    course: _Course,
) -> FineTuned:
    """Fine-tune; where that has to be left behind, return the best epoch that its checkpoint holds."""
    folder = runs.folder(context.workspace, run.id)
    checkpoint = runs.checkpoint_path(context.workspace, run.id, STAGE)

    def engine_of(lower: Backbone, pooling: str, num_images: int) -> Engine:
        engine = engines.fastest(context.workspace, lower, pooling, num_images)
        networks.say_engine(context, "Fine-tuning", engine)
        return engine

    def work(network: Backbone, listen: training.Listen, scratch: Path | None) -> FineTuned:
        return training.fine_tune(
            network,
            start,
            {split: material.images(split) for split in ("train", "val")},
            len(material.class_names),
            recipe,
            listen,
            checkpoint=checkpoint,
            fingerprint=fingerprint(recipe, material, backbone),
            deadline=deadline,
            scratch=scratch,
            engine_of=engine_of,
        )

    try:
        return run_leavable(
            lambda: work(backbone, course.listen, folder),
            context.is_stop_asked,
            course.may_be_left,
            PATIENCE_S,
        )
    except LeftBehind:
        course.left.set()
        context.warm.forget(networks.warm_key(recipe, job))
        if not checkpoint.exists():
            raise
        context.finish_anyway()
        return work(networks.warm_backbone(context, recipe, job), _hear_no_step, None)


def with_predictions(
    context: Context,
    recipe: Recipe,
    backbone: Backbone,
    material: Material,
    model: Model,
    wanted: Sequence[str] = runs.SPLITS,
    progress: Progress | None = None,
) -> Model:
    """Return the model with what it says about the images of the wanted splits; by default the job hears progress."""
    missing = [split for split in wanted if split not in model.logits]
    expected = (
        wanted if context.is_hurried() else runs.SPLITS
    )  # train comes last, unless the user wants to stop
    num_expected = sum(int(material.rows(split).sum()) for split in expected if split not in model.logits)
    said = {
        split: logits_of(
            context,
            recipe,
            backbone,
            model.weights,
            model.head,
            material.images(split).paths,
            list(material.table["sha256"][material.rows(split)]),
            progress or context.progress,
            num_expected,
        )
        for split in missing
    }
    return replace(model, logits={**model.logits, **said})


def _decide(context: Context, material: Material, decision: Sentence) -> None:
    material.notes.append(decision)
    context.log(str(decision))


def _compare(tuned: FineTuned, head_logits: np.ndarray, material: Material) -> dict[str, Any]:
    """Hold both stages against each other on the val images that both have read."""
    read = ~np.isnan(tuned.val_logits).any(axis=1)
    rows = np.flatnonzero(material.rows("val"))[read]
    before, after, truth = head_logits[read], tuned.val_logits[read], material.y_true[rows]
    head_scores, scores = training.scores(before, truth), training.scores(after, truth)
    labels = runs.groups_of(material.table.iloc[rows])
    was_right, is_right = before.argmax(axis=1) == truth, after.argmax(axis=1) == truth
    difference = evaluation.paired_difference(was_right, is_right, labels)
    groups = evaluation.Groups(labels, truth)
    return {
        "head_loss": head_scores.loss,
        "head_accuracy": head_scores.accuracy,
        "head_accuracy_interval": list(groups.share(was_right)[1:]),
        "loss": scores.loss,
        "accuracy": scores.accuracy,
        "accuracy_interval": list(groups.share(is_right)[1:]),
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
