"""Two models on the same images: is one better, or is it chance?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.evaluation.scores import Z_95


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
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(
            f"Received {first.shape} and {second.shape} answers. Expected two of the same shape (images,), at least "
            "1 image. Judge both models on the same images."
        )
    num_images = len(first)
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    gain, loss = (won + 1) / (num_images + 2), (lost + 1) / (num_images + 2)
    half = Z_95 * math.sqrt((gain + loss - (gain - loss) ** 2) / (num_images + 2))
    value = (won - lost) / num_images
    return Difference(
        value, min(value, max(-1.0, gain - loss - half)), max(value, min(1.0, gain - loss + half))
    )
