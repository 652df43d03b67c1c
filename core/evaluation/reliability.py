"""Do the probabilities mean what they say? Of answers that are 80 % sure, about 80 % should be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import FloatArray, checked
from core.evaluation.intervals import Estimate, Groups, around, num_resamples

NUM_BINS = 10
"""Bins of confidence, equally wide; with the 15 of Guo et al. those of a small test set hold a picture or two."""


@dataclass(frozen=True)
class Bin:
    """Answers that are about equally sure.

    Attributes:
        low, high: Of their confidence, in [0, 1]; ``low`` itself belongs to the bin before.
        num_images: Answers in the bin.
        confidence: Mean probability of the predicted class, in [0, 1]; NaN in an empty bin.
        accuracy: Share of them that is right, with Wilson's interval; NaN in an empty bin.
    """

    low: float
    high: float
    num_images: int
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class Reliability:
    """How honest probabilities are.

    Attributes:
        bins: :data:`NUM_BINS` bins of confidence.
        error: Expected calibration error, in [0, 1]: by how much confidence and accuracy differ, on average over
            answers. On few images it is above 0 even where the probabilities are honest.
    """

    bins: tuple[Bin, ...]
    error: Estimate

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; what is not defined is None."""
        return {
            "error": plain(self.error),
            "bins": [asdict(part) | _plain_bin(part) for part in self.bins],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Reliability:
        """Rebuild it from what :meth:`to_json` returned."""
        bins = [
            Bin(
                part["low"],
                part["high"],
                part["num_images"],
                rebuilt([part["confidence"]] * 3).value,
                rebuilt(part["accuracy"]),
            )
            for part in stored["bins"]
        ]
        return cls(tuple(bins), rebuilt(stored["error"]))


def _plain_bin(part: Bin) -> dict[str, Any]:
    return {
        "confidence": None if np.isnan(part.confidence) else part.confidence,
        "accuracy": plain(part.accuracy),
    }


def plain(estimate: Estimate) -> list[float | None]:
    """Return value, low and high for JSON, which has no NaN."""
    return [None if np.isnan(number) else float(number) for number in estimate]


def rebuilt(stored: Any) -> Estimate:
    """Return the estimate that :func:`plain` made plain."""
    return Estimate(*(float("nan") if number is None else float(number) for number in stored))


def reliability(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Reliability:
    """How far are the probabilities of the predicted classes from the share of them that is right?

    Args:
        y_true: True class indices, integer, shape (images,).
        y_prob: Probabilities, float, shape (images, classes).
        groups: The same for images that hang together, shape (images,); None if each stands alone.
        seed: Of the bootstrap behind the interval.

    Raises:
        DataError: There is no image, or a probability is not a number.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, section 2, equations 2 and 3.
    """
    truth, prob = checked(y_true, y_prob)
    together = Groups(groups, truth)
    confidence, right = prob.max(axis=1), prob.argmax(axis=1) == truth
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bin_of = np.searchsorted(edges[1:-1], confidence)
    gap = np.zeros((len(truth), NUM_BINS))
    gap[np.arange(len(truth)), bin_of] = confidence - right
    drawn = np.concatenate(
        [
            _error(weights, gap.astype(np.float32))
            for weights in together.resamples(num_resamples(len(truth)), seed)
        ]
    )
    seen = _error(np.ones((1, len(truth))), gap)
    error = around(float(seen[0]), drawn, together.spread, (0.0, 1.0))
    bins = tuple(
        Bin(
            float(edges[number]),
            float(edges[number + 1]),
            int((bin_of == number).sum()),
            float(confidence[bin_of == number].mean()) if (bin_of == number).any() else float("nan"),
            together.share(right, bin_of == number),
        )
        for number in range(NUM_BINS)
    )
    return Reliability(bins, error)


def _error(weights: FloatArray, gap: FloatArray) -> FloatArray:
    errors: FloatArray = np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1)
    return errors
