"""Dense layers on features, trained by Adam in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from core.errors import JobError
from core.heads.epochs import HEAD_STAGE, class_weights, epoch_rows, generator, seed_dropout
from core.heads.head import Head, random_head
from core.heads.scores import scores
from core.progress import Progress, no_progress


@dataclass(frozen=True, eq=False)
class DenseProgress:
    """How far :func:`fit_dense` is: all that the next epoch needs.

    Args:
        epoch: The last finished one, from 1.
        head: As it is now.
        optimizer: Moments, counters and all.
        best_epoch: The one with the lowest loss on val so far.
        best_loss: That loss, nats.
        best: The head of that epoch.
    """

    epoch: int
    head: Head
    optimizer: list[np.ndarray]
    best_epoch: int
    best_loss: float
    best: Head


def fit_dense(
    features: np.ndarray,
    y_true: np.ndarray,
    val_features: np.ndarray,
    val_y_true: np.ndarray,
    num_classes: int,
    *,
    dense_units: int = 0,
    dropout: float = 0.0,
    learning_rate: float = 1e-3,
    epochs: int = 20,
    batch_size: int = 32,
    label_smoothing: float = 0.0,
    patience: int = 0,
    balance: str = "none",
    seed: int = 0,
    targets: np.ndarray | None = None,
    begin: DenseProgress | None = None,
    on_epoch: Callable[[DenseProgress], None] = lambda progress: None,
    on_step: Progress = no_progress,
) -> Head:
    """Train a head by Adam and keep its best epoch on val.

    Args:
        features: float32, shape (rows, features).
        y_true: int, shape (rows,), in 0…num_classes−1.
        val_features: float32, shape (images, features); they choose the epoch, by the loss of
            :func:`core.heads.scores`.
        val_y_true: int, shape (images,).
        num_classes: Columns of the logits.
        dense_units: Units of a hidden ReLU layer; 0 for none.
        dropout: Share of the inputs of each dense layer that are dropped while training, 0…0.9.
        learning_rate: Of Adam.
        epochs: Most passes over all rows.
        batch_size: Rows per step.
        label_smoothing: Share of each one-hot target that is spread over all classes, 0…0.5.
        patience: Epochs without a lower loss on val after which it stops; 0 never stops early.
        balance: ``"class_weights"``, ``"sampling"`` or ``"none"``; see :class:`core.recipes.Recipe`.
        seed: Of the initial weights, the order and the dropout.
        targets: What each row is told to be instead of its class, float32, shape (rows, classes), in 0…1, each row
            with the sum 1; a row then weighs what the classes in it weigh, by their shares.
        begin: Where an earlier call with the same arguments was; it ends where that one would have ended.
        on_epoch: Called after each epoch with how far it is; may raise to stop.
        on_step: Called after each step with rows done and rows in all; may raise to stop.

    Returns:
        The head of the epoch with the lowest loss on val.

    Raises:
        JobError: The weights are no numbers any more.
    """
    batch_size = min(batch_size, len(features))
    model, optimizer = _compiled(
        features.shape[1], num_classes, dense_units, dropout, learning_rate, label_smoothing
    )
    head = random_head(features.shape[1], num_classes, dense_units, generator(seed, HEAD_STAGE, 0))
    progress = begin or DenseProgress(0, head, _values(optimizer), 0, np.inf, head)
    write_head(model, progress.head)
    for variable, value in zip(optimizer.variables, progress.optimizer, strict=True):
        variable.assign(value)
    if targets is None:
        targets = np.eye(num_classes, dtype=np.float32)[y_true]
    weights = np.ones(len(targets), np.float32)
    if balance == "class_weights":
        weights = targets @ class_weights(y_true, num_classes)
    while progress.epoch < epochs and not 0 < patience <= progress.epoch - progress.best_epoch:
        epoch = progress.epoch + 1
        rng = generator(seed, HEAD_STAGE, epoch)
        seed_dropout(model, rng)
        order = epoch_rows(y_true, batch_size, balance, rng)
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            model.train_on_batch(features[rows], targets[rows], weights[rows])
            on_step((epoch - 1) * len(order) + first + batch_size, epochs * len(order))
        current = read_head(model)
        check_converges(current, "head_learning_rate", learning_rate)
        loss = scores(current.logits(val_features), val_y_true).loss
        best = (epoch, loss, current)
        if loss >= progress.best_loss:
            best = (progress.best_epoch, progress.best_loss, progress.best)
        progress = DenseProgress(epoch, current, _values(optimizer), *best)
        on_epoch(progress)
    return progress.best


def _compiled(
    num_features: int,
    num_classes: int,
    dense_units: int,
    dropout: float,
    learning_rate: float,
    label_smoothing: float,
) -> tuple[Any, Any]:
    model = _model(num_features, num_classes, dense_units, dropout)
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    model.compile(optimizer, loss)
    return model, optimizer


def _values(optimizer: Any) -> list[np.ndarray]:
    return [variable.value.numpy() for variable in optimizer.variables]


def _model(num_features: int, num_classes: int, dense_units: int, dropout: float) -> Any:
    layers: list[Any] = [keras.Input((num_features,))]
    if dense_units:
        layers += [keras.layers.Dropout(dropout)] if dropout else []
        layers += [keras.layers.Dense(dense_units, activation="relu", name="hidden")]
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, name="head")])


def write_head(model: Any, head: Head) -> None:
    """Set the layers ``hidden`` (if there is one) and ``head`` of a Keras model.

    Raises:
        ValueError: They are of another shape than the head.
    """
    if head.hidden_kernel is not None:
        model.get_layer("hidden").set_weights([head.hidden_kernel, head.hidden_bias])
    model.get_layer("head").set_weights([head.kernel, head.bias])


def read_head(model: Any) -> Head:
    """Return the head that the layers ``hidden`` (if there is one) and ``head`` of a Keras model are now; a copy."""
    names = [name for name in ("head", "hidden") if any(layer.name == name for layer in model.layers)]
    return Head(*(np.array(values) for name in names for values in model.get_layer(name).get_weights()))


def check_converges(head: Head, name: str, learning_rate: float) -> None:
    """Check that a head trained in batches still holds numbers.

    Args:
        head: As it is now.
        name: Of the recipe's field with the learning rate.
        learning_rate: Its value.

    Raises:
        JobError: It does not: the steps were too large.
    """
    if not head.is_finite:
        raise JobError(
            f"Training diverged: the weights are no numbers any more. {name} is {learning_rate:g}, which is too much "
            "for these pictures and this backbone. Train again with a tenth of it."
        )
