"""What the pixels of one picture say about it: light, sharpness, colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

SHARPNESS_SIDE = 224
"""Pixels of the longer side at which sharpness is measured, whatever the size of the picture: what a network sees."""

MIN_SHARPNESS_SIDE = 96
"""Pixels of a side along which edges are looked for; on fewer the blur would reach from one to the next."""

_BLUR_RADIUS = 4
_COLOUR_FACTOR = 4


@dataclass(frozen=True)
class PixelMeasures:
    """Measures of one picture; all between 0 and 1.

    Args:
        darkest: Brightness below which 5 % of the pixels are: high for an overexposed picture.
        lightest: Brightness below which 95 % of the pixels are: low for a dark picture.
        brightness: Mean brightness.
        contrast: From the darkest to the lightest pixel, but for 0.1 % on either side: 0 for a blank picture.
        sharpness: What of the edges is lost when the picture is blurred: low where it was blurred before. 1 where it
            is too small to tell.
        colourfulness: How far red, green and blue are apart in the most colourful 1 % of the picture: 0 for grey.
        red, green, blue: Means of the colours.
    """

    darkest: float = 0.0
    lightest: float = 1.0
    brightness: float = 0.0
    contrast: float = 1.0
    sharpness: float = 1.0
    colourfulness: float = 1.0
    red: float = 0.0
    green: float = 0.0
    blue: float = 0.0


def measure(picture: npt.NDArray[np.uint8]) -> PixelMeasures:
    """Measure a picture.

    Args:
        picture: RGB, uint8, shape ``(height, width, 3)``, as :func:`core.images.verify_reduced` returns it.
    """
    colour = Image.fromarray(picture)
    grey = colour.convert("L")
    shares = np.cumsum(grey.histogram()) / (grey.width * grey.height)
    lowest, darkest, lightest, highest = np.searchsorted(shares, [0.001, 0.05, 0.95, 0.999]) / 255
    small = np.asarray(colour.reduce(_COLOUR_FACTOR)).reshape(-1, 3)
    spread = small.max(axis=1) - small.min(axis=1)
    red, green, blue = (small.mean(axis=0) / 255).tolist()
    return PixelMeasures(
        darkest=float(darkest),
        lightest=float(lightest),
        brightness=float(np.dot(np.diff(shares, prepend=0), np.arange(256)) / 255),
        contrast=float(highest - lowest),
        sharpness=_sharpness(grey),
        colourfulness=float(np.percentile(spread, 99) / 255),
        red=red,
        green=green,
        blue=blue,
    )


def _sharpness(grey: Image.Image) -> float:
    """Return one minus the blur effect, along the axis that is less sharp: shaking blurs one only.

    Reference: Crete, Dolmiere, Ladret and Nicolas (2007), The Blur Effect: Perception and Estimation with a New
    No-Reference Perceptual Blur Metric.
    """
    scale = SHARPNESS_SIDE / max(grey.size)
    if scale < 1:
        size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
        grey = grey.resize(size, Image.Resampling.BOX)
    found = [1.0]
    pixels = np.asarray(grey, dtype=np.int16)
    for axis, radius in enumerate([(0, _BLUR_RADIUS), (_BLUR_RADIUS, 0)]):
        if pixels.shape[axis] < MIN_SHARPNESS_SIDE:
            continue
        blurred = np.asarray(grey.filter(ImageFilter.BoxBlur(radius)), dtype=np.int16)
        before, after = (np.abs(np.diff(values, axis=axis)) for values in (pixels, blurred))
        total = int(before.sum())
        found.append(int(np.maximum(0, before - after).sum()) / total if total else 0.0)
    return min(found)
