"""What enters the first block that learns, kept during stage 2: an epoch then costs only what learns.

Of each training image there are the image itself and variations of it; an epoch draws one of these per image. They are
computed when an epoch first comes to them, a batch at a time between its steps, so that the first step need not wait
for all of them. Memory-mapped in a file without a name, which is gone with the process however it ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from core import augmentation
from core.backbones import Backbone
from core.engines import Engine
from core.errors import UnreadableImage
from core.forecast import TRAIN_TYPE, VAL_TYPE
from core.heads import FINE_TUNE_STAGE, epoch_rows, generator
from core.images import decode, map_in_threads, read_bytes
from core.recipes import Recipe
from core.training.batches import Images

_BATCH_SIZE = 32
_MISSING, _KEPT, _UNREADABLE = 0, 1, 2


class Boundary:
    """What enters the first block that learns.

    Args:
        lower: The frozen part of a pristine backbone.
        engine: Computes its last feature map, flattened.
        images: Those of ``"train"`` and ``"val"``.
        recipe: Resize rule, augmentation, balance and seed.
        num_variants: Of each training image, itself among them.
        folder: Of a disk with room for as much as :func:`core.forecast.plan_boundary` says.

    Attributes:
        num_variants: Of each training image.

    Raises:
        OSError: The disk has no room.
    """

    def __init__(
        self,
        lower: Backbone,
        engine: Engine,
        images: Mapping[str, Images],
        recipe: Recipe,
        num_variants: int,
        folder: Path,
    ) -> None:
        self._image_size, self._engine, self._recipe = lower.image_size, engine, recipe
        self._images = images
        self.num_variants = num_variants
        shape = tuple(lower.model.output.shape[1:])
        num_train = len(images["train"]) * num_variants
        self._train = _Rows(folder, (num_train, *shape), TRAIN_TYPE)
        self._val = _Rows(folder, (len(images["val"]), *shape), VAL_TYPE)

    @property
    def num_computed(self) -> int:
        """How many pictures and variants went through the frozen part so far."""
        return int((self._train.state != _MISSING).sum() + (self._val.state != _MISSING).sum())

    def num_wanted(self, first_epoch: int, batch_size: int) -> int:
        """Return how many will have to, from an epoch to the end."""
        wanted = np.zeros(len(self._train.state), bool)
        for epoch in range(first_epoch, self._recipe.fine_tune_epochs + 1):
            rng = generator(self._recipe.seed, FINE_TUNE_STAGE, epoch)
            order = epoch_rows(self._images["train"].y_true, batch_size, self._recipe.balance, rng)
            wanted[self._keys(order, epoch)] = True
        return int(wanted.sum()) + len(self._val.state)

    def train(
        self, epoch: int, tick: Callable[[], None]
    ) -> Callable[[np.ndarray], Iterator[np.ndarray | None]]:
        """Return what gives the inputs of an epoch, for :func:`core.training.batches.iterate_batches`.

        What is missing is computed when its turn comes.

        Args:
            epoch: From 1.
            tick: Called after each batch that had to be computed; may raise to stop.
        """

        def inputs_of(order: np.ndarray) -> Iterator[np.ndarray | None]:
            keys = self._keys(order, epoch)
            computing = self._compute(self._train, keys, self._variant, tick)
            for key in keys:
                if self._train.state[key] == _MISSING:
                    next(computing)
                yield self._train.get(key)

        return inputs_of

    def val(self, tick: Callable[[], None]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows of val and their inputs, float32, batch by batch; files that cannot be read are left out.

        Args:
            tick: As in :meth:`train`.
        """
        for _ in self._compute(self._val, np.arange(len(self._val.state)), self._picture, tick):
            pass
        read = np.flatnonzero(self._val.state == _KEPT)
        for begin in range(0, len(read), _BATCH_SIZE):
            rows = read[begin : begin + _BATCH_SIZE]
            yield rows, np.asarray(self._val.values[rows])

    def _keys(self, order: np.ndarray, epoch: int) -> np.ndarray:
        """Return which variants an epoch draws for rows: row × variants + variant."""
        rng = generator(self._recipe.seed, FINE_TUNE_STAGE, epoch, 0, self.num_variants)
        keys: np.ndarray = order * self.num_variants + rng.integers(self.num_variants, size=len(order))
        return keys

    def _compute(
        self,
        rows: _Rows,
        keys: np.ndarray,
        picture_of: Callable[[int], np.ndarray | None],
        tick: Callable[[], None],
    ) -> Iterator[None]:
        """Send what is missing through the frozen part: in the order of its first turn, a batch each time one asks."""
        missing = np.array(list(dict.fromkeys(keys[rows.state[keys] == _MISSING])), int)
        # A batch ahead, so that pictures are decoded while a step is taken.
        pictures = map_in_threads(picture_of, map(int, missing), ahead=_BATCH_SIZE)
        for begin in range(0, len(missing), _BATCH_SIZE):
            batch = missing[begin : begin + _BATCH_SIZE]
            decoded = {
                key: picture for key, picture in zip(batch, pictures, strict=False) if picture is not None
            }
            computed = self._engine(np.stack(list(decoded.values()))) if decoded else None
            rows.state[batch] = _UNREADABLE
            if computed is not None:
                rows.put(list(decoded), computed)
            tick()
            yield

    def _variant(self, key: int) -> np.ndarray | None:
        row, variant = divmod(key, self.num_variants)
        picture = self._read("train", row)
        if picture is None or variant == 0:
            return picture
        rng = generator(self._recipe.seed, FINE_TUNE_STAGE, 0, row, variant)
        return augmentation.apply(picture, self._recipe.augment, rng)

    def _picture(self, row: int) -> np.ndarray | None:
        return self._read("val", row)

    def _read(self, split: str, row: int) -> np.ndarray | None:
        try:
            data = read_bytes(self._images[split].paths[row])
            return decode(data, self._image_size, self._recipe.resize)
        except UnreadableImage:
            return None


class _Rows:
    """Rows in a file without a name.

    Args:
        folder: Where the file takes room.
        shape: Rows first.
        dtype: Of the numbers.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: type[np.floating]) -> None:
        self.state = np.full(shape[0], _MISSING, np.uint8)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Written through memory, a full disk would kill the process; reserved beforehand it is an error.
            _reserve(file.fileno(), int(np.prod(shape)) * np.dtype(dtype).itemsize)
            self.values = np.memmap(file, dtype, "r+", shape=shape)

    def get(self, key: int) -> np.ndarray | None:
        """Return a row, or None if its file could not be read."""
        return self.values[key] if self.state[key] == _KEPT else None

    def put(self, keys: list[int], values: np.ndarray) -> None:
        """Keep rows."""
        most = np.finfo(self.values.dtype).max  # in 16 bits more than 65,504 would be infinite
        self.values[keys] = np.clip(values, -most, most).reshape(len(keys), *self.values.shape[1:])
        self.state[keys] = _KEPT


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for _ in range(0, size, 1 << 20):  # macOS
        os.write(descriptor, b"\0" * (1 << 20))
