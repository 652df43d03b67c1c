"""Measures that follow from counts per class: how many images it has, how many were given it, how many rightly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.special import expit, logit

from core.evaluation.calibration import FloatArray, IntArray
from core.evaluation.intervals import (
    NUM_RESAMPLES,
    UNDEFINED,
    Estimate,
    Groups,
    around,
    ends,
    num_resamples,
    widened,
)

BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "balanced_accuracy": (0.0, 1.0),
    "macro_precision": (0.0, 1.0),
    "macro_recall": (0.0, 1.0),
    "macro_f1": (0.0, 1.0),
    "weighted_precision": (0.0, 1.0),
    "weighted_recall": (0.0, 1.0),
    "weighted_f1": (0.0, 1.0),
    "kappa": (-1.0, 1.0),
    "matthews": (-1.0, 1.0),
}
"""The measures of this module with the smallest and the largest value that each can have."""


class Counts(NamedTuple):
    """Counts per class in the last axis; any axes before it are kept.

    Args:
        right: Images of the class that were given it.
        predicted: Images that were given the class.
        support: Images of the class.
    """

    right: Any
    predicted: Any
    support: Any


class Drawn(NamedTuple):
    """Counts of resamples, and what becomes of them.

    Args:
        counts: Of :data:`NUM_RESAMPLES` resamples, each of shape (resamples, classes).
        expected: What they are on average.
        spread: What their spread has to be multiplied by.
    """

    counts: Counts
    expected: Counts
    spread: float


def counts_of(confusion: IntArray) -> Counts:
    """Return the counts per class of a confusion matrix, rows true, columns predicted."""
    return Counts(confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1))


def class_ratios(counts: Counts) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return precision, recall and F1 per class; a ratio whose denominator is zero counts as 0.0."""
    right, predicted, support = counts
    return _ratio(right, predicted), _ratio(right, support), _ratio(2 * right, support + predicted)


def _ratio(part: Any, whole: Any) -> FloatArray:
    whole = np.asarray(whole)
    part = np.broadcast_to(part, np.broadcast_shapes(np.shape(part), whole.shape))
    out = np.zeros(part.shape)
    np.divide(part, whole, out=out, where=np.broadcast_to(whole > 0, part.shape))
    return out


def measures(counts: Counts) -> dict[str, Any]:
    """Return the measures of :data:`BOUNDS`; means over classes leave out those that have no image.

    Kappa is NaN where one class is all there is and all that is said: then no agreement is due to anything but chance.

    Reference:
        Cohen 1960, A coefficient of agreement for nominal scales. Gorodkin 2004, Comparing two K-category assignments
        by a K-category correlation coefficient, equation 8 (Matthews' coefficient).
    """
    right, predicted, support = (np.asarray(part, dtype=np.float64) for part in counts)
    total = support.sum(axis=-1)
    ratios = dict(zip(("precision", "recall", "f1"), class_ratios(counts), strict=True))
    present = (support > 0).astype(np.float64)
    found: dict[str, Any] = {}
    for name, ratio in ratios.items():
        found[f"macro_{name}"] = (ratio * present).sum(axis=-1) / present.sum(axis=-1)
        found[f"weighted_{name}"] = (ratio * support).sum(axis=-1) / total
    agreed, by_chance = right.sum(axis=-1) * total, (support * predicted).sum(axis=-1)
    room = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (support**2).sum(axis=-1))
    with np.errstate(all="ignore"):
        found["kappa"] = (agreed - by_chance) / (total**2 - by_chance)
        found["matthews"] = np.where(room > 0, (agreed - by_chance) / np.sqrt(np.maximum(room, 1e-300)), 0.0)
    found["balanced_accuracy"] = found["macro_recall"]
    return {name: found[name] for name in BOUNDS}


def draw(confusion: IntArray, seed: int) -> Drawn:
    """Bootstrap over the images of each class, drawn as counts of the rows of the confusion matrix.

    Class sizes stay as they are: were a class of few images missing from a draw, its errors would be too. Images are
    drawn from smoothed rates, since a class of a single image, or one without an error, would otherwise come out the
    same in each draw, as if nothing were unknown; what smoothing takes from the spread of small classes is given back.
    """
    rng = np.random.default_rng(seed)
    support = confusion.sum(axis=1)
    rates = _smoothed_rates(confusion)
    right, predicted = np.zeros((2, NUM_RESAMPLES, len(confusion)))
    for label in np.flatnonzero(support):
        drawn = rng.multinomial(support[label], rates[label], size=NUM_RESAMPLES)
        predicted += drawn
        right[:, label] = drawn[:, label]
    mean_support = support[support > 0].mean()
    spread = float(np.sqrt((mean_support + 1) / mean_support))
    return Drawn(
        Counts(right, predicted, support), Counts(support * np.diag(rates), support @ rates, support), spread
    )


def _smoothed_rates(confusion: IntArray) -> FloatArray:
    """Return how often each class is taken for each, as if one more image of it had been seen that went as usual.

    As usual: right with the accuracy over all, to which two right and two wrong answers are added (Agresti and Coull
    1998); if wrong, taken for the others as often as these are said at all.
    """
    num_classes, support = len(confusion), confusion.sum(axis=1, keepdims=True)
    accuracy = (np.trace(confusion) + 2) / (support.sum() + 4)
    said = np.tile(confusion.sum(axis=0) + 1 / num_classes, (num_classes, 1))
    np.fill_diagonal(said, 0)
    usual = (1 - accuracy) * said / np.maximum(said.sum(axis=1, keepdims=True), 1e-12)
    np.fill_diagonal(usual, accuracy)
    rates: FloatArray = (confusion + usual) / (confusion + usual).sum(axis=1, keepdims=True)
    return rates


def estimate(
    value: float, draws: Any, expected: float, spread: float, bounds: tuple[float, float], sure: Estimate
) -> Estimate:
    """A measure with an interval from its draws, at least as wide as that of a share of the same images.

    The interval holds both the percentile one and the basic one, which takes back the bias that means over classes
    have where classes are small; and it is at least as wide as that of ``sure``, which knows how little no error among
    few images says. Macro F1, simulated with 1 to 50 images a class, then held the true score in 90 to 100 of 100
    cases.

    Reference:
        Davison and Hinkley 1997, Bootstrap Methods and Their Application, equations 5.6 and 5.18.
    """
    if np.isnan(value):
        return UNDEFINED
    low, high = ends(draws, spread)
    lowest = min(low, value + expected - high, value + sure.low - sure.value)
    basic = min(value + expected - low, _bounded(value, expected, low, bounds))
    return widened(value, (lowest, max(high, basic, value + sure.high - sure.value)), bounds)


def _bounded(value: float, expected: float, low: float, bounds: tuple[float, float]) -> float:
    """The upper end of the basic interval in log-odds: it does not reach a perfect score where there were errors."""
    smallest, width = bounds[0], bounds[1] - bounds[0]
    shares = [min(1.0, max(0.0, (number - smallest) / width)) for number in (value, expected, low)]
    with np.errstate(all="ignore"):
        odds = logit(shares[0]) + logit(shares[1]) - logit(shares[2])
        return smallest + width * float(np.nan_to_num(expit(odds), nan=1.0))


def estimates(
    confusion: IntArray, drawn: Drawn, sure: Estimate, by_group: Mapping[str, Any] | None, groups: Groups
) -> dict[str, Estimate]:
    """Return the measures of :data:`BOUNDS` with their intervals.

    Args:
        confusion: Counts, shape (classes, classes).
        drawn: From :func:`draw`.
        sure: Accuracy with its interval.
        by_group: The measures of resamples of whole groups, from :func:`draw_groups`; None where images stand alone.
        groups: Which images hang together.
    """
    values, draws, expected = measures(counts_of(confusion)), measures(drawn.counts), measures(drawn.expected)
    found = {
        name: estimate(float(values[name]), draws[name], float(expected[name]), drawn.spread, bounds, sure)
        for name, bounds in BOUNDS.items()
    }
    for name, others in (by_group or {}).items():
        wide = around(found[name].value, others, groups.spread, BOUNDS[name])
        reach = min(found[name].low, wide.low), max(found[name].high, wide.high)
        found[name] = widened(found[name].value, reach, BOUNDS[name])
    return found


def draw_groups(
    y_true: IntArray, y_pred: IntArray, num_classes: int, groups: Groups, seed: int
) -> dict[str, Any]:
    """Return the measures of resamples of whole groups, each of shape (resamples,)."""
    is_true, is_predicted = (
        np.eye(num_classes, dtype=np.float32)[y_true],
        np.eye(num_classes, dtype=np.float32)[y_pred],
    )
    parts = [
        measures(Counts(weights @ (is_true * is_predicted), weights @ is_predicted, weights @ is_true))
        for weights in groups.resamples(num_resamples(len(y_true)), seed)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in BOUNDS}
