"""Which files are the same picture, and which pictures must stay on one side."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from core import datasets

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Picture:
    """The files with the same bytes."""

    rows: tuple[int, ...]
    labels: frozenset[str]
    given: frozenset[str]

    @functools.cached_property
    def judging(self) -> str:
        """The given split that these bytes judge in, or ``""``."""
        return judging_split(self.given)

    @property
    def contradictory(self) -> bool:
        """Whether it cannot be told of which class they are."""
        return len(self.labels) > 1


@dataclass(frozen=True)
class Group:
    """Pictures that are near-duplicates of each other, which must stay on one side; mostly a single one."""

    key: str
    label: str
    pictures: tuple[Picture, ...]

    @functools.cached_property
    def labels(self) -> frozenset[str]:
        """All classes of its pictures."""
        return frozenset().union(*(picture.labels for picture in self.pictures))

    @functools.cached_property
    def judging(self) -> str:
        """The given split that pictures of the group judge in, or ``""``."""
        return judging_split({picture.judging for picture in self.pictures if not picture.contradictory})

    @functools.cached_property
    def may_judge(self) -> bool:
        """Whether it is known of which class each of its files is."""
        return not any(picture.contradictory for picture in self.pictures)


def judging_split(given: Collection[str]) -> str:
    """Return which of some splits judges, test before val, or ``""``."""
    return next((name for name in ("test", "val") if name in given), "")


def together(table: pd.DataFrame) -> pd.Series[str]:
    """Return what is the same for files that must stay together: their group, or their bytes where none is known.

    Args:
        table: Columns ``sha256`` and, where it is known, ``group``.
    """
    if "group" not in table.columns:
        return table["sha256"]
    return table["group"].where(table["group"] != "", table["sha256"])


def grouped(table: pd.DataFrame) -> list[Group]:
    """Return the usable pictures of a table in groups that must stay on one side, in the order of their first rows."""
    members: dict[str, dict[str, list[int]]] = {}
    usable, keys, hashes = table["usable"].tolist(), together(table).tolist(), table["sha256"].tolist()
    for row in range(len(table)):
        if usable[row]:
            members.setdefault(keys[row], {}).setdefault(hashes[row], []).append(row)
    labels, given = table["label"].tolist(), table["given_split"].tolist()
    found = []
    for key, copies in members.items():
        if len(copies) == 1 and len(rows := next(iter(copies.values()))) == 1:  # as most are
            label, split = labels[rows[0]], given[rows[0]]
            found.append(Group(key, label, (Picture(tuple(rows), frozenset((label,)), frozenset((split,))),)))
            continue
        pictures = tuple(
            Picture(
                tuple(rows),
                frozenset(labels[row] for row in rows),
                frozenset(given[row] for row in rows),
            )
            for rows in copies.values()
        )
        counts = Counter(labels[row] for rows in copies.values() for row in rows)
        # The commonest class of the group; the first by name where there are several, whatever the order of rows.
        found.append(Group(key, min(counts, key=lambda label: (-counts[label], label)), pictures))
    return found


def contradictory_rows(table: pd.DataFrame) -> list[bool]:
    """Return of which rows the same bytes stand in another class too; added photos put no other's in doubt."""
    speaks = table["usable"] & ~datasets.added_rows(table)
    labels = table["label"].where(speaks).groupby(table["sha256"]).transform("nunique")
    return (table["usable"] & (labels > 1)).tolist()


def draw(seed: int, label: str, key: str) -> bytes:
    """Return the place of a group in the order that a seed gives to its class."""
    return hashlib.sha256(json.dumps([seed, label, key]).encode()).digest()
