"""What a backbone and a head say about images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core import engines
from core.backbones import Backbone
from core.engines import Engine
from core.errors import UnreadableImage
from core.heads import Head
from core.images import iterate_decoded
from core.progress import Progress, no_progress
from core.recipes import Recipe
from core.training.batches import Images


def predict(
    backbone: Backbone,
    weights: Sequence[np.ndarray] | None,
    head: Head,
    images: Images,
    recipe: Recipe,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Compute the logits of images, with a run's weights where it has some; the backbone is as before afterwards.

    Args:
        backbone: Any backbone.
        weights: All weights of the backbone, as :class:`core.training.FineTuned` has them; None for those it has.
        head: Stands on the features.
        images: Their files; ``y_true`` is not looked at.
        recipe: Pooling and resize rule.
        progress: Called with images done and in all.

    Returns:
        float32, shape (images, classes); NaN rows for files that cannot be read (any more).

    Raises:
        JobError: Not even a single image fits into the device's memory.
        Cancelled: ``progress`` raised it.
    """
    before = None if weights is None else backbone.model.get_weights()
    try:
        if weights is not None:
            backbone.model.set_weights(weights)
        engine = engines.current(backbone, recipe.pooling, len(images))
        return logits_of(engine, backbone, head, images, recipe, progress)
    finally:
        if before is not None:
            backbone.model.set_weights(before)


def logits_of(
    engine: Engine,
    backbone: Backbone,
    head: Head,
    images: Images,
    recipe: Recipe,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Do what :func:`predict` does with an engine of the backbone."""
    logits = np.full((len(images), len(head.bias)), np.nan, dtype=np.float32)
    rows: list[int] = []
    pixels: list[np.ndarray] = []
    for row, picture in enumerate(iterate_decoded(images.paths, backbone.image_size, recipe.resize)):
        if not isinstance(picture, UnreadableImage):
            rows.append(row)
            pixels.append(picture)
        if len(rows) == engines.BATCH_SIZE or row == len(images) - 1:
            if rows:
                logits[rows] = head.logits(engine(np.stack(pixels)))
            rows, pixels = [], []
            progress(row + 1, len(images))
    return logits
