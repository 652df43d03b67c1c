"""What a backbone and a head say about images."""

from __future__ import annotations

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


def logits_of(
    engine: Engine,
    backbone: Backbone,
    head: Head,
    images: Images,
    recipe: Recipe,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Compute the logits of images, and keep nothing.

    Args:
        engine: Computes the features of the backbone.
        backbone: Any backbone.
        head: Stands on the features.
        images: Their files; ``y_true`` is not looked at.
        recipe: The resize rule.
        progress: Called with images done and in all.

    Returns:
        float32, shape (images, classes); NaN rows for files that cannot be read (any more).

    Raises:
        JobError: Not even a single image fits into the device's memory.
        Cancelled: ``progress`` raised it.
    """
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
