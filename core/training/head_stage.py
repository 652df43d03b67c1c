"""Stage 1: the head, on features that are computed already."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.errors import Cancelled
from core.heads import DenseProgress, Head, class_weights, fit_dense, fit_probe, log_loss, scores
from core.recipes import HEAD_STRENGTHS, Recipe
from core.training import checkpoints
from core.training.checkpoints import Best, Checkpoint, Record
from core.training.events import Listen, TimeIsUp, brought_forward, check_time
from core.training.learner import State


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """What stage 1 made.

    Args:
        head: The classifier.
        num_epochs: Finished epochs.
        stopped: Why it ended before its time: ``"time"`` or ``"cancelled"``; else empty.
        start: What fine-tuning begins with, where that is another one.
        strength: Inverse strength of the penalty of ``head``, where it was fitted by ``"lbfgs"``.
    """

    head: Head
    num_epochs: int
    stopped: str = ""
    start: Head | None = None
    strength: float | None = None


def train_head(
    features: Mapping[str, np.ndarray],
    y_true: Mapping[str, np.ndarray],
    num_classes: int,
    recipe: Recipe,
    listen: Listen,
    views: Sequence[np.ndarray] = (),
    *,
    targets: np.ndarray | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    deadline: float | None = None,
) -> TrainedHead:
    """Fit the head on the features of train, watching those of val.

    ``"lbfgs"`` is fitted to convergence; of ``"adam"`` the best epoch on val is kept. Where the recipe says so, heads
    of more and of less freedom are fitted too, and the best one on val is the classifier: fine-tuning has to beat the
    best head there is, not the one it begins with.
    Cancelled, or out of time, it returns the best head so far if an epoch has finished.

    Args:
        features: float32 of shape (images, features) for ``"train"`` and ``"val"``.
        y_true: int of shape (images,) for the same.
        num_classes: Number of classes.
        recipe: What it says about the head and stage 1.
        listen: Told of every step and epoch.
        views: Features of random variations of the training images, each a matrix like that of train. Rows with NaN,
            of files that could not be read any more, are left out.
        targets: What the images of train are told to be instead of their classes, float32, shape (images, classes),
            rows with the sum 1; a variation is told what its image is.
        checkpoint: File that keeps what is needed to go on after a kill; it stays when this returns. ``"adam"``
            writes it after every epoch, ``"lbfgs"`` at its end only: it takes seconds, and SciPy does not give out
            the memory of earlier steps without which it would end elsewhere.
        fingerprint: Of all that the training depends on; a checkpoint with another one is not taken up.
        deadline: When to stop, of the clock :func:`time.monotonic`. The first epoch of ``"adam"``, and ``"lbfgs"``,
            are finished in any case, so that there is something to keep.

    Raises:
        Cancelled: ``listen`` raised it before any epoch had finished.
        JobError: Adam diverged.
        WorkspaceError: The checkpoint cannot be written.
    """
    stage = _Stage(features, y_true, num_classes, recipe, listen, deadline)
    stage.keep_in(checkpoint, fingerprint)
    lesson = _with_views(_Lesson(features["train"], y_true["train"], targets), views)
    trained = stage.run(lesson)
    if recipe.head_solver != "lbfgs":
        return trained
    trained = replace(trained, strength=recipe.head_strength)
    return stage.or_a_better_one(trained, lesson) if recipe.head_search and not trained.stopped else trained


class _Lesson(NamedTuple):
    """What the head learns from: rows of features, their classes, and what they are told to be, if that is another."""

    rows: np.ndarray
    truth: np.ndarray
    targets: np.ndarray | None


class _Stage:
    """The course of one stage 1."""

    def __init__(
        self,
        features: Mapping[str, np.ndarray],
        y_true: Mapping[str, np.ndarray],
        num_classes: int,
        recipe: Recipe,
        listen: Listen,
        deadline: float | None,
    ) -> None:
        self._features, self._y_true, self._num_classes = features, y_true, num_classes
        self._recipe, self._listen, self._deadline = recipe, listen, deadline
        self._record = Record(batch_size=recipe.batch_size)
        self._best: Head | None = None
        self._began = time.monotonic()
        self._checkpoint: Path | None = None
        self._fingerprint = ""

    def keep_in(self, checkpoint: Path | None, fingerprint: str) -> None:
        """Say where the state is kept."""
        self._checkpoint, self._fingerprint = checkpoint, fingerprint

    def run(self, lesson: _Lesson) -> TrainedHead:
        """Fit the head, from where an earlier process was."""
        stopped = ""
        try:
            found = self._resume()
            fit = self._dense if self._recipe.head_solver == "adam" else self._probe
            self._best = fit(lesson, found)
        except Cancelled as error:
            if self._best is None:
                raise
            stopped = "time" if isinstance(error, TimeIsUp) else "cancelled"
        assert self._best is not None  # the recipe has at least one epoch
        return TrainedHead(self._best, self._record.epoch, stopped)

    def or_a_better_one(self, trained: TrainedHead, lesson: _Lesson) -> TrainedHead:
        """Return what was trained, or the best on val of the heads of more or of less freedom.

        The loss on val falls towards the best strength and rises beyond it, so the way goes from neighbour to
        neighbour for as long as it falls.
        """
        own, best, stopped = self._recipe.head_strength, (trained.head, self._recipe.head_strength), ""
        lowest = self._val_loss(trained.head)
        self._listen("log", text=f"Head with C = {own:g}: val loss {lowest:.4f}. Others are held against it.")
        ways = [
            [strength for strength in HEAD_STRENGTHS if strength > own],
            [strength for strength in reversed(HEAD_STRENGTHS) if strength < own],
        ]
        ways.sort(
            key=len, reverse=True
        )  # more often than not the way that leads past the middle is the right one
        try:
            for way in ways:
                for strength in way:
                    check_time(self._deadline)
                    head = self._fit_probe(lesson, strength, self._on_further_epoch, begin=best[0])
                    loss = self._val_loss(head)
                    self._listen("log", text=f"Head with C = {strength:g}: val loss {loss:.4f}.")
                    if loss >= lowest:
                        break
                    lowest, best = loss, (head, strength)
                if best[1] != own:
                    break
        except Cancelled as error:
            stopped = "time" if isinstance(error, TimeIsUp) else "cancelled"
        start = None if best[1] == own else trained.head
        return replace(trained, head=best[0], start=start, strength=best[1], stopped=stopped)

    def _on_further_epoch(self, *_: object) -> None:
        done = self._record.epoch
        self._listen(
            "progress", **_so_far(done, self._recipe.head_epochs, done, self._recipe), ends_early=True
        )

    def _val_loss(self, head: Head) -> float:
        return scores(head.logits(self._features["val"]), self._y_true["val"]).loss

    def _fit_probe(
        self,
        lesson: _Lesson,
        strength: float,
        on_epoch: Callable[[int, Head], None],
        begin: Head | None = None,
    ) -> Head:
        recipe = self._recipe
        weights = None
        # All images at once leave nothing to draw; weights do what drawing all classes equally often does on average.
        if recipe.balance != "none":
            of_class = class_weights(lesson.truth, self._num_classes)
            weights = of_class[lesson.truth] if lesson.targets is None else lesson.targets @ of_class
        return fit_probe(
            lesson.rows,
            lesson.truth,
            self._num_classes,
            strength,
            recipe.head_epochs,
            on_epoch,
            sample_weight=weights,
            num_images=len(self._features["train"]),
            targets=lesson.targets,
            begin=begin,
        )

    def _resume(self) -> DenseProgress | None:
        found = checkpoints.load(self._checkpoint, self._fingerprint) if self._checkpoint else None
        if found is None:
            return None
        record, head, best = found.record, Head(*found.state.weights), Head(*found.best.weights)
        self._record, self._best = record, best
        self._deadline = brought_forward(self._deadline, record.history)
        self._listen("resumed", epoch=record.epoch, history=list(record.history))
        return DenseProgress(
            record.epoch, head, found.state.optimizer, record.best_epoch, record.best_loss, best
        )

    def _dense(self, lesson: _Lesson, begin: DenseProgress | None) -> Head:
        recipe, record = self._recipe, self._record

        def on_epoch(progress: DenseProgress) -> None:
            told = self._told(progress.epoch, progress.head, learning_rate=recipe.head_learning_rate)
            record.best_epoch, record.best_loss = progress.best_epoch, progress.best_loss
            self._note(told, progress.best)
            self._save(progress.head, progress.optimizer)
            self._listen("epoch", **told)

        def on_step(done: int, total: int) -> None:
            self._listen("progress", **_so_far(done, total, record.epoch + 1, recipe))
            if self._best is not None:
                check_time(self._deadline)

        return fit_dense(
            lesson.rows,
            lesson.truth,
            self._features["val"],
            self._y_true["val"],
            self._num_classes,
            dense_units=recipe.dense_units,
            dropout=recipe.dropout,
            learning_rate=recipe.head_learning_rate,
            epochs=recipe.head_epochs,
            batch_size=recipe.batch_size,
            label_smoothing=recipe.label_smoothing,
            patience=recipe.patience,
            balance=recipe.balance,
            seed=recipe.seed,
            targets=lesson.targets,
            begin=begin,
            on_epoch=on_epoch,
            on_step=on_step,
        )

    def _probe(self, lesson: _Lesson, finished: DenseProgress | None) -> Head:
        recipe, record = self._recipe, self._record
        if finished is not None:
            return finished.best

        def on_epoch(epoch: int, head: Head) -> None:
            self._listen("progress", **_so_far(epoch, recipe.head_epochs, epoch, recipe), ends_early=True)
            told = self._told(epoch, head)
            record.best_epoch, record.best_loss = epoch, told["val_loss"]
            self._note(told, head)
            self._listen("epoch", **told)

        head = self._fit_probe(lesson, recipe.head_strength, on_epoch)
        self._best = head
        self._save(head, [])
        return head

    def _told(self, epoch: int, head: Head, **further: Any) -> dict[str, Any]:
        """Return the values of an ``epoch`` event."""
        logits = head.logits(self._features["train"])
        val = scores(head.logits(self._features["val"]), self._y_true["val"])
        began, self._began = self._began, time.monotonic()
        return {
            "stage": "head",
            "epoch": epoch,
            "epochs": self._recipe.head_epochs,
            "loss": log_loss(logits, self._y_true["train"]),
            "accuracy": float((logits.argmax(axis=1) == self._y_true["train"]).mean()),
            "val_loss": val.loss,
            "val_accuracy": val.accuracy,
            "seconds": self._began - began,
            **further,
        }

    def _note(self, told: dict[str, Any], best: Head) -> None:
        """Note a finished epoch and the best head so far."""
        self._record.epoch, self._best = told["epoch"], best
        self._record.history.append(told)

    def _save(self, head: Head, optimizer: list[np.ndarray]) -> None:
        """Keep how far it is, before anybody hears of it."""
        if self._checkpoint and self._best:
            best = Best(_arrays(self._best), np.empty((0, self._num_classes), np.float32))
            state = State(_arrays(head), optimizer)
            checkpoints.save(self._checkpoint, self._fingerprint, Checkpoint(self._record, state, best))


def _so_far(done: int, total: int, epoch: int, recipe: Recipe) -> dict[str, int]:
    return {"done": done, "total": total, "epoch": epoch, "epochs": recipe.head_epochs}


def _arrays(head: Head) -> list[np.ndarray]:
    return list(head.to_arrays().values())


def _with_views(lesson: _Lesson, views: Sequence[np.ndarray]) -> _Lesson:
    """Return what is learnt from: the images, then their views."""
    if not views:
        return lesson
    read = [~np.isnan(view[:, 0]) for view in views]  # a row is unreadable as a whole

    def repeated(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, *(values[kept] for kept in read)])

    return _Lesson(
        np.concatenate([lesson.rows, *(view[kept] for view, kept in zip(views, read, strict=True))]),
        repeated(lesson.truth),
        None if lesson.targets is None else repeated(lesson.targets),
    )
