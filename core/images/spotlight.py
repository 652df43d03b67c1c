"""A picture as a network saw it, bright where it looked and dim elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.images.decoding import decode

SIDE = 448
"""Pixels: twice what most networks take, so that people see it too."""
DIM = 0.25
"""Share of the brightness that is left where nothing spoke for the class."""


def spotlight(data: bytes, rows: Sequence[Sequence[float]], resize: str) -> bytes:
    """Return a picture (WEBP, :data:`SIDE` pixels square) lit by how much each place spoke for a class.

    It is brought to its square as for the network, so that the places are where they belong. Places that spoke against
    the class are as dim as those that said nothing.

    Args:
        data: The bytes of the file.
        rows: What each place adds to the class, shape (h, w); the largest is lit in full.
        resize: One of :data:`core.images.RESIZE_RULES`.

    Raises:
        UnreadableImage: The bytes are no picture that can be read.
    """
    pixels = decode(data, (SIDE, SIDE), resize).astype(np.float32)
    spoke = np.clip(np.asarray(rows, dtype=np.float32), 0, None)
    spoke /= max(float(spoke.max()), float(np.finfo(np.float32).tiny))
    light = np.asarray(Image.fromarray(spoke).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    lit = pixels * (DIM + (1 - DIM) * np.clip(light, 0, 1))[:, :, None]
    buffer = io.BytesIO()
    Image.fromarray(np.rint(lit).astype(np.uint8)).save(buffer, format="WEBP", quality=85)
    return buffer.getvalue()
