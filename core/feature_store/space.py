"""One feature space on disk: rows that were computed once and are never lost or mistaken.

Each space has a directory of its own, where rows are keyed by the SHA-256 of the picture's file:

    features/<key>.lock          held by whoever writes
    features/<key>/space.json    the space in words
    features/<key>/index.txt     one line per shard: the line's checksum and the rows' keys; append-only
    features/<key>/<shard>.npy   float32 rows

A shard is on disk before its line is, so a killed writer leaves at most a shard without a line, which a later
writer removes. A damaged line or shard costs its own rows, which are computed again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from core.errors import WorkspaceError
from core.workspace import Workspace, write_json


def space_key(description: Mapping[str, Any]) -> str:
    """Return the directory name of a feature space: its backbone and 16 hex digits of a hash."""
    canonical = json.dumps(description, sort_keys=True).encode()
    return f"{description['backbone']}-{hashlib.sha256(canonical).hexdigest()[:16]}"


class FeatureSpace:
    """One directory of cached rows; any number of processes and threads may read and write it at a time.

    Args:
        workspace: Holds the directory.
        description: All that decides which numbers a picture gets, as JSON; ``backbone`` and ``num_features``
            among it.
    """

    def __init__(self, workspace: Workspace, description: Mapping[str, Any]) -> None:
        self.description = dict(description)
        self.num_features = int(description["num_features"])
        self.key = space_key(description)
        self.directory = workspace.features_dir / self.key
        self._index_path = self.directory / "index.txt"
        self._lock_path = lock_path(workspace, self.key)
        self._is_swept = False

    def read(self, keys: Collection[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield what is known of ``keys``, shard by shard: keys and their rows, float32 (len(keys), d).

        A key comes at most once. Damaged shards count as unknown.
        """
        wanted = set(keys)
        for shard, shard_keys, checksum in self._index():
            found = {key: row for row, key in enumerate(shard_keys) if key in wanted}
            matrix = self._shard(shard, len(shard_keys), checksum) if found else None
            if matrix is not None:
                wanted -= found.keys()
                yield list(found), matrix[list(found.values())]
        self._touch()

    def count_known(self, keys: Collection[str]) -> int:
        """Return how many of ``keys`` the index lists; no row is read."""
        wanted = set(keys)
        return len(wanted.intersection(key for _, listed, _ in self._index() for key in listed))

    def append(self, keys: Sequence[str], matrix: np.ndarray) -> None:
        """Add rows; they are on disk when this returns.

        Args:
            keys: SHA-256 of each picture's file, in hex.
            matrix: float32 (n, d).

        Raises:
            WorkspaceError: The disk is full, cannot be written or cannot lock.
        """
        matrix = np.ascontiguousarray(matrix, np.float32)
        shard = uuid.uuid4().hex
        try:
            with locked(self._lock_path):
                self._prepare()
                self._write_shard(shard, matrix)
                self._append_line(json.dumps([shard, list(keys), zlib.crc32(matrix.data)]))
            self._touch()
        except OSError as error:
            raise WorkspaceError(
                f'Features could not be saved in "{self.directory}" ({error.strerror or error}). '
                "Check that the disk has room and is a local one, and that the folder may be written."
            ) from error

    def _touch(self) -> None:
        """Note that the space was of use now, for eviction."""
        with contextlib.suppress(OSError):
            os.utime(self.directory / "space.json")

    def _prepare(self) -> None:
        """Make the directory if it is missing (or was evicted); the first time, sweep out orphaned shards."""
        self.directory.mkdir(exist_ok=True)
        if not (self.directory / "space.json").exists():
            write_json(self.directory / "space.json", self.description)
        if not self._is_swept:
            known = {f"{shard}.npy" for shard, _, _ in self._index()}
            for path in self.directory.glob("*.npy"):
                if path.name not in known:
                    path.unlink()
            self._is_swept = True

    def _write_shard(self, shard: str, matrix: np.ndarray) -> None:
        path = self.directory / f"{shard}.npy"
        try:
            with path.open("wb") as file:
                np.save(file, matrix, allow_pickle=False)
                _sync(file)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def _append_line(self, text: str) -> None:
        with self._index_path.open("a+b") as file:
            end = file.tell()
            is_torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
            file.write((b"\n" if is_torn else b"") + _with_checksum(text.encode()))
            _sync(file)

    def _index(self) -> Iterator[tuple[str, list[str], int]]:
        """Yield name, keys and checksum of each shard; spoilt lines are skipped."""
        try:
            lines = self._index_path.read_bytes().splitlines(keepends=True)
        except OSError:
            return
        for line in lines:
            text = line[9:-1]
            if line == _with_checksum(text):
                shard, keys, checksum = json.loads(text)
                yield shard, keys, checksum

    def _shard(self, shard: str, num_rows: int, checksum: int) -> np.ndarray | None:
        try:
            with (self.directory / f"{shard}.npy").open("rb") as file:
                matrix = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if matrix.shape != (num_rows, self.num_features) or matrix.dtype != np.float32:
            return None
        return matrix if zlib.crc32(np.ascontiguousarray(matrix).data) == checksum else None


def _with_checksum(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def lock_path(workspace: Workspace, key: str) -> Path:
    """Beside the directory, not in it, so that evicting the directory leaves the lock."""
    return workspace.features_dir / f"{key}.lock"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file unlocks; so does the kernel when its holder dies
        yield


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
