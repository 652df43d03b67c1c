"""The sample of handwritten digits, which scikit-learn brings along: no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from core.progress import Progress

SIDE = 64
"""Pixels of a side: eight times the 8 x 8 of the source, so that digits can be looked at."""

INK_LEVELS = 16
"""The source counts ink from 0 (paper) to 16 (full)."""


def build(pictures_dir: Path, scratch_dir: Path, progress: Progress) -> None:
    """Write 1,797 grey PNGs, dark ink on white, into the class folders "0" to "9".

    Args:
        pictures_dir: An empty folder for the class folders.
        scratch_dir: Not needed here.
        progress: Counts pictures.
    """
    # Imported here because scikit-learn takes a second that pages should not pay.
    from sklearn.datasets import load_digits

    ink, labels = load_digits(return_X_y=True)
    paper = np.rint(255 - ink.reshape(-1, 8, 8) * (255 / INK_LEVELS)).astype(np.uint8)
    for digit in range(10):
        (pictures_dir / str(digit)).mkdir()
    for index, (pixels, label) in enumerate(zip(paper, labels, strict=True)):
        picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(pictures_dir / str(label) / f"digit-{index:04d}.png")
        progress(index + 1, len(paper))
