"""The files that one check flagged, the worst first, and those of a group that need not be kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.audit.judgement import FILE_CHECKS, dealt_with
from core.audit.near_duplicates import regrouped
from core.audit.thresholds import Thresholds

TOGETHER = {
    "exact_duplicate": "sha256",
    "label_conflict": "sha256",
    "leak": "sha256",
    "near_duplicate": "group",
    "near_label_conflict": "group",
    "near_leak": "group",
}
"""Checks whose files belong together, and the column that says which."""

COLUMNS = ("path", "sha256", "label", "given_split", "width", "height", "format", "size", "why", "usable")


def flagged(table: pd.DataFrame, name: str, thresholds: Thresholds) -> pd.DataFrame:
    """Return the files that a check flags.

    Args:
        table: As :func:`core.audit.audit` returns it, with decisions laid over it or not.
        name: One of :data:`core.audit.FILE_CHECKS`.
        thresholds: Where a measure becomes a finding.

    Returns:
        :data:`COLUMNS`; ``score`` (0…1, the lower the worse); and ``group``, from 1, which files share that belong
        together, 0 where the check is not about groups. The worst first; of groups the largest, then by path.
    """
    table = regrouped(table, thresholds.near_duplicate)
    flags, scores = FILE_CHECKS[name](table, thresholds)
    chosen = flags & ~dealt_with(table, name)
    rows = table.loc[chosen, list(COLUMNS)].assign(score=np.clip(scores, 0, 1)[chosen], group=0)
    if name not in TOGETHER:
        return rows.sort_values(["score", "path"], kind="stable", ignore_index=True)
    together = table.loc[chosen, TOGETHER[name]]
    rows = rows.assign(together=together, num=together.groupby(together).transform("size"))
    first = rows.groupby("together")["path"].transform("min")
    rows = rows.assign(first=first).sort_values(["num", "first", "path"], ascending=[False, True, True])
    rows["group"] = pd.factorize(rows["together"])[0] + 1
    return rows.drop(columns=["together", "num", "first"]).reset_index(drop=True)


def pages(rows: pd.DataFrame, per_page: int) -> list[tuple[int, int]]:
    """Return the first row of each page and the one behind its last, so that a page ends where a group does.

    Args:
        rows: As :func:`flagged` returns them.
        per_page: Most rows of a page; a group of more than that is cut.

    Returns:
        At least one page, which is empty where there are no rows.
    """
    group = rows["group"].to_numpy()
    ends = [*(np.flatnonzero((group[1:] != group[:-1]) | (group[1:] == 0)) + 1).tolist(), len(group)]
    found, start, before = [], 0, 0
    for end in ends:
        if end - start > per_page and before > start:
            found.append((start, before))
            start = before
        while end - start > per_page:
            found.append((start, start + per_page))
            start += per_page
        before = end
    return [*found, (start, len(group))]


def spare(rows: pd.DataFrame) -> list[str]:
    """Return the paths of files that their group does not need: all but the best of each.

    The best stands in the split that judges, has the most pixels, then the most bytes; of equals the first by path.
    A group whose files are of several classes has none to spare, since nobody knows which is right.

    Args:
        rows: As :func:`flagged` returns them for a check of :data:`TOGETHER`.
    """
    judging = rows["given_split"].map({"test": 2, "val": 1}).fillna(0)
    ranked = rows.assign(judging=judging, pixels=rows["width"] * rows["height"]).sort_values(
        ["judging", "pixels", "size", "path"], ascending=[False, False, False, True]
    )
    clear = ranked.groupby("group")["label"].transform("nunique") == 1
    return sorted(ranked.loc[clear & ranked.duplicated("group"), "path"])
