"""Networks that behave as real ones do where a test cannot have the machine for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.backbones import Backbone


class _LimitedMemory(keras.layers.Layer):
    """Lets pictures through as they are, a few at a time: with more, TensorFlow runs out of memory."""

    def __init__(self, max_pictures: int) -> None:
        super().__init__(name="limited_memory")
        self._max_pictures = max_pictures

    def call(self, pixels: Any) -> Any:
        passed = tf.numpy_function(
            self._check, [pixels], tf.float32
        )  # TensorFlow knows what a MemoryError is
        passed.set_shape(pixels.shape)
        return passed

    def _check(self, pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > self._max_pictures:
            raise MemoryError("as on a small graphics card")
        return pixels


def with_limited_memory(backbone: Backbone, max_pictures: int) -> Backbone:
    """Return the same network on a device whose memory holds so many pictures at once."""
    image = keras.Input(backbone.model.input.shape[1:], name="image")
    return replace(
        backbone,
        model=keras.Model(image, backbone.model(_LimitedMemory(max_pictures)(image)), name="limited"),
    )
