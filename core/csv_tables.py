"""Tables as CSV: written so that no spreadsheet computes a name, read as people and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import pandas as pd
from pandas.api.types import is_numeric_dtype

DELIMITERS = ",;\t|"

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
"""How a cell begins that a spreadsheet takes for a formula, or that would be taken for one made harmless."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_NAMED_DELIMITER = re.compile(rf'"?sep=([{DELIMITERS}])"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_QUOTED = re.compile(rf'(^|[{DELIMITERS}\r\n]) *"(?:[^"]|"")*"')
_FIRST_CHARS = 100_000
"""How much of a text is looked at to find its delimiter."""


class UnreadableRow(ValueError):
    """A row that is none; ``line`` is the number of the line on which it ends."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def harmless(value: object) -> object:
    """Return a cell so that no spreadsheet computes it: texts that look like a formula begin with an apostrophe.

    Names of files and classes may be anything. Numbers stay as they are.
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def as_it_was(text: str) -> str:
    """Return the text that :func:`harmless` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV without its index, its cells and the names of its columns :func:`harmless`."""
    written = table.copy()
    # By position, since a class may be named like another column.
    for position, kind in enumerate(table.dtypes):
        if not is_numeric_dtype(kind):
            written.isetitem(position, table.iloc[:, position].map(harmless).to_numpy(dtype=object))
    written.columns = pd.Index([harmless(str(name)) for name in table.columns])
    # With both signs at the ends of lines, a cell that has one of them is put in quotes.
    text: str = written.to_csv(index=False, lineterminator="\r\n")
    return text


def rows(text: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Give the number of the line on which each row ends, counted from 1, and its cells; empty rows are left out.

    The delimiter, one of :data:`DELIMITERS`, is what a first line such as ``sep=;`` says, else the one that stands most
    often in the first row, outside of quotes.

    Args:
        text: The table.
        strict: Whether quotes that are out of place are refused, and spaces behind a delimiter kept.

    Raises:
        UnreadableRow: A row cannot be told apart from the next, or a cell is longer than 131,072 characters.
    """
    named = _NAMED_DELIMITER.match(text)
    delimiter = named.group(1) if named else _likely_delimiter(text)
    reader = csv.reader(
        io.StringIO(text[named.end() :] if named else text, newline=""),
        delimiter=delimiter,
        skipinitialspace=not strict,
        strict=strict,
    )
    before = 1 if named else 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableRow(before + reader.line_num, str(error)) from error
        if any(cell.strip() for cell in row):
            yield before + reader.line_num, row


def _likely_delimiter(text: str) -> str:
    bare = _QUOTED.sub(r"\1", text[:_FIRST_CHARS])
    first = next((line for line in bare.splitlines() if line.strip(" ")), "")
    return max(DELIMITERS, key=first.count)
