"""Class activation maps: which places of a picture spoke for a class, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.heads import Head


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """What each place of a picture adds to the logits of some classes.

    Attributes:
        maps: float32, shape (classes, h, w), in the grid of the network's last feature map. The numbers of a map add up
            to the class's logit without its bias.
        is_exact: Whether that holds for any picture; else only for this one, around which a hidden layer was taken for
            linear.
    """

    maps: np.ndarray
    is_exact: bool


def class_maps(feature_map: np.ndarray, head: Head, pooling: str, labels: Sequence[int]) -> ClassMaps:
    """Which places of a picture spoke for these classes?

    Behind pooling a linear head's logit is a sum over places, so nothing has to be estimated: with average pooling a
    place adds its features times the class's weights, divided by the number of places; with max pooling each feature
    counts where it is largest; a flattened map has weights of its own for each place. Through a hidden ReLU layer
    the same is done with the weights of the units that are active for this picture, which is the gradient there.

    Args:
        feature_map: What leaves the backbone for one picture, float, shape (h, w, channels).
        head: Stands on the pooled features.
        pooling: One of :data:`core.recipes.POOLINGS`.
        labels: The classes.

    Reference:
        Zhou et al. 2016, Learning deep features for discriminative localization, equations 1 and 2; with a hidden layer
        Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM, equation 5.
    """
    height, width, channels = feature_map.shape
    spread = _spread(np.asarray(feature_map, dtype=np.float64), pooling)
    kernel, is_exact = _kernel(
        head, spread.sum(axis=(0, 1)) if pooling != "flatten" else feature_map.reshape(-1)
    )
    weights = kernel[:, list(labels)]
    if pooling == "flatten":
        maps = np.einsum("hwc,hwck->khw", spread, weights.reshape(height, width, channels, -1))
    else:
        maps = np.einsum("hwc,ck->khw", spread, weights)
    return ClassMaps(maps.astype(np.float32), is_exact)


def _spread(feature_map: np.ndarray, pooling: str) -> np.ndarray:
    """Return what each place adds to the pooled features, shape (h, w, channels)."""
    height, width, _ = feature_map.shape
    if pooling == "average":
        shared: np.ndarray = feature_map / (height * width)
        return shared
    if pooling == "max":
        is_largest = feature_map == feature_map.max(axis=(0, 1))
        shared = feature_map * is_largest / is_largest.sum(axis=(0, 1))
        return shared
    return feature_map


def _kernel(head: Head, features: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the weights from features to logits, for these features, and whether they are the same for all."""
    if head.hidden_kernel is None or head.hidden_bias is None:
        return head.kernel, True
    is_active = features @ head.hidden_kernel + head.hidden_bias > 0
    return (head.hidden_kernel * is_active) @ head.kernel, False
