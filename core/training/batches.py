"""The training images of an epoch of stage 2: shuffled, decoded, varied, mixed and put into batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
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
        targets: What is learnt instead of these classes, where it is something else: float32, shape (images, classes),
            in 0…1, rows with the sum 1.
    """

    paths: Sequence[Path]
    y_true: np.ndarray
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)


class Batch(NamedTuple):
    """What one step learns from.

    Args:
        inputs: float32: pixels of shape (images, height, width, 3), 0…255, or what enters the first block that learns.
        targets: float32, shape (images, classes), rows with the sum 1.
        weights: float32, shape (images,): what each counts in the loss.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def iterate_batches(
    images: Images,
    num_classes: int,
    recipe: Recipe,
    batch_size: int,
    epoch: int,
    inputs_of: Callable[[np.ndarray], Iterable[np.ndarray | None]],
) -> Iterator[Batch]:
    """Yield the batches of an epoch, all of the same size; files that cannot be read (any more) are skipped.

    The same arguments give the same batches, in whatever order the epochs are asked for.

    Args:
        images: Those of train.
        num_classes: Columns of the targets.
        recipe: What mixes batches, balance and seed.
        batch_size: Images per step, at most as many as there are.
        epoch: From 1.
        inputs_of: Yields for rows, in the order in which they are learnt from, what the network is given; None for
            a file that cannot be read.
    """
    rng = generator(recipe.seed, FINE_TUNE_STAGE, epoch)
    order = epoch_rows(images.y_true, batch_size, recipe.balance, rng)
    weights = np.ones(num_classes, np.float32)
    if recipe.balance == "class_weights":
        weights = class_weights(images.y_true, num_classes)
    targets = images.targets
    if targets is None:
        targets = np.eye(num_classes, dtype=np.float32)[images.y_true]
    for inputs, rows in _stacked(order, inputs_of(order), batch_size):
        mixed, wanted = augmentation.mix(inputs.astype(np.float32), targets[rows], recipe.augment, rng)
        yield Batch(mixed, wanted, wanted @ weights)


def varied_anew(
    images: Images, recipe: Recipe, image_size: tuple[int, int], epoch: int
) -> Callable[[np.ndarray], Iterable[np.ndarray | None]]:
    """Return what decodes and varies the images of an epoch, for :func:`iterate_batches`.

    Args:
        images: Those of train.
        recipe: Resize rule, augmentation and seed.
        image_size: ``(height, width)``.
        epoch: From 1.
    """
    varied = functools.partial(_varied, images=images, recipe=recipe, image_size=image_size, epoch=epoch)
    return lambda order: map_in_threads(varied, enumerate(order))


def _stacked(
    order: np.ndarray, inputs_of_order: Iterable[np.ndarray | None], batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield inputs and rows of each batch."""
    inputs: list[np.ndarray] = []
    rows: list[int] = []
    for row, one in zip(order, inputs_of_order, strict=True):
        if one is None:
            continue
        inputs.append(one)
        rows.append(int(row))
        if len(inputs) == batch_size:
            yield np.stack(inputs), np.array(rows)
            inputs, rows = [], []
    if inputs:  # only where files could not be read any more
        again = np.resize(np.arange(len(inputs)), batch_size)
        yield np.stack(inputs)[again], np.array(rows)[again]


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
