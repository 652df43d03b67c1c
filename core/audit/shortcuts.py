"""Can something that is not on the picture tell its class? Then a model may learn the camera and not the object.

Each property by itself is given to the simplest classifier there is, the commonest class among pictures with about the
same value, and judged on pictures it has not seen, against always naming the commonest class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

NUM_FOLDS = 5

MIN_GROUPS = 50
"""Different pictures below which chance decides too much."""

MIN_GAIN = 0.15
"""Share of what naming the commonest class gets wrong that a property has to get right, to be worth a word."""

MAX_P = 0.01
"""Probability of such a gain by chance that is accepted, over all properties together (Bonferroni)."""

_Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shortcut:
    """How well one property alone tells the class.

    Args:
        name: One of :data:`PROPERTIES`.
        accuracy: Share of unseen pictures whose class it names, 0…1.
        majority: The same of always naming the commonest class.
        p_value: Probability of so large a difference by chance, times the number of properties, at most 1.
    """

    name: str
    accuracy: float
    majority: float
    p_value: float

    @property
    def gain(self) -> float:
        """Share of the mistakes of naming the commonest class that are avoided; 0 or less for none."""
        return (self.accuracy - self.majority) / (1 - self.majority) if self.majority < 1 else 0.0

    def found(self, min_gain: float = MIN_GAIN) -> bool:
        """Return whether the gain is large enough to matter, and too large for chance."""
        return self.gain >= min_gain and self.p_value <= MAX_P


def shortcuts(table: pd.DataFrame) -> list[Shortcut]:
    """Return how well each property alone tells the class, the best first; nothing where there are too few pictures.

    Pictures are dealt into five folds by their group, so near-duplicates are never on both sides, and the test takes
    a group as one observation.

    Args:
        table: As :func:`core.audit.audit` returns it.
    """
    usable = table[table["usable"]]
    groups, unit = np.unique(usable["group"].to_numpy(dtype=str), return_inverse=True)
    class_names, y_true = np.unique(usable["label"].to_numpy(dtype=str), return_inverse=True)
    if len(groups) < MIN_GROUPS or len(class_names) < 2:
        return []
    # The groups are checksums, so their first digits deal as well as dice do.
    fold = np.array([int(group[:8], 16) % NUM_FOLDS for group in groups])[unit]
    # The commonest class of all: that of four folds is by design a little less common in the fifth.
    by_majority = y_true == np.bincount(y_true).argmax()
    found = []
    for name, codes in _properties(usable).items():
        is_right = _is_right(codes, y_true, fold)
        gain = np.bincount(unit, is_right.astype(float) - by_majority.astype(float)) / np.bincount(unit)
        p_value = min(1.0, len(PROPERTIES) * _p_value(gain))
        found.append(Shortcut(name, float(is_right.mean()), float(by_majority.mean()), p_value))
    return sorted(found, key=lambda shortcut: -shortcut.accuracy)


def _is_right(codes: _Codes, y_true: _Codes, fold: _Codes) -> npt.NDArray[np.bool_]:
    """Return of which pictures the class is the commonest among those of the other folds with the same code."""
    num_codes, num_classes = codes.max() + 1, y_true.max() + 1
    is_right = np.zeros(len(codes), dtype=bool)
    for number in range(NUM_FOLDS):
        known = fold != number
        counts = np.bincount(codes[known] * num_classes + y_true[known], minlength=num_codes * num_classes)
        counts = counts.reshape(num_codes, num_classes)
        # Where a value was seen too rarely to tell, the shares of all classes decide.
        total = counts.sum(axis=0)
        said = (counts + total / max(1, total.sum())).argmax(axis=1)
        is_right[~known] = said[codes[~known]] == y_true[~known]
    return is_right


def _p_value(gain: npt.NDArray[np.float64]) -> float:
    """Return the one-sided probability of a mean as high where the true one is 0 (normal approximation)."""
    error = gain.std(ddof=1) / math.sqrt(len(gain))
    if error == 0:
        return 0.0 if gain.mean() > 0 else 1.0
    return 0.5 * math.erfc(gain.mean() / error / math.sqrt(2))


def _properties(usable: pd.DataFrame) -> dict[str, _Codes]:
    num_bins = int(np.clip(len(usable) // 30, 4, 20))
    few = max(2, round(num_bins ** (1 / 2)))
    width, height = usable["width"].to_numpy(dtype=float), usable["height"].to_numpy(dtype=float)
    colours = usable[["red", "green", "blue"]].to_numpy(dtype=float)
    tints = colours - colours.mean(axis=1, keepdims=True)  # without brightness
    return {
        "file_size": _binned(usable["size"].to_numpy(dtype=float), num_bins),
        "dimensions": _joined(_binned(width, few), _binned(height, few)),
        "aspect": _binned(width / height, num_bins),
        "brightness": _binned(usable["brightness"].to_numpy(dtype=float), num_bins),
        "colour": _joined(_binned(tints[:, 0], few), _binned(tints[:, 2], few)),
        "format": pd.factorize(usable["format"] + usable["mode"])[0].astype(np.int64),
    }


PROPERTIES = ("file_size", "dimensions", "aspect", "brightness", "colour", "format")
"""What is tried."""


def _binned(values: npt.NDArray[np.float64], num_bins: int) -> _Codes:
    """Return in which of as many equally full ranges each value lies; equal values lie in the same."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1]))
    codes: _Codes = np.searchsorted(edges, values, side="right").astype(np.int64)
    return codes


def _joined(one: _Codes, other: _Codes) -> _Codes:
    return one * int(other.max() + 1) + other
