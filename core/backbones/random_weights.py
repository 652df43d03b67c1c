"""Random weights that depend on a seed alone, by the initialisers that each family's authors chose.

Keras draws the seeds of a network's initialisers from Python's global random numbers, which every thread of a
session shares. So the random weights of a new network are drawn again here, from a seed of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def randomise(model: keras.Model, seed: int) -> None:
    """Give a network as built, without pretrained weights, the random weights of a seed.

    Args:
        model: A flat network whose biases, scales and statistics are still as they begin.
        seed: 0 or above. The same seed gives the same network the same weights on one machine.
    """
    random = np.random.default_rng(seed)
    for layer in _leaves(model):
        for variable in layer.weights:
            if "kernel" in variable.name:  # all else begins with constants
                initializer = _initializer(layer, variable.name)
                variable.assign(initializer.from_config(_seeded(initializer, random))(variable.shape))


def _leaves(model: keras.Model) -> Iterator[Any]:
    """Yield all layers with those inside others: the stem of ConvNeXt, for one, is a model of its own."""
    for layer in model.layers:
        yield from (part for part in layer._flatten_layers() if not isinstance(part, keras.Model))


def _initializer(layer: Any, variable: str) -> Any:
    if variable.startswith("pointwise"):
        return layer.pointwise_initializer
    is_depthwise = variable.startswith("depthwise") or isinstance(layer, keras.layers.DepthwiseConv2D)
    return layer.depthwise_initializer if is_depthwise else layer.kernel_initializer


def _seeded(initializer: Any, random: np.random.Generator) -> dict[str, Any]:
    return {**initializer.get_config(), "seed": int(random.integers(2**31))}
