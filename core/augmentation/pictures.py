"""A random variation of one training picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.augmentation import geometry, light, randaugment
from core.augmentation.settings import Augmentation

Pixels = npt.NDArray[np.uint8]

VARIATION_VERSION = 1
"""To be raised whenever :func:`apply` gives other pixels for the same chance: features of variations are kept."""

ERASED_AREA = (0.02, 0.25)
"""Share of the picture that is erased."""
ERASED_ASPECT = 1 / 0.3
"""Most that the erased rectangle is wider or higher than the picture; as in Zhong et al. 2020."""


def apply(image: Pixels, augmentation: Augmentation, rng: np.random.Generator) -> Pixels:
    """Return a random variation of a training picture.

    The same picture, settings and state of the generator give the same variation. MixUp and CutMix work on batches:
    see :func:`core.augmentation.mix`.

    Args:
        image: uint8, shape (height, width, 3); not changed.
        augmentation: The strengths.
        rng: Where the chance comes from.

    Returns:
        uint8 of the same shape; ``image`` itself where nothing is to be changed.
    """
    if not augmentation.changes_pixels:
        return image
    picture = geometry.vary(Image.fromarray(image), augmentation, rng)
    picture = light.vary(picture, augmentation, rng)
    if augmentation.randaugment:
        picture = randaugment.vary(picture, augmentation.randaugment, rng)
    varied = np.array(picture)
    if augmentation.erasing and rng.random() < augmentation.erasing:
        _erase(varied, rng)
    return varied


def _erase(image: Pixels, rng: np.random.Generator) -> None:
    """Replace a rectangle of ``image`` by noise.

    Reference: Zhong et al. 2020, "Random Erasing Data Augmentation", with at most 25 % of the area instead of 40 %.
    """
    height, width = image.shape[:2]
    area = rng.uniform(*ERASED_AREA)
    aspect = math.exp(rng.uniform(-math.log(ERASED_ASPECT), math.log(ERASED_ASPECT)))
    # No side is longer than sqrt(0.25 / 0.3) = 0.91 of the picture's, so the rectangle always fits.
    rows, columns = round(height * math.sqrt(area / aspect)), round(width * math.sqrt(area * aspect))
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    image[top : top + rows, left : left + columns] = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
