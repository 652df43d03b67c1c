"""The forward pass of a frozen network: from decoded images to pooled features, traced once.

TensorFlow in single precision. Batches are filled up to one of a few fixed sizes, so that there are few
traces and an image's features do not depend on which others it was computed with.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from core.backbones import Backbone

Forward = Callable[[np.ndarray], np.ndarray]
"""From uint8 RGB images (n, h, w, 3), any n, to float32 features (n, d)."""

BATCH_SIZE = 32
_BATCH_SIZES = (1, 8, BATCH_SIZE)  # one picture to predict should not pay for 32

_lock = threading.Lock()
_forwards: weakref.WeakKeyDictionary[Backbone, Forward] = weakref.WeakKeyDictionary()


def precision() -> str:
    """Return the engine and its arithmetic, as the key of a feature space has to say.

    Graphics cards round the inputs of products to 10 bits (TensorFloat-32), processors do not.
    """
    return "tensorflow-tf32" if tf.config.list_logical_devices("GPU") else "tensorflow-float32"


def forward(backbone: Backbone) -> Forward:
    """Return the function from images to features; the same for the same backbone, so it stays traced.

    It uses the weights the backbone has when it is called. It may be called from several threads.

    Args:
        backbone: Any backbone.

    Returns:
        A function from uint8 RGB images (n, h, w, 3) of ``backbone.image_size`` to float32 features (n, d):
        the mean of the last feature map over all positions.
    """
    with _lock:
        if backbone not in _forwards:
            _forwards[backbone] = _make(backbone.model, (*backbone.image_size, 3))
        return _forwards[backbone]


def _make(model: Any, shape: tuple[int, ...]) -> Forward:
    def pool(pixels: Any) -> Any:
        feature_map = model(tf.cast(pixels, tf.float32), training=False)
        return tf.reduce_mean(feature_map, axis=(1, 2))

    traced = tf.function(pool)

    def run(images: np.ndarray) -> np.ndarray:
        if images.shape[1:] != shape or images.dtype != np.uint8:
            raise ValueError(f"Received {images.dtype} images {images.shape[1:]}. Expected uint8 {shape}.")
        batches = [images[begin : begin + BATCH_SIZE] for begin in range(0, len(images), BATCH_SIZE)]
        features = [traced(tf.constant(_filled(batch))).numpy()[: len(batch)] for batch in batches]
        return np.concatenate(features) if features else np.empty((0, model.output.shape[-1]), np.float32)

    return run


def _filled(batch: np.ndarray) -> np.ndarray:
    size = next(size for size in _BATCH_SIZES if size >= len(batch))
    padding = [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)]
    return np.pad(batch, padding) if size > len(batch) else batch
