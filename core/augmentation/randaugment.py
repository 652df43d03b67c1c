"""RandAugment: two operations by chance, all at one magnitude.

Reference: Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced search space".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from core.augmentation import geometry

NUM_OPERATIONS = 2
MAX_MAGNITUDE = 10.0

# The ranges are those of AutoAugment (Cubuk et al. 2019, table 6), which RandAugment takes over.
MAX_DEGREES = 30.0
MAX_SLOPE = 0.3
MAX_SHIFT = 150 / 331
"""Share of the side: 150 pixels of the 331 that AutoAugment's network saw."""
MAX_ENHANCEMENT = 0.9
MOST_BITS_LOST = 4

Operation = Callable[[Image.Image, float], Image.Image]
"""A picture and a strength in -1…1; operations that have no direction take its size only."""


def vary(picture: Image.Image, magnitude: float, rng: np.random.Generator) -> Image.Image:
    """Apply operations of the paper's list, drawn with replacement.

    Args:
        picture: RGB.
        magnitude: Strength of each operation that has one, above 0…10.
        rng: Where the chance comes from.

    Returns:
        A picture of the same size.
    """
    names = list(OPERATIONS)
    for _ in range(NUM_OPERATIONS):
        operation = OPERATIONS[names[int(rng.integers(len(names)))]]
        direction = 1 if rng.random() < 0.5 else -1
        picture = operation(picture, direction * magnitude / MAX_MAGNITUDE)
    return picture


def _about_centre(picture: Image.Image, change: geometry.Map) -> Image.Image:
    return geometry.warp(picture, geometry.about_centre(picture.size, change))


def _moved(picture: Image.Image, right: float, down: float) -> Image.Image:
    width, height = picture.size
    return geometry.warp(picture, geometry.shift(round(right * width), round(down * height)))


def _solarized(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(picture, round(256 * (1 - abs(strength))))


def _posterized(picture: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(picture, 8 - round(MOST_BITS_LOST * abs(strength)))


def _enhanced(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, strength: enhancer(picture).enhance(1 + MAX_ENHANCEMENT * strength)


OPERATIONS: Mapping[str, Operation] = {
    "identity": lambda picture, strength: picture,
    "auto_contrast": lambda picture, strength: ImageOps.autocontrast(picture),
    "equalize": lambda picture, strength: ImageOps.equalize(picture),
    "rotate": lambda picture, strength: _about_centre(picture, geometry.turn(MAX_DEGREES * strength)),
    "solarize": _solarized,
    "color": _enhanced(ImageEnhance.Color),
    "posterize": _posterized,
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear_x": lambda picture, strength: _about_centre(picture, geometry.shear(MAX_SLOPE * strength)),
    "shear_y": lambda picture, strength: _about_centre(picture, geometry.shear(0.0, MAX_SLOPE * strength)),
    "translate_x": lambda picture, strength: _moved(picture, MAX_SHIFT * strength, 0.0),
    "translate_y": lambda picture, strength: _moved(picture, 0.0, MAX_SHIFT * strength),
}
"""The paper's 14."""
