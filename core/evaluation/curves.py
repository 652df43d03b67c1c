"""How well probabilities rank one class before all others: average precision and the area under the ROC curve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import FloatArray, IntArray
from core.evaluation.intervals import (
    UNDEFINED,
    Estimate,
    Groups,
    around,
    num_resamples,
    widened,
    wilson_interval,
)

FEW = 30
"""Images of a class, or of the others, below which resamples say too little of the area under the ROC curve."""


class Ranked(NamedTuple):
    """Average precision and ROC-AUC of one class against all others, each in [0, 1]; NaN where not defined."""

    average_precision: Any
    roc_auc: Any


class _Stretches(NamedTuple):
    """Images by falling score, cut where it falls and an image of the class is near: between, nothing changes.

    Args:
        order: The images, highest score first; of equal ones those of the class first.
        starts: Where in ``order`` each stretch begins.
        of_class: Images of the class, in ``order``.
        stretch_of: The stretch of each of these, rising.
    """

    order: IntArray
    starts: IntArray
    of_class: IntArray
    stretch_of: IntArray


def _stretches(scores: FloatArray, is_class: npt.NDArray[np.bool_]) -> _Stretches:
    order = np.lexsort((~is_class, -scores))
    ranked, of_class = scores[order], is_class[order]
    falls = np.r_[True, ranked[1:] != ranked[:-1]]
    tie = np.cumsum(falls) - 1
    holds = np.bincount(tie, weights=of_class) > 0
    begins = falls & (holds[tie] | np.r_[True, holds[tie][:-1]])
    stretch = np.cumsum(begins) - 1
    return _Stretches(order, np.flatnonzero(begins), order[of_class], stretch[of_class])


def _ranked(cut: _Stretches, weights: FloatArray) -> Ranked:
    """Return both measures for each column of ``weights``, shape (images, columns).

    Reference:
        Fawcett 2006, An introduction to ROC analysis, algorithm 3, in which ties are crossed on the diagonal.
    """
    every = np.add.reduceat(weights[cut.order], cut.starts, axis=0, dtype=np.float64)
    gained = np.zeros_like(every)
    first = np.flatnonzero(np.r_[True, cut.stretch_of[1:] != cut.stretch_of[:-1]])
    gained[cut.stretch_of[first]] = np.add.reduceat(weights[cut.of_class], first, axis=0, dtype=np.float64)
    true, said = gained.cumsum(axis=0), every.cumsum(axis=0)
    positives, negatives = true[-1], said[-1] - true[-1]
    with np.errstate(all="ignore"):
        precision = np.divide(true, said, out=np.zeros_like(true), where=said > 0)
        average = (gained * precision).sum(axis=0) / positives
        area = ((every - gained) * (true - gained / 2)).sum(axis=0) / (positives * negatives)
    return Ranked(
        np.where(positives > 0, average, np.nan), np.where((positives > 0) & (negatives > 0), area, np.nan)
    )


def ranked(y_true: npt.ArrayLike, scores: npt.ArrayLike, label: int) -> Ranked:
    """How well do the scores rank the images of one class before the others?

    Args:
        y_true: True class indices, integer, shape (images,).
        scores: Of the class, float, shape (images,).
        label: Its index.

    Example:
        >>> [float(value) for value in ranked([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 1)]
        [0.8333333333333333, 0.75]
    """
    is_class = np.asarray(y_true) == label
    if not is_class.any():
        return Ranked(np.nan, np.nan)
    found = _ranked(_stretches(np.asarray(scores), is_class), np.ones((len(is_class), 1)))
    return Ranked(float(found.average_precision[0]), float(found.roc_auc[0]))


def estimates(y_true: IntArray, y_prob: FloatArray, groups: Groups, seed: int) -> list[Ranked]:
    """Return both measures of every class, each an :class:`Estimate`, by a bootstrap over groups."""
    count = num_resamples(*y_prob.shape)
    weights = np.concatenate(list(groups.resamples(count, seed))).T
    return [_estimate(y_true == label, y_prob[:, label], weights, groups) for label in range(y_prob.shape[1])]


def _estimate(
    is_class: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray, groups: Groups
) -> Ranked:
    if not is_class.any():
        return Ranked(UNDEFINED, UNDEFINED)
    cut = _stretches(scores, is_class)
    values, draws = _ranked(cut, np.ones((len(scores), 1))), _ranked(cut, weights)
    average, area = (
        around(float(value[0]), drawn, groups.spread, (0.0, 1.0))
        for value, drawn in zip(values, draws, strict=True)
    )
    fewest = min(int(is_class.sum()), int((~is_class).sum()))
    is_unsure = fewest < FEW or area.low == area.high
    return Ranked(
        _as_a_share(average, int(is_class.sum())), _as_a_share(area, fewest) if is_unsure and fewest else area
    )


def _as_a_share(found: Estimate, num_images: int) -> Estimate:
    """Be no surer of a measure than of a share of as many images: few of them hardly differ when resampled.

    Simulated with 10 images of the class, average precision and the area otherwise held the true value in 80 and 75 of
    100 cases. An area is never less sure than such a share.

    Reference:
        Birnbaum and Klose 1957, Bounds for the variance of the Mann-Whitney statistic.
    """
    if np.isnan(found.value):
        return found
    share = wilson_interval(found.value * num_images, num_images)
    return widened(found.value, (min(found.low, share.low), max(found.high, share.high)), (0.0, 1.0))
