"""Is a picture like anything a model was trained on, and is the model sure of it? Answers "none of these" honestly.

A classifier names one of its classes whatever it is shown. How far a picture's features lie from those of the training
pictures tells what it has never seen; both thresholds are set on validation, where it is known that every picture
belongs to a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TURNED_AWAY = 0.05
"""Share of validation that either threshold turns away."""
NEIGHBOURS = 5
"""The distance is that to the fifth nearest training picture: the nearest alone may be a mislabelled or odd one."""
MAX_REFERENCE = 5_000
"""Training pictures that are compared with, evenly drawn; they are held in memory."""
MAX_REFERENCE_BYTES = 100_000_000

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What a run takes for familiar.

    Args:
        reference: Features of training pictures, each of length 1: float32, shape (pictures, features).
        max_distance: Cosine distance to the fifth nearest, 0…2, above which a picture is unlike anything seen.
        min_confidence: Probability of the first answer, 0…1, below which the model is not sure.
    """

    reference: FloatArray
    max_distance: float
    min_confidence: float

    def distances(self, features: npt.ArrayLike) -> FloatArray:
        """Return how far pictures are from what was seen: cosine distances in 0…2, float32, shape (pictures,).

        Args:
            features: Of the same network and pooling, shape (pictures, features).

        Reference:
            Sun et al. 2022, Out-of-distribution detection with deep nearest neighbors, equation 3.
        """
        return _kth_distance(_unit(features), self.reference, min(NEIGHBOURS, len(self.reference)))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, to be kept in a file."""
        thresholds = np.array([self.max_distance, self.min_confidence])
        return {"reference": self.reference.astype(np.float16), "thresholds": thresholds}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Familiarity:
        """Rebuild from what :meth:`to_arrays` returned.

        Raises:
            KeyError: An array is missing.
        """
        max_distance, min_confidence = arrays["thresholds"].tolist()
        return cls(arrays["reference"].astype(np.float32), max_distance, min_confidence)


def measure(train: npt.ArrayLike, val: npt.ArrayLike, val_prob: npt.ArrayLike) -> Familiarity:
    """Set both thresholds so that each turns away :data:`TURNED_AWAY` of validation.

    Args:
        train: Features of training pictures, shape (pictures, features), at least one.
        val: Features of validation pictures, at least one.
        val_prob: The run's probabilities for these, shape (pictures, classes).
    """
    features = np.asarray(train, dtype=np.float32)
    most = max(1, min(MAX_REFERENCE, MAX_REFERENCE_BYTES // max(1, 4 * features.shape[1])))
    if len(features) > most:
        features = features[np.linspace(0, len(features) - 1, most).astype(int)]
    found = Familiarity(_unit(features), 2.0, 0.0)
    distances = found.distances(val)
    return Familiarity(
        found.reference,
        float(np.quantile(distances, 1 - TURNED_AWAY)),
        min_confidence(val_prob),
    )


def min_confidence(val_prob: npt.ArrayLike) -> float:
    """Return the probability of the first answer, 0…1, that all but :data:`TURNED_AWAY` of validation reach.

    Args:
        val_prob: A run's probabilities for its validation pictures, shape (pictures, classes).
    """
    return float(np.quantile(np.asarray(val_prob).max(axis=1), TURNED_AWAY))


def _unit(features: npt.ArrayLike) -> FloatArray:
    values = np.asarray(features, dtype=np.float32)
    lengths = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    unit: FloatArray = values / lengths
    return unit


def _kth_distance(features: FloatArray, reference: FloatArray, k: int) -> FloatArray:
    similarity = features @ reference.T
    nearest = np.partition(similarity, similarity.shape[1] - k, axis=1)[:, similarity.shape[1] - k]
    return np.asarray(1 - nearest, dtype=np.float32)
