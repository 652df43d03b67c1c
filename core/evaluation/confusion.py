"""What is taken for what: the confusion matrix, its most confused pairs, and orders that bring them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import FloatArray, IntArray

ORDERS = ("given", "frequency", "similarity")
"""In which order the classes of a matrix can stand."""


class Confusion(NamedTuple):
    """One kind of error: ``num_images`` of ``true`` were called ``predicted``, ``share`` of all errors."""

    true: str
    predicted: str
    num_images: int
    share: float


def confusion_matrix(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, num_classes: int) -> IntArray:
    """How often was each class taken for each class?

    Args:
        y_true: True class indices, integer, shape (images,).
        y_pred: Predicted class indices, integer, shape (images,).
        num_classes: Number of classes; all indices are below it.

    Returns:
        Counts, int64, shape (classes, classes); rows are true, columns predicted.

    Example:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    cells = np.asarray(y_true, dtype=np.int64) * num_classes + np.asarray(y_pred, dtype=np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def most_confused(confusion: npt.ArrayLike, class_names: Sequence[str]) -> list[Confusion]:
    """Which class is taken for which, most frequent first?

    Args:
        confusion: Counts, integer, shape (classes, classes); rows are true, columns predicted.
        class_names: Names in the order of the rows.

    Returns:
        One entry per pair that was confused at least once; equal counts stay in the order of the classes.
    """
    counts = _errors(confusion)
    num_errors = int(counts.sum())
    true_indices, predicted_indices = np.nonzero(counts)
    order = np.argsort(-counts[true_indices, predicted_indices], kind="stable")
    pairs = zip(true_indices[order].tolist(), predicted_indices[order].tolist(), strict=True)
    return [
        Confusion(class_names[i], class_names[j], int(counts[i, j]), int(counts[i, j]) / num_errors)
        for i, j in pairs
    ]


def class_order(confusion: npt.ArrayLike, order: str) -> IntArray:
    """In which order should the classes of a matrix stand?

    Args:
        confusion: Counts, integer, shape (classes, classes); rows are true, columns predicted.
        order: One of :data:`ORDERS`. ``"frequency"`` is by images of the class, most first. ``"similarity"`` brings
            together what is confused: classes are joined into ever larger blocks, the most confused ones first (average
            linkage of the shares of their images that were taken for each other); a block is laid out with its larger
            part first.

    Returns:
        Class indices, int64, shape (classes,), each once; equal ones stay as given.

    Raises:
        ValueError: There is no such order.
    """
    counts = np.array(confusion, dtype=np.int64)
    if order == "given":
        return np.arange(len(counts))
    if order == "frequency":
        return np.argsort(-counts.sum(axis=1), kind="stable").astype(np.int64)
    if order == "similarity":
        return _blocks(_errors(counts) / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    raise ValueError(f'Received the order "{order}". Expected one of: {", ".join(ORDERS)}.')


def confused_classes(confusion: npt.ArrayLike, count: int) -> IntArray:
    """Which classes are needed to see the most confused pairs?

    Args:
        confusion: Counts, integer, shape (classes, classes); rows are true, columns predicted.
        count: Most classes to name.

    Returns:
        Class indices in rising order, int64: those of the most confused pairs, pair by pair, as long as there is room.
    """
    counts = _errors(confusion)
    pairs = np.argsort(-counts, axis=None, kind="stable")
    chosen: dict[int, None] = {}
    for true, predicted in zip(*np.unravel_index(pairs, counts.shape), strict=True):
        wanted = {int(true), int(predicted)} - chosen.keys()
        if not counts[true, predicted] or len(chosen) + len(wanted) > count:
            break
        chosen |= dict.fromkeys(sorted(wanted))
    return np.array(sorted(chosen), dtype=np.int64)


def _errors(confusion: npt.ArrayLike) -> IntArray:
    counts = np.array(confusion, dtype=np.int64)
    np.fill_diagonal(counts, 0)
    return counts


def _blocks(shares: FloatArray) -> IntArray:
    """Join the two blocks that are most confused, until none are; what never is stays behind, as given."""
    likeness = shares + shares.T
    np.fill_diagonal(likeness, -1.0)
    blocks = {index: [index] for index in range(len(likeness))}
    while len(blocks) > 1:
        first, second = sorted(int(at) for at in np.unravel_index(np.argmax(likeness), likeness.shape))
        if likeness[first, second] <= 0:
            break
        sizes = len(blocks[first]), len(blocks[second])
        joined = (likeness[first] * sizes[0] + likeness[second] * sizes[1]) / sum(sizes)
        likeness[first], likeness[:, first] = joined, joined
        likeness[second], likeness[:, second] = -1.0, -1.0
        likeness[first, first] = -1.0
        larger, smaller = sorted((blocks[first], blocks.pop(second)), key=len, reverse=True)
        blocks[first] = larger + smaller
    ordered = sorted(blocks.values(), key=lambda block: (len(block) == 1, block[0]))
    return np.array([index for block in ordered for index in block], dtype=np.int64)
