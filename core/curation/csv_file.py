"""Decisions as CSV: to take them along to another machine, or to make them elsewhere."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from core import csv_tables
from core.csv_tables import as_it_was
from core.curation.decisions import Decision, require_class
from core.errors import DataError
from core.words import quoted

COLUMNS = ("path", "decision", "value", "sha256")
MAX_BYTES = 50 * 10**6
"""Largest file that is read: about 300,000 decisions."""
MAX_ROWS = 500_000
MAX_PATH_CHARS = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")


def to_csv(decisions: Iterable[Decision]) -> bytes:
    """Return decisions as CSV, UTF-8 with its mark: ``path``, ``decision``, ``value`` and ``sha256``.

    Spreadsheets take no cell for a formula; see :mod:`core.csv_tables`.
    """
    made = [(one.path, one.kind, one.value, one.sha256) for one in decisions]
    return csv_tables.to_csv(pd.DataFrame(made, columns=COLUMNS, dtype=str)).encode("utf-8-sig")


def from_csv(data: bytes, table: pd.DataFrame, class_names: Collection[str]) -> list[Decision]:
    """Read decisions from CSV, all of them or none.

    Args:
        data: As :func:`to_csv` returns it, or as a spreadsheet saves that, whichever delimiter it takes; ``value`` and
            ``sha256`` may be left out where they would be empty or those of the file now.
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
        rows = csv_tables.rows(data.decode("utf-8-sig"), strict=True)
        _, names = next(rows, (1, []))
        _require_columns(names)
        files = _Files(table)
        return [
            _decision(row, names, number, files, class_names) for number, (_, row) in enumerate(rows, start=2)
        ]
    except (UnicodeDecodeError, csv_tables.UnreadableRow) as error:
        raise DataError(
            f"The file of decisions cannot be read as CSV ({error}). Expected UTF-8 text with a line of names "
            f"({', '.join(COLUMNS)}) and a line per decision. Save it as CSV in UTF-8."
        ) from error


class _Files:
    """The files of a dataset: their hashes, and what they are called here."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.hashes: Mapping[str, str] = dict(zip(table["path"], table["sha256"], strict=True))
        self._composed = {_composed(path): path for path in self.hashes}

    def named(self, path: str) -> str:
        """Return a path as it is written here: systems differ in how they compose accents."""
        return path if path in self.hashes else self._composed.get(_composed(path), path)


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _require_columns(names: Sequence[str]) -> None:
    if {"path", "decision"} <= set(names) and len(set(names)) == len(names):
        return
    received = f"the columns {quoted([name[:40] for name in names])}" if names else "no columns"
    raise DataError(
        f"The file of decisions has {received}. Expected the columns {', '.join(COLUMNS)}, each once. "
        "Download your decisions to see how it looks."
    )


def _decision(
    row: Sequence[str], names: Sequence[str], number: int, files: _Files, class_names: Collection[str]
) -> Decision:
    try:
        if number - 1 > MAX_ROWS:
            raise DataError(f"It is one too many. Expected at most {MAX_ROWS:,} decisions. Split the file.")
        if len(row) > len(names):
            raise DataError(
                "It has more cells than columns. Expected as many. Put texts with commas in quotes."
            )
        cells = dict(itertools.zip_longest(names, map(as_it_was, row), fillvalue=""))
        written, kind = cells["path"], cells["decision"]
        value, sha256 = cells.get("value", ""), cells.get("sha256", "")
        if len(written) > MAX_PATH_CHARS:
            raise DataError(
                f"Its path has {len(written):,} characters. Expected at most {MAX_PATH_CHARS:,}. Correct it."
            )
        path = files.named(written)
        if not sha256 and path not in files.hashes:
            raise DataError(
                f'There is no file "{path}" in this dataset. Expected one of its paths. Correct it.'
            )
        if sha256 and not _SHA256.fullmatch(sha256):
            raise DataError(
                f'Received "{sha256[:80]}" as the hash of the file. Expected 64 of the signs 0 to 9 and a to f, '
                "or none for the file as it is now. Correct it."
            )
        if kind == "relabel":
            require_class(value, class_names)
        return Decision(path, kind, value, sha256 or files.hashes[path])
    except DataError as error:
        raise DataError(f"Row {number} of the file of decisions: {error}") from error
