"""Images × backbone → cached matrix: what a frozen network sees in each picture, computed once."""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from core import engines, feature_store, images
from core.backbones import Backbone, num_features
from core.engines import Engine, litert
from core.errors import UnreadableImage
from core.feature_store import FeatureSpace
from core.features.decoded import Decoded
from core.features.views import View
from core.progress import Progress, no_progress
from core.workspace import Workspace

__all__ = ["Decoded", "Features", "View", "describe_space", "extract"]

_FORMAT_VERSION = 1
_POOLINGS = {"average": "global average", "max": "global max", "flatten": "flatten"}
_SHARD_BYTES = 1 << 23  # 1,638 pictures at 1,280 features
_SHARD_SECONDS = 5.0  # of computing, which a kill may cost

_Item = tuple[str, list[Path]]  # SHA-256 and the files that have it
_Decode = Callable[[_Item], npt.NDArray[np.uint8] | UnreadableImage]
_Batch = tuple[list[str], npt.NDArray[Any]]  # SHA-256 of each row, and the rows


@dataclass(frozen=True)
class Features:
    """Features of a list of files.

    Attributes:
        matrix: float32 (n, d), one row per file in the order asked for; NaN where the file was unreadable.
        num_computed: Pictures that went through the network now.
        num_cached: Files whose features were known, from before or from an identical file.
        unreadable: Position in the list to what is wrong with the file.
        engine: What computed, or would have computed, them; its ``batch_size`` is below
            :data:`core.engines.BATCH_SIZE` where the device's memory was too small for that.
    """

    matrix: np.ndarray
    num_computed: int
    num_cached: int
    unreadable: dict[int, str]
    engine: Engine


def describe_space(
    backbone: Backbone,
    resize: str = "stretch",
    pooling: str = "average",
    view: View | None = None,
    precision: str = "",
) -> dict[str, Any]:
    """Return all that decides which numbers a picture gets, as JSON, by which its features are kept.

    Args:
        backbone: A pristine backbone.
        resize: How pictures are brought to ``backbone.image_size``; one of ``images.RESIZE_RULES``.
        pooling: One of :data:`core.recipes.POOLINGS`.
        view: A random variation of each picture instead of the picture itself.
        precision: Of the engine; TensorFlow's if empty.
    """
    is_whole = backbone.depth == 1
    description: dict[str, Any] = {
        "format": _FORMAT_VERSION,
        "backbone": backbone.spec.name,
        "weights_sha256": backbone.weights_sha256,
        "image_size": list(backbone.image_size),
        "resize": resize,
        "preprocessing": backbone.spec.preprocessing,
        "cut_layer": "last feature map" if is_whole else f"end of {backbone.blocks[-1].name}",
        "pooling": _POOLINGS[pooling],
        "view_seed": None,
        "engine": precision or engines.precision(),
        "decode_version": images.DECODE_VERSION,
        "num_features": num_features(backbone, pooling),
    }
    if view is not None:
        description |= {"view": view.to_json(), "view_seed": view.seed}
    return description


def extract(
    workspace: Workspace,
    backbone: Backbone,
    paths: Sequence[Path],
    hashes: Sequence[str],
    resize: str = "stretch",
    batch_size: int | None = None,
    progress: Progress = no_progress,
    *,
    pooling: str = "average",
    view: View | None = None,
    num_expected: int = 0,
    decoded: Decoded | None = None,
) -> Features:
    """Compute the features of files, or take them from the cache; identical files are computed once.

    What was computed is kept whatever ends the call: cancelling, an error, ``kill -9`` (but for the last
    seconds). Afterwards other feature spaces go, least recently used first, if the store takes more than
    :func:`core.feature_store.limit_bytes`.

    Args:
        workspace: Holds the cache.
        backbone: A pristine backbone: features of a fine-tuned one would be kept as if they were its own.
        paths: The files.
        hashes: SHA-256 of each file's bytes, in hex, as the audit found it. A file that has changed since is
            unreadable.
        resize: How pictures are brought to ``backbone.image_size``; one of ``images.RESIZE_RULES``.
        batch_size: Pictures per call of the network; not given, as many as keep its engine busy.
        progress: Called with files done and files in all.
        pooling: How the last feature map becomes features; one of :data:`core.recipes.POOLINGS`.
        view: A random variation of each picture to take instead of the picture itself.
        num_expected: How many pictures the same network will be asked about in all, where these are but some.
        decoded: Keeps pixels from one call to the next, for variations of the same pictures.

    Raises:
        ValueError: The backbone is not pristine.
        Cancelled: ``progress`` raised it.
        JobError: Not even a single picture fits into the device's memory.
        WorkspaceError: The cache cannot be written, or ``GRAFT_FEATURES_GB`` is not a number.
    """
    max_bytes = feature_store.limit_bytes()

    def space_of(precision: str) -> FeatureSpace:
        return FeatureSpace(workspace, describe_space(backbone, resize, pooling, view, precision))

    # Where all is kept that the fastest engine would compute, no network need be converted to find it.
    space = space_of(engines.precision() if engines.has_gpu() else litert.PRECISION)
    engine = engines.by_tensorflow(backbone, pooling, "all of these pictures are known")
    is_kept = space.count_known(hashes) == len(set(hashes))
    rows = _read(space, paths, hashes) if is_kept else None
    if rows is None or rows.missing:  # a file of the cache may be damaged
        num_images = max(num_expected, len(hashes))
        engine, space = _engine_and_space(workspace, backbone, hashes, pooling, space_of, num_images)
        rows = _read(space, paths, hashes)
    num_hits = rows.num_done
    progress(num_hits, len(paths))
    if rows.missing:
        engines.check_pristine(backbone)
    pixels = functools.partial(_pixels, image_size=backbone.image_size, resize=resize, decoded=decoded)
    decode = functools.partial(_decode, pixels=pixels, view=view)
    batches = _batches(decode, batch_size or engines.BATCH_SIZE // engine.batches_at_once, rows)
    with (
        _ShardWriter(space) as writer,
        _counting(workspace, num_hits, writer),
        contextlib.closing(_computed_ahead(engine, batches, writer)) as computed,
    ):
        for keys, found in computed:
            rows.put(keys, found)
            progress(rows.num_done, len(paths))
    feature_store.evict(workspace, max_bytes, in_use=(space.key,))
    num_cached = len(paths) - writer.num_rows - len(rows.unreadable)
    return Features(rows.matrix, writer.num_rows, num_cached, rows.unreadable, engine)


def _read(space: FeatureSpace, paths: Sequence[Path], hashes: Sequence[str]) -> _Rows:
    """Return the matrix with what a space knows."""
    rows = _Rows(paths, hashes, space.num_features)
    for keys, known in space.read(rows.missing):
        rows.put(keys, known)
    return rows


def _engine_and_space(
    workspace: Workspace,
    backbone: Backbone,
    hashes: Sequence[str],
    pooling: str,
    space_of: Callable[[str], FeatureSpace],
    num_images: int,
) -> tuple[Engine, FeatureSpace]:
    """Return the fastest engine and its space, or TensorFlow's where that knows all but a few of the pictures."""
    traced = engines.by_tensorflow(backbone, pooling, "it has computed most of these pictures before")
    num_known = space_of(traced.precision).count_known(hashes)
    if num_known and not engines.pays(backbone, len(set(hashes)) - num_known):
        return traced, space_of(traced.precision)
    engine = engines.fastest(workspace, backbone, pooling, num_images)
    return engine, space_of(engine.precision)


@contextlib.contextmanager
def _counting(workspace: Workspace, num_hits: int, writer: _ShardWriter) -> Iterator[None]:
    """Count, however the block ends, what was known and what had to be computed."""
    try:
        yield
    finally:
        feature_store.count(workspace, num_hits, writer.num_rows)


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


def _decode(
    item: _Item, pixels: Callable[[str, Path], npt.NDArray[np.uint8]], view: View | None
) -> npt.NDArray[np.uint8] | UnreadableImage:
    """Decode the first of some files said to be identical that can be read and is what it is said to be."""
    key, paths = item
    trouble = UnreadableImage("No file.", "missing")
    for path in paths:
        try:
            picture = pixels(key, path)
            return picture if view is None else view.of(picture, key)
        except UnreadableImage as error:
            trouble = error
    return trouble


def _pixels(
    key: str, path: Path, image_size: tuple[int, int], resize: str, decoded: Decoded | None
) -> npt.NDArray[np.uint8]:
    known = decoded.get(key) if decoded else None
    if known is not None:
        return known
    data = images.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != key:
        raise UnreadableImage("It has changed since it was audited. Audit the folder again.")
    picture = images.decode(data, image_size, resize)
    if decoded:
        decoded.keep(key, picture)
    return picture


def _batches(decode: _Decode, batch_size: int, rows: _Rows) -> Iterator[_Batch]:
    """Decode what is missing and gather it into batches; tell ``rows`` of what could not be read."""
    keys: list[str] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    items = list(rows.missing.items())
    # A batch ahead, so that the next one is there when the network asks for it.
    decoded = images.map_in_threads(decode, items, ahead=batch_size)
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


def _computed_ahead(
    engine: Engine, batches: Iterable[_Batch], writer: _ShardWriter
) -> Generator[_Batch, None, None]:
    """Run the network on each batch in threads of its own, while the next batch is being decoded.

    The writer is given each batch, also those that are still being computed when nobody asks any more.
    """
    waiting: collections.deque[tuple[list[str], Future[np.ndarray]]] = collections.deque()

    def first() -> _Batch:
        keys, computed = waiting.popleft()
        writer.add(keys, computed.result())
        return keys, computed.result()

    with ThreadPoolExecutor(engine.batches_at_once) as pool:
        try:
            for keys, pictures in batches:
                waiting.append((keys, pool.submit(engine, pictures)))
                if len(waiting) > engine.batches_at_once:
                    yield first()
            while waiting:
                yield first()
        finally:
            for keys, computed in waiting:
                if not computed.cancel() and computed.exception() is None:
                    writer.add(keys, computed.result())


class _ShardWriter:
    """Saves rows every few seconds and, whatever happens, at the end."""

    def __init__(self, space: FeatureSpace) -> None:
        self.num_rows = 0
        self._space = space
        self._keys: list[str] = []
        self._rows: list[np.ndarray] = []
        self._num_bytes = 0
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
        self._num_bytes += rows.nbytes
        if self._num_bytes >= _SHARD_BYTES or time.monotonic() - self._saved_at >= _SHARD_SECONDS:
            self._save()

    def _save(self) -> None:
        if self._keys:
            self._space.append(self._keys, np.concatenate(self._rows))
        self._keys, self._rows, self._num_bytes, self._saved_at = [], [], 0, time.monotonic()
