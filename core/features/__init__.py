"""Images × backbone → cached matrix: what a frozen network sees in each picture, computed once."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from core import engines, images
from core.backbones import Backbone
from core.errors import UnreadableImage
from core.features.store import FeatureSpace, SpaceOnDisk, evict, list_spaces, space_key
from core.progress import Progress, no_progress
from core.workspace import Workspace

__all__ = [
    "FeatureSpace",
    "Features",
    "SpaceOnDisk",
    "describe_space",
    "evict",
    "extract",
    "list_spaces",
    "space_key",
]

_FORMAT_VERSION = 1
_SHARD_ROWS = 1024  # 5 MB at 1,280 features
_SHARD_SECONDS = 5.0  # of computing, which a kill may cost

_Item = tuple[str, list[Path]]  # SHA-256 and the files that have it
_Batch = tuple[list[str], npt.NDArray[Any]]  # SHA-256 of each row, and the rows


@dataclass(frozen=True)
class Features:
    """Features of a list of files.

    Attributes:
        matrix: float32 (n, d), one row per file in the order asked for; NaN where the file was unreadable.
        num_computed: Pictures that went through the network now.
        num_cached: Files whose features were known, from before or from an identical file.
        unreadable: Position in the list to what is wrong with the file.
    """

    matrix: np.ndarray
    num_computed: int
    num_cached: int
    unreadable: dict[int, str]


def describe_space(backbone: Backbone, resize: str = "stretch") -> dict[str, Any]:
    """Return all that decides which numbers a picture gets, as JSON; :func:`space_key` makes a name of it."""
    return {
        "format": _FORMAT_VERSION,
        "backbone": backbone.spec.name,
        "weights_sha256": backbone.weights_sha256,
        "image_size": list(backbone.image_size),
        "resize": resize,
        "preprocessing": backbone.spec.preprocessing,
        "cut_layer": "last feature map",
        "pooling": "global average",
        "view_seed": None,
        "engine": engines.precision(),
        "decode_version": images.DECODE_VERSION,
        "num_features": int(backbone.model.output.shape[-1]),
    }


def extract(
    workspace: Workspace,
    backbone: Backbone,
    paths: Sequence[Path],
    hashes: Sequence[str],
    resize: str = "stretch",
    batch_size: int = engines.BATCH_SIZE,
    progress: Progress = no_progress,
) -> Features:
    """Compute the features of files, or take them from the cache; identical files are computed once.

    What was computed is kept whatever ends the call: cancelling, an error, ``kill -9`` (but for the last
    seconds).

    Args:
        workspace: Holds the cache.
        backbone: A pristine backbone: features of a fine-tuned one would be kept as if they were its own.
        paths: The files.
        hashes: SHA-256 of each file's bytes, in hex, as the audit found it. A file that has changed since is
            unreadable.
        resize: How pictures are brought to ``backbone.image_size``; one of ``images.RESIZE_RULES``.
        batch_size: Pictures per call of the network.
        progress: Called with files done and files in all.

    Raises:
        ValueError: The backbone is not pristine.
        Cancelled: ``progress`` raised it.
        WorkspaceError: The cache cannot be written.
    """
    space = FeatureSpace(workspace, describe_space(backbone, resize))
    rows = _Rows(paths, hashes, space.num_features)
    for keys, known in space.read(rows.missing):
        rows.put(keys, known)
    progress(rows.num_done, len(paths))
    items = list(rows.missing.items())
    if items and not backbone.is_pristine():
        raise ValueError(
            "Received a backbone whose weights were changed. Expected it as built. Restore it first."
        )
    forward = engines.forward(backbone)
    decode = functools.partial(_decode, image_size=backbone.image_size, resize=resize)
    with _ShardWriter(space) as writer:
        for batch in _computed_ahead(
            forward, _batches(items, images.map_in_threads(decode, items), batch_size, rows)
        ):
            writer.add(*batch)
            rows.put(*batch)
            progress(rows.num_done, len(paths))
    num_cached = len(paths) - writer.num_rows - len(rows.unreadable)
    return Features(rows.matrix, writer.num_rows, num_cached, rows.unreadable)


class _Rows:
    """The matrix as it fills up; ``missing`` maps each key to the files that still want it."""

    def __init__(self, paths: Sequence[Path], hashes: Sequence[str], num_features: int) -> None:
        self.matrix = np.full((len(paths), num_features), np.nan, np.float32)
        self.unreadable: dict[int, str] = {}
        self.num_done = 0
        self.missing: dict[str, list[Path]] = {}
        self._positions: dict[str, list[int]] = {}
        for position, (path, key) in enumerate(zip(paths, hashes, strict=True)):
            self.missing.setdefault(key, []).append(path)
            self._positions.setdefault(key, []).append(position)

    def put(self, keys: Iterable[str], rows: np.ndarray) -> None:
        for key, row in zip(keys, rows, strict=True):
            self.matrix[self._positions[key]] = row
            self._finish(key)

    def give_up(self, key: str, error: UnreadableImage) -> None:
        self.unreadable |= dict.fromkeys(self._positions[key], str(error))
        self._finish(key)

    def _finish(self, key: str) -> None:
        self.num_done += len(self._positions[key])
        del self.missing[key]


def _decode(item: _Item, image_size: tuple[int, int], resize: str) -> npt.NDArray[np.uint8] | UnreadableImage:
    """Decode the first of some files said to be identical that can be read and is what it is said to be."""
    key, paths = item
    trouble = UnreadableImage("No file.", "missing")
    for path in paths:
        try:
            data = images.read_bytes(path)
            if hashlib.sha256(data).hexdigest() != key:
                raise UnreadableImage("It has changed since it was audited. Audit the folder again.")
            return images.decode(data, image_size, resize)
        except UnreadableImage as error:
            trouble = error
    return trouble


def _batches(
    items: Iterable[_Item],
    decoded: Iterable[npt.NDArray[np.uint8] | UnreadableImage],
    batch_size: int,
    rows: _Rows,
) -> Iterator[_Batch]:
    """Gather decoded pictures into batches; tell ``rows`` of those that could not be read."""
    keys: list[str] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    for (key, _), picture in zip(items, decoded, strict=True):
        if isinstance(picture, UnreadableImage):
            rows.give_up(key, picture)
            continue
        keys.append(key)
        pictures.append(picture)
        if len(keys) == batch_size:
            yield keys, np.stack(pictures)
            keys, pictures = [], []
    if keys:
        yield keys, np.stack(pictures)


def _computed_ahead(forward: engines.Forward, batches: Iterable[_Batch]) -> Iterator[_Batch]:
    """Run the network on each batch in a thread of its own, while the next batch is being decoded."""
    waiting: tuple[list[str], Future[np.ndarray]] | None = None
    with ThreadPoolExecutor(1) as pool:
        for keys, pictures in batches:
            finished, waiting = waiting, (keys, pool.submit(forward, pictures))
            if finished:
                yield finished[0], finished[1].result()
        if waiting:
            yield waiting[0], waiting[1].result()


class _ShardWriter:
    """Saves rows every few seconds and, whatever happens, at the end."""

    def __init__(self, space: FeatureSpace) -> None:
        self.num_rows = 0
        self._space = space
        self._keys: list[str] = []
        self._rows: list[np.ndarray] = []
        self._saved_at = time.monotonic()

    def __enter__(self) -> _ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()

    def add(self, keys: Sequence[str], rows: np.ndarray) -> None:
        self.num_rows += len(keys)
        self._keys.extend(keys)
        self._rows.append(rows)
        if len(self._keys) >= _SHARD_ROWS or time.monotonic() - self._saved_at >= _SHARD_SECONDS:
            self._save()

    def _save(self) -> None:
        if self._keys:
            self._space.append(self._keys, np.concatenate(self._rows))
        self._keys, self._rows, self._saved_at = [], [], time.monotonic()
