"""Brightness, contrast and colour, in one multiplication by a matrix."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.augmentation.settings import Augmentation

TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""RGB to brightness and two axes of colour (NTSC 1953), in whose plane saturation is a length and hue an angle."""


def vary(picture: Image.Image, augmentation: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Change brightness, contrast, saturation and hue.

    Args:
        picture: RGB.
        augmentation: The strengths.
        rng: Where the chance comes from.

    Returns:
        A picture of the same size.
    """
    brightness = 1 + rng.uniform(-augmentation.brightness, augmentation.brightness)
    contrast = 1 + rng.uniform(-augmentation.contrast, augmentation.contrast)
    saturation = 1 + rng.uniform(-augmentation.colour, augmentation.colour)
    hue = math.pi * rng.uniform(-augmentation.colour, augmentation.colour)
    if not (augmentation.brightness or augmentation.contrast or augmentation.colour):
        return picture
    # Contrast is about the picture's own mean, so that it leaves the brightness as it is.
    mean = brightness * np.asarray(picture.convert("L")).mean() if augmentation.contrast else 0.0
    matrix = contrast * brightness * _coloured(saturation, hue)
    rows = np.column_stack([matrix, np.full(3, (1 - contrast) * mean)])
    return picture.convert("RGB", tuple(rows.ravel().tolist()))


def _coloured(saturation: float, hue: float) -> npt.NDArray[np.float64]:
    """Return the RGB matrix that scales the saturation and turns the hue by radians; greys stay."""
    cosine, sine = saturation * math.cos(hue), saturation * math.sin(hue)
    turned = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix: npt.NDArray[np.float64] = np.linalg.inv(TO_YIQ) @ turned @ TO_YIQ
    return matrix
