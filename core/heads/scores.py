"""How good logits are, in the two numbers that training looks at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from core.errors import DataError
from core.evaluation import fit_temperature


class Scores(NamedTuple):
    """What validation says of a model.

    Args:
        loss: Mean log loss of the calibrated probabilities, nats, at least 0.
        accuracy: 0…1.
    """

    loss: float
    accuracy: float


def scores(logits: np.ndarray, y_true: np.ndarray) -> Scores:
    """Score logits over the images that could be read, as what they become: calibrated probabilities.

    The log loss is that after temperature scaling, with the temperature that :func:`core.evaluation.fit_temperature`
    finds for these very logits. Every probability Graft shows is calibrated on validation, so a model is not worse
    for being too certain or too modest by one factor; and label smoothing and early stopping, which change just
    that, do not decide which model is kept.

    Args:
        logits: float, shape (images, classes); rows with NaN are left out.
        y_true: int, shape (images,), in 0…classes−1.

    Raises:
        DataError: No image could be read.
    """
    logits, y_true = _read(logits, y_true)
    return Scores(log_loss(logits / fit_temperature(logits, y_true), y_true), _accuracy(logits, y_true))


def log_loss(logits: np.ndarray, y_true: np.ndarray) -> float:
    """Return the mean log loss of logits as they are, in nats; rows with NaN are left out.

    Raises:
        DataError: No image could be read.
    """
    logits, y_true = _read(logits, y_true)
    return float((logsumexp(logits, axis=1) - logits[np.arange(len(logits)), y_true]).mean())


def _accuracy(logits: np.ndarray, y_true: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == y_true).mean())


def _read(logits: np.ndarray, y_true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    read = ~np.isnan(logits).any(axis=1)
    if not read.any():
        raise DataError(
            f"None of {len(logits)} pictures could be read any more, so there is nothing to judge by. Look at the "
            "Data page, then train again."
        )
    return logits[read].astype(np.float64), y_true[read]
