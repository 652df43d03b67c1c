"""A cleaned copy: a new folder with the pictures that are used, each in the class that was decided."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from core import csv_tables
from core.curation import leftovers
from core.datasets.added import Pictures, added_rows, is_added
from core.datasets.layouts import METADATA_NAME
from core.datasets.roots import confine
from core.errors import DataError
from core.progress import Progress, no_progress

WAYS = ("copy", "link")
"""``copy`` the bytes; or ``link`` to the same bytes on the disk, which takes no room."""


def suggest_target(root: Path) -> Path:
    """Return a path beside a dataset's folder where there is nothing yet."""
    wanted = root.with_name(f"{root.name}-clean")
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], numbered) if not os.path.lexists(path))


def copy_target(path: Path | str, roots: Sequence[Path], root: Path, home: Path) -> Path:
    """Return where a cleaned copy may be written.

    Args:
        path: Where it is asked for; must not exist, the folder around it must.
        roots: Folders that it has to be in.
        root: The dataset's own folder.
        home: The workspace.

    Raises:
        DataError: It lies outside of the roots, within the dataset or the workspace, exists, or has no folder around.
    """
    if not str(path).strip() or not Path(str(path).strip()).expanduser().is_absolute():
        raise DataError(
            f'Received the path "{path}" for the copy. Expected the whole path of a new folder, such as '
            f'"{suggest_target(root)}". Enter it.'
        )
    target = confine(str(path).strip(), roots)
    for own, what in ((root, "the pictures themselves"), (home, "Graft's own files")):
        if target.is_relative_to(own):
            raise DataError(
                f'"{target}" lies among {what}. Expected a new folder elsewhere. Choose another place.'
            )
    _require_new(target)
    if not target.parent.is_dir():
        raise DataError(
            f'There is no folder "{target.parent}" to put the copy into. Expected one that exists. '
            "Make it first, or choose another."
        )
    return target


def plan_copy(table: pd.DataFrame) -> pd.DataFrame:
    """Say where each picture goes: under its path as it is, but for the folder of a class that was decided.

    A photo that a person added goes into the folder of its class, of train where the dataset's folder tells splits.

    Args:
        table: As :func:`core.curation.apply` returns it.

    Returns:
        Of the pictures that are used ``path``, ``target`` (both relative, with ``/``), ``sha256``, ``given_label``,
        ``size`` and ``mtime_ns``; no two have the same target.
    """
    used = table[table["usable"]]
    taken = set(used["path"][(used["label"] == used["given_label"]) & ~added_rows(used)])
    targets = []
    for path, label, given, split in zip(
        used["path"], used["label"], used["given_label"], used["given_split"], strict=True
    ):
        target = path
        if label != given or is_added(path):
            target = _free(_with_class(path, label, split), taken)
            taken.add(target)
        targets.append(target)
    columns = ["path", "sha256", "given_label", "size", "mtime_ns"]
    return used[columns].assign(target=targets).reset_index(drop=True)


def _with_class(path: str, label: str, split: str) -> str:
    parts = list(PurePosixPath(path).parts)
    if is_added(path):
        return "/".join([*([split] if split else []), label, parts[-1]])
    parts[1 if split else 0] = label
    return "/".join(parts)


def _free(target: str, taken: set[str]) -> str:
    path, number = PurePosixPath(target), 2
    while target in taken:
        target = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        number += 1
    return target


def write_copy(
    table: pd.DataFrame,
    pictures: Pictures,
    target: Path,
    way: str = "copy",
    progress: Progress = no_progress,
    records: Path | None = None,
    known: pd.DataFrame | None = None,
) -> int:
    """Write a cleaned copy of a dataset, whole or not at all; the dataset itself is only read.

    A ``metadata.csv`` in it says of each picture where it came from (``original_path``, ``original_class``), beside
    the columns of the dataset's own.

    Args:
        table: As :func:`core.curation.apply` returns it, of an audit that is up to date.
        pictures: Where the dataset's pictures are.
        target: The new folder.
        way: One of :data:`WAYS`.
        progress: Counts pictures; what it raises ends the copy, and nothing is left of it.
        records: Where the copy is written down while it is unfinished, so that :func:`core.curation.clear_leftovers`
            finds what is left of it if this process is killed.
        known: What the dataset's own ``metadata.csv`` says, by path, as :func:`core.metadata.load` returns it.

    Returns:
        How many pictures were written.

    Raises:
        DataError: ``target`` exists, a picture has changed since it was looked at, or something cannot be written.
    """
    _require_new(target)
    plan = plan_copy(table)
    if plan.empty:
        raise DataError(
            "No picture is left to copy. Expected at least one that is used. Take decisions back."
        )
    part = leftovers.part_path(target)  # beside the target, so that it takes its name at once
    try:
        with leftovers.making(part, records):
            for number, row in enumerate(plan.to_dict("records")):
                progress(number, len(plan))
                _write_one(pictures / row["path"], part / row["target"], row, way)
            (part / METADATA_NAME).write_bytes(csv_tables.to_csv(_metadata(plan, known)).encode())
            progress(len(plan), len(plan))
            _require_new(target)
            os.rename(part, target)
    except OSError as error:
        raise DataError(f'The copy could not be written to "{target}": {_reason(error)}') from error
    return len(plan)


def _write_one(source: Path, target: Path, row: Mapping[Hashable, Any], way: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = source.lstat()
        if way == "link":
            os.link(source, target, follow_symlinks=False)
            same = (found.st_size, found.st_mtime_ns) == (row["size"], row["mtime_ns"])
        else:
            data = source.read_bytes()
            same = hashlib.sha256(data).hexdigest() == row["sha256"]
            target.write_bytes(data)
            with contextlib.suppress(OSError):  # some file systems keep no times
                os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    except FileNotFoundError:
        same = False
    if not same:
        raise DataError(
            f'"{source}" has changed or is gone since it was looked at. Expected it as it was. '
            'Press "Look again", then write the copy again.'
        )


def _metadata(plan: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    told = pd.DataFrame(
        {
            "path": plan["target"],
            "original_path": plan["path"],
            "original_class": plan["given_label"],
        }
    )
    if known is None:
        return told
    columns = known[[name for name in known.columns if name not in told.columns]].map(_as_written)
    return told.join(columns, on="original_path")


def _as_written(value: object) -> object:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else value


def _require_new(target: Path) -> None:
    if os.path.lexists(target):
        raise DataError(
            f'"{target}" exists already. Expected a new folder, so that nothing is written over. Choose another name.'
        )


def _reason(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return (
            "it is on another disk than the pictures, where links cannot lead. Copy the files, or choose a folder on "
            "the same disk."
        )
    if error.errno == errno.ENOSPC:
        return "the disk is full. Free some space, or link instead of copying."
    return f"{error.strerror or error}. Check that the folder may be written."
