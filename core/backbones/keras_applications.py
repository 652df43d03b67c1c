"""The networks of ``keras.applications``: their graphs with preprocessing inside, and their weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.backbones.preprocessing import preprocess
from core.backbones.weight_files import keras_weights, sha256_of
from core.catalog import BackboneSpec
from core.errors import WeightsError
from core.progress import Progress, no_progress

_IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)  # of pixels in 0 … 1
_IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
_HAS_PREPROCESSING = ("MobileNetV3Small", "MobileNetV3Large", "EfficientNetV2B0", "ConvNeXtTiny")
_LOADING_ERRORS = (ValueError, KeyError, OSError, TypeError, AttributeError, IndexError, RuntimeError)


def network(spec: BackboneSpec, image_size: tuple[int, int]) -> keras.Model:
    """Build the graph, from RGB pixels of 0 to 255 to the last feature map, with random weights."""
    image = keras.Input((*image_size, 3), name="image")
    options: dict[str, Any] = {"include_preprocessing": False} if spec.builder in _HAS_PREPROCESSING else {}
    options |= {"alpha": spec.width} if spec.width != 1 else {}
    model = getattr(keras.applications, spec.builder)(
        include_top=False,
        weights=None,
        input_tensor=preprocess(image, spec.preprocessing),
        input_shape=(*image_size, 3),
        **options,
    )
    if spec.preprocessing == "efficientnet":
        model = _with_imagenet_rescaling(model)
        _set_imagenet_mean(model)
    return keras.Model(
        model.inputs[0], model.outputs[0], name=spec.name
    )  # some of Keras' take a list of inputs


def _with_imagenet_rescaling(model: keras.Model) -> keras.Model:
    """Add the layer that Keras puts into EfficientNet only when it downloads the weights itself.

    The variances stored in these weights are deviations, so that pixels have to be divided by their root
    once more (tensorflow issue 49930).
    """
    rescale = keras.layers.Rescaling(
        [1 / math.sqrt(std) for std in _IMAGENET_STD_RGB], name="rescaling_imagenet"
    )

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        return rescale(output) if isinstance(layer, keras.layers.Normalization) else output

    return keras.models.clone_model(model, call_function=call)


def _set_imagenet_mean(model: keras.Model) -> None:
    """Put in the constants that otherwise come with the weights, so that random weights see the same pixels."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights([np.array(_IMAGENET_MEAN_RGB), np.array(_IMAGENET_STD_RGB), np.array(0)])
            layer.finalize_state()


def load(
    model: keras.Model,
    spec: BackboneSpec,
    weights: Path | None,
    progress: Progress = no_progress,
    keras_home: Path | None = None,
) -> str:
    """Put weights into a graph made by :func:`network`.

    Args:
        model: The graph.
        spec: What it is a graph of.
        weights: An HDF5 file (``.h5``) without top; by default Keras' own, downloaded if missing.
        progress: Called with bytes done and in all while downloading.
        keras_home: Where Keras' own are kept; by default :func:`core.catalog.keras_home`.

    Returns:
        SHA-256 of the weights file, in hex.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
        Cancelled: ``progress`` raised it.
    """
    path = weights or keras_weights(spec, progress, keras_home)
    digest = sha256_of(path)
    try:
        model.load_weights(path)
    except _LOADING_ERRORS as error:
        raise WeightsError(
            f'"{path}" does not hold the weights of {spec.title} without its top ({_first_line(error)}). '
            f'Expected a file like "{spec.weights_file}". Choose another file.'
        ) from error
    return digest


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
