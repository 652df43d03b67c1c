"""The whole audit as one table to take along: files, measures, scores, flags and decisions."""

from __future__ import annotations

import pandas as pd

from core.audit.judgement import judge
from core.audit.near_duplicates import regrouped
from core.audit.thresholds import Thresholds

_INTERNAL = ("mtime_ns", "inode", "examined_ns", "version", "found_usable")


def manifest(table: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Return one row per file with all that is known of it.

    Args:
        table: As :func:`core.audit.load_decided` returns it.
        thresholds: Where a measure becomes a finding.

    Returns:
        What was measured; ``group`` by the threshold for near-duplicates; ``label`` as decided and ``given_label`` as
        found; ``excluded``; ``kept``, checks whose finding is no issue; and for each of
        :data:`core.audit.FILE_CHECKS` ``<check>_score`` and ``is_<check>``.
    """
    shown = regrouped(table, thresholds.near_duplicate)
    known = shown.drop(columns=[name for name in _INTERNAL if name in shown.columns])
    return known.join(judge(table, thresholds))
