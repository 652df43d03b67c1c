"""How far a number may be from the true one: 95 % intervals of measures on the images that happened to be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import FloatArray, IntArray

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal
NUM_RESAMPLES = 1000  # the percentile ends then move by about 0.1 of the interval's width between seeds
FEWEST_RESAMPLES = 200  # by about 0.2 of it
BUDGET = 5e8
"""Numbers drawn in all, over which large sets get fewer resamples: a few seconds of one processor."""
DRAWING = 50
"""Numbers that may be computed in the time in which one image is drawn."""


class Estimate(NamedTuple):
    """A measure with its 95 % interval: ``low <= value <= high``; NaN where it is not defined.

    The interval covers which images happened to be in the split, not what training again would change.
    """

    value: float
    low: float
    high: float


UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))


def wilson_interval(num_right: float, num_images: float) -> Estimate:
    """A share of right answers with its 95 % interval, which stays honest for few images and near 0 and 1.

    Args:
        num_right: Right answers, 0 … ``num_images``.
        num_images: Answers, above 0; a fraction where answers that hang together count as fewer.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> [round(number, 3) for number in wilson_interval(9, 10)]
        [0.9, 0.596, 0.982]
    """
    share = num_right / num_images
    spread = Z_95**2 / num_images
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * float(np.sqrt(share * (1 - share) / num_images + spread / (4 * num_images)))
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


class Groups:
    """Which images hang together, such as near-duplicates: an interval counts them as less than so many images.

    Args:
        labels: Anything that is the same for images that hang together, shape (images,); None if each stands alone.
        y_true: True class indices, shape (images,); groups are drawn class by class, by the class of their first image.
    """

    def __init__(self, labels: npt.ArrayLike | None, y_true: IntArray) -> None:
        named = np.arange(len(y_true)) if labels is None else np.asarray(labels)
        if named.shape != y_true.shape:
            raise ValueError(
                f"Received {named.shape} groups of {y_true.shape} images. Expected one group per image."
            )
        _, first, self.codes = np.unique(named, return_index=True, return_inverse=True)
        self._class_of = y_true[first]
        self.num_groups = len(first)
        self.are_single = self.num_groups == len(y_true)

    @property
    def spread(self) -> float:
        """What the spread of resamples has to be multiplied by: drawing n of n groups of a class loses 1/n of it."""
        mean = self.num_groups / len(np.unique(self._class_of))
        return float(np.sqrt((mean + 1) / mean))

    def share(self, right: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_] | None = None) -> Estimate:
        """A share with Wilson's interval, in which images of a group count as fewer the more they agree.

        Args:
            right: Shape (images,).
            among: Which images are meant, shape (images,); by default all.

        Reference:
            Rao and Scott 1992, A simple method for the analysis of clustered binary data, Biometrics 48.
        """
        chosen = np.ones(len(right), dtype=bool) if among is None else among
        num, num_right = int(chosen.sum()), int((right & chosen).sum())
        if not num:
            return UNDEFINED
        effective = num / self._design_effect(right, chosen, num, num_right)
        found = wilson_interval(num_right / num * effective, effective)
        value = num_right / num
        return Estimate(value, min(value, found.low), max(value, found.high))

    def _design_effect(
        self, right: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_], num: int, num_right: int
    ) -> float:
        if self.are_single:
            return 1.0
        codes = self.codes[chosen]
        sizes = np.bincount(codes, minlength=self.num_groups)
        num_groups = int((sizes > 0).sum())
        share = num_right / num
        if num_groups == num:
            return 1.0
        if num_groups < 2 or share in (
            0.0,
            1.0,
        ):  # nothing to see a spread by: images of a group count as one
            return num / num_groups
        residuals = np.bincount(codes, weights=right[chosen], minlength=self.num_groups) - share * sizes
        variance = num_groups / (num_groups - 1) * float((residuals**2).sum()) / num**2
        return max(1.0, variance / (share * (1 - share) / num))

    def resamples(self, count: int, seed: int) -> Iterator[FloatArray]:
        """Draw groups with replacement, as many of each class as there are; yield the weights of the images.

        Yields:
            How often each image was drawn, float32, shape (resamples, images), a block at a time; ``count`` in all.
        """
        rng = np.random.default_rng(seed)
        members = [np.flatnonzero(self._class_of == label) for label in np.unique(self._class_of)]
        block = max(1, int(2e7 // len(self.codes)))
        for begin in range(0, count, block):
            size = min(block, count - begin)
            drawn = np.zeros((size, self.num_groups), dtype=np.float32)
            for groups in members:
                drawn[:, groups] = _draw(rng, size, len(groups))
            yield drawn[:, self.codes]  # type: ignore[misc]


def num_resamples(num_images: int, num_columns: int = 1) -> int:
    """How often to resample so many images, each with so many numbers."""
    return int(np.clip(BUDGET / (num_images * max(num_columns, DRAWING)), FEWEST_RESAMPLES, NUM_RESAMPLES))


def _draw(rng: np.random.Generator, num_draws: int, num_groups: int) -> IntArray:
    picked = rng.integers(num_groups, size=(num_draws, num_groups))
    picked += np.arange(num_draws)[:, None] * num_groups
    return np.bincount(picked.ravel(), minlength=num_draws * num_groups).reshape(num_draws, num_groups)


def ends(draws: Any, spread: float) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of resamples whose spread is multiplied; NaN if none is defined."""
    drawn = np.asarray(draws, dtype=np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn.mean() + (drawn - drawn.mean()) * spread, [0.025, 0.975])
    return float(low), float(high)


def around(value: float, draws: Any, spread: float, bounds: tuple[float, float]) -> Estimate:
    """A value with the interval that its resamples give, the percentile one and the basic one together.

    Args:
        value: Of the images themselves.
        draws: Of resamples, shape (resamples,); those that are not defined are left out.
        spread: Their spread is multiplied by it, see :attr:`Groups.spread`.
        bounds: Smallest and largest value that can be.

    Reference:
        Davison and Hinkley 1997, Bootstrap Methods and Their Application, equations 5.6 and 5.18.
    """
    low, high = ends(draws, spread)
    if np.isnan(value) or np.isnan(low):
        return Estimate(value, value, value)
    return widened(value, (min(low, 2 * value - high), max(high, 2 * value - low)), bounds)


def widened(value: float, reach: tuple[float, float], bounds: tuple[float, float]) -> Estimate:
    """A value with an interval that holds it and stays within bounds."""
    low, high = reach
    return Estimate(value, max(bounds[0], min(value, float(low))), min(bounds[1], max(value, float(high))))
