"""What pixels go through before the first convolution, as layers inside the network.

Inside, so that training, prediction and export cannot disagree. Only Keras' own layers are used, so that a
saved model opens without Graft.
"""

from __future__ import annotations

from typing import Any

import keras

from core.catalog import Preprocessing

_IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)  # of pixels in 0 … 1, as in torchvision and keras.applications
_IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)  # of pixels in 0 … 255, as in Caffe's VGG and ResNet


def preprocess(pixels: Any, how: Preprocessing) -> Any:
    """Prepare pixels for a network.

    Args:
        pixels: Keras tensor (n, h, w, 3), RGB, 0 … 255.
        how: The network's preprocessing, as in its spec.

    Returns:
        A Keras tensor of the same shape, equal to what Keras' ``preprocess_input`` of that network makes.
    """
    if how == "efficientnet":  # the network begins with layers for it, their constants come with the weights
        return pixels
    if how == "caffe":
        pixels = keras.ops.flip(pixels, axis=-1)
    scale, offset = _SCALES[how]
    return keras.layers.Rescaling(scale, offset, name="preprocess")(pixels)


_SCALES: dict[str, tuple[Any, Any]] = {
    "tf": (1 / 127.5, -1.0),
    "lite": (1 / 128, -127 / 128),
    "caffe": (1.0, [-mean for mean in _IMAGENET_MEAN_BGR]),
    "torch": (
        [1 / 255 / std for std in _IMAGENET_STD_RGB],
        [-mean / std for mean, std in zip(_IMAGENET_MEAN_RGB, _IMAGENET_STD_RGB, strict=True)],
    ),
}
