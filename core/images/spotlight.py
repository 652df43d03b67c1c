"""A picture as the network saw it, lit where something spoke for a class and grey where nothing did."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.images.decoding import decode

DIMMED = 0.45
"""Brightness of what is not lit, as a share of its own."""
OUTLINE = 0.5
"""Share of the largest strength at which a line is drawn, for those who do not see the colours."""


def spotlight(
    data: bytes,
    image_size: tuple[int, int],
    resize: str,
    strengths: Sequence[Sequence[float]],
    largest: float,
) -> bytes:
    """Draw a picture in its colours where strengths are high, and in dark grey where they are not.

    Args:
        data: The bytes of the file.
        image_size: Height and width in pixels, as the network takes them.
        resize: As in :func:`core.images.decode`.
        strengths: In a grid over the picture, rows from its top; what is below 0 counts as 0.
        largest: The strength that is lit fully, above 0; the same for pictures that are to be compared.

    Returns:
        WEBP.

    Raises:
        UnreadableImage: The bytes are no picture that can be read.
    """
    pixels = decode(data, image_size, resize).astype(np.float32)
    grid = Image.fromarray(np.asarray(strengths, dtype=np.float32) / max(largest, 1e-12))
    height, width = image_size
    lit = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)[..., None]
    grey = DIMMED * pixels.mean(axis=2, keepdims=True)
    drawn = lit * pixels + (1 - lit) * grey
    drawn[_edge(lit[..., 0] > OUTLINE)] = 255
    buffer = io.BytesIO()
    Image.fromarray(drawn.astype(np.uint8)).save(buffer, format="WEBP", quality=90)
    return buffer.getvalue()


def _edge(inside: np.ndarray) -> np.ndarray:
    padded = np.pad(inside, 1, mode="edge")
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: np.ndarray = inside & ~surrounded
    return edge
