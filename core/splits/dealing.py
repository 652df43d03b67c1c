"""Folds for cross-validation."""

from __future__ import annotations

import pandas as pd

from core import datasets
from core.splits.pictures import draw, together


def folds(table: pd.DataFrame, num_folds: int, seed: int = 0) -> pd.Series[int]:
    """Deal images into folds, class by class; near-duplicates and files with the same bytes always share one.

    Args:
        table: Columns ``sha256``, ``label`` and, where it is known, ``group``.
        num_folds: At least 2; a class with fewer different images is missing from some folds.
        seed: Chooses among equally good deals.

    Returns:
        The number of the fold of each row, 0…num_folds−1, with the index of the table; −1 for photos that a person
        added, which judge in no fold.
    """
    keys = together(table)
    added = datasets.added_rows(table)
    own = keys[~added][::-1]
    first_label = dict(zip(own, table["label"][~added][::-1], strict=True))
    dealt: dict[str, int] = {}
    offset = 0  # goes on from class to class, so that all folds are of about the same size
    for label in sorted(set(first_label.values())):
        members = [key for key, of in first_label.items() if of == label]
        for place, key in enumerate(sorted(members, key=lambda key: draw(seed, label, key))):
            dealt[key] = (offset + place) % num_folds
        offset += len(members)
    return keys.map(dealt).where(~added, -1).astype(int)
