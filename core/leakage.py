"""What duplicates would have done to a split that does not know of them: which test pictures had a twin in train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core import splits
from core.errors import WorkspaceError
from core.splits import DEFAULT_FRACTIONS
from core.workspace import Workspace, read_json, write_json


def unguarded(
    table: pd.DataFrame, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0
) -> pd.Series[str]:
    """Return the split as it would be if every file were a picture of its own.

    Args:
        table: As :func:`core.splits.assign` takes it. Where its folder brings a split, that one is kept as it is; what
            is missing of it is drawn file by file.
        fractions, seed: As there.

    Returns:
        As :func:`core.splits.assign`.

    Raises:
        DataError: As there.
    """
    each_its_own = table["path"] + "\0" + table["sha256"]
    alone = table.assign(sha256=each_its_own, group=each_its_own)
    return splits.assign(alone, fractions, seed)


def with_twins(
    table: pd.DataFrame, split: pd.Series[str], of: str = "test", among: str = "train"
) -> pd.Series[bool]:
    """Return which pictures of one split have a copy or near-duplicate in another.

    Args:
        table: Columns ``sha256`` and, where it is known, ``group``.
        split: Of each row.
        of: The split whose pictures are asked for.
        among: The split in which their twins may be.
    """
    keys = splits.together(table)
    return (split == of) & keys.isin(set(keys[split == among]))


def save(workspace: Workspace, dataset_id: str, worth: Mapping[str, Any]) -> None:
    """Keep what the twins of a dataset were found to be worth, as JSON (see :mod:`core.session.leak_job`).

    Raises:
        WorkspaceError: It cannot be written.
    """
    write_json(workspace.datasets_dir / dataset_id / "leak.json", dict(worth))


def load(workspace: Workspace, dataset_id: str) -> dict[str, Any] | None:
    """Return what :func:`save` kept, or None where nothing was measured.

    Returns:
        ``fingerprint`` (of the split with twins), ``backbone``; ``num_train``, ``num_left_out`` (training pictures that
        are twins), ``num_test``, ``num_twins``; the accuracies ``with_twins`` and ``without_twins`` of the probe on all
        test pictures, and ``twins_with`` and ``twins_without`` on those that have twins; ``difference``, of the
        accuracies on all, with its ``low`` and ``high`` (95 %).
    """
    try:
        found: dict[str, Any] = read_json(workspace.datasets_dir / dataset_id / "leak.json")
    except WorkspaceError:
        return None
    return found
