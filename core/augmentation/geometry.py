"""Where a pixel of the varied picture comes from: one affine map, reflected at the borders."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.augmentation.settings import Augmentation

Map = npt.NDArray[np.float64]
"""3×3, homogeneous: from pixels (x, y, 1) of the result, counted from the upper left corner, to those of the source."""
Size = tuple[int, int]
"""Width and height, pixels."""

ASPECT = 4 / 3
"""Most that the window of a random crop is wider or higher than the picture; as Szegedy et al. 2015 crop."""


def vary(picture: Image.Image, augmentation: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Rotate, shift, zoom, shear, crop and flip, with a single resampling.

    Args:
        picture: RGB.
        augmentation: The strengths.
        rng: Where the chance comes from.

    Returns:
        A picture of the same size.
    """
    # Chance is drawn for kinds that are off, too: the others then do the same as with them.
    source = _moved(picture.size, augmentation, rng) @ _window(picture.size, augmentation.crop, rng)
    picture = warp(picture, source)
    if rng.random() < 0.5 and augmentation.horizontal_flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5 and augmentation.vertical_flip:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture


def warp(picture: Image.Image, source: Map) -> Image.Image:
    """Return a picture seen through an affine map, bilinear; beyond its borders it is mirrored.

    Args:
        picture: RGB.
        source: 3×3, from pixels of the result to pixels of ``picture``.

    Returns:
        A picture of the same size.
    """
    if np.array_equal(source, np.eye(3)):
        return picture
    width, height = picture.size
    corners = source @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    horizontal, vertical = _margins(corners[0], width), _margins(corners[1], height)
    if any(horizontal + vertical):
        padded = np.pad(np.asarray(picture), (vertical, horizontal, (0, 0)), mode="symmetric")
        picture = Image.fromarray(padded)
        source = shift(horizontal[0], vertical[0]) @ source
    (a, b, c), (d, e, f) = source[0].tolist(), source[1].tolist()
    if not (b or d):  # upright, so it is a resizing, which takes half the time
        right, below = min(c + a * width, picture.width), min(f + e * height, picture.height)
        box = (max(c, 0.0), max(f, 0.0), right, below)
        return picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return picture.transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), resample=Image.Resampling.BILINEAR
    )


def turn(degrees: float) -> Map:
    """Return the map that turns a picture about the origin."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def shear(horizontal: float, vertical: float = 0.0) -> Map:
    """Return the map that shears a picture about the origin by these slopes (tangents of the angles)."""
    return np.array([[1, horizontal, 0], [vertical, 1, 0], [0, 0, 1]])


def shift(pixels_right: float, pixels_down: float) -> Map:
    """Return the map that moves the origin to this place of the source."""
    return np.array([[1, 0, pixels_right], [0, 1, pixels_down], [0, 0, 1]])


def about_centre(size: Size, change: Map) -> Map:
    """Return ``change`` with the centre of a picture of this size as its origin."""
    width, height = size
    return shift(width / 2, height / 2) @ change @ shift(-width / 2, -height / 2)


def _moved(size: Size, augmentation: Augmentation, rng: np.random.Generator) -> Map:
    # Whole pixels, so that a picture that is only shifted stays as sharp as it was.
    right, down = (round(side * rng.uniform(-augmentation.shift, augmentation.shift)) for side in size)
    turned = turn(rng.uniform(-augmentation.rotation, augmentation.rotation))
    sheared = shear(math.tan(math.radians(rng.uniform(-augmentation.shear, augmentation.shear))))
    scale = 1 + rng.uniform(-augmentation.zoom, augmentation.zoom)
    return about_centre(size, shift(right, down) @ turned @ sheared @ np.diag([scale, scale, 1.0]))


def _window(size: Size, crop: float, rng: np.random.Generator) -> Map:
    """Return the map into a random window with at least ``1 - crop`` of the area."""
    area = rng.uniform(1 - crop, 1)
    # A window of this area lies within the picture only if its aspect is within area…1/area.
    most = min(math.log(ASPECT), abs(math.log(area)))
    aspect = math.exp(rng.uniform(-most, most))
    # Rounding must not take it a hair beyond the border.
    shares = np.minimum(1.0, [math.sqrt(area * aspect), math.sqrt(area / aspect)])
    left, top = rng.uniform(0, 1 - shares) * size
    return shift(left, top) @ np.diag([*shares, 1.0])


def _margins(ends: npt.NDArray[np.float64], side: int) -> tuple[int, int]:
    """Return how many pixels a side lacks before and after, to reach from the first to the last of ``ends``."""
    # Not for a billionth of a pixel, which is rounding.
    return max(0, math.ceil(-ends.min() - 1e-9)), max(0, math.ceil(ends.max() - side - 1e-9))
