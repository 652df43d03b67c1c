"""Decisions as CSV: to take them along to another machine, or to make them elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from core.curation.decisions import Decision, require_class
from core.errors import DataError
from core.words import quoted

COLUMNS = ("path", "decision", "value", "sha256")
MAX_BYTES = 50 * 10**6
"""Largest file that is read: about 300,000 decisions."""


def to_csv(decisions: Iterable[Decision]) -> bytes:
    """Return decisions as CSV, UTF-8: ``path``, ``decision``, ``value`` and ``sha256``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((d.path, d.kind, d.value, d.sha256) for d in decisions)
    return text.getvalue().encode()


def from_csv(data: bytes, table: pd.DataFrame, class_names: Collection[str]) -> list[Decision]:
    """Read decisions from CSV, all of them or none.

    Args:
        data: As :func:`to_csv` returns it; ``value`` and ``sha256`` may be left out where they would be empty or
            those of the file now.
        table: The audited table of the dataset that they are about.
        class_names: All classes of the dataset.

    Raises:
        DataError: It is no such table, or a row makes no sense; the message gives its number, the row of names being 1.
    """
    if len(data) > MAX_BYTES:
        raise DataError(
            f"The file of decisions has {len(data) / 1e6:,.0f} MB. Expected at most {MAX_BYTES / 1e6:.0f}. Split it."
        )
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        names, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The file of decisions cannot be read as CSV ({error}). Expected UTF-8 text with a line of names "
            f"({', '.join(COLUMNS)}) and a line per decision. Save it as CSV in UTF-8."
        ) from error
    _require_columns(names)
    hashes = dict(zip(table["path"], table["sha256"], strict=True))
    return [_decision(row, number, hashes, class_names) for number, row in enumerate(rows, start=2)]


def _require_columns(names: Sequence[str]) -> None:
    if not {"path", "decision"} <= set(names):
        received = f"the columns {quoted(names)}" if names else "no columns"
        raise DataError(
            f"The file of decisions has {received}. Expected the columns {', '.join(COLUMNS)}. "
            "Download your decisions to see how it looks."
        )


def _decision(
    row: dict[str, str], number: int, hashes: dict[str, str], class_names: Collection[str]
) -> Decision:
    path, kind = row["path"] or "", row["decision"] or ""
    value, sha256 = row.get("value") or "", row.get("sha256") or ""
    try:
        if None in row:  # where csv puts what is beyond the columns
            raise DataError(
                "It has more cells than columns. Expected as many. Put texts with commas in quotes."
            )
        if not sha256 and path not in hashes:
            raise DataError(
                f'There is no file "{path}" in this dataset. Expected one of its paths. Correct it.'
            )
        if kind == "relabel":
            require_class(value, class_names)
        return Decision(path, kind, value, sha256 or hashes[path])
    except DataError as error:
        raise DataError(f"Row {number} of the file of decisions: {error}") from error
