"""The training images of an epoch of stage 2: shuffled, decoded, varied, mixed and put into batches."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core import augmentation
from core.errors import UnreadableImage
from core.heads import FINE_TUNE_STAGE, class_weights, epoch_rows, generator
from core.images import decode, map_in_threads, read_bytes
from core.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one split.

    Args:
        paths: Files.
        y_true: int, shape (images,), in 0…classes−1.
    """

    paths: Sequence[Path]
    y_true: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)


class Batch(NamedTuple):
    """What one step learns from.

    Args:
        pixels: float32, shape (images, height, width, 3), 0…255.
        targets: float32, shape (images, classes), rows with the sum 1.
        weights: float32, shape (images,): what each counts in the loss.
    """

    pixels: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def iterate_batches(
    images: Images,
    num_classes: int,
    recipe: Recipe,
    image_size: tuple[int, int],
    batch_size: int,
    epoch: int,
) -> Iterator[Batch]:
    """Yield the batches of an epoch, all of the same size; files that cannot be read (any more) are skipped.

    The same arguments give the same batches, in whatever order the epochs are asked for.

    Args:
        images: Those of train.
        num_classes: Columns of the targets.
        recipe: Resize rule, augmentation, balance and seed.
        image_size: ``(height, width)``.
        batch_size: Images per step, at most as many as there are.
        epoch: From 1.
    """
    rng = generator(recipe.seed, FINE_TUNE_STAGE, epoch)
    order = epoch_rows(images.y_true, batch_size, recipe.balance, rng)
    weights = np.ones(num_classes, np.float32)
    if recipe.balance == "class_weights":
        weights = class_weights(images.y_true, num_classes)
    one_hot = np.eye(num_classes, dtype=np.float32)
    for pixels, rows in _stacked(images, order, recipe, image_size, batch_size, epoch):
        mixed, targets = augmentation.mix(
            pixels.astype(np.float32), one_hot[images.y_true[rows]], recipe.augment, rng
        )
        yield Batch(mixed, targets, targets @ weights)


def _stacked(
    images: Images,
    order: np.ndarray,
    recipe: Recipe,
    image_size: tuple[int, int],
    batch_size: int,
    epoch: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield uint8 pixels and rows of each batch."""
    varied = functools.partial(_varied, images=images, recipe=recipe, image_size=image_size, epoch=epoch)
    pixels: list[np.ndarray] = []
    rows: list[int] = []
    for row, picture in zip(order, map_in_threads(varied, enumerate(order)), strict=True):
        if picture is None:
            continue
        pixels.append(picture)
        rows.append(int(row))
        if len(pixels) == batch_size:
            yield np.stack(pixels), np.array(rows)
            pixels, rows = [], []
    if pixels:  # only where files could not be read any more
        again = np.resize(np.arange(len(pixels)), batch_size)
        yield np.stack(pixels)[again], np.array(rows)[again]


def _varied(
    item: tuple[int, int], images: Images, recipe: Recipe, image_size: tuple[int, int], epoch: int
) -> np.ndarray | None:
    """Return a random variation of one image; its chance hangs on its place alone, not on the threads."""
    position, row = item
    try:
        pixels = decode(read_bytes(images.paths[row]), image_size, recipe.resize)
    except UnreadableImage:
        return None
    rng = generator(recipe.seed, FINE_TUNE_STAGE, epoch, position)
    return augmentation.apply(pixels, recipe.augment, rng)
