"""What the store takes, how often it was of use, and what goes when it takes too much."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import WorkspaceError
from core.feature_store.space import lock_path, locked
from core.workspace import Workspace, directory_size, read_json, remove_directory, write_json

DEFAULT_LIMIT_GB = 10.0
"""Gigabytes (10**9 bytes) that the store may take where ``GRAFT_FEATURES_GB`` does not say; some two million pictures
with EfficientNet-Lite0."""

_BYTES_PER_GB = 10**9


@dataclass(frozen=True)
class SpaceOnDisk:
    """What a feature space takes.

    Attributes:
        key: Its directory's name.
        description: Backbone, image size and so on; empty if damaged.
        num_bytes: On disk.
        last_used: Seconds since the epoch.
    """

    key: str
    description: dict[str, Any]
    num_bytes: int
    last_used: float


@dataclass(frozen=True)
class Usage:
    """What the store takes, and how often it was of use.

    Attributes:
        num_bytes: On disk.
        num_spaces: Feature spaces.
        num_hits: Files whose features were known when they were asked for, since the store was last cleared.
        num_computed: Pictures that had to go through a network, since then.
    """

    num_bytes: int
    num_spaces: int
    num_hits: int
    num_computed: int

    @property
    def hit_rate(self) -> float | None:
        """Share of what was asked for that was known, 0…1; None if nothing was asked for yet."""
        asked = self.num_hits + self.num_computed
        return self.num_hits / asked if asked else None


def limit_bytes() -> int:
    """Return how many bytes the store may take: ``GRAFT_FEATURES_GB`` × 10**9, by default 10 GB.

    Raises:
        WorkspaceError: The variable is not a number of gigabytes.
    """
    given = os.environ.get("GRAFT_FEATURES_GB", "").strip()
    try:
        gigabytes = float(given or DEFAULT_LIMIT_GB)
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise WorkspaceError(
            f'GRAFT_FEATURES_GB is "{given}". Expected how many gigabytes of features to keep, 0 or more, '
            f"such as {DEFAULT_LIMIT_GB:g}. Correct it, or leave it out."
        )
    return int(gigabytes * _BYTES_PER_GB)


def list_spaces(workspace: Workspace) -> list[SpaceOnDisk]:
    """Return all feature spaces, least recently used first."""
    folders = [path for path in workspace.features_dir.iterdir() if path.is_dir() and path.name[0] != "."]
    return sorted((_on_disk(folder) for folder in folders), key=lambda space: space.last_used)


def _on_disk(folder: Path) -> SpaceOnDisk:
    try:
        description = read_json(folder / "space.json")
        last_used = (folder / "space.json").stat().st_mtime
    except (WorkspaceError, OSError):
        description, last_used = {}, 0.0
    return SpaceOnDisk(folder.name, description, directory_size(folder), last_used)


def evict(workspace: Workspace, max_bytes: int, in_use: Collection[str] = ()) -> int:
    """Delete whole feature spaces, least recently used first, until the rest takes at most ``max_bytes``.

    Args:
        workspace: Holds the store.
        max_bytes: What may stay.
        in_use: Keys of spaces that stay whatever they take.

    Returns:
        The bytes that were freed. Features can always be computed again.
    """
    spaces = list_spaces(workspace)
    excess = sum(space.num_bytes for space in spaces) - max_bytes
    freed = 0
    for space in spaces:
        if freed < excess and space.key not in in_use:
            _remove(workspace, space)
            freed += space.num_bytes
    return freed


def _remove(workspace: Workspace, space: SpaceOnDisk) -> None:
    with locked(lock_path(workspace, space.key)):
        remove_directory(workspace.features_dir / space.key)


def clear(workspace: Workspace) -> int:
    """Delete all features, also what an interrupted deletion left, and begin to count anew.

    Returns:
        The bytes that were freed.

    Raises:
        WorkspaceError: Something cannot be removed.
    """
    freed = 0
    for space in list_spaces(workspace):
        _remove(workspace, space)
        freed += space.num_bytes
    for leftover in workspace.features_dir.glob(".*.deleted"):
        freed += directory_size(leftover)
        shutil.rmtree(leftover, ignore_errors=True)
    with locked(_counts_path(workspace).with_suffix(".lock")):
        _counts_path(workspace).unlink(missing_ok=True)
    return freed


def usage(workspace: Workspace) -> Usage:
    """Return what the store takes, and how often it was of use, whichever process asked it."""
    spaces = list_spaces(workspace)
    return Usage(sum(space.num_bytes for space in spaces), len(spaces), *_counts(workspace))


def count(workspace: Workspace, num_hits: int, num_computed: int) -> None:
    """Add to the counts of :func:`usage`; where they cannot be kept, nothing happens.

    Args:
        workspace: Holds the store.
        num_hits: Files whose features were known.
        num_computed: Pictures that went through a network.
    """
    path = _counts_path(workspace)
    # Lost counts are no reason to lose the training that they are about.
    with contextlib.suppress(OSError, WorkspaceError), locked(path.with_suffix(".lock")):
        hits, computed = _counts(workspace)
        write_json(path, {"num_hits": hits + num_hits, "num_computed": computed + num_computed})


def _counts_path(workspace: Workspace) -> Path:
    return workspace.features_dir / "usage.json"


def _counts(workspace: Workspace) -> tuple[int, int]:
    """Return hits and computed pictures; zeros if there are none yet or the file is damaged."""
    try:
        stored = read_json(_counts_path(workspace))
        return int(stored["num_hits"]), int(stored["num_computed"])
    except (WorkspaceError, KeyError, TypeError, ValueError):
        return 0, 0
