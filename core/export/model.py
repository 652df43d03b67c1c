"""Backbone, head and calibration as one network."""

from __future__ import annotations

import keras
import numpy as np

from core.backbones import Backbone
from core.heads import Head

_POOLINGS = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


def whole_model(backbone: Backbone, head: Head, pooling: str, temperature: float) -> keras.Model:
    """Return one network from pixels to calibrated probabilities, of Keras' own layers only.

    Args:
        backbone: With the weights of the run.
        head: Stands on its features.
        pooling: One of :data:`core.recipes.POOLINGS`.
        temperature: Divides the logits; it goes into the last layer's weights.

    Returns:
        A model from RGB pixels, uint8 0…255, (n, h, w, 3), to probabilities, float32, (n, classes). It shares the
        layers of the backbone.
    """
    pixels = keras.Input((*backbone.image_size, 3), dtype="uint8", name="pixels")
    x = keras.layers.Rescaling(1.0, name="as_float")(pixels)
    x = _POOLINGS[pooling](name="pool")(backbone.model(x, training=False))
    weights = {}
    if head.hidden_kernel is not None:
        x = keras.layers.Dense(head.hidden_kernel.shape[1], activation="relu", name="hidden")(x)
        weights["hidden"] = [head.hidden_kernel, head.hidden_bias]
    x = keras.layers.Dense(len(head.bias), activation="softmax", dtype="float32", name="probabilities")(x)
    weights["probabilities"] = [_divided(head.kernel, temperature), _divided(head.bias, temperature)]
    model = keras.Model(pixels, x, name=f"{backbone.spec.name}-classifier".replace("-", "_"))
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)
    return model


def _divided(values: np.ndarray, temperature: float) -> np.ndarray:
    return (values.astype(np.float64) / temperature).astype(np.float32)
