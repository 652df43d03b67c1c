"""A ``metadata.csv`` as people make them, read line by line; what does not fit is named by its line."""

from __future__ import annotations

import math
import os
import stat
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core import csv_tables, words
from core.csv_tables import as_it_was
from core.datasets import METADATA_NAME
from core.errors import DataError
from core.words import Sentence, listed, sentence

PATH = "path"
"""Name of the column with the paths, relative to the dataset's root, in any capitals."""
MAX_BYTES = 100_000_000
MAX_COLUMNS = 200
NAMED_LINES = 5
"""Lines that a note names before it ends with an ellipsis."""

_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Metadata:
    """What a ``metadata.csv`` says.

    Args:
        columns: One row per picture that it knows, by ``path``; numbers as float64, all else as text, "" for unknown.
        notes: What in it could not be used.
        problem: Why nothing of it could be, or ``""``.
    """

    columns: pd.DataFrame
    notes: tuple[Sentence, ...] = ()
    problem: str = ""


def read(root: Path, paths: Collection[str]) -> Metadata | None:
    """Read a folder's ``metadata.csv``; None where there is none.

    Any of the delimiters ``,`` ``;`` tab ``|``, also where a first line ``sep=;`` names it, and any of the encodings
    UTF-8, UTF-16 (with its mark) and Windows-1252 is understood. Paths may have backslashes and begin with ``./``, and
    their accents may be composed or not. Texts that :func:`core.csv_tables.harmless` changed are read as they were.

    Args:
        root: The folder.
        paths: The files that there are, relative to it.

    Raises:
        DataError: It is a link, too large, no text, or has no usable header.
    """
    try:
        data = _bytes(root / METADATA_NAME)
    except FileNotFoundError:
        return None
    lines = _rows(_text(data))
    _, header = next(lines, (1, [""]))
    names = _checked_header(header)
    # Of two files whose names differ in nothing but how accents are composed, each is found by its own spelling.
    known = {_composed(path): path for path in paths} | {path: path for path in paths}
    return _table(lines, names, known)


def _bytes(path: Path) -> bytes:
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise DataError(
                f"{METADATA_NAME} is a link, no file, or larger than {MAX_BYTES / 1e6:.0f} MB. Expected a table of "
                "text. It is ignored; save it smaller, or copy it into the folder."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(
            f"{METADATA_NAME} cannot be read ({error.strerror}). It is ignored; give yourself permission to read it."
        ) from error


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DataError(
                f"{METADATA_NAME} is no {encoding.upper()} text, as which it begins. Expected UTF-8. Save it again."
            ) from error
        # What Excel writes in the west; its five empty places are taken as Latin-1 does.
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise DataError(
            f"{METADATA_NAME} is no text. Expected a table with commas, semicolons or tabs. Save it as CSV (UTF-8)."
        )
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the number of the line on which each row ends, and its fields; empty lines are left out."""
    try:
        for line, row in csv_tables.rows(text):
            yield line, [cell.strip() for cell in row]
    except csv_tables.UnreadableRow as error:
        raise DataError(
            f"Line {error.line:,} of {METADATA_NAME} cannot be read ({error}). Expected a row of a table. "
            "Look for a quotation mark that is never closed."
        ) from error


def _checked_header(header: Sequence[str]) -> list[str]:
    names = [PATH if name.casefold() == PATH else name for name in header]
    shown = words.say("list.plain", names=words.quoted([name[:40] for name in header]))
    if PATH not in names:
        raise DataError(
            f'{METADATA_NAME} begins with the columns {shown}. Expected one named "{PATH}" with the '
            "paths of the pictures, such as owl/1.jpg. Rename the column."
        )
    if len(set(names)) < len(names) or "" in names or len(names) > MAX_COLUMNS:
        raise DataError(
            f"{METADATA_NAME} begins with the columns {shown}. Expected up to {MAX_COLUMNS} columns, each with a name "
            "of its own. Change the first line."
        )
    return names


def _table(lines: Iterator[tuple[int, list[str]]], names: list[str], known: Mapping[str, str]) -> Metadata:
    kept: dict[str, list[str]] = {}
    misfits: dict[str, list[int]] = {"uneven": [], "twice": [], "unknown": []}
    at = names.index(PATH)
    for line, row in lines:
        path = _known_path(row[at], known) if len(row) == len(names) else None
        if len(row) != len(names):
            misfits["uneven"].append(line)
        elif path is None:
            misfits["unknown"].append(line)
        elif path in kept:
            misfits["twice"].append(line)
        else:
            kept[path] = [as_it_was(cell) for cell in row]
    table = pd.DataFrame(list(kept.values()), columns=names, index=pd.Index(list(kept), name=PATH, dtype=str))
    columns = table.drop(columns=PATH).apply(_typed)
    notes = [
        sentence(f"metadata.{kind}", n=len(found), lines=_named(found))
        for kind, found in misfits.items()
        if found
    ]
    return Metadata(columns, tuple(notes))


def _known_path(written: str, known: Mapping[str, str]) -> str | None:
    """Return the picture that a cell names, or None."""
    for text in (written, as_it_was(written)):
        path = text.replace("\\", "/").removeprefix("./")
        if found := known.get(path) or known.get(_composed(path)):
            return found
    return None


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _named(lines: Sequence[int]) -> words.Value:
    shown = [f"{line:,}" for line in lines[:NAMED_LINES]]
    return listed([*shown, "…"] if len(lines) > NAMED_LINES else shown)


def _typed(column: pd.Series[str]) -> pd.Series:
    """Return a column as numbers where everything that is known in it is one, and none has zeros to lose as 007 has."""
    if column.str.match(r"0\d").any():
        return column.astype(str)
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce").astype("float64")
    finite = numbers.map(math.isfinite)
    is_number = bool(finite.any()) and bool((finite | (column == "")).all())
    return numbers if is_number else column.astype(str)
