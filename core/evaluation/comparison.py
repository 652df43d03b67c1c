"""Two models on the same images: is one better, or is it chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, gammaln

from core.evaluation.intervals import Z_95

_Bools = npt.NDArray[np.bool_]

SIGNIFICANT = 0.05
"""P-values below it speak of a difference."""
NEGLIGIBLE = 0.05
"""The largest difference of accuracies, either way, that two models called as good as each other may have."""


class Difference(NamedTuple):
    """Accuracy of a second model minus that of a first one on the same images, in −1…1, with its 95 % interval.

    The interval covers which images happened to be there, not what training again would change. ``value`` is what
    was seen; the interval is that of Bonett and Price and need not have it in its middle.
    """

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves no doubt which one is better."""
        return self.low > 0 or self.high < 0


Verdict = Literal["better", "worse", "alike", "unclear", "unknown"]


def verdict(difference: Difference, p_value: float) -> Verdict:
    """What can be said of a second model, held against a first one?

    Args:
        difference: With its interval.
        p_value: Of the test of the same answers, adjusted where there were several.

    Returns:
        ``"better"`` or ``"worse"`` where the test and the interval both say so; ``"unclear"`` where only one of them
        does; ``"alike"`` where neither does and the interval leaves at most :data:`NEGLIGIBLE`; else ``"unknown"``:
        there are too few images to tell.

    Example:
        >>> verdict(Difference(0.0, -0.31, 0.31), p_value=1.0)
        'unknown'
    """
    significant = p_value < SIGNIFICANT
    if significant != difference.is_clear:
        return "unclear"
    if significant:
        return "better" if difference.value > 0 else "worse"
    return "alike" if max(-difference.low, difference.high) <= NEGLIGIBLE else "unknown"


def paired_difference(
    first_right: npt.ArrayLike, second_right: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> Difference:
    """How much better is the second model than the first on the same images?

    Args:
        first_right: Whether the first model was right, bool, shape (images,), at least 1.
        second_right: The same of the second model.
        groups: The same for images that hang together, shape (images,): they count as fewer the more the difference
            is the same for all of them. None if each stands alone.

    Reference:
        Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions based
        on paired data, Journal of Educational and Behavioral Statistics 37. Groups by the effective sample size: Rao
        and Scott 1992, A simple method for the analysis of clustered binary data, Biometrics 48.

    Example:
        >>> paired_difference([True, True, False, False], [True, True, True, False]).value
        0.25
    """
    first, second = _paired(first_right, second_right)
    change = second.astype(np.int64) - first
    value = float(change.mean())
    effect = 1.0 if groups is None else _design_effect(change, np.asarray(groups))
    num_images = len(first) / effect
    won, lost = int((change > 0).sum()) / effect, int((change < 0).sum()) / effect
    gain, loss = (won + 1) / (num_images + 2), (lost + 1) / (num_images + 2)
    half = Z_95 * math.sqrt((gain + loss - (gain - loss) ** 2) / (num_images + 2))
    return Difference(
        value, min(value, max(-1.0, gain - loss - half)), max(value, min(1.0, gain - loss + half))
    )


def _design_effect(change: npt.NDArray[np.int64], groups: npt.NDArray[np.generic]) -> float:
    """How many images count as one, at least 1.

    Args:
        change: 1 where only the second model was right, −1 where only the first was, else 0; shape (images,).
        groups: Shape (images,).
    """
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    num_images, num_groups = len(change), len(sizes)
    if num_groups == num_images:
        return 1.0
    variance = float(change.var())
    if num_groups < 2 or not variance:  # nothing to see a spread by: images of a group count as one
        return num_images / num_groups
    residuals = np.bincount(codes, weights=change) - change.mean() * sizes
    of_groups = num_groups / (num_groups - 1) * float((residuals**2).sum()) / num_images**2
    return max(1.0, of_groups / (variance / num_images))


def mcnemar(
    first_right: npt.ArrayLike, second_right: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> float:
    """How likely is a difference as large as this, or larger, if neither model is better?

    Only images count on which one model is right and the other is not. Images that hang together change sides
    together: what the models do on one says what they do on the other.

    Args:
        first_right: Whether the first model was right, bool, shape (images,), at least 1.
        second_right: The same of the second model.
        groups: The same for images that hang together, shape (images,); None if each stands alone.

    Returns:
        The two-sided p-value of the exact test, in 0…1; 1 where the models were right on the same images.

    Reference:
        McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages. By
        groups it is the randomisation test of Fisher 1935, The Design of Experiments, section 21, of their sums.

    Example:
        >>> mcnemar([True] * 10, [False] * 6 + [True] * 4)
        0.03125
    """
    first, second = _paired(first_right, second_right)
    change = second.astype(np.int64) - first
    if groups is not None:
        _, codes = np.unique(np.asarray(groups), return_inverse=True)
        change = np.bincount(codes, weights=change).astype(np.int64)
    won, lost = int((change > 0).sum()), int((change < 0).sum())
    if not change.sum():
        return 1.0
    if np.abs(change).max() == 1:
        return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5)))
    return _as_far_by_chance(change[change != 0])


def _as_far_by_chance(sums: npt.NDArray[np.int64]) -> float:
    """How likely is a total as far from 0 as theirs if each could as well have the other sign?"""
    likely = np.ones(1)  # of the totals −reach … reach
    for size, count in zip(*np.unique(np.abs(sums), return_counts=True), strict=True):
        among = np.arange(count + 1)
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = np.exp(
            gammaln(count + 1) - gammaln(among + 1) - gammaln(count - among + 1) - count * math.log(2)
        )
        likely = np.convolve(likely, steps)
    reach, seen = len(likely) // 2, abs(int(sums.sum()))
    return min(1.0, 2 * float(likely[reach + seen :].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """What remains of p-values once it counts that several comparisons were made?

    Args:
        p_values: In [0, 1], in any order.

    Returns:
        Adjusted p-values in the same order: where all below 0.05 are believed, one is wrong in at most 5 % of cases.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _paired(first_right: npt.ArrayLike, second_right: npt.ArrayLike) -> tuple[_Bools, _Bools]:
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(
            f"Received {first.shape} and {second.shape} answers. Expected two of the same shape (images,), at least "
            "1 image. Judge both models on the same images."
        )
    return first, second
