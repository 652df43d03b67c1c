"""Columns of metadata as things to filter by, and the pictures that pass."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

MAX_VALUES = 50
"""Different values up to which a column is chosen from; with more, numbers have a range and texts are searched."""


@dataclass(frozen=True)
class Field:
    """A column to filter by.

    Args:
        name: Of the column; untrusted.
        kind: ``"choice"`` (few values), ``"number"`` or ``"text"``.
        values: Of a choice: the values as text, sorted, as numbers where they are numbers.
        low, high: Of a number: the least and the greatest.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Filter:
    """Which values of a column are wanted; what is not given does not matter.

    Args:
        values: Any of these, as text.
        low, high: At least, at most.
        text: Somewhere in the value, whatever the capitals.
    """

    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    text: str = ""


def fields(columns: pd.DataFrame) -> tuple[Field, ...]:
    """Return what pictures can be filtered by; a column with one value only is left out."""
    return tuple(field for name in columns.columns if (field := _field(name, columns[name])) is not None)


def matching(columns: pd.DataFrame, wanted: Mapping[str, Filter]) -> set[str]:
    """Return the paths of the pictures that pass all filters, given by the names of their columns."""
    passes = pd.Series(True, index=columns.index)
    for name, one in wanted.items():
        passes &= _passes(columns[name], one)
    return set(passes.index[passes])


def to_text(wanted: Mapping[str, Filter]) -> str:
    """Return filters as JSON, such as for a URL; ``""`` where there are none."""
    said: dict[str, object] = {}
    for name, one in wanted.items():
        if one.values or one.text:
            said[name] = list(one.values) or one.text
        elif one != Filter():
            said[name] = [one.low, one.high]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")) if said else ""


def from_text(text: str, offered: Sequence[Field]) -> dict[str, Filter]:
    """Return the filters that :func:`to_text` wrote; what does not fit the columns is left out.

    Args:
        text: Untrusted.
        offered: The columns as they are now.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found = {field.name: _read(said.get(field.name), field) for field in offered}
    return {name: one for name, one in found.items() if one != Filter()}


def _read(said: object, field: Field) -> Filter:
    if field.kind == "text":
        return Filter(text=said) if isinstance(said, str) else Filter()
    if not isinstance(said, list):
        return Filter()
    if field.kind == "choice":
        return Filter(values=tuple(value for value in field.values if value in said))
    if len(said) != 2 or not all(type(end) in (int, float) for end in said):
        return Filter()
    if any(math.isnan(end) for end in said if isinstance(end, float)):
        return Filter()
    low, high = (float(min(max(end, field.low), field.high)) for end in said)
    return Filter(low=low, high=high) if (low, high) != (field.low, field.high) and low <= high else Filter()


def _field(name: str, column: pd.Series) -> Field | None:
    is_number = column.dtype.kind == "f"
    values = sorted((column.dropna() if is_number else column[column != ""]).unique())
    if len(values) < 2:
        return None
    if len(values) <= MAX_VALUES:
        return Field(name, "choice", tuple(_as_text(value) for value in values))
    return Field(name, "number", low=values[0], high=values[-1]) if is_number else Field(name, "text")


def _as_text(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _passes(column: pd.Series, one: Filter) -> pd.Series[bool]:
    passes = pd.Series(True, index=column.index)
    if one.values:
        passes &= column.map(_as_text).isin(one.values)
    if one.low is not None:
        passes &= column >= one.low
    if one.high is not None:
        passes &= column <= one.high
    if one.text:
        passes &= column.str.contains(one.text, case=False, regex=False)
    return passes
