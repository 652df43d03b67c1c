"""A dataset whose folder was moved, found again by what is in it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.datasets.added import added_rows
from core.datasets.registry import (
    Dataset,
    get,
    refuse_what_holds_more_than_pictures,
    require_pictures,
    resolve_folder,
)
from core.datasets.roots import confine
from core.errors import DataError
from core.words import MAX_NAMED, quoted
from core.workspace import Workspace

MIN_SHARE = 0.5
"""Share of the known pictures that must lie in a folder before it counts as the same dataset."""
MAX_HASHED = 200
"""Pictures whose bytes are compared at once; the look at the files that follows compares all."""


@dataclass(frozen=True)
class Located:
    """What a folder has of a dataset.

    Args:
        dataset: The dataset, with its folder of now.
        num_known: Pictures that were known of it.
        missing: Of those, the ones that are not in the folder, or have another size there, sorted.
        num_compared: How many were compared byte for byte.
    """

    dataset: Dataset
    num_known: int
    missing: tuple[str, ...]
    num_compared: int


def locate(
    workspace: Workspace,
    dataset_id: str,
    known: pd.DataFrame | None,
    path: Path | str,
    roots: Sequence[Path] | None = None,
) -> Located:
    """Make a folder that of a known dataset, which keeps its id and with it its decisions and runs.

    Args:
        workspace: Where the dataset is noted.
        dataset_id: The dataset.
        known: Its audited table, of which ``path``, ``size``, ``sha256`` and ``usable`` are read; None where it was
            never looked at, and any folder of pictures will do.
        path: The folder.
        roots: Where it must lie; anywhere when not given.

    Raises:
        NotFound: The workspace knows no such dataset.
        DataError: There is no such folder, it may not be used, it is another dataset's, or it does not hold the same
            pictures: fewer than half of them are there, or their bytes differ.
    """
    dataset = get(workspace, dataset_id)
    root = resolve_folder(path if roots is None else confine(path, roots))
    refuse_what_holds_more_than_pictures(root, workspace.home)
    require_pictures(root)
    table = pd.DataFrame() if known is None else known[known["usable"] & ~added_rows(known)]
    there = [] if table.empty else _there(root, table)
    missing = tuple(sorted(table["path"][[not found for found in there]])) if there else ()
    if len(missing) > len(table) * (1 - MIN_SHARE):
        raise DataError(
            f'"{root}" has only {len(table) - len(missing):,} of the {len(table):,} pictures of "{dataset.name}"; '
            f"not there is {quoted(missing[:MAX_NAMED])}. Expected the folder that was moved. Choose the one that "
            "holds the same class folders, or add this one as another dataset."
        )
    compared = _spread(table[there], MAX_HASHED) if there else table
    _require_same_bytes(root, compared, dataset.name)
    _move(workspace, dataset, root)
    return Located(get(workspace, dataset_id), len(table), missing, len(compared))


def _there(root: Path, table: pd.DataFrame) -> list[bool]:
    return [
        _size(root / path) == size
        for path, size in zip(table["path"].tolist(), table["size"].tolist(), strict=True)
    ]


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def _spread(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return up to ``limit`` rows from all over a table."""
    return table.iloc[:: max(1, -(-len(table) // limit))]


def _require_same_bytes(root: Path, table: pd.DataFrame, name: str) -> None:
    other = [
        path
        for path, sha256 in zip(table.get("path", ()), table.get("sha256", ()), strict=True)
        if _sha256(root / path) != sha256
    ]
    if len(other) > len(table) * (1 - MIN_SHARE):
        raise DataError(
            f'"{root}" has pictures of the same names as "{name}", but {len(other):,} of {len(table):,} that were '
            f"compared show something else, such as {quoted(other[:1])}. Expected the folder that was moved. Choose "
            "it, or add this one as another dataset."
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _move(workspace: Workspace, dataset: Dataset, root: Path) -> None:
    with workspace.transaction() as connection:
        taken = connection.execute(
            "SELECT name FROM datasets WHERE root = ? AND id != ?", (str(root), dataset.id)
        ).fetchone()
        if isinstance(taken, sqlite3.Row):
            raise DataError(
                f'"{root}" is the folder of the dataset "{taken["name"]}" already. Expected a folder that no dataset '
                "uses. Delete that dataset first (its pictures stay), or choose another folder."
            )
        connection.execute("UPDATE datasets SET root = ? WHERE id = ?", (str(root), dataset.id))
