"""What frozen networks saw in pictures, kept on disk so that it is computed once.

A *feature space* is everything that changes the numbers: backbone, weights, image size, resize rule, preprocessing,
cut and pooling, view, engine, decoder. Rows are shared by all runs and datasets. Nothing here needs TensorFlow; the
room :mod:`core.features` computes what is missing.
"""

from __future__ import annotations

from core.feature_store.space import FeatureSpace, space_key
from core.feature_store.upkeep import (
    DEFAULT_LIMIT_GB,
    SpaceOnDisk,
    Usage,
    clear,
    count,
    evict,
    limit_bytes,
    list_spaces,
    usage,
)

__all__ = [
    "DEFAULT_LIMIT_GB",
    "FeatureSpace",
    "SpaceOnDisk",
    "Usage",
    "clear",
    "count",
    "evict",
    "limit_bytes",
    "list_spaces",
    "space_key",
    "usage",
]
