"""The forward pass by TensorFlow in single precision, traced once, with the weights that the network has at a call.

One trace is for batches of any size: that is no slower, bit for bit the same, and saves the first batch of another
size a second. Batches are filled up to one of a few fixed sizes all the same, so that an image's features do not depend
on which others it was computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core.backbones import Backbone, num_features
from core.errors import JobError

BATCH_SIZE = 32
_SMALL_BATCH_SIZES = (1, 8)  # one picture to predict should not pay for 32

_POOLINGS: Mapping[str, Callable[[Any], Any]] = {
    "average": lambda feature_map: tf.reduce_mean(feature_map, axis=(1, 2)),
    "max": lambda feature_map: tf.reduce_max(feature_map, axis=(1, 2)),
    "flatten": lambda feature_map: tf.reshape(feature_map, (tf.shape(feature_map)[0], -1)),
}


def precision() -> str:
    """Return TensorFlow's arithmetic, as the key of a feature space has to say.

    Graphics cards round the inputs of products to 10 bits (TensorFloat-32), processors do not.
    """
    return "tensorflow-tf32" if has_gpu() else "tensorflow-float32"


def has_gpu() -> bool:
    """Say whether TensorFlow computes on a graphics card."""
    return bool(tf.config.list_logical_devices("GPU"))


class Traced:
    """A function from images to features: traced once, safe to call from several threads.

    Where a batch is too large for the device's memory, it halves its batches, for good, and goes on.

    Args:
        backbone: Any backbone; the weights it has at a call are used.
        pooling: How the last feature map becomes features; one of :data:`core.recipes.POOLINGS`.

    Attributes:
        batch_size: Most images that go through the network at once.
        batches_at_once: One, since two would need twice the device's memory.
        precision: Engine and arithmetic.
    """

    batches_at_once = 1

    def __init__(self, backbone: Backbone, pooling: str) -> None:
        self.batch_size = BATCH_SIZE
        self.precision = precision()
        self._title = backbone.spec.title
        self._shape = (*backbone.image_size, 3)
        self._num_features = num_features(backbone, pooling)
        pixels = tf.TensorSpec((None, *self._shape), tf.uint8)
        self._traced = tf.function(pooled(backbone.model, pooling), input_signature=[pixels])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return float32 features (n, d) of uint8 RGB images (n, h, w, 3), any n.

        Raises:
            ValueError: The images are of another size or type.
            JobError: Not even a single image fits into the device's memory.
        """
        check_images(images, self._shape)
        features = np.empty((len(images), self._num_features), np.float32)
        done = 0
        while done < len(images):
            batch = images[done : done + self.batch_size]
            computed = self._compute(batch)
            if computed is not None:
                features[done : done + len(batch)] = computed
                done += len(batch)
        return features

    def _compute(self, batch: np.ndarray) -> np.ndarray | None:
        """Return the features of a batch, or None if the batch size had to be halved."""
        limit = max(self.batch_size, len(batch))  # another thread may have halved it meanwhile
        try:
            return np.asarray(self._traced(tf.constant(_filled(batch, limit))))[: len(batch)]
        except tf.errors.ResourceExhaustedError as error:
            if limit == 1:
                raise JobError(
                    f"A single picture of {self._shape[0]} × {self._shape[1]} pixels is too much for this device's "
                    f"memory with {self._title}. Choose a smaller image size or another backbone, or end what else "
                    "uses the device."
                ) from error
            self.batch_size = min(self.batch_size, limit // 2)
            return None


def pooled(model: Any, pooling: str) -> Callable[[Any], Any]:
    """Return the function from uint8 pixels (n, h, w, 3) to features (n, d), both tensors.

    Args:
        model: From RGB pixels to a feature map.
        pooling: One of :data:`core.recipes.POOLINGS`.
    """
    pool = _POOLINGS[pooling]
    return lambda pixels: pool(model(tf.cast(pixels, tf.float32), training=False))


def check_images(images: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse images of another size or type.

    Raises:
        ValueError: They are not uint8 of this shape.
    """
    if images.shape[1:] != shape or images.dtype != np.uint8:
        raise ValueError(f"Received {images.dtype} images {images.shape[1:]}. Expected uint8 {shape}.")


def _filled(batch: np.ndarray, limit: int) -> np.ndarray:
    sizes = (*(size for size in _SMALL_BATCH_SIZES if size < limit), limit)
    size = next(size for size in sizes if size >= len(batch))
    padding = [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)]
    return np.pad(batch, padding) if size > len(batch) else batch
