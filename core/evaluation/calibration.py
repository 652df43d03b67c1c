"""Logits become probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TEMPERATURE_RANGE = (
    0.05,
    20.0,
)  # beyond it a fit says more about a tiny validation set than about the network
BISECTION_STEPS = 32  # leaves the temperature exact to 1e-9 of the range's logarithm


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Probabilities from a network's raw scores.

    Args:
        logits: Raw scores, float, shape (images, classes).
        temperature: Above 1 makes the probabilities more modest, below 1 more certain; must be positive.

    Returns:
        Probabilities in [0, 1], float64, shape (images, classes), rows summing to 1.

    Example:
        >>> softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    # In one array: with 20,000 images of 120 classes each further one takes longer to be had than to be filled.
    probabilities: FloatArray = np.divide(logits, temperature, dtype=np.float64)
    probabilities -= probabilities.max(axis=-1, keepdims=True)
    np.exp(probabilities, out=probabilities)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities


def fit_temperature(logits: npt.ArrayLike, y_true: npt.ArrayLike) -> float:
    """Which temperature makes the probabilities as honest as they can be?

    Minimises the negative log-likelihood of the true classes over 1 / temperature, in which it is convex.
    One imagined image whose class is a coin toss is mixed into the others: without it a validation set
    without errors would call for temperature 0, and every probability would read 100 %.

    Args:
        logits: Raw scores of the validation images, float, shape (images, classes).
        y_true: Their true class indices, integer, shape (images,).

    Returns:
        A temperature in ``TEMPERATURE_RANGE``; 1.0 where no other has a lower negative log-likelihood.

    Raises:
        DataError: There is no image, or a score is not a number.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, section 4.2. The imagined image is the
        prior of Platt 1999, Probabilistic outputs for support vector machines, section 2.2.
    """
    truth, scores = checked(y_true, logits)
    true_scores = scores[np.arange(len(truth)), truth]
    prior = 1.0 / (len(truth) + 1)
    target = float((1 - prior) * true_scores.mean() + prior * scores.mean())
    coldest, warmest = np.log(TEMPERATURE_RANGE)
    for _ in range(BISECTION_STEPS):
        middle = (coldest + warmest) / 2
        expected = (softmax(scores, float(np.exp(middle))) * scores).sum(axis=1).mean()
        # The slope over 1 / temperature is expected - target: positive means too certain, so warm up.
        if expected > target:
            coldest = middle
        else:
            warmest = middle
    temperature = float(np.exp((coldest + warmest) / 2))
    better = _mean_loss(scores, truth, temperature) < _mean_loss(scores, truth, 1.0)
    return temperature if better else 1.0


def checked(y_true: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[IntArray, FloatArray]:
    """Return true classes and scores as arrays that fit together.

    Raises:
        DataError: There is no image, or a score is not a number.
        ValueError: The shapes or class indices do not fit.
    """
    truth = np.asarray(y_true)
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or truth.shape != values.shape[:1]:
        raise ValueError(
            f"Received {truth.shape} true classes and {values.shape} scores. "
            "Expected shapes (images,) and (images, classes). Pass one row of scores per image."
        )
    if len(truth) == 0:
        raise DataError("Received 0 images. Expected at least 1 to judge a model by. Choose another split.")
    if not 0 <= truth.min() <= truth.max() < values.shape[1]:
        raise ValueError(
            f"Received class indices {truth.min()} to {truth.max()}. Expected 0 to {values.shape[1] - 1}. "
            "Index the classes in the order of the columns."
        )
    if num_bad := int((~np.isfinite(values).all(axis=1)).sum()):
        raise DataError(
            f"Received scores that are not numbers for {num_bad} of {len(truth)} images. Expected finite "
            "numbers: the training has diverged. Train again with a smaller learning rate."
        )
    return truth.astype(np.int64), values


def _mean_loss(logits: FloatArray, truth: IntArray, temperature: float) -> float:
    scaled = logits / temperature
    largest = scaled.max(axis=1)
    log_total = largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))
    return float((log_total - scaled[np.arange(len(truth)), truth]).mean())
