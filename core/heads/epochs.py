"""What an epoch in batches is made of: which rows in which order, how they weigh, and where its chance comes from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

HEAD_STAGE = 1
FINE_TUNE_STAGE = 2
"""Keep the random numbers of the stages apart."""


def generator(seed: int, stage: int, epoch: int, *further: int) -> np.random.Generator:
    """Return the random numbers of one epoch: a resumed training then draws what an uninterrupted one draws.

    Args:
        seed: Of the recipe.
        stage: :data:`HEAD_STAGE` or :data:`FINE_TUNE_STAGE`.
        epoch: From 1; 0 for what comes before the first.
        further: What needs random numbers of its own within the epoch, such as a position.
    """
    # How many follow is told too: numpy takes (1, 2) and (1, 2, 0) for the same.
    return np.random.default_rng((seed, stage, epoch, len(further), *further))


def seed_dropout(model: Any, rng: np.random.Generator) -> None:
    """Start the random numbers of all layers of a Keras model (dropout, stochastic depth) anew."""
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            variable.assign([int(rng.integers(2**31)), 0])


def class_weights(y_true: np.ndarray, num_classes: int) -> np.ndarray:
    """Return what an image of each class weighs so that all classes weigh the same.

    Args:
        y_true: int, shape (images,), in 0…num_classes−1.
        num_classes: How many weights to return.

    Returns:
        float32, shape (num_classes,): images / (classes that have images × images of the class), which makes the
        mean weight of an image 1; 0 for a class without images.
    """
    counts = np.bincount(y_true, minlength=num_classes)
    weights = np.zeros(num_classes, np.float32)
    present = counts > 0
    weights[present] = len(y_true) / (present.sum() * counts[present])
    return weights


def epoch_rows(y_true: np.ndarray, batch_size: int, balance: str, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of an epoch in the order in which they are learnt from.

    Args:
        y_true: int, shape (images,).
        batch_size: Images per step.
        balance: With ``"sampling"`` every class is drawn equally often, as many images in all as there are;
            else every image once.
        rng: Where the order comes from.

    Returns:
        int, shape (whole batches × batch_size,). The last batch is filled up from the first ones: one of another
        size would have TensorFlow trace the step again.
    """
    rows = _balanced(y_true, rng) if balance == "sampling" else np.arange(len(y_true))
    rows = rng.permutation(rows)
    return np.resize(rows, math.ceil(len(rows) / batch_size) * batch_size)


def _balanced(y_true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return as many rows as there are, the classes equally often, each class's images equally often but for one."""
    classes = rng.permutation(np.unique(y_true))  # the first ones get what does not divide
    shares = [len(part) for part in np.array_split(np.arange(len(y_true)), len(classes))]
    drawn = [
        np.resize(rng.permutation(np.flatnonzero(y_true == number)), share)
        for number, share in zip(classes, shares, strict=True)
    ]
    return np.concatenate(drawn)
