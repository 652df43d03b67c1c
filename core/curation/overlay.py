"""Decisions laid over the audited table: what every later stage works with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.curation.decisions import Decision
from core.datasets import added_rows

STATES = ("active", "changed", "missing", "no_class")
"""Whether a decision holds: yes; no, since the file has other bytes now, or is not there; or since the dataset has no
such class any more."""

COLUMNS = ("given_label", "found_usable", "excluded", "kept")


def standing(
    table: pd.DataFrame, decisions: Sequence[Decision], class_names: Collection[str]
) -> pd.DataFrame:
    """Say of each decision whether it holds for the files as they are.

    Args:
        table: As :func:`core.audit.audit` returns it; ``path`` and ``sha256`` are read.
        decisions: What was decided.
        class_names: All classes of the dataset.

    Returns:
        One row per decision, in their order: ``path``, ``kind``, ``value``, ``sha256``, ``state`` (one of
        :data:`STATES`) and ``row``, the position of its file in the table, or -1.
    """
    rows = _rows(table, decisions)
    there = rows >= 0
    hashes = np.full(len(decisions), "", dtype=object)
    hashes[there] = table["sha256"].to_numpy()[rows[there]]
    same = np.array([decision.sha256 for decision in decisions], dtype=object) == hashes
    known = frozenset(class_names)
    unknown = np.array([d.kind == "relabel" and d.value not in known for d in decisions], dtype=bool)
    state = np.select([~there, ~same, unknown], ["missing", "changed", "no_class"], "active")
    columns = {name: [getattr(d, name) for d in decisions] for name in ("path", "kind", "value", "sha256")}
    return pd.DataFrame({**columns, "state": state, "row": rows}).astype(dict.fromkeys(columns, str))


def apply(table: pd.DataFrame, decisions: Sequence[Decision], class_names: Collection[str]) -> pd.DataFrame:
    """Return the table as the decisions make it; files and the given table stay as they are.

    A decision that does not hold (see :func:`standing`) changes nothing. A table that decisions were laid over before
    is first taken back to what was found.

    Args:
        table: As :func:`core.audit.audit` returns it.
        decisions: What was decided.
        class_names: All classes of the dataset.

    Returns:
        The table with ``label`` as decided and ``usable`` false where excluded; and ``given_label`` and
        ``found_usable``, as they were found; ``excluded`` (bool); and ``kept``, the checks whose finding is no issue,
        parted by spaces.
    """
    found = as_found(table)
    held = standing(found, decisions, class_names)
    held = held[held["state"] == "active"]
    labels = found["label"].to_numpy(dtype=object, copy=True)
    relabelled = held[held["kind"] == "relabel"]
    labels[relabelled["row"]] = relabelled["value"].to_numpy(dtype=object)
    excluded = np.zeros(len(found), dtype=bool)
    excluded[held["row"][held["kind"] == "exclude"]] = True
    return found.assign(
        given_label=found["label"],
        found_usable=found["usable"],
        label=pd.array(labels, dtype=str),
        usable=found["usable"] & ~excluded,
        excluded=excluded,
        kept=pd.array(_kept(len(found), held[held["kind"] == "keep"]), dtype=str),
    )


def of_class(table: pd.DataFrame, label: str) -> list[str]:
    """Return the paths of the pictures of a class that are used; ``table``: as :func:`apply` returns it."""
    paths: list[str] = table.loc[table["usable"] & (table["label"] == label), "path"].tolist()
    return paths


def made(table: pd.DataFrame) -> list[Decision]:
    """Return the decisions to exclude and relabel that a table was made by; ``table``: as :func:`apply` returns it.

    That a person added a photo as one of a class counts as such a decision.
    """
    excluded = table["excluded"]
    relabelled = (table["label"] != table["given_label"]) | (added_rows(table) & table["usable"])
    columns = ("path", "label", "sha256")
    found = []
    for rows, kind in ((table[excluded], "exclude"), (table[relabelled], "relabel")):
        for path, label, sha256 in zip(*(rows[name].tolist() for name in columns), strict=True):
            found.append(Decision(path, kind, label if kind == "relabel" else "", sha256))
    return found


def as_found(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without any decision laid over it."""
    if "given_label" not in table.columns:
        return table
    found = table.assign(label=table["given_label"], usable=table["found_usable"])
    return found.drop(columns=list(COLUMNS))


def _kept(num_rows: int, kept: pd.DataFrame) -> npt.NDArray[np.object_]:
    names = np.full(num_rows, "", dtype=object)
    for row, check in zip(kept["row"].tolist(), kept["value"].tolist(), strict=True):
        names[row] = f"{names[row]} {check}".strip()
    return names


def _rows(table: pd.DataFrame, decisions: Iterable[Decision]) -> npt.NDArray[np.int64]:
    index = pd.Index(table["path"].to_numpy(dtype=object))
    paths = np.array([decision.path for decision in decisions], dtype=object)
    return np.asarray(index.get_indexer(pd.Index(paths, dtype=object)), dtype=np.int64)


def decide_on(table: pd.DataFrame, paths: Iterable[str], kind: str, value: str = "") -> list[Decision]:
    """Return the same decision about several files of a table, each guarded by the hash of its bytes now.

    Args:
        table: As :func:`core.audit.audit` returns it, with decisions laid over it or not.
        paths: Which files; those that are not in the table are passed over, and so are those that the folder itself
            has in the class that they would be relabelled to.
        kind: One of :data:`core.curation.KINDS`.
        value: See :class:`Decision`; for ``relabel`` look at :func:`core.curation.require_class` first.

    Raises:
        DataError: The kind does not go with the value.
    """
    found = as_found(table)
    chosen = found[found["path"].isin(set(paths))]
    if kind == "relabel":
        chosen = chosen[chosen["label"] != value]
    return [
        Decision(path, kind, value, sha256)
        for path, sha256 in zip(chosen["path"].tolist(), chosen["sha256"].tolist(), strict=True)
    ]
