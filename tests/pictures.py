"""Tiny pictures with known pixels, and folders of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LEFT, RIGHT = (220, 30, 30), (30, 30, 220)
"""Colours of the two halves of a two-sided picture."""


def noise(seed: int, size: tuple[int, int] = (48, 36)) -> Image.Image:
    """Return a picture (width, height) of smooth noise; another seed gives another picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def two_sided(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, LEFT)
    picture.paste(RIGHT, (size[0] // 2, 0, size[0], size[1]))
    return picture


def encode(picture: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def write(path: Path, seed: int, image_format: str = "PNG", **options: Any) -> Path:
    """Write a picture of its own to a path, making the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(noise(seed), image_format, **options))
    return path


def write_classes(root: Path, counts: dict[str, int], first_seed: int = 0) -> Path:
    """Write class folders, each with so many different pictures."""
    seed = first_seed
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            write(root / name / f"{index:03d}.png", seed)
            seed += 1
    return root
