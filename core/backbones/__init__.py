"""A spec becomes a network: flat, with preprocessing inside and its layers sorted into blocks."""

from __future__ import annotations

import contextlib
import hashlib
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core import catalog
from core.backbones import efficientnet_lite, keras_applications, tiny
from core.backbones.blocks import Block, cut, end_of, find_blocks, unfreeze
from core.backbones.random_weights import randomise
from core.catalog import BackboneSpec
from core.errors import RecipeError, WeightsError
from core.progress import Progress, no_progress
from core.workspace import Workspace

__all__ = [
    "Backbone",
    "Block",
    "adopt",
    "build",
    "classifier",
    "cut",
    "find_blocks",
    "hash_arrays",
    "lend",
    "network",
    "nodes_after",
    "num_features",
    "sharing",
    "split",
    "take_back",
    "unfreeze",
]

_POOLING_LAYERS = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network, ready to compute features or to be trained on.

    Attributes:
        spec: What it is.
        image_size: Height and width it was built for, in pixels.
        depth: Share of the spec's blocks that it has, counted from the input, above 0…1.
        model: Flat network from RGB pixels (n, h, w, 3), float32, 0 … 255, to a feature map (n, h', w', c).
        blocks: Its layers from the input to the output, as they are frozen and trained together.
        weights_sha256: Identity of its weights: of their file, or of the arrays where there is no file.
        checksum: Of the weights as they were loaded.
    """

    spec: BackboneSpec
    image_size: tuple[int, int]
    depth: float
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
    *,
    depth: float = 1.0,
    random_seed: int | None = None,
    keras_home: Path | None = None,
) -> Backbone:
    """Build a network with its pretrained weights, or with random ones.

    Args:
        workspace: Keeps weights that had to be converted.
        backbone: A spec or a name of the catalog.
        image_size: Side, or height and width, in pixels; by default what the weights were trained at.
        weights: A weights file to use instead of the published one.
        progress: Called with bytes done and in all while weights are downloaded.
        depth: Share of its blocks to use, counted from the input, above 0…1. The network is cut after the last of
            them; there is always at least one.
        random_seed: Gives the network random weights, the same for the same seed on one machine; nothing is
            loaded or downloaded, and ``weights`` must be left out.
        keras_home: Where Keras' weights are kept; by default :func:`core.catalog.keras_home`.

    Raises:
        RecipeError: The name is unknown, the size too small, or the depth not in its range.
        WeightsError: The weights are missing, damaged or do not fit.
        Cancelled: ``progress`` raised it.
    """
    spec = catalog.get(backbone) if isinstance(backbone, str) else backbone
    size = _checked_size(spec, image_size)
    if random_seed is not None and weights is not None:
        raise ValueError(
            f'Received random_seed {random_seed} and the weights file "{weights}". Expected one.'
        )
    whole = network(spec, size)
    if random_seed is None:
        digest = _load(workspace, whole, spec, weights, progress, keras_home)
    else:
        randomise(whole, random_seed)
        digest = hash_arrays(whole.get_weights())
    model, blocks = cut(whole, find_blocks(whole, spec.block_pattern), depth, spec.block_pattern)
    return Backbone(spec, size, depth, model, blocks, digest, _checksum(model))


def _load(
    workspace: Workspace,
    model: keras.Model,
    spec: BackboneSpec,
    weights: Path | None,
    progress: Progress,
    keras_home: Path | None,
) -> str:
    """Put pretrained weights into the whole network and return their SHA-256, in hex."""
    if spec.source == "package":
        return efficientnet_lite.load(workspace, model, weights)
    if spec.source == "seeded":
        return tiny.load(model)
    return keras_applications.load(model, spec, weights, progress, keras_home)


def network(spec: BackboneSpec, image_size: tuple[int, int]) -> keras.Model:
    """Build the whole graph of ``spec`` with random weights."""
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


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 of weights that have no file, in hex."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def adopt(backbone: Backbone, weights: Sequence[np.ndarray], weights_sha256: str) -> Backbone:
    """Go on from the weights of an earlier run: they become the backbone's pristine state.

    The model is taken over, not copied: ``backbone`` itself counts as changed from now on.

    Args:
        backbone: The network that the run used: same spec, image size and depth.
        weights: All its weights, in the order of ``backbone.model.get_weights()``.
        weights_sha256: Identity of these weights, in hex.

    Raises:
        WeightsError: They are those of another network.
    """
    received = [array.shape for array in weights]
    expected = [tuple(variable.shape) for variable in backbone.model.weights]
    if received != expected:
        raise WeightsError(
            f"The weights of the earlier run do not fit {backbone.spec.title}: received {len(received)} arrays "
            f"whose shapes differ from the {len(expected)} expected. Choose the backbone and depth of that run."
        )
    _set_weights(backbone.model, weights)
    return replace(backbone, weights_sha256=weights_sha256, checksum=_checksum(backbone.model))


def _set_weights(model: keras.Model, weights: Sequence[np.ndarray]) -> None:
    model.set_weights(weights)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights


@contextlib.contextmanager
def lend(backbone: Backbone, weights: Sequence[np.ndarray] | None) -> Iterator[Backbone]:
    """Lend a network with other weights, as a pristine backbone of these; it is as before, bit for bit, afterwards.

    Lent again with the same weights it is the same backbone, so what was made for it stays of use.

    Args:
        backbone: Any backbone; it must not be used meanwhile.
        weights: As for :func:`adopt`; None for those that it has.

    Raises:
        WeightsError: They are those of another network.
    """
    if weights is None:
        yield backbone
        return
    before = backbone.model.get_weights()
    try:
        lent = adopt(backbone, weights, hash_arrays(weights))
        known = _lent.get(backbone)
        if known is None or known.weights_sha256 != lent.weights_sha256:
            known = _lent[backbone] = lent
        yield known
    finally:
        _set_weights(backbone.model, before)


def take_back(backbone: Backbone) -> None:
    """Let go of what was made for a network as it was lent last, such as a conversion."""
    _lent.pop(backbone, None)


_lent: weakref.WeakKeyDictionary[Backbone, Backbone] = weakref.WeakKeyDictionary()
"""Of each backbone that with the weights it was lent with last."""


def sharing(backbone: Backbone) -> list[Backbone]:
    """Return a backbone, its parts and what it was lent as: all that share its layers, and stay as long as it does."""
    parts = [part for pair in _splits.get(backbone, {}).values() if pair for part in pair]
    return [backbone, *parts, *([_lent[backbone]] if backbone in _lent else [])]


def split(backbone: Backbone, num_upper: int) -> tuple[Backbone, Backbone] | None:
    """Split a network in two between blocks, for instance where it is frozen and where it learns.

    Asked again it answers with the same parts, so what was traced for them stays of use.

    Args:
        backbone: A pristine backbone.
        num_upper: How many of its last blocks belong to the upper part.

    Returns:
        The lower part, from pixels, and the upper one, from what leaves the lower one; layers are shared, not copied.
        None if there is no lower block, or if the upper part needs more than what leaves the last of them (NASNet's
        cells look back at two).
    """
    known = _splits.setdefault(backbone, {})
    if num_upper not in known:
        known[num_upper] = _split(backbone, len(backbone.blocks) - num_upper)
    return known[num_upper]


# Each split adds nodes to the layers' graph, which must not grow with every training of a warm backbone.
_splits: weakref.WeakKeyDictionary[Backbone, dict[int, tuple[Backbone, Backbone] | None]] = (
    weakref.WeakKeyDictionary()
)


def _split(backbone: Backbone, num_lower: int) -> tuple[Backbone, Backbone] | None:
    if num_lower < 1:
        return None
    model, blocks = backbone.model, backbone.blocks
    seam = end_of(model, blocks, num_lower - 1, backbone.spec.block_pattern)
    try:
        upper = keras.Model(seam, model.output, name=f"{model.name}-upper")
    except ValueError:  # Keras finds another way from the image to the output
        return None
    lower = keras.Model(model.input, seam, name=f"{model.name}-lower")
    return (
        replace(backbone, model=lower, blocks=blocks[:num_lower], checksum=_checksum(lower)),
        replace(backbone, model=upper, blocks=blocks[num_lower:], checksum=_checksum(upper)),
    )


def num_features(backbone: Backbone, pooling: str = "average") -> int:
    """Return how many features a picture gets.

    Args:
        backbone: Any backbone.
        pooling: One of :data:`core.recipes.POOLINGS`.
    """
    height, width, channels = backbone.model.output.shape[1:]
    return int(height * width * channels) if pooling == "flatten" else int(channels)


def classifier(
    backbone: Backbone,
    num_classes: int,
    pooling: str = "average",
    dense_units: int = 0,
    dropout: float = 0.0,
) -> keras.Model:
    """Put pooling and dense layers on a backbone; the layers are shared, not copied.

    Args:
        backbone: Any backbone.
        num_classes: Number of classes.
        pooling: One of :data:`core.recipes.POOLINGS`.
        dense_units: Units of a hidden ReLU layer; 0 for none.
        dropout: Share of the inputs of each dense layer that are dropped while training, 0…1.

    Returns:
        A flat model from RGB pixels (n, h, w, 3), 0 … 255, to logits (n, num_classes), float32. Its last layers are
        called ``pool``, ``hidden`` and ``head``, and ``hidden_dropout`` and ``head_dropout`` before the dense ones.
    """
    x = _POOLING_LAYERS[pooling](name="pool")(backbone.model.output)
    if dense_units:
        x = _dropped(x, dropout, "hidden_dropout")
        x = keras.layers.Dense(dense_units, activation="relu", name="hidden")(x)
    x = _dropped(x, dropout, "head_dropout")
    logits = keras.layers.Dense(num_classes, dtype="float32", name="head")(x)
    return keras.Model(backbone.model.input, logits, name=f"{backbone.spec.name}-classifier")


def nodes_after(backbone: Backbone) -> list[Any]:
    """Return Keras' own list of what was built on a network's output; what is taken out of it is let go."""
    nodes: list[Any] = backbone.model.output._keras_history.operation._outbound_nodes
    return nodes


def _dropped(x: Any, dropout: float, name: str) -> Any:
    return keras.layers.Dropout(dropout, name=name)(x) if dropout else x
