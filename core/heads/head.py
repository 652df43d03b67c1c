"""The classifier that stands on the features: one dense layer, or two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, eq=False)
class Head:
    """``logits = features @ kernel + bias``, behind a hidden ReLU layer where there is one.

    Args:
        kernel: float32, shape (features or hidden units, classes).
        bias: float32, shape (classes,).
        hidden_kernel: float32, shape (features, hidden units).
        hidden_bias: float32, shape (hidden units,).
    """

    kernel: np.ndarray
    bias: np.ndarray
    hidden_kernel: np.ndarray | None = None
    hidden_bias: np.ndarray | None = None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float32 logits of shape (images, classes) for features of shape (images, features)."""
        if self.hidden_kernel is not None and self.hidden_bias is not None:
            features = np.maximum(features @ self.hidden_kernel + self.hidden_bias, 0)
        return np.asarray(features @ self.kernel + self.bias, dtype=np.float32)

    @property
    def is_finite(self) -> bool:
        """Whether training has left numbers in it: after a division by zero there are none."""
        return all(bool(np.isfinite(values).all()) for values in self.to_arrays().values())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, to be kept in a file; without a hidden layer there are only two."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values for name, values in arrays.items() if values is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Head:
        """Rebuild a head from what :meth:`to_arrays` returned.

        Raises:
            KeyError: An array is missing.
        """
        hidden = ("hidden_kernel", "hidden_bias") if "hidden_kernel" in arrays else ()
        return cls(**{name: np.asarray(arrays[name]) for name in ("kernel", "bias", *hidden)})


def random_head(num_features: int, num_classes: int, dense_units: int, rng: np.random.Generator) -> Head:
    """Return a head that knows nothing yet.

    Args:
        num_features: Width of the features.
        num_classes: Columns of the logits.
        dense_units: Units of the hidden layer; 0 for none.
        rng: Where the kernels come from.

    Reference:
        Kernels are uniform within ±sqrt(6 / (inputs + outputs)): Glorot and Bengio 2010, equation 16.
    """

    def kernel(inputs: int, outputs: int) -> np.ndarray:
        limit = np.float32(math.sqrt(6 / (inputs + outputs)))
        return limit * (2 * rng.random((inputs, outputs), dtype=np.float32) - 1)

    bias = np.zeros(num_classes, np.float32)
    if not dense_units:
        return Head(kernel(num_features, num_classes), bias)
    hidden_kernel = kernel(num_features, dense_units)
    return Head(kernel(dense_units, num_classes), bias, hidden_kernel, np.zeros(dense_units, np.float32))
