"""Which images should be looked at first, and what the model thinks one of them shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import FloatArray, IntArray


def top_losses(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> IntArray:
    """In which order should the pictures be looked at, worst first?

    Args:
        y_true: True class indices, integer, shape (images,).
        y_prob: Probabilities, float, shape (images, classes).

    Returns:
        Positions of all images, int64, shape (images,): the one whose true class was thought least
        probable comes first; equal ones keep their order.
    """
    truth = np.asarray(y_true, dtype=np.int64)
    true_prob = np.asarray(y_prob)[np.arange(len(truth)), truth]
    return np.argsort(true_prob, kind="stable").astype(np.int64)


def margins(y_prob: npt.ArrayLike) -> FloatArray:
    """How far is each image from being called something else?

    Args:
        y_prob: Probabilities, float, shape (images, classes).

    Returns:
        Probability of the most probable class minus that of the next, in [0, 1], shape (images,); 1 where there is
        only one class.
    """
    prob = np.asarray(y_prob, dtype=np.float64)
    if prob.shape[1] < 2:
        return np.ones(len(prob))
    best = np.partition(prob, -2, axis=1)
    margin: FloatArray = best[:, -1] - best[:, -2]
    return margin


def top_classes(y_prob: npt.ArrayLike, class_names: Sequence[str], count: int = 5) -> list[tuple[str, float]]:
    """What does the model think one picture shows, most probable first?

    Args:
        y_prob: Probabilities of one image, float, shape (classes,).
        class_names: Names in the same order.
        count: Most classes to name.

    Returns:
        Pairs of class and probability; equally probable ones stay in the order of the classes.
    """
    prob = np.asarray(y_prob, dtype=np.float64)
    order = np.argsort(-prob, kind="stable")[:count]
    return [(class_names[index], float(prob[index])) for index in order]
