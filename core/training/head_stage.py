"""Stage 1: the head, on features that are computed already."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.heads import Head, class_weights, fit_dense, fit_probe, log_loss, scores
from core.recipes import Recipe
from core.training.events import Listen


def train_head(
    features: Mapping[str, np.ndarray],
    y_true: Mapping[str, np.ndarray],
    num_classes: int,
    recipe: Recipe,
    listen: Listen,
    views: Sequence[np.ndarray] = (),
) -> Head:
    """Fit the head on the features of train, watching those of val.

    Args:
        features: float32 of shape (images, features) for ``"train"`` and ``"val"``.
        y_true: int of shape (images,) for the same.
        num_classes: Number of classes.
        recipe: What it says about the head and stage 1.
        listen: Told of every step and epoch.
        views: Features of random variations of the training images, each a matrix like that of train. Rows with NaN,
            of files that could not be read any more, are left out.

    Returns:
        The fitted head. ``"lbfgs"`` is fitted to convergence and val chooses nothing; of ``"adam"`` it is the best
        epoch on val.

    Raises:
        JobError: Adam diverged.
    """
    train, truth = _with_views(features["train"], y_true["train"], views)
    began = time.monotonic()

    def tell(epoch: int, head: Head, **further: Any) -> None:
        nonlocal began
        logits = head.logits(features["train"])
        val = scores(head.logits(features["val"]), y_true["val"])
        now = time.monotonic()
        listen(
            "epoch",
            stage="head",
            epoch=epoch,
            epochs=recipe.head_epochs,
            loss=log_loss(logits, y_true["train"]),
            accuracy=float((logits.argmax(axis=1) == y_true["train"]).mean()),
            val_loss=val.loss,
            val_accuracy=val.accuracy,
            seconds=now - began,
            **further,
        )
        began = now

    if recipe.head_solver == "adam":
        return fit_dense(
            train,
            truth,
            features["val"],
            y_true["val"],
            num_classes,
            dense_units=recipe.dense_units,
            dropout=recipe.dropout,
            learning_rate=recipe.head_learning_rate,
            epochs=recipe.head_epochs,
            batch_size=recipe.batch_size,
            label_smoothing=recipe.label_smoothing,
            patience=recipe.patience,
            balance=recipe.balance,
            seed=recipe.seed,
            on_epoch=lambda epoch, head: tell(epoch, head, learning_rate=recipe.head_learning_rate),
            on_step=lambda done, total: listen("progress", done=done, total=total),
        )

    def on_epoch(epoch: int, head: Head) -> None:
        listen("progress", done=epoch, total=recipe.head_epochs)
        tell(epoch, head)

    # All images at once leave nothing to draw; weights do what drawing all classes equally often does on average.
    weights = None if recipe.balance == "none" else class_weights(truth, num_classes)[truth]
    return fit_probe(
        train,
        truth,
        num_classes,
        recipe.head_strength,
        recipe.head_epochs,
        on_epoch,
        sample_weight=weights,
        num_images=len(features["train"]),
    )


def _with_views(
    features: np.ndarray, y_true: np.ndarray, views: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to learn from: the images, then their views."""
    if not views:
        return features, y_true
    read = [~np.isnan(view[:, 0]) for view in views]  # a row is unreadable as a whole
    rows = np.concatenate([features, *(view[kept] for view, kept in zip(views, read, strict=True))])
    return rows, np.concatenate([y_true, *(y_true[kept] for kept in read)])
