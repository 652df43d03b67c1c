"""Pictures parted by a column of metadata: one part per value, numbers in quartiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_PARTS = 20
"""Parts that are named; the pictures of rarer values are one part together."""
NUM_BINS = 4


class Part(NamedTuple):
    """Pictures that have a value of a column in common.

    Args:
        kind: ``"value"``, ``"range"`` (numbers), ``"others"`` (rarer values) or ``"unknown"``; of parts by the audit
            ``"flag"`` or ``"unflagged"``.
        rows: Their positions, int64, at least one.
        value: The value as text, untrusted; of a flag the name of its check.
        low, high: Of a range, the least and the greatest of its numbers; NaN of all else.
    """

    kind: str
    rows: npt.NDArray[np.int64]
    value: str = ""
    low: float = float("nan")
    high: float = float("nan")


def parts(column: pd.Series) -> list[Part]:
    """Part pictures by a column; each picture is in one part.

    Args:
        column: Of :attr:`core.metadata.Metadata.columns`, one entry per picture: float with NaN, or text with ``""``,
            where nothing is known.

    Returns:
        In the order of the values; then rarer values together, then what is not known. Numbers of more than
        :data:`NUM_BINS` values are parted at their quartiles, into fewer parts where many are equal.
    """
    is_number = column.dtype.kind == "f"
    known = (column.notna() if is_number else column != "").to_numpy(dtype=bool)
    found = _ranges(column, known) if is_number else _values(column, known)
    rest = np.flatnonzero(~known)
    return [*found, Part("unknown", rest)] if len(rest) else found


def _ranges(column: pd.Series, known: npt.NDArray[np.bool_]) -> list[Part]:
    numbers = column.to_numpy(dtype=np.float64)
    if column[known].nunique() <= NUM_BINS:
        return [
            Part("value", np.flatnonzero(numbers == value), f"{value:.15g}")
            for value in np.unique(numbers[known])
        ]
    edges = np.unique(np.quantile(numbers[known], np.arange(1, NUM_BINS) / NUM_BINS))
    at = np.searchsorted(edges, numbers, side="left")
    every = [np.flatnonzero(known & (at == number)) for number in range(len(edges) + 1)]
    return [
        Part("range", rows, low=float(numbers[rows].min()), high=float(numbers[rows].max()))
        for rows in every
        if len(rows)
    ]


def _values(column: pd.Series, known: npt.NDArray[np.bool_]) -> list[Part]:
    counts = column[known].value_counts()
    # Of equally common values those that come first in their order are named.
    named = sorted(sorted(counts.index), key=lambda value: -counts[value])[:MAX_PARTS]
    found = [Part("value", np.flatnonzero(column == value), str(value)) for value in sorted(named)]
    others = np.flatnonzero(known & ~column.isin(named).to_numpy(dtype=bool))
    return [*found, Part("others", others)] if len(others) else found
