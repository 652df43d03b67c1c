"""Two models on the same images: is one better, or is it chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from core.evaluation.intervals import Z_95

_Bools = npt.NDArray[np.bool_]


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


def paired_difference(first_right: npt.ArrayLike, second_right: npt.ArrayLike) -> Difference:
    """How much better is the second model than the first on the same images?

    Args:
        first_right: Whether the first model was right, bool, shape (images,), at least 1.
        second_right: The same of the second model.

    Reference:
        Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions based
        on paired data, Journal of Educational and Behavioral Statistics 37.

    Example:
        >>> paired_difference([True, True, False, False], [True, True, True, False]).value
        0.25
    """
    first, second = _paired(first_right, second_right)
    num_images = len(first)
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    gain, loss = (won + 1) / (num_images + 2), (lost + 1) / (num_images + 2)
    half = Z_95 * math.sqrt((gain + loss - (gain - loss) ** 2) / (num_images + 2))
    value = (won - lost) / num_images
    return Difference(
        value, min(value, max(-1.0, gain - loss - half)), max(value, min(1.0, gain - loss + half))
    )


def mcnemar(first_right: npt.ArrayLike, second_right: npt.ArrayLike) -> float:
    """How likely is a difference as large as this, or larger, if neither model is better?

    Only images count on which one model is right and the other is not.

    Args:
        first_right: Whether the first model was right, bool, shape (images,), at least 1.
        second_right: The same of the second model.

    Returns:
        The two-sided p-value of the exact test, in (0, 1]; 1 where the models were right on the same images.

    Reference:
        McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages.

    Example:
        >>> mcnemar([True] * 10, [False] * 6 + [True] * 4)
        0.03125
    """
    first, second = _paired(first_right, second_right)
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    if won == lost:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5)))


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
