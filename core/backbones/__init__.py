"""A spec becomes a network: flat, with preprocessing inside and its layers sorted into blocks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from core import catalog
from core.backbones import efficientnet_lite, keras_applications, tiny
from core.backbones.blocks import Block, find_blocks, unfreeze
from core.catalog import BackboneSpec
from core.errors import RecipeError
from core.progress import Progress, no_progress
from core.workspace import Workspace

__all__ = ["Backbone", "Block", "build", "classifier", "find_blocks", "network", "unfreeze"]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network, ready to compute features or to be trained on.

    Attributes:
        spec: What it is.
        image_size: Height and width it was built for, in pixels.
        model: Flat network from RGB pixels (n, h, w, 3), float32, 0 … 255, to a feature map (n, h', w', c).
        blocks: Its layers from the input to the output, as they are frozen and trained together.
        weights_sha256: Identity of its weights' file.
        checksum: Of the weights as they were loaded.
    """

    spec: BackboneSpec
    image_size: tuple[int, int]
    model: keras.Model
    blocks: tuple[Block, ...]
    weights_sha256: str
    checksum: int

    def is_pristine(self) -> bool:
        """Say whether the weights are, bit for bit, those that were loaded."""
        return _checksum(self.model) == self.checksum


def _checksum(model: keras.Model) -> int:
    checksum = 0
    for array in model.get_weights():
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def build(
    workspace: Workspace,
    backbone: BackboneSpec | str,
    image_size: int | tuple[int, int] | None = None,
    weights: Path | None = None,
    progress: Progress = no_progress,
    keras_home: Path | None = None,
) -> Backbone:
    """Build a network with its pretrained weights.

    Args:
        workspace: Keeps weights that had to be converted.
        backbone: A spec or a name of the catalog.
        image_size: Side, or height and width, in pixels; by default what the weights were trained at.
        weights: A weights file to use instead of the published one.
        progress: Called with bytes done and in all while weights are downloaded.
        keras_home: Where Keras' weights are kept; by default :func:`core.catalog.keras_home`.

    Raises:
        RecipeError: The name is unknown or the size too small.
        WeightsError: The weights are missing, damaged or do not fit.
        Cancelled: ``progress`` raised it.
    """
    spec = catalog.get(backbone) if isinstance(backbone, str) else backbone
    size = _checked_size(spec, image_size)
    model = network(spec, size)
    if spec.source == "package":
        digest = efficientnet_lite.load(workspace, model, weights)
    elif spec.source == "seeded":
        digest = tiny.load(model)
    else:
        digest = keras_applications.load(model, spec, weights, progress, keras_home)
    return Backbone(spec, size, model, find_blocks(model, spec.block_pattern), digest, _checksum(model))


def network(spec: BackboneSpec, image_size: tuple[int, int]) -> keras.Model:
    """Build the graph of ``spec`` with random weights."""
    if spec.source == "package":
        return efficientnet_lite.network(image_size)
    if spec.source == "seeded":
        return tiny.network(image_size)
    return keras_applications.network(spec, image_size)


def _checked_size(spec: BackboneSpec, image_size: int | tuple[int, int] | None) -> tuple[int, int]:
    size = spec.image_size if image_size is None else image_size
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < spec.min_size:
        raise RecipeError(
            f"Received an image size of {height} × {width} pixels. {spec.title} needs at least "
            f"{spec.min_size} × {spec.min_size}. Choose a larger size; it was trained at {spec.image_size}."
        )
    return height, width


def classifier(backbone: Backbone, num_classes: int) -> keras.Model:
    """Put global average pooling and a dense layer on a backbone; the layers are shared, not copied.

    Returns:
        A flat model from RGB pixels (n, h, w, 3), 0 … 255, to logits (n, num_classes). The dense layer is
        called ``head``.
    """
    x = keras.layers.GlobalAveragePooling2D(name="pool")(backbone.model.output)
    logits = keras.layers.Dense(num_classes, name="head")(x)
    return keras.Model(backbone.model.input, logits, name=f"{backbone.spec.name}-classifier")
